"""Logs that stay small: a process moves its own log aside when it has grown, and goes on in a new file.

Processes write for days to a file that their supervisor opened, so the file is changed beneath them: a new one is put
in place of the old descriptor, and whatever writes to it next, Python or a library in C, writes there. Nothing is lost,
and it works where the supervisor is gone.
"""

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

LOG_VARIABLE = "LEMFARM_LOG"  #: which file the standard error of a supervised process is
LIMIT_VARIABLE = "LEMFARM_LOG_BYTES"  #: of one log; there are two, the present and the older one
LOG_BYTES = 10_000_000
LOOK_SECONDS = 30.0

_STDOUT, _STDERR = 1, 2


def rotate(log: Path, max_bytes: int | None = None) -> None:
    """Keep one older log: a log that has grown over the limit becomes `<name>.1`. For one that nobody writes to."""
    limit = log_bytes(os.environ) if max_bytes is None else max_bytes
    if log.exists() and log.stat().st_size > limit:
        log.replace(older(log))


def older(log: Path) -> Path:
    """Where a log goes when a new one begins."""
    return log.with_name(f"{log.name}.1")


def log_bytes(environ: Mapping[str, str]) -> int:
    """How large a log may grow."""
    return int(environ.get(LIMIT_VARIABLE) or LOG_BYTES)


def keep_small(log: Path, *descriptors: int, seconds: float = LOOK_SECONDS) -> None:
    """Look after the log of this process, which these descriptors are, from a thread, as long as it lives."""
    threading.Thread(target=_look_after, args=(log, descriptors, seconds), name="log", daemon=True).start()


def keep_own_output_small(environ: Mapping[str, str] = os.environ, *, seconds: float = LOOK_SECONDS) -> None:
    """Look after standard output and error where the supervisor said which file they are, and they are."""
    named = environ.get(LOG_VARIABLE)
    if named and _is_open_as(Path(named), _STDERR):
        open_here = [number for number in (_STDOUT, _STDERR) if _is_open_as(Path(named), number)]
        keep_small(Path(named), *open_here, seconds=seconds)


def begin_anew(log: Path, *descriptors: int) -> None:
    """Move a log that has grown aside, and let the descriptors write to a new one; also where another process has
    moved it. Raises OSError."""
    rotate(log)
    if all(_is_open_as(log, number) for number in descriptors):
        return
    fresh = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        for number in descriptors:
            os.dup2(fresh, number, inheritable=number <= _STDERR)
    finally:
        os.close(fresh)


def _look_after(log: Path, descriptors: tuple[int, ...], seconds: float) -> None:
    while True:
        time.sleep(seconds)
        with contextlib.suppress(OSError):  # no space, no folder: the old file does meanwhile
            begin_anew(log, *descriptors)


def _is_open_as(log: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), log.stat())
    except OSError:
        return False
