"""Keeps a Mac awake while its worker works, with macOS's own `caffeinate`."""

import contextlib
import os
import subprocess
from dataclasses import dataclass

import structlog

log = structlog.get_logger()
_END_SECONDS = 5.0


@dataclass
class KeepAwake:
    """A child process that holds the assertion: `-i` against idle sleep, `-s` against any sleep while on mains.

    Never `-d`: the display may and should go dark. `-w` ends it with this process, so that a worker that is killed
    leaves no Mac awake. Where it is not wanted, nothing happens.
    """

    wanted: bool
    program: str = "/usr/bin/caffeinate"
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def holds(self) -> bool:
        """Whether this machine is kept awake now."""
        return self._process is not None and self._process.poll() is None

    def hold(self) -> None:
        """Keep it awake from now on; again, where somebody ended what did."""
        if not self.wanted or self.holds:
            return
        nowhere = subprocess.DEVNULL
        command = [self.program, "-i", "-s", "-w", str(os.getpid())]
        try:
            self._process = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        except OSError as error:
            self.wanted = False
            log.warning("cannot keep this machine awake: it may fall asleep", program=self.program, error=str(error))

    def let_go(self) -> None:
        """It may sleep now."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # `-w` ends it with this process at the latest
            process.wait(_END_SECONDS)
