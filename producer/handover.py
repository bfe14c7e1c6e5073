"""What follows when: a wave for the open phase, training for a full one, evaluation, and the end of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.broker import queue_length, send_train, train_queue
from lemfarm.config import PhaseConfig, RunConfig
from lemfarm.database import Database
from lemfarm.ledger import Ledger
from lemfarm.records import Adapter, Phase, PhaseState, Probe, Purpose, Run, RunState, Sample, StageState, TrainingStage
from lemfarm.training.phases import open_stage
from producer.evaluation import measure, plan_adapter_evaluation
from producer.quotas import close_what_is_full, rejudge, want_again
from producer.standing import Standing, read_standing
from producer.waves import Waves

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
RECENT = 40
ENOUGH_RECENT = 20
RESEND_TRAINING_SECONDS = 30.0
THINNEST = 5


@dataclass(frozen=True, slots=True)
class PhaseView:
    """A phase with its configuration and standing, as one look found it."""

    row: Phase
    config: PhaseConfig
    standing: Standing

    @property
    def id(self) -> int:
        assert self.row.id is not None
        return self.row.id

    @property
    def settled(self) -> bool:
        """No sample of it is in anybody's hands any more."""
        return self.row.state != PhaseState.OPEN and self.standing.leased == 0


@dataclass
class Handover:
    """Moves one run forward by what the rows say; called again and again."""

    database: Database
    ledger: Ledger
    app: "Celery"
    waves: Waves

    def advance(self, run: Run, config: RunConfig) -> None:
        """One step of one run."""
        if self._too_many_failures(run, config):
            return
        phases = self._phases(run, config)
        for phase in phases:
            if phase.row.state != PhaseState.TRAINED:
                self._settle(phase)
        self.waves.send_evaluation(run)
        current = next((phase for phase in phases if phase.row.state == PhaseState.OPEN), None)
        if current is not None:
            self.waves.send_phase(run, current.id, current.config, current.standing)
        if not self._all_exhausted_may_go_on(run, phases):
            return
        if self._train_next(run, phases):
            return
        if current is None and all(phase.settled for phase in phases):
            self._evaluate_or_end(run, config)

    def _phases(self, run: Run, config: RunConfig) -> list[PhaseView]:
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False))
            rows = {phase.name: phase for phase in session.exec(query)}
        found = [(rows[phase.name], phase) for phase in config.phases if phase.name in rows]
        return [PhaseView(row, phase, read_standing(self.database, _id(row))) for row, phase in found]

    def _settle(self, phase: PhaseView) -> None:
        state = close_what_is_full(self.ledger, phase.row, phase.config, phase.standing)
        if state == phase.row.state:
            return
        if state != PhaseState.OPEN and rejudge(self.database, phase.id, phase.config):
            # Workers went by older gates for a moment: what was counted is not so; the next look counts anew.
            want_again(self.ledger, phase.row.run_id, phase.id, phase.config)
            return
        log.info("phase changed", phase=phase.row.name, was=phase.row.state, now=state)
        phase.row.state = state
        self._set_phase(phase.id, state)

    def _set_phase(self, phase_id: int, state: PhaseState) -> None:
        with self.database.write() as connection:
            connection.execute(
                text("UPDATE phase SET state = :state WHERE id = :id AND state <> 'trained'"),
                {"state": state, "id": phase_id},
            )

    def _all_exhausted_may_go_on(self, run: Run, phases: Sequence[PhaseView]) -> bool:
        """A phase that ran out before its quota holds or starves the run; phases are judged in order, once nobody
        works on an earlier one any more."""
        for phase in phases:
            if phase.row.state != PhaseState.TRAINED and not phase.settled:
                return True
            if phase.row.state != PhaseState.EXHAUSTED:
                continue
            quota = phase.config.quota
            accepted = phase.standing.accepted(quota)
            if accepted < quota.enough:
                self._end(run, RunState.STARVED, self._starved(run, phase, accepted))
                return False
            if quota.when_exhausted == "hold" and not self._released(phase):
                self._end(
                    run,
                    RunState.HELD,
                    f"phase {phase.row.name} ran out with {accepted} of {quota.accepted} accepted, enough to train: "
                    f"`lemfarm train {run.name}` goes on with these, or raise `samples` and run again.",
                )
                return False
        return True

    def _starved(self, run: Run, phase: PhaseView, accepted: int) -> str:
        """Why a phase cannot be filled, which probes are thin, and what to change."""
        quota, by_probe = phase.config.quota, phase.standing.accepted_by_probe
        thin = sorted(by_probe, key=lambda probe: by_probe[probe])[:THINNEST]
        empty = sum(1 for count in by_probe.values() if count == 0)
        also = "`give_up_below`, " if quota.give_up_below else ""
        step = f"Raise `samples`, lower {also}a gate or `enough`, and run again."
        if run.sample_limit is not None:
            step = f"--limit {run.sample_limit} is used up: run again with a higher one, or without."
        return (
            f"phase {phase.row.name} ran out with {accepted} accepted; its quota wants {quota.accepted}, at least "
            f"{quota.enough}. {empty} of {len(by_probe)} probes gave nothing; thinnest: {self._names(thin)}. {step}"
        )

    def _names(self, probe_ids: Sequence[str]) -> str:
        with self.database.read() as connection, Session(bind=connection) as session:
            return ", ".join(session.get_one(Probe, probe_id).name for probe_id in probe_ids)

    def _released(self, phase: PhaseView) -> bool:
        """A person said `lemfarm train`: the stage is there."""
        with self.database.read() as connection, Session(bind=connection) as session:
            return session.exec(select(TrainingStage.id).where(TrainingStage.phase_id == phase.id)).first() is not None

    def _train_next(self, run: Run, phases: Sequence[PhaseView]) -> bool:
        """Hand the first untrained phase over when it is settled; True while any training is outstanding."""
        if not run.trains:
            return False
        for phase in phases:
            if phase.row.state == PhaseState.TRAINED or phase.config.train is None:
                continue
            if not phase.settled:
                return False
            stage = self._stage(open_stage(self.database, _id(run), phase.id))
            if stage.state == StageState.FAILED:
                again = f"`lemfarm train {run.name}` tries it again."
                self._end(run, RunState.STOPPED, f"training of phase {phase.row.name} failed: {stage.error} {again}")
            elif stage.state == StageState.WAITING:
                self._send_stage(run, phase, stage)
            return True
        return False

    def _stage(self, stage_id: int) -> TrainingStage:
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            return session.get_one(TrainingStage, stage_id)

    def _send_stage(self, run: Run, phase: PhaseView, stage: TrainingStage) -> None:
        queue = train_queue(run.model_key, self._home_of(run.promoted))
        now = self.database.clock()
        if stage.sent and (now - stage.sent < RESEND_TRAINING_SECONDS or queue_length(self.app, queue) > 0):
            return
        with self.database.write() as connection:
            connection.execute(
                text("UPDATE training_stage SET sent = :now WHERE id = :id AND state = 'waiting'"),
                {"now": now, "id": stage.id},
            )
        send_train(self.app, str(stage.id), queue, f"{run.name} {phase.row.name}")
        log.info("phase handed to training", run=run.name, phase=phase.row.name, queue=queue)

    def _home_of(self, adapter: str | None) -> str | None:
        """A phase goes on from its predecessor's adapter, and so must be trained where that lies."""
        if adapter is None:
            return None
        with self.database.read() as connection, Session(bind=connection) as session:
            return session.get_one(Adapter, adapter).home_id

    def _evaluate_or_end(self, run: Run, config: RunConfig) -> None:
        if config.evaluate is None:
            self._end(run, RunState.DONE, "")
            return
        if run.promoted and not self._is_planned(run, run.promoted):
            rows = plan_adapter_evaluation(self.database, _id(run), run.promoted)
            if rows:
                log.info("the adapter is measured", run=run.name, adapter=run.promoted, samples=rows)
                return
        balance = self.ledger.balance(_id(run), Purpose.EVALUATE)
        if balance.pending or balance.leased:
            return
        measure(self.database, _id(run), config.evaluate.scorer)
        self._end(run, RunState.DONE, "")

    def _is_planned(self, run: Run, adapter: str) -> bool:
        query = select(Sample.id).where(
            Sample.run_id == run.id,
            Sample.adapter_id == adapter,
            col(Sample.superseded).is_(False),
        )
        with self.database.read() as connection, Session(bind=connection) as session:
            return session.exec(query).first() is not None

    def _too_many_failures(self, run: Run, config: RunConfig) -> bool:
        """Half of the recent work failing is no bad luck: stop, with the reason that came up most."""
        with self.database.read() as connection:
            rows = connection.execute(
                text(
                    """SELECT a.ending, a.error FROM attempt a
                       WHERE a.ended > :since AND a.ending IN ('done', 'failed', 'died')
                       AND EXISTS (SELECT 1 FROM sample s WHERE s.id = a.sample_id AND s.run_id = :run)
                       ORDER BY a.ended DESC LIMIT :recent"""
                ),
                {"run": run.id, "since": run.activated, "recent": RECENT},
            ).all()
        bad = [row.error or "the worker died" for row in rows if row.ending != "done"]
        if len(rows) < ENOUGH_RECENT or len(bad) / len(rows) < config.farm.stop_at_error_rate:
            return False
        common = max(set(bad), key=bad.count)
        self._end(
            run,
            RunState.STOPPED,
            f"{len(bad)} of the last {len(rows)} samples failed, most often: {common}. "
            f"Mend that and run again; `lemfarm requeue --failed {run.name}` gives failed ones a new chance.",
        )
        return True

    def _end(self, run: Run, state: RunState, reason: str) -> None:
        with self.database.write() as connection:
            connection.execute(
                text(
                    f"""UPDATE run SET state = :state, reason = :reason, finished = {self.database.now}
                        WHERE id = :id AND state = 'active'"""
                ),
                {"state": state, "reason": reason, "id": run.id},
            )
        log.info("run ended", run=run.name, state=state, reason=reason)


def _id(row: Run | Phase) -> int:
    assert row.id is not None
    return row.id
