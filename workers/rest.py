"""Rest: outside its working hours, or on battery, a worker claims nothing and lets its machine be.

What is being decoded finishes; what waits for a slot goes back. Then the model leaves the memory and macOS may sleep.
When the hours begin, or the plug is back, the worker loads the model and returns to its queues by itself. A training
that is under way finishes first: training and rest take turns with the engine.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

import structlog

from lemfarm.database import Database
from lemfarm.errors import LemfarmError
from lemfarm.host.manners import Manners
from lemfarm.host.power import PowerState, read_power
from lemfarm.records import WorkerState
from workers.awake import KeepAwake
from workers.engine_thread import EngineThread
from workers.host import add_facts, say
from workers.leases import Leases
from workers.shutdown import Shutdown

log = structlog.get_logger()
LOOK_SECONDS = 30.0  #: so late may a closing hour, a pulled plug or a hot machine be noticed


@dataclass
class Watch:
    """Looks at clock and power; asks the machine at most every `LOOK_SECONDS`, for that starts programs."""

    manners: Manners
    read_power: Callable[[], PowerState] = read_power
    now: Callable[[], datetime] = datetime.now
    _power: PowerState | None = None
    _asked: float = 0.0

    @property
    def power(self) -> PowerState:
        """How the machine is supplied, and how hot it is."""
        if self._power is None or time.monotonic() - self._asked >= LOOK_SECONDS:
            self._power, self._asked = self.read_power(), time.monotonic()
        return self._power

    @property
    def reason_to_rest(self) -> str:
        """Why no work may be taken now; empty when it may."""
        return self.manners.reason_to_rest(self.now(), self.power)


class Queues(Protocol):
    """The part of `Consumption` that is needed here."""

    @property
    def has_begun(self) -> bool:
        """Whether there are queues to leave yet."""

    def leave_queues(self) -> None:
        """Take no more messages."""

    def return_to_queues(self) -> None:
        """Take messages again."""


class _Stage(Enum):
    WORKING = auto()
    LEAVING = auto()  #: claims nothing; what is being decoded finishes
    RESTING = auto()  #: the model is out of memory


@dataclass
class Rest:
    """One thread that looks every `LOOK_SECONDS`. `taken` is held by whoever has taken the engine from the samples."""

    worker_id: str
    database: Database
    watch: Watch
    awake: KeepAwake
    engine: EngineThread
    leases: Leases
    queues: Queues
    taken: threading.Lock
    shutdown: Shutdown
    has_run: Callable[[], bool]
    start_again: Callable[[], None]
    usual_message: str = ""  #: what the worker's row says while it works
    _stage: _Stage = _Stage.WORKING
    _unsaid: dict[str, str] = field(default_factory=dict)
    _noted: PowerState | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, once the worker is asked to end and nothing is left in its hands; the machine may sleep."""
        if self._thread is not None:
            self._thread.join(timeout=30)
        self.awake.let_go()

    def may_claim(self) -> bool:
        """Whether a message may become work now."""
        return self._stage is _Stage.WORKING

    def look(self) -> None:
        """Decide, act, say. Raises Unavailable when it could not say it; the next look does."""
        reason = self.watch.reason_to_rest
        self._act(reason)
        self._keep_awake()
        self._say()

    def _run(self) -> None:
        while not self.shutdown.asked:
            try:
                self.look()
            except LemfarmError as error:
                log.warning("will look again whether to rest", error=str(error))
            except Exception:
                log.exception("an unexpected error while deciding whether to rest")
            self.shutdown.wait(LOOK_SECONDS)

    def _act(self, reason: str) -> None:
        if self._stage is _Stage.WORKING:
            if reason and self.queues.has_begun and self.taken.acquire(blocking=False):
                self._leave(reason)
        elif not reason:
            self._come_back()
        elif self._stage is _Stage.LEAVING and not self.engine.busy:
            self.engine.suspend()
            self._stage = _Stage.RESTING

    def _leave(self, reason: str) -> None:
        log.info("resting", reason=reason, finishing=self.engine.busy)
        self._stage = _Stage.LEAVING
        self.queues.leave_queues()
        self.engine.refuse_new()
        self._unsaid = {"state": WorkerState.RESTING, "message": reason}

    def _come_back(self) -> None:
        """Work again; a worker that cannot load its model any more is better replaced than deaf."""
        log.info("going on after a rest")
        try:
            if self._stage is _Stage.RESTING:
                self.engine.resume()
            else:
                self.engine.accept_new()
        except Exception:
            log.exception("cannot go back to generating after a rest; starting again")
            self.start_again()
            return
        self._stage = _Stage.WORKING
        self.queues.return_to_queues()
        self.taken.release()
        self._unsaid = {"state": WorkerState.READY, "message": self.usual_message}

    def _keep_awake(self) -> None:
        """A Mac stays awake while there is something to do; with no run it may sleep as its owner set it."""
        training = self._stage is _Stage.WORKING and self.taken.locked()
        if training or len(self.leases) or (self.may_claim() and self.has_run()):
            self.awake.hold()
        else:
            self.awake.let_go()

    def _say(self) -> None:
        if self._unsaid:
            say(self.database, self.worker_id, **self._unsaid)
            self._unsaid = {}
        power = self.watch.power
        if power != self._noted:
            add_facts(self.database, self.worker_id, power=asdict(power))
            self._noted = power
