"""Logs that stay small: a process moves its own log aside when it has grown, and goes on in a new file.

Processes write for days to a file that their supervisor opened, so the file is changed beneath them: a new one is put
in place of the old descriptor, and whatever writes to it next, Python or a library in C, writes there. Nothing is lost,
and it works where the supervisor is gone.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

LOG_VARIABLE = "LEMFARM_LOG"  #: which file the standard error of a supervised process is
LIMIT_VARIABLE = "LEMFARM_LOG_BYTES"  #: of one log; there are two, the present and the older one
LOG_BYTES = 10_000_000
LOOK_SECONDS = 30.0

_STDERR = 2


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


def keep_small(log: Path, *streams: TextIO, seconds: float = LOOK_SECONDS) -> threading.Event:
    """Look after a log of this process, which these streams write to, from a thread; until the event is set.

    The thread holds the streams, so that none is closed behind its back: the number of a closed one would soon be that
    of another file, a database for example, and that file would be replaced by the log.
    """
    enough = threading.Event()
    threading.Thread(target=_look_after, args=(log, streams, seconds, enough), name="log", daemon=True).start()
    return enough


def keep_own_output_small(environ: Mapping[str, str] = os.environ, *, seconds: float = LOOK_SECONDS) -> None:
    """Look after standard output and error where the supervisor said which file they are, and they are."""
    named = environ.get(LOG_VARIABLE)
    if named and _is_open_as(Path(named), _STDERR):
        both = (sys.__stdout__, sys.__stderr__)
        open_here = [stream for stream in both if stream is not None and _is_open_as(Path(named), stream.fileno())]
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


def _look_after(log: Path, streams: tuple[TextIO, ...], seconds: float, enough: threading.Event) -> None:
    while not enough.wait(seconds) and not any(stream.closed for stream in streams):
        with contextlib.suppress(OSError):  # no space, no folder: the old file does meanwhile
            begin_anew(log, *(stream.fileno() for stream in streams))


def _is_open_as(log: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), log.stat())
    except OSError:
        return False
