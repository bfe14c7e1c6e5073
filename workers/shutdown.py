"""How a worker is asked to end: first with a grace for what is nearly done, then at once."""

import threading
import time
from dataclasses import dataclass, field

RELOAD = 75  #: exit code: start me again, another model is wanted


@dataclass
class Shutdown:
    """One for the whole process, looked at between decoding steps by everything that waits."""

    exit_code: int = 0
    own_signal: bool = False  #: the next signal is this process's own, to wake Celery
    _signalled: bool = False
    _asked: threading.Event = field(default_factory=threading.Event)
    _deadline: float = float("inf")

    def begin(self, grace_seconds: float, *, exit_code: int = 0) -> None:
        """Ask to end; samples that finish within the grace are stored, the others released."""
        self.exit_code = self.exit_code or exit_code
        self._deadline = min(self._deadline, time.monotonic() + grace_seconds)
        self._asked.set()

    def hear(self, grace_seconds: float) -> None:
        """A signal came: the first begins the grace, a second ends it; one of our own says nothing new."""
        if self.own_signal:
            self.own_signal = False
            return
        self.begin(0.0 if self._signalled else grace_seconds)
        self._signalled = True

    @property
    def hurried(self) -> bool:
        """There is an end to the patience: what takes hours should stop. A drain waits as long as it takes."""
        return self.asked and self._deadline < float("inf")

    @property
    def asked(self) -> bool:
        """No new work."""
        return self._asked.is_set()

    @property
    def now(self) -> bool:
        """The grace is over: let go of everything."""
        return self.asked and time.monotonic() >= self._deadline

    def wait(self, seconds: float) -> bool:
        """Sleep unless asked to end; True when asked."""
        return self._asked.wait(seconds)
