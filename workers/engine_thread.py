"""The one long-lived thread that owns the engine; every other thread talks to it through futures."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import structlog

from lemfarm.engines.base import Completion, Engine, EngineFacts, Request
from lemfarm.errors import EngineFailure

log = structlog.get_logger()


class Withdrawn(Exception):
    """The sequence was taken out without a result: its claim is to be released."""


@dataclass
class _Job:
    request: Request
    future: Future[Completion]
    before_alone: Callable[[], None] | None = None


@dataclass
class EngineThread:
    """Feeds the engine as slots come free and resolves the futures of what it finishes.

    `on_company` hears, before the engine's next step, when more than one sequence is in it, and when no longer.
    """

    engine: Engine
    on_company: Callable[[bool], None] = lambda _together: None
    _waiting: deque[_Job] = field(default_factory=deque)
    _live: dict[str, _Job] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)
    _orders: deque[tuple[Callable[[], object], Future[object]]] = field(default_factory=deque)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _suspended: bool = False
    _stopping: bool = False
    _together: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> EngineFacts:
        """Load the model in the engine's own thread and wait for it. Raises ModelError."""
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()
        facts = self._order(self.engine.load)
        assert isinstance(facts, EngineFacts)
        return facts

    def submit(self, request: Request, *, before_alone: Callable[[], None] | None = None) -> Future[Completion]:
        """Queue a request. With `before_alone` it runs with nothing beside it, after that call returned."""
        job = _Job(request, Future(), before_alone)
        with self._wake:
            if self._suspended or self._stopping:
                job.future.set_exception(Withdrawn(request.sample_id))
                return job.future
            self._waiting.append(job)
            self._wake.notify()
        return job.future

    def cancel(self, sample_id: str) -> None:
        """Take a sequence out; its future raises Withdrawn. An unknown id is no error."""
        with self._wake:
            self._cancelled.add(sample_id)
            self._wake.notify()

    def refuse_new(self) -> None:
        """Admit nothing more and withdraw what waits; what decodes goes on. `suspend` or `accept_new` follows."""
        with self._wake:
            self._suspended = True
            waiting, self._waiting = list(self._waiting), deque()
        for job in waiting:
            job.future.set_exception(Withdrawn(job.request.sample_id))

    def accept_new(self) -> None:
        """Undo `refuse_new`."""
        self._suspended = False

    def suspend(self) -> None:
        """Withdraw everything and free the model's memory, for a training. Blocks until done."""
        with self._wake:
            self._suspended = True
        self._order(self._unload)

    def resume(self) -> EngineFacts:
        """Load the model again after `suspend`. Raises ModelError."""
        facts = self._order(self.engine.load)
        self._suspended = False
        assert isinstance(facts, EngineFacts)
        return facts

    def stop(self, timeout: float = 60.0) -> None:
        """Withdraw what is left, close the engine in its thread and join it."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    @property
    def busy(self) -> int:
        """Sequences decoding now."""
        return len(self._live)

    def _order(self, function: Callable[[], object]) -> object:
        future: Future[object] = Future()
        with self._wake:
            if self._stopping:
                raise Withdrawn("the engine thread is ending")
            self._orders.append((function, future))
            self._wake.notify()
        return future.result()

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                self._obey()
                self._drop_cancelled()
                self._admit()
                self._tell_company()
                self._step()
            except Exception as error:  # an engine that cannot even report must not end the farm
                log.exception("the engine failed", live=len(self._live))
                self._fail_live(EngineFailure(f"{type(error).__name__}: {error}"))
        self._withdraw_all()
        for _, future in self._orders:
            future.set_exception(Withdrawn("the engine thread is ending"))
        self.engine.close()

    def _wait_for_work(self) -> bool:
        with self._wake:
            self._wake.wait_for(
                lambda: self._stopping or self._waiting or self._live or self._orders or self._cancelled
            )
            return not self._stopping

    def _obey(self) -> None:
        while self._orders:
            function, future = self._orders.popleft()
            try:
                future.set_result(function())
            except Exception as error:  # noqa: BLE001  whoever gave the order gets its error
                future.set_exception(error)

    def _drop_cancelled(self) -> None:
        with self._wake:
            cancelled, self._cancelled = self._cancelled, set()
            leaving = [job for job in self._waiting if job.request.sample_id in cancelled]
            for job in leaving:
                self._waiting.remove(job)
        running = cancelled & self._live.keys()
        for job in (*leaving, *map(self._live.pop, running)):
            job.future.set_exception(Withdrawn(job.request.sample_id))
        for sample_id in running:
            self.engine.remove(sample_id)

    def _admit(self) -> None:
        while (job := self._next_to_admit()) is not None:
            try:
                if job.before_alone is not None:
                    job.before_alone()
            except Exception as error:  # noqa: BLE001  without the note, its doing could not be told from others'
                log.warning("cannot start a sample alone", sample=job.request.sample_id, error=str(error))
                job.future.set_exception(Withdrawn(job.request.sample_id))
                continue
            self._live[job.request.sample_id] = job
            self.engine.add(job.request)

    def _next_to_admit(self) -> _Job | None:
        """The next request that may join: one that must be alone waits for an empty engine and keeps it."""
        with self._wake:
            full = len(self._live) >= self.engine.slots
            guarded = any(job.before_alone for job in self._live.values())
            if not self._waiting or full or guarded or self._suspended:
                return None
            if self._waiting[0].before_alone is not None and self._live:
                return None
            return self._waiting.popleft()

    def _tell_company(self) -> None:
        together = len(self._live) > 1
        if together != self._together:
            self._together = together
            self.on_company(together)

    def _step(self) -> None:
        if not self._live:
            return
        for one in self.engine.step():
            job = self._live.pop(one.sample_id, None)
            if job is None:
                continue
            if one.completion is not None:
                job.future.set_result(one.completion)
            else:
                job.future.set_exception(one.error or Withdrawn(one.sample_id))

    def _fail_live(self, error: Exception) -> None:
        """Whoever waits hears of it, whatever state the engine is in."""
        for sample_id, job in list(self._live.items()):
            del self._live[sample_id]
            job.future.set_exception(error)
            with contextlib.suppress(Exception):  # it failed already, and said so
                self.engine.remove(sample_id)

    def _unload(self) -> None:
        self._withdraw_all()
        self.engine.unload()

    def _withdraw_all(self) -> None:
        with self._wake:
            jobs, running = [*self._waiting, *self._live.values()], list(self._live)
            self._waiting.clear()
            self._live.clear()
        for job in jobs:
            job.future.set_exception(Withdrawn(job.request.sample_id))
        for sample_id in running:
            self.engine.remove(sample_id)
