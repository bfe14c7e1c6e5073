"""The keeper: one thread that renews leases, beats the worker row, stores what lies in the spool, and hears orders."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from lemfarm.database import Database
from lemfarm.errors import LemfarmError, Unavailable
from lemfarm.ledger import Ledger
from workers.host import beat
from workers.leases import Leases
from workers.shutdown import Shutdown
from workers.spool import Spool, read_result, sample_of, set_aside
from workers.storing import store

log = structlog.get_logger()
RATE_WINDOW_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 5.0  #: so soon does a cancelled run, or a drain, reach a worker


@dataclass
class TokenRate:
    """Tokens per second over the last minute, of all slots together."""

    _events: deque[tuple[float, int]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = field(default_factory=time.monotonic)

    def add(self, tokens: int) -> None:
        """Count a finished sample."""
        with self._lock:
            self._events.append((time.monotonic(), tokens))

    def per_second(self) -> float:
        """The rate now."""
        now = time.monotonic()
        with self._lock:
            while self._events and self._events[0][0] < now - RATE_WINDOW_SECONDS:
                self._events.popleft()
            tokens = sum(count for _, count in self._events)
        return tokens / max(min(RATE_WINDOW_SECONDS, now - self._began), 1.0)


@dataclass
class Keeper:
    """Runs every third of the lease time, or oftener, until `close`: also while samples finish after a SIGTERM."""

    worker_id: str
    database: Database
    ledger: Ledger
    leases: Leases
    spool: Spool
    rate: TokenRate
    shutdown: Shutdown
    lease_seconds: float
    renew_training: Callable[[], None] = lambda: None
    is_wanted: Callable[[], bool] = lambda: True
    on_drain: Callable[[], None] = lambda: None
    watch_memory: Callable[[], None] = lambda: None
    _closed: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; what an earlier process left in the spool is stored first."""
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """A last round, then end."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            ending = self._closed.is_set()
            for duty in (self._flush_spool, self._renew, self.renew_training, self._beat, self.watch_memory):
                self._do(duty)
            if ending:
                return
            self._closed.wait(min(self.lease_seconds / 3, LONGEST_PAUSE_SECONDS))

    def _do(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except LemfarmError as error:
            log.warning("the keeper will try again", duty=getattr(duty, "__name__", "?"), error=str(error))
        except Exception:
            log.exception("the keeper met an unexpected error", duty=getattr(duty, "__name__", "?"))

    def _renew(self) -> None:
        held = self.leases.snapshot()
        in_hand = held.keys() | {sample_of(path) for path in self.spool.waiting()}
        if not in_hand:
            return
        alive = self.ledger.renew(self.worker_id, in_hand, self.lease_seconds)
        for sample_id in self.leases.renewed(held, alive):
            log.warning("lost the lease of a sample", sample=sample_id)

    def _beat(self) -> None:
        said = beat(self.database, self.worker_id, in_flight=len(self.leases), tokens_per_second=self.rate.per_second())
        if said["command"] == "drain" and not self.shutdown.asked:
            self.on_drain()
        if not self.shutdown.asked and not self.is_wanted():
            self.on_drain()

    def _flush_spool(self) -> None:
        for path in self.spool.waiting():
            if not self.leases.holds(sample_of(path)):  # else the task that wrote it is about to store it
                self._store(path)
        for folder, paths in self.spool.orphans():
            log.info("storing what a dead worker left", folder=folder.name, results=len(paths))
            for path in paths:
                self._store(path)

    def _store(self, path: Path) -> None:
        result = read_result(path)
        if result is None:
            return
        try:
            stored = store(self.ledger, result)
        except Unavailable:
            raise
        except Exception:
            log.exception("a spooled result cannot be stored", sample=result.sample_id)
            set_aside(path)
            return
        path.unlink(missing_ok=True)
        log.info("stored from the spool" if stored else "a spooled result was there already", sample=result.sample_id)
