"""The course of a run so far: every phase with every attempt at it, what was decided of each, and what is promoted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.config import config_from_data
from lemfarm.database import Database
from lemfarm.decisions import Decision, decisions_of
from lemfarm.records import Adapter, Phase, TrainingStage
from lemfarm.runs import find_run


@dataclass(frozen=True, slots=True)
class Attempt:
    """One training of a phase. `settings`: those that a person set for it, beside the run file's; `parent`: the
    adapter that it continued, none for the untrained model."""

    number: int
    state: str
    settings: Mapping[str, Any]
    adapter: str | None
    parent: str | None
    error: str
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class PhaseStory:
    """A phase, whether it trains, and its attempts in order."""

    phase: str
    state: str
    trains: bool
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class RunStory:
    """A run's phases in the order of its configuration. `promoted`: an adapter; none for the untrained model."""

    run: str
    state: str
    reason: str
    promoted: str | None
    phases: tuple[PhaseStory, ...]


def read_story(database: Database, name: str | None = None) -> RunStory:
    """The run of that name, or the latest. Raises NotFound."""
    run = find_run(database, name)
    trains = {phase.name for phase in config_from_data(run.config).phases if phase.train}
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False))
        rows = session.exec(query.order_by(col(Phase.position))).all()
        phases = tuple(PhaseStory(row.name, row.state, row.name in trains, _attempts(session, row)) for row in rows)
    return RunStory(run.name, run.state, run.reason, run.promoted, phases)


def _attempts(session: Session, phase: Phase) -> tuple[Attempt, ...]:
    query = select(TrainingStage, Adapter.parent_id).join(
        Adapter, col(Adapter.id) == TrainingStage.adapter_id, isouter=True
    )
    rows = session.exec(query.where(TrainingStage.phase_id == phase.id).order_by(col(TrainingStage.attempt))).all()
    decisions = decisions_of(session, phase.id)
    return tuple(
        Attempt(
            number=stage.attempt,
            state=stage.state,
            settings=stage.overrides,
            adapter=stage.adapter_id,
            parent=parent,
            error=stage.error,
            decisions=tuple(one for one in decisions if one.adapter == stage.adapter_id),
        )
        for stage, parent in rows
    )
