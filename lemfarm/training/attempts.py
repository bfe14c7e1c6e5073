"""A phase that is trained again: a further attempt beside the old one, with settings of its own.

The run file keeps saying how the phase trains; what a person set for one attempt stands in that attempt's row.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from lemfarm.config import PhaseConfig, PhaseTrainConfig, config_from_data
from lemfarm.config.messages import problems_of
from lemfarm.database import Database
from lemfarm.decisions import newest_stage
from lemfarm.errors import InputError
from lemfarm.records import UNTRAINED, Phase, PhaseState, Run, RunState, StageState, TrainingStage


def with_overrides(phase: PhaseConfig, overrides: Mapping[str, Any]) -> PhaseTrainConfig:
    """How a phase trains in one attempt. Raises InputError for a key or a value that a run file could not have."""
    if phase.train is None:
        raise InputError(f"phase {phase.name} does not train.")
    try:
        return PhaseTrainConfig.model_validate({**phase.train.model_dump(), **overrides})
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one.path))}: {one.text}" for one in problems_of(error, PhaseTrainConfig)]
        raise InputError(f"phase {phase.name} cannot train like that: {'; '.join(found)}") from error


def train_again(database: Database, phase_id: int, overrides: Mapping[str, Any]) -> TrainingStage:
    """A further attempt of a phase whose adapter was not promoted, or whose training failed. Raises InputError."""
    with database.session() as session:
        phase = session.get_one(Phase, phase_id, with_for_update=True)
        run = session.get_one(Run, phase.run_id)
        config = config_from_data(run.config)
        with_overrides(next(one for one in config.phases if one.name == phase.name), overrides)
        _refuse_unripe(session, phase)
        stage = add_attempt(session, phase, overrides)
        phase.state = PhaseState.OPEN  # the watcher closes it again by its samples
        run.trains = True
        wake(database, run)
        return stage


def add_attempt(session: Session, phase: Phase, overrides: Mapping[str, Any]) -> TrainingStage:
    """A further training of a phase, which waits; those before it stay as they are."""
    last = newest_stage(session, phase.id)
    assert phase.id is not None and last is not None
    stage = TrainingStage(run_id=phase.run_id, phase_id=phase.id, attempt=last.attempt + 1, overrides=dict(overrides))
    session.add(stage)
    session.flush()
    return stage


def wake(database: Database, run: Run) -> None:
    """Let a run that had ended go on; one that is paused stays so."""
    if run.state in (RunState.HELD, RunState.STOPPED, RunState.STARVED, RunState.DONE):
        run.state, run.reason, run.activated, run.finished = RunState.ACTIVE, "", database.clock(), None


def _refuse_unripe(session: Session, phase: Phase) -> None:
    stage = newest_stage(session, phase.id)
    if phase.state == PhaseState.TRAINED:
        raise InputError(f"the adapter of phase {phase.name} is promoted: `lemfarm rollback` takes it back first.")
    if phase.state == PhaseState.MEASURING:
        raise InputError(f"the adapter of phase {phase.name} is being measured: its gates decide first.")
    if stage is None:
        raise InputError(f"phase {phase.name} has not been trained yet; `lemfarm run CONFIG` does, when it is full.")
    if phase.state in UNTRAINED and stage.state != StageState.FAILED:
        raise InputError(
            f"attempt {stage.attempt} of phase {phase.name} is {stage.state}: let it end, or cancel the run."
        )
