"""A program that works for a while in a process of its own, tells what it does, and leaves files behind or fails.

What it prints, on either stream, is told line by line; the end of it is kept, for that is where a failure is explained.
"""

import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Sequence

from lemfarm.errors import LemfarmError

Hear = Callable[[str], None]

_TAIL_LINES = 20
_FRAMES = ("Traceback (most recent call last):", 'File "')
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class ErrandFailed(LemfarmError):
    """The program ended otherwise than well; `tail` holds the last lines that it printed, of a traceback the error."""

    def __init__(self, what: str, code: int, tail: Sequence[str]) -> None:
        self.tail = _without_traceback(tail)
        ending = f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"
        super().__init__("\n".join([f"{what} {ending}. It said last:", *(self.tail or ("(nothing)",))]))


def run_errand(what: str, command: Sequence[str], hear: Hear) -> None:
    """Run a command to its end; `what` names it for people. Raises ErrandFailed. An interruption ends it, too."""
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **quiet},
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if said := _TERMINAL_CODES.sub("", line).strip():
                tail.append(said)
                hear(said)
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if code != 0:
        raise ErrandFailed(what, code, tail)


def _without_traceback(lines: Sequence[str]) -> tuple[str, ...]:
    """What stands before a Python traceback, and the error that it ends with; its beginning may be gone already."""
    for number, line in enumerate(lines):
        if line.startswith(_FRAMES):
            return (*list(lines)[:number], lines[-1]) if line == _FRAMES[0] else (lines[-1],)
    return tuple(lines)
