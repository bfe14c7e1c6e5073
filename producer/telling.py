"""The command of `notify:`: started without a shell, told one message, ended when it takes too long.

It finds the message as one JSON object on its standard input and, for one-liners, in the environment: LEMFARM_EVENT,
LEMFARM_RUN, LEMFARM_PHASE, LEMFARM_MESSAGE. It lives in a session of its own, so that Ctrl-C does not reach it.
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

from lemfarm import __version__
from lemfarm.notices import Message, one_line

TOLD = "told"
LONGEST_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_LAST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `said`: the end of what it printed, both streams."""

    text: str
    said: str = ""

    @property
    def good(self) -> bool:
        """Whether the command took the message."""
        return self.text == TOLD


class Telling:
    """A command that is being told something; starts it, and never blocks."""

    def __init__(self, command: str, message: Message, seconds: float = LONGEST_SECONDS) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `_end`
        self._failed = ""
        try:
            self._process = _start(command, message, self._printed)
        except (OSError, ValueError) as error:
            self._failed = f"cannot be started: {getattr(error, 'strerror', None) or error}"

    def poll(self) -> Outcome | None:
        """How it ended; none while it lives. One that has had its time is killed, with all that it started."""
        if self._failed:
            return self._end(self._failed)
        code = self._process.poll()
        if code is None and time.monotonic() < self._deadline:
            return None
        if code is None:
            self._kill()
            return self._end(f"did not end within {self._seconds:g} s")
        return self._end(TOLD if code == 0 else f"ended with code {code}")

    def wait(self) -> Outcome:
        """Wait for the end, which comes in time."""
        while (outcome := self.poll()) is None:
            time.sleep(_LOOK_SECONDS)
        return outcome

    def _end(self, how: str) -> Outcome:
        with self._printed as printed:
            printed.seek(max(0, printed.seek(0, os.SEEK_END) - _LAST_BYTES))
            said = printed.read().decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else ""
        return Outcome(how if how == TOLD or not last else one_line(f"{how}: {last}"), said)

    def _kill(self) -> None:
        # It ended a moment ago; macOS does not let a zombie be signalled.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def as_data(message: Message) -> dict[str, str]:
    """A message as the command reads it."""
    return {
        "event": message.kind,
        "run": message.run,
        "phase": message.phase,
        "message": message.text,
        "time": datetime.fromtimestamp(message.created, UTC).isoformat(timespec="seconds"),
        "lemfarm": __version__,
    }


def _start(command: str, message: Message, printed: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Files for input and output: a pipe would break, or fill up, when nobody reads it."""
    data = as_data(message)
    told = {f"LEMFARM_{name.upper()}": data[name] for name in ("event", "run", "phase", "message")}
    with tempfile.TemporaryFile() as given:
        given.write(json.dumps(data).encode() + b"\n")
        given.seek(0)
        return subprocess.Popen(
            shlex.split(command),
            env={**os.environ, **told},
            stdin=given,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
        )
