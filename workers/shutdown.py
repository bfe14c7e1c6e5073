"""How a worker is asked to end: first with a grace for what is nearly done, then at once."""

import threading
import time
from dataclasses import dataclass, field

RELOAD = 75  #: exit code: start me again, another model is wanted


@dataclass
class Shutdown:
    """One for the whole process, looked at between decoding steps by everything that waits."""

    exit_code: int = 0
    _asked: threading.Event = field(default_factory=threading.Event)
    _deadline: float = float("inf")

    def begin(self, grace_seconds: float, *, exit_code: int = 0) -> None:
        """Ask to end; samples that finish within the grace are stored, the others released."""
        self.exit_code = self.exit_code or exit_code
        self._deadline = min(self._deadline, time.monotonic() + grace_seconds)
        self._asked.set()

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
