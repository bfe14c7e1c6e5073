"""Locks on files that say which process lives: the kernel frees them when it ends, however it ends.

A pid file outlives a kill -9 and may later name a stranger; a lock does neither. A server that cannot take a lock by
itself inherits the open file from the one who starts it and holds the lock for as long as it lives.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 1.0  # looking at a lock holds it for an instant


def take_lock(path: Path) -> int | None:
    """The open, locked file (close it to free the lock, or let a child inherit it), or None when a process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def taken() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if wait_until(taken, _PATIENCE_SECONDS):
        return descriptor
    os.close(descriptor)
    return None


def is_locked(path: Path) -> bool:
    """Whether a living process holds this lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def end_holder(lock: Path, pid_file: Path, *, grace_seconds: float) -> bool:
    """End the process that holds a lock and wrote its pid: SIGTERM, after the grace SIGKILL. False when it lives on."""
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        pid = read_number(pid_file)
        if pid is not None and is_locked(lock):
            with contextlib.suppress(ProcessLookupError):  # it ended between the look and the signal
                os.kill(pid, number)
        if wait_until(lambda: not is_locked(lock), seconds):
            pid_file.unlink(missing_ok=True)
            return True
    return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask 20 times a second; False when the condition did not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def read_number(path: Path) -> int | None:
    """The number in a pid or port file, or None when there is none."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
