"""What is known of the trainings of a run: their curves, what they were to take and what they took."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.config import config_from_data
from lemfarm.database import Database
from lemfarm.errors import NotFound
from lemfarm.records import Adapter, LossPoint, Phase, TrainingStage
from lemfarm.runs import find_run

#: What a finished adapter's record says of its training, as far as a person wants to compare it with the forecast.
MEASURED = (
    "seconds",
    "peak_memory",
    "trained_tokens",
    "train_rows",
    "valid_rows",
    "examples_seen",
    "epochs",
    "resumed",
)


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """One training of one phase. Curves are (updates done, loss) in order.

    `used` is the update whose weights the adapter has; None before it is finished. `expected` holds the forecast of
    the machine that trains, `measured` what it came to: seconds, bytes, tokens, and the updates it was resumed from.
    """

    phase: str
    state: str
    iterations: int
    train: tuple[tuple[int, float], ...] = ()
    valid: tuple[tuple[int, float], ...] = ()
    used: int | None = None
    adapter: str | None = None
    error: str = ""
    expected: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1  #: a phase that was trained again has further ones
    overrides: Mapping[str, Any] = field(default_factory=dict)  #: settings of this attempt alone

    @property
    def done(self) -> int:
        """Updates made so far."""
        return self.train[-1][0] if self.train else 0


def read_trainings(
    database: Database, name: str | None = None, *, phase: str | None = None
) -> tuple[str, tuple[TrainingHistory, ...]]:
    """The run of that name, or the latest, with its trainings in the order of its phases.

    Raises NotFound for a run, or a phase, that it does not have, or that has not been handed to training yet.
    """
    run = find_run(database, name)
    planned = {one.name: one.train.iterations for one in config_from_data(run.config).phases if one.train}
    with database.read() as connection, Session(bind=connection) as session:
        query = (
            select(Phase, TrainingStage, Adapter)
            .join(TrainingStage, col(TrainingStage.phase_id) == Phase.id)
            .join(Adapter, col(Adapter.id) == TrainingStage.adapter_id, isouter=True)
            .where(TrainingStage.run_id == run.id)
            .order_by(col(Phase.position), col(TrainingStage.attempt))
        )
        rows = [row for row in session.exec(query).all() if phase in (None, row[0].name)]
        if not rows:
            what = f"phase {phase} of run {run.name}" if phase else f"run {run.name}"
            raise NotFound(
                f"{what} has not been trained, nor handed to training, yet; phases that train: "
                f"{', '.join(planned) or 'none'}."
            )
        found = tuple(_history(session, *row, planned.get(row[0].name, 0)) for row in rows)
    return run.name, found


def _history(
    session: Session, phase: Phase, stage: TrainingStage, adapter: Adapter | None, iterations: int
) -> TrainingHistory:
    query = select(LossPoint).where(LossPoint.stage_id == stage.id, LossPoint.epoch == _shown_epoch(session, stage))
    points = session.exec(query.order_by(col(LossPoint.id))).all()
    record: Mapping[str, Any] = adapter.manifest.get("record", {}) if adapter else {}
    return TrainingHistory(
        phase=phase.name,
        attempt=stage.attempt,
        overrides=stage.overrides,
        state=stage.state,
        iterations=stage.overrides.get("iterations", iterations),
        train=tuple((point.iteration, point.loss) for point in points if point.kind == "train"),
        valid=tuple((point.iteration, point.loss) for point in points if point.kind == "valid"),
        used=record.get("used"),
        adapter=stage.adapter_id,
        error=stage.error,
        expected=stage.config.get("forecast", {}),
        measured={name: record[name] for name in MEASURED if name in record},
    )


def _shown_epoch(session: Session, stage: TrainingStage) -> int:
    """The last lease under which anything was learnt: a resumed training tells its whole curve again, and one that
    waits for its next lease has only the old one."""
    newest = select(LossPoint.epoch).where(LossPoint.stage_id == stage.id).order_by(col(LossPoint.epoch).desc())
    return session.exec(newest.limit(1)).first() or stage.epoch
