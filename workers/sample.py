"""The life of one sample on a worker: claim, generate, score, judge, spool, store."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

import structlog

from lemfarm.engines.base import Completion
from lemfarm.errors import DeadlineExceeded, EngineFailure, NotFound, SampleError, Unavailable
from lemfarm.ledger import Ledger
from lemfarm.work import Claim, Result
from workers.engine_thread import EngineThread, Withdrawn
from workers.leases import Leases
from workers.library import Library, Rules
from workers.results import make_result
from workers.shutdown import Shutdown
from workers.spool import Spool
from workers.storing import store

log = structlog.get_logger()
LOOK_SECONDS, CALM_LOOK_SECONDS = 0.5, 2.0  #: calm: nobody has asked this worker to end
Value = TypeVar("Value")


class HandBack(Exception):
    """The message is to go back to the queue: this worker ends, trains or rests."""


@dataclass
class SampleRunner:
    """What the task threads share; `run` is the whole work of one message."""

    worker_id: str
    ledger: Ledger
    library: Library
    engine: EngineThread
    spool: Spool
    leases: Leases
    shutdown: Shutdown
    lease_seconds: float
    on_tokens: Callable[[int], None] = lambda _count: None
    may_claim: Callable[[], bool] = lambda: True

    def run(self, sample_id: str) -> str:
        """Do what a message hints at; returns a word for Flower. Raises HandBack."""
        if self.leases.holds(sample_id):
            # A second message, or a lease that was taken back while its thread has not noticed: the engine must not
            # get one sample twice. A row that needs another message is found by the lost-message rule.
            return "in hand already"
        claim = self._claim(sample_id)
        if claim is None:
            return "nothing to do"
        self.leases.hold(sample_id, claim.epoch)
        try:
            return self._generate(claim)
        except Withdrawn:
            self._insist(lambda: self.ledger.release(sample_id, claim.epoch), patient=False)
            raise HandBack(sample_id) from None
        finally:
            self.leases.drop(sample_id)

    def _claim(self, sample_id: str) -> Claim | None:
        if self.shutdown.asked or not self.may_claim():
            raise HandBack(sample_id)
        return self._insist(lambda: self.ledger.claim(sample_id, self.worker_id, self.lease_seconds))

    def _generate(self, claim: Claim) -> str:
        try:
            rules = self._insist(lambda: self.library.rules(claim.phase_id))
        except NotFound as error:
            log.info("the configuration changed under a sample", sample=claim.sample_id, error=str(error))
            self._insist(lambda: self.ledger.release(claim.sample_id, claim.epoch))
            return "nothing to do"
        try:
            request = self._insist(lambda: self.library.request(claim))
            wording = self._insist(lambda: self.library.wording(claim.variant_id))
            before_alone = (
                (lambda: self.ledger.begin_alone(claim.sample_id, claim.epoch)) if claim.must_run_alone else None
            )
            completion = self._await(self.engine.submit(request, before_alone=before_alone), claim, rules)
            result = make_result(claim, self.worker_id, wording, completion, rules)
        except SampleError as error:
            return self._fail(claim, rules, error)
        except (Withdrawn, HandBack):
            raise
        except Exception as error:
            log.exception("a sample failed in an unexpected way", sample=claim.sample_id)
            return self._fail(claim, rules, EngineFailure(f"{type(error).__name__}: {error}"))
        self.on_tokens(completion.completion_tokens)
        return self._store(result)

    def _await(self, future: Future[Completion], claim: Claim, rules: Rules) -> Completion:
        """Wait for the engine, looking up between decoding steps: lost lease, deadline, the end of this worker."""
        deadline = time.monotonic() + rules.farm.deadline_seconds
        while True:
            try:
                return future.result(timeout=LOOK_SECONDS if self.shutdown.asked else CALM_LOOK_SECONDS)
            except TimeoutError:
                if future.done():
                    raise
            if self.leases.is_lost(claim.sample_id) or self.shutdown.now:
                self.engine.cancel(claim.sample_id)
            elif time.monotonic() > deadline:
                self.engine.cancel(claim.sample_id)
                raise DeadlineExceeded(f"not finished within {rules.farm.deadline_seconds:g} s")

    def _fail(self, claim: Claim, rules: Rules, error: SampleError) -> str:
        state = self._insist(
            lambda: self.ledger.fail(
                claim.sample_id,
                claim.epoch,
                error.kind,
                str(error),
                retryable=error.retryable,
                retries=rules.farm.retries,
            )
        )
        log.warning("a sample failed", sample=claim.sample_id, error_class=error.kind, error=str(error), now=state)
        return f"failed: {error.kind}"

    def _store(self, result: Result) -> str:
        """Spool, then store. With the database away the spool keeps the result; with the disk full the database may
        still take it; with neither, hold on to it and try again."""
        while True:
            path = None
            try:
                path = self.spool.write(result)
            except OSError as error:
                log.error("cannot write the spool", folder=str(self.spool.folder), error=str(error))
            try:
                stored = store(self.ledger, result)
            except Unavailable as error:
                log.warning("the result waits in the spool" if path else "cannot store a result", error=str(error))
                if path is not None:
                    return "spooled"
                if self.shutdown.now:
                    raise Withdrawn(result.sample_id) from error
                time.sleep(LOOK_SECONDS)
                continue
            if path is not None:
                path.unlink(missing_ok=True)
            if not stored:
                log.info("a second result is dropped", sample=result.sample_id, epoch=result.epoch)
            return result.outcome if stored else "dropped"

    def _insist(self, action: Callable[[], Value], *, patient: bool = True) -> Value:
        """Do something with the database however long it is away, unless this worker is to end."""
        wait = 0.2
        while True:
            try:
                return action()
            except Unavailable as error:
                if self.shutdown.asked or not patient:
                    log.warning("the database is away; the lease will run out by itself", error=str(error))
                    raise HandBack("database away") from error
                log.warning("waiting for the database", error=str(error))
            self.shutdown.wait(wait)
            wait = min(wait * 2, 5.0)
