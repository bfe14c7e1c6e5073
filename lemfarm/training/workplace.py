"""A folder to train in: what is in it counts only as a whole checkpoint, or as a finished adapter.

The hidden folder `.partial-<job>` beside the finished adapters is locked by an open descriptor (flock on the folder
itself). The child process inherits the descriptor: as long as it or its parent lives, nobody else uses or removes the
folder, and after a `kill -9` of both it is free, whatever the file system still shows. A folder with a checkpoint
stays for the same job to go on with. POSIX only, as all of lemfarm.
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
from lemfarm.training.adapters import AdapterManifest, publish
from lemfarm.training.checkpoints import has_checkpoint, remove_checkpoints
from lemfarm.training.job import JOB_FILE, LoraJob, read_job

_PARTIAL = ".partial-"
_POLL_SECONDS = 0.1
_FORGOTTEN_SECONDS = 30 * 86_400.0


class WorkplaceBusy(LemfarmError):
    """Another living process works in the folder."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """The hidden folder of a job and the descriptor that locks it, to be passed on to the child."""

    folder: Path
    lock: int


@contextmanager
def workplace(job: LoraJob, *, patience: float) -> Iterator[Workplace]:
    """The locked folder of the job; gone afterwards if it was renamed, or holds no checkpoint to go on from.

    First removes what dead trainings left. Waits up to `patience` seconds for a child that is dying of its parent's
    death, then raises WorkplaceBusy.
    """
    job.adapters.mkdir(parents=True, exist_ok=True)
    folder = (job.adapters / f"{_PARTIAL}{job.key.removeprefix(PREFIX)}").absolute()
    _sweep(job, folder)
    lock = _lock(folder, patience)
    try:
        yield Workplace(folder, lock)
    finally:
        if _is_same(folder, lock) and not has_checkpoint(folder):
            shutil.rmtree(folder, ignore_errors=True)  # a leftover is swept next time
        os.close(lock)


def deliver(folder: Path, adapters: Path) -> AdapterManifest:
    """Give a finished folder its adapter's name, without its checkpoints. Raises ModelError when it is not whole."""
    manifest = publish(folder, adapters)
    remove_checkpoints(adapters / manifest.id)
    return manifest


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


def _sweep(job: LoraJob, own: Path) -> None:
    """Remove what dead trainings left, of this job and of others; folders in use stay, finished ones get their name."""
    for folder in job.adapters.absolute().glob(f"{_PARTIAL}*"):
        lock = _try_lock(folder)
        if lock is None:
            continue
        with contextlib.suppress(ModelError):  # not finished, or damaged: trained on, or again
            deliver(folder, job.adapters)
        if not (has_checkpoint(folder) and (folder == own or _may_go_on(folder, job))):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _may_go_on(folder: Path, job: LoraJob) -> bool:
    """Whether another job may want its checkpoints: not one that had this label (the phase was changed since), nor one
    that nobody has touched for a month."""
    try:
        other = read_job(folder / JOB_FILE)
    except (OSError, ValueError, TypeError, LemfarmError):
        return False
    return other.label != job.label and time.time() - folder.stat().st_mtime < _FORGOTTEN_SECONDS
