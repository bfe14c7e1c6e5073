"""A folder to train in that survives nothing but success.

The hidden folder `.partial-<job>` beside the finished adapters is locked by an open descriptor (flock on the folder
itself). The child process inherits the descriptor: as long as it or its parent lives, nobody else uses or removes the
folder, and after a `kill -9` of both it is free, whatever the file system still shows. POSIX only, as all of lemfarm.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lemfarm.errors import LemfarmError, ModelError
from lemfarm.identity import PREFIX
from lemfarm.training.adapters import publish

_PARTIAL = ".partial-"
_POLL_SECONDS = 0.1


class WorkplaceBusy(LemfarmError):
    """Another living process works in the folder."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """The hidden folder of a job and the descriptor that locks it, to be passed on to the child."""

    folder: Path
    lock: int


@contextmanager
def workplace(adapters: Path, key: str, *, patience: float) -> Iterator[Workplace]:
    """An empty, locked folder for the job of that key; gone afterwards unless it was renamed.

    First removes what dead trainings left. Waits up to `patience` seconds for a child that is dying of its parent's
    death, then raises WorkplaceBusy.
    """
    adapters.mkdir(parents=True, exist_ok=True)
    _sweep(adapters)
    folder = (adapters / f"{_PARTIAL}{key.removeprefix(PREFIX)}").absolute()
    lock = _lock(folder, patience)
    try:
        yield Workplace(folder, lock)
    finally:
        if _is_same(folder, lock):
            shutil.rmtree(folder, ignore_errors=True)  # a leftover is swept next time
        os.close(lock)


def _lock(folder: Path, patience: float) -> int:
    give_up = time.monotonic() + patience
    while True:
        folder.mkdir(exist_ok=True)
        lock = _try_lock(folder)
        if lock is not None and _is_same(folder, lock):
            return lock
        if lock is not None:
            os.close(lock)
        if time.monotonic() > give_up:
            raise WorkplaceBusy(f"{folder} is in use by another process that trains the same.")
        time.sleep(_POLL_SECONDS)


def _try_lock(folder: Path) -> int | None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_same(folder: Path, descriptor: int) -> bool:
    """Whether the name still stands for the folder that is held, and not for a new one or none."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sweep(adapters: Path) -> None:
    """Remove what dead trainings left, of this job and of others; folders in use stay, finished ones get their name."""
    for folder in adapters.glob(f"{_PARTIAL}*"):
        lock = _try_lock(folder)
        if lock is None:
            continue
        with contextlib.suppress(ModelError):  # not finished, or damaged: trained again
            publish(folder, adapters)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
