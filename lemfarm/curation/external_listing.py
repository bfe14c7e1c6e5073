"""The external answers of a run as people and programs look at them: by source, with what the gates said of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlmodel import Session, col, select

from lemfarm.candidates import cell_candidates
from lemfarm.curation.external import source_name
from lemfarm.database import Database
from lemfarm.errors import NotFound
from lemfarm.external_mix import Mix, read_outlook
from lemfarm.records import ExternalAnswer, Phase, Probe, Variant
from lemfarm.runs import find_run


@dataclass(frozen=True, slots=True)
class ExternalLine:
    """One external answer, without its text."""

    id: int
    phase: str
    probe: str
    variant: int
    source: str
    model: str
    licence: str
    date: str
    outcome: str
    reason: str
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What became of the answers of one file or run in one phase."""

    phase: str
    source: str
    model: str
    licence: str
    answers: int
    accepted: int
    rejected: int
    held: int


@dataclass(frozen=True, slots=True)
class ExternalAnswers:
    """Those of a run, or of one of its phases; `mixes` has the phases that want some, by name."""

    run: str
    mixes: dict[str, Mix]
    sources: tuple[SourceCounts, ...]
    answers: tuple[ExternalLine, ...]


def list_external(database: Database, run: str | None, phase: str | None = None) -> ExternalAnswers:
    """Everything that was imported, in the order in which it came. Raises NotFound, Unavailable."""
    row = find_run(database, run)
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Phase).where(Phase.run_id == row.id, col(Phase.retired).is_(False)).order_by(col(Phase.position))
        known = {one.name: one for one in session.exec(query)}
        if phase is not None and phase not in known:
            raise NotFound(f"there is no phase {phase!r} in run {row.name}; it has {', '.join(known)}")
        phases = [one for name, one in known.items() if phase in (None, name)]
        lines = [line for one in phases for line in _lines(session, one)]
        mixes = {one.name: mix for one in phases if (mix := _mix(connection, one))}
    return ExternalAnswers(row.name, mixes, _counts(lines), tuple(lines))


def _mix(connection: Connection, phase: Phase) -> Mix | None:
    assert phase.id is not None
    return read_outlook(connection, phase.id, phase.config, cell_candidates(connection, phase.id))


def _lines(session: Session, phase: Phase) -> list[ExternalLine]:
    query = (
        select(ExternalAnswer, Probe.name, Variant.position)
        .join(Probe, col(Probe.id) == ExternalAnswer.probe_id)
        .join(Variant, col(Variant.id) == ExternalAnswer.variant_id)
        .where(ExternalAnswer.phase_id == phase.id)
        .order_by(col(ExternalAnswer.id))
    )
    return [_line(answer, phase.name, probe, position) for answer, probe, position in session.exec(query)]


def _line(answer: ExternalAnswer, phase: str, probe: str, variant: int) -> ExternalLine:
    assert answer.id is not None
    said: dict[str, Any] = answer.provenance
    return ExternalLine(
        id=answer.id,
        phase=phase,
        probe=probe,
        variant=variant,
        source=answer.source,
        model=str(said.get("model", "")),
        licence=str(said.get("licence", "")),
        date=str(said.get("date", "")),
        outcome=answer.outcome or "",
        reason=answer.reason,
        scores={name: float(score["value"]) for name, score in answer.scores.items()},
    )


def _counts(lines: Sequence[ExternalLine]) -> tuple[SourceCounts, ...]:
    outcomes: dict[tuple[str, str, str, str], Counter[str]] = {}
    for line in lines:
        key = line.phase, source_name(line.source), line.model, line.licence
        outcomes.setdefault(key, Counter())[line.outcome] += 1
    return tuple(
        SourceCounts(*key, found.total(), found["accepted"], found["rejected"], found["held"])
        for key, found in outcomes.items()
    )
