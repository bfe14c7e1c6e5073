"""The training of phases: one leased row for each attempt, and what came of it.

    waiting -> leased -> done | failed
    leased  -> waiting          (released, or its worker died)

Phase k starts from the adapter that is promoted, so its row is opened when phase k-1 has promoted one. Adapters are
immutable; whether one is promoted is decided in `training.promotion`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from lemfarm.database import Database
from lemfarm.decisions import newest_stage
from lemfarm.records import (
    Adapter,
    LossPoint,
    Phase,
    Run,
    StageState,
    TrainingStage,
)
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.promotion import hand_in
from lemfarm.work import Sighting

STAGE_RETRIES = 3


@dataclass(frozen=True, slots=True)
class StageClaim:
    """A lease on the training of one phase."""

    stage_id: int
    epoch: int
    run_id: int
    phase_id: int


def open_stage(database: Database, run_id: int, phase_id: int) -> int:
    """The last attempt at a phase, or its first one, made when it is missing."""
    with database.session() as session:
        stage = newest_stage(session, phase_id)
        if stage is None:
            stage = TrainingStage(run_id=run_id, phase_id=phase_id)
            session.add(stage)
            session.flush()
        assert stage.id is not None
        return stage.id


def claim_stage(database: Database, stage_id: int, worker_id: str, lease_seconds: float) -> StageClaim | None:
    """Lease a waiting stage; none when another worker has it or it is finished."""
    with database.write() as connection:
        row = connection.execute(
            text(
                f"""UPDATE training_stage SET state = 'leased', owner = :worker, epoch = epoch + 1, error = '',
                    lease_expires = {database.now} + :lease, started = {database.now}
                    WHERE id = :id AND state = 'waiting'
                    AND run_id IN (SELECT id FROM run WHERE state = 'active')
                    RETURNING epoch, run_id, phase_id"""
            ),
            {"id": stage_id, "worker": worker_id, "lease": lease_seconds},
        ).one_or_none()
        return None if row is None else StageClaim(stage_id, row.epoch, row.run_id, row.phase_id)


def renew_stage(database: Database, claim: StageClaim, lease_seconds: float) -> bool:
    """Extend the lease; False when it is not ours any more, or the run was cancelled: stop training."""
    return _change_leased(
        database, claim, f"lease_expires = {database.now} + {float(lease_seconds)}", "run_state <> 'cancelled'"
    )


def release_stage(database: Database, claim: StageClaim) -> bool:
    """Give the training back unfinished, for another worker or a later hour."""
    return _change_leased(database, claim, "state = 'waiting', owner = NULL, sent = 0")


def fail_stage(database: Database, claim: StageClaim, error: str, *, final: bool) -> bool:
    """End a training with an error: it is tried again while its budget lasts, unless trying again cannot help."""
    again = f"CASE WHEN failures < {0 if final else STAGE_RETRIES} THEN 'waiting' ELSE 'failed' END"
    with database.write() as connection:
        changed = connection.execute(
            text(
                f"""UPDATE training_stage SET state = {again}, failures = failures + 1, owner = NULL, sent = 0,
                    error = :error WHERE id = :id AND epoch = :epoch AND state = 'leased'"""
            ),
            {"id": claim.stage_id, "epoch": claim.epoch, "error": error},
        )
        return changed.rowcount > 0


def retry_trainings(database: Database, run_id: int) -> None:
    """Give failed trainings of a run a fresh start: a person changed something, or wants it tried again."""
    with database.write() as connection:
        connection.execute(
            text(
                """UPDATE training_stage SET state = 'waiting', failures = 0, sent = 0
                   WHERE run_id = :run AND state = 'failed' AND attempt = (SELECT max(attempt) FROM training_stage later
                   WHERE later.phase_id = training_stage.phase_id)"""
            ),
            {"run": run_id},
        )


def expired_stages(database: Database) -> list[Sighting]:
    """Trainings whose lease ran out, by the database's clock; `sample_id` holds the stage's number."""
    with database.read() as connection:
        rows = connection.execute(
            text(
                f"""SELECT id, epoch, lease_expires FROM training_stage
                    WHERE state = 'leased' AND lease_expires < {database.now}"""
            )
        ).all()
        return [Sighting(str(row.id), row.epoch, row.lease_expires) for row in rows]


def reap_stages(database: Database, sightings: Iterable[Sighting]) -> int:
    """Trainings that were seen expired twice go back, to be begun again; a renewal in between saves one."""
    taken = 0
    with database.write() as connection:
        for seen in sightings:
            taken += connection.execute(
                text(
                    """UPDATE training_stage SET state = 'waiting', owner = NULL, sent = 0 WHERE id = :id
                       AND state = 'leased' AND epoch = :epoch AND lease_expires = :expires"""
                ),
                {"id": int(seen.sample_id), "epoch": seen.epoch, "expires": seen.lease_expires},
            ).rowcount
    return taken


def finish_stage(database: Database, claim: StageClaim, manifest: AdapterManifest, home_id: str, dataset: Any) -> bool:
    """Record the sealed adapter and hand it in, to its gates or to be promoted, in one transaction; False when fenced
    off."""
    with database.session() as session:
        ours = session.execute(
            text(
                """UPDATE training_stage SET state = 'done' WHERE id = :id AND epoch = :epoch AND state = 'leased'
                   RETURNING id"""
            ),
            {"id": claim.stage_id, "epoch": claim.epoch},
        ).one_or_none()
        if ours is None:
            return False
        stage = session.get_one(TrainingStage, claim.stage_id)
        now = database.clock()
        if session.get(Adapter, manifest.id) is None:
            session.add(
                Adapter(
                    id=manifest.id,
                    run_id=claim.run_id,
                    phase_id=claim.phase_id,
                    parent_id=manifest.parent,
                    home_id=home_id,
                    manifest={
                        "config": dict(manifest.config),
                        "versions": dict(manifest.versions),
                        "record": {name: value for name, value in manifest.record.items() if name != "settings"},
                    },
                    created=now,
                )
            )
            session.flush()
        stage.state, stage.adapter_id, stage.dataset, stage.finished = StageState.DONE, manifest.id, dataset, now
        session.flush()
        run, phase = session.get_one(Run, claim.run_id), session.get_one(Phase, claim.phase_id)
        hand_in(session, database, run, phase, manifest.id)
        return True


def note_forecast(database: Database, claim: StageClaim, forecast: Mapping[str, Any]) -> None:
    """Keep what the machine that trains expects of it, to be compared with what it takes."""
    with database.session() as session:
        stage = session.get_one(TrainingStage, claim.stage_id)
        if stage.epoch == claim.epoch:
            stage.config = {**stage.config, "forecast": dict(forecast)}


def add_loss(
    database: Database, claim: StageClaim, kind: str, iteration: int, loss: float, details: Mapping[str, Any]
) -> None:
    """Store a point of the loss curve."""
    with database.session() as session:
        session.add(
            LossPoint(
                stage_id=claim.stage_id,
                epoch=claim.epoch,
                kind=kind,
                iteration=iteration,
                loss=loss,
                details=dict(details),
                created=database.clock(),
            )
        )


def _change_leased(database: Database, claim: StageClaim, assignments: str, guard: str = "1 = 1") -> bool:
    guard = guard.replace("run_state", "(SELECT state FROM run WHERE run.id = training_stage.run_id)")
    with database.write() as connection:
        changed = connection.execute(
            text(
                f"""UPDATE training_stage SET {assignments}
                    WHERE id = :id AND epoch = :epoch AND state = 'leased' AND {guard}"""
            ),
            {"id": claim.stage_id, "epoch": claim.epoch},
        )
        return changed.rowcount > 0
