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
from lemfarm.notices import write_notice
from lemfarm.records import (
    BLOCKED,
    UNTRAINED,
    Adapter,
    NoticeKind,
    Phase,
    PhaseState,
    Probe,
    Purpose,
    Run,
    RunState,
    StageState,
    TrainingStage,
)
from lemfarm.training.phases import open_stage
from producer.evaluation import is_measured, measure, plan_adapter_evaluation
from producer.gatekeeping import let_gates_decide, why_blocked
from producer.generators import is_unfixed, settle_generators
from producer.quotas import close_what_is_full, want_again
from producer.rejudging import rejudge_outdated
from producer.standing import Standing, read_standing
from producer.waves import Waves

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
RECENT = 40
ENOUGH_RECENT = 20
RESEND_TRAINING_SECONDS = 30.0
THINNEST = 5
NOTICES = {
    RunState.DONE: NoticeKind.DONE,
    RunState.STARVED: NoticeKind.STARVED,
    RunState.HELD: NoticeKind.HELD,
    RunState.STOPPED: NoticeKind.FAILED,
}


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
    def reviews_due(self) -> int:
        """Answers that people must look at before it is trained."""
        untrained = self.row.state in UNTRAINED
        return self.standing.reviews_due(self.config.quota, self.config.review) if untrained else 0

    @property
    def unfixed(self) -> bool:
        """It waits for the adapter that is to answer it."""
        return is_unfixed(self.row, self.config)

    @property
    def samples_now(self) -> bool:
        """It may have samples to send, and neither an adapter nor people are waited for."""
        return self.row.state == PhaseState.OPEN and not self.unfixed and not self.reviews_due

    @property
    def settled(self) -> bool:
        """No sample of it is in anybody's hands any more."""
        return self.row.state != PhaseState.OPEN and self.standing.leased == 0 and not self.reviews_due


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
        settle_generators(self.ledger, run, config)
        phases = self._phases(run, config)
        for phase in phases:
            if phase.row.state in UNTRAINED:
                self._settle(run, phase)
        self.waves.send_evaluation(run)
        if run.sample_limit == 0:  # it measures, and samples nothing to be trained on
            self._evaluate_or_end(run, config)
            return
        current = next((one for one in phases if one.samples_now), None)
        if current is not None:
            self.waves.send_phase(run, current.id, current.config, current.standing)
        if not self._all_exhausted_may_go_on(run, phases):
            return
        if self._train_next(run, config, phases):
            return
        if current is None and all(phase.settled or phase.unfixed for phase in phases):
            self._finish(run, config, phases)
        elif current is None and all(phase.settled or phase.unfixed or phase.reviews_due for phase in phases):
            self._wait_for_reviews(run, next(phase for phase in phases if phase.reviews_due))

    def _wait_for_reviews(self, run: Run, phase: PhaseView) -> None:
        """Nobody but people can go on: the run ends, and goes on when they are through."""
        measured = self.ledger.balance(_id(run), Purpose.EVALUATE)
        if measured.pending or measured.leased:
            return
        name, quota = phase.row.name, phase.config.quota
        waiting = "1 answer waits" if phase.reviews_due == 1 else f"{phase.reviews_due} answers wait"
        counted = f"{phase.standing.accepted(quota)} of {quota.accepted} are accepted"
        said = f"phase {name}: {waiting} for review, {counted}: `lemfarm review {run.name} --phase {name}`. "
        self._end(run, RunState.HELD, said + "The same run goes on after that.", phase=name)

    def _wait_for_training(self, run: Run, phase: Phase) -> None:
        """A phase wants the adapter of an earlier one, and the run was started to train nothing."""
        measured = self.ledger.balance(_id(run), Purpose.EVALUATE)
        if run.trains or measured.pending or measured.leased:
            return
        said = f"phase {phase.name} is answered by the adapter of a phase before it, and this run does not train: "
        self._end(run, RunState.HELD, f"{said}`lemfarm train {run.name}` lets it.", phase=phase.name)

    def _phases(self, run: Run, config: RunConfig) -> list[PhaseView]:
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False))
            rows = {phase.name: phase for phase in session.exec(query)}
        found = [(rows[phase.name], phase) for phase in config.phases if phase.name in rows]
        return [PhaseView(row, phase, read_standing(self.database, _id(row))) for row, phase in found]

    def _settle(self, run: Run, phase: PhaseView) -> None:
        state = close_what_is_full(self.ledger, phase.row, phase.config, phase.standing)
        if state == phase.row.state:
            return
        if state == PhaseState.EXHAUSTED and phase.row.state == PhaseState.FULL:
            # An accepted answer lost to a better twin or a reviewer: what was skipped may be needed after all.
            again = want_again(self.ledger, phase.row.run_id, phase.id, phase.config)
            state = PhaseState.OPEN if again else state
        if state != PhaseState.OPEN and rejudge_outdated(self.database, phase.id, phase.config):
            # Workers went by older gates for a moment: what was counted is not so; the next look counts anew.
            want_again(self.ledger, phase.row.run_id, phase.id, phase.config)
            return
        log.info("phase changed", phase=phase.row.name, was=phase.row.state, now=state)
        phase.row.state = state
        self._set_phase(run, phase, state)

    def _set_phase(self, run: Run, phase: PhaseView, state: PhaseState) -> None:
        with self.database.write() as connection:
            changed = connection.execute(
                text(
                    """UPDATE phase SET state = :state WHERE id = :id AND state <> :state
                       AND state IN ('open', 'full', 'exhausted')"""
                ),
                {"state": state, "id": phase.id},
            )
            if changed.rowcount and state == PhaseState.FULL:
                quota = phase.config.quota
                counted = f"{phase.standing.accepted(quota)} accepted, {quota.accepted} wanted"
                said = f"phase {phase.row.name} is full: {counted}."
                write_notice(connection, self.database, _id(run), NoticeKind.FULL, said, phase=phase.row.name)

    def _all_exhausted_may_go_on(self, run: Run, phases: Sequence[PhaseView]) -> bool:
        """A phase that ran out before its quota holds or starves the run; phases are judged in order, once nobody
        works on an earlier one any more."""
        for phase in phases:
            if phase.row.state in UNTRAINED and not phase.settled:
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

    def _train_next(self, run: Run, config: RunConfig, phases: Sequence[PhaseView]) -> bool:
        """Hand the first untrained phase over when it is settled, and its adapter to its gates; True while any training
        or measuring is outstanding. What is held or rejected blocks the phases behind it."""
        if not run.trains:
            return False
        phase = next((one for one in phases if one.row.state != PhaseState.TRAINED and one.config.train), None)
        if phase is None or not phase.settled or phase.row.state in BLOCKED:
            return False
        if phase.row.state == PhaseState.MEASURING:
            let_gates_decide(self.database, run, config, phase.row)
            return True
        stage = self._stage(open_stage(self.database, _id(run), phase.id))
        if stage.state == StageState.FAILED:
            again = f"`lemfarm train {run.name}` tries it again."
            self._end(run, RunState.STOPPED, f"training of phase {phase.row.name} failed: {stage.error} {again}")
        elif stage.state == StageState.WAITING:
            self._send_stage(run, phase, stage)
        return True

    def _finish(self, run: Run, config: RunConfig, phases: Sequence[PhaseView]) -> None:
        """Nothing is left to sample or train: the run waits for a person, was stopped by a gate, or is done."""
        blocked = next((phase.row for phase in phases if phase.row.state in BLOCKED), None)
        unfixed = next((phase.row for phase in phases if phase.unfixed), None)
        if blocked is None and unfixed is not None:
            self._wait_for_training(run, unfixed)
            return
        if blocked is None:
            self._evaluate_or_end(run, config)
            return
        state = RunState.HELD if blocked.state == PhaseState.HELD else RunState.STOPPED
        self._end(run, state, why_blocked(self.database, run, blocked), phase=blocked.name)

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
        """A phase goes on from its predecessor's adapter, and so must be trained where that can be had."""
        if adapter is None:
            return None
        with self.database.read() as connection, Session(bind=connection) as session:
            found = session.get_one(Adapter, adapter)
            return None if found.in_store else found.home_id

    def _evaluate_or_end(self, run: Run, config: RunConfig) -> None:
        if config.evaluate is None:
            self._end(run, RunState.DONE, "")
            return
        if run.promoted and not is_measured(self.database, _id(run), run.promoted):
            rows = plan_adapter_evaluation(self.database, _id(run), run.promoted)
            if rows:
                log.info("the adapter is measured", run=run.name, adapter=run.promoted, samples=rows)
                return
        balance = self.ledger.balance(_id(run), Purpose.EVALUATE)
        if balance.pending or balance.leased:
            return
        measure(self.database, _id(run), config.evaluate.scorer)
        self._end(run, RunState.DONE, "")

    def _too_many_failures(self, run: Run, config: RunConfig) -> bool:
        """Half of the recent work failing is no bad luck: stop, with the reason that came up most.

        A worker's death is one failure, however many samples it held: a large batch that memory could not hold must not
        end the run. A sample that failed before says nothing new when it is tried again: those retries are what is left
        at the end of a run, and would end it with two failures in a hundred.
        """
        with self.database.read() as connection:
            rows = connection.execute(
                text(
                    """SELECT a.ending, a.error, a.worker_id FROM attempt a
                       WHERE a.ended > :since AND a.ending IN ('done', 'failed', 'died')
                       AND EXISTS (SELECT 1 FROM sample s WHERE s.id = a.sample_id AND s.run_id = :run)
                       AND NOT EXISTS (SELECT 1 FROM attempt b WHERE b.sample_id = a.sample_id AND b.epoch < a.epoch
                                       AND b.ending = 'failed' AND b.ended > :since)
                       ORDER BY a.ended DESC LIMIT :recent"""
                ),
                {"run": run.id, "since": run.activated, "recent": RECENT},
            ).all()
        dead = {row.worker_id for row in rows if row.ending == "died"}
        bad = [row.error for row in rows if row.ending == "failed"] + ["the worker died"] * len(dead)
        recent = len(bad) + sum(row.ending == "done" for row in rows)
        if recent < ENOUGH_RECENT or len(bad) / recent < config.farm.stop_at_error_rate:
            return False
        common = max(set(bad), key=bad.count)
        self._end(
            run,
            RunState.STOPPED,
            f"{len(bad)} of the last {recent} samples failed, most often: {common}. "
            f"Mend that and run again; `lemfarm requeue --failed {run.name}` gives failed ones a new chance.",
        )
        return True

    def _end(self, run: Run, state: RunState, reason: str, *, phase: str = "") -> None:
        """The end of a run is told once; what is about one phase may have been told when it was decided."""
        with self.database.write() as connection:
            changed = connection.execute(
                text(
                    f"""UPDATE run SET state = :state, reason = :reason, finished = {self.database.now}
                        WHERE id = :id AND state = 'active'"""
                ),
                {"state": state, "reason": reason, "id": run.id},
            )
            if changed.rowcount:
                said = reason or f"run {run.name} is done."
                write_notice(connection, self.database, _id(run), NOTICES[state], said, phase=phase)
        log.info("run ended", run=run.name, state=state, reason=reason)


def _id(row: Run | Phase) -> int:
    assert row.id is not None
    return row.id
