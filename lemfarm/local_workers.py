"""Worker processes of this home: their names, their locks, and their supervision.

A name belongs to one process at a time: the process holds a lock named after it. A worker whose supervisor was killed
goes on working; the next supervisor adopts it instead of starting a second one beside it.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lemfarm.errors import InputError
from lemfarm.home import Home, write_private
from lemfarm.locks import is_locked, take_lock
from lemfarm.supervisor import SUPERVISOR_VARIABLE, Child

NAME_VARIABLE = "LEMFARM_WORKER_NAME"
MOST_WORKERS = 64


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """Where the lock and the process ids of one worker name lie."""

    home: Home
    name: str

    @property
    def lock(self) -> Path:
        return self.home.root / "workers" / f"{self.name}.lock"

    @property
    def ids(self) -> Path:
        return self.home.root / "workers" / f"{self.name}.json"

    @property
    def lives(self) -> bool:
        """Whether a process of this name works."""
        return is_locked(self.lock)

    @property
    def is_orphan(self) -> bool:
        """Whether it works without a supervisor."""
        return self.lives and not psutil.pid_exists(self._read().get("supervisor", 0))

    @property
    def pid(self) -> int | None:
        """The process of this name, while it lives."""
        return self._read().get("pid") if self.lives else None

    def _read(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(self.ids.read_text())
        except (OSError, ValueError):
            return {}
        return found


def take_name(home: Home, name: str) -> int:
    """Hold a worker name for the life of this process. Raises InputError when another process has it."""
    place = WorkerPlace(home, name)
    home.ensure(place.lock.parent)
    lock = take_lock(place.lock)
    if lock is None:
        raise InputError(f"a worker named {name} runs in {home.root} already (process {place.pid}); choose --name.")
    supervisor = int(os.environ.get(SUPERVISOR_VARIABLE) or 0)
    write_private(place.ids, json.dumps({"pid": os.getpid(), "supervisor": supervisor}))
    return lock


def living_workers(home: Home) -> list[WorkerPlace]:
    """Workers of this home that are alive now."""
    folder = home.root / "workers"
    if not folder.is_dir():
        return []
    places = [WorkerPlace(home, lock.stem) for lock in sorted(folder.glob("*.lock"))]
    return [place for place in places if place.lives]


@dataclass(slots=True)
class KeptWorker:
    """A worker as a supervisor's member; where an orphan of its name lives, that one is adopted first."""

    place: WorkerPlace
    environment: Mapping[str, str]
    _child: Child | None = field(default=None)

    @property
    def name(self) -> str:
        """What logs and the command line call it."""
        return self.place.name

    def start(self) -> None:
        """Start a process, unless one of this name is at work."""
        if self._child is None and self.place.lives:
            return
        log = self.place.home.logs / f"{self.name}.log"
        environment = {**self.environment, NAME_VARIABLE: self.name}
        self._child = Child(self.name, [sys.executable, "-m", "workers"], log, environment)
        self._child.start()

    def exit_code(self) -> int | None:
        """None while it lives; an adopted one that is gone counts as killed, since its code went to its parent."""
        if self._child is not None:
            return self._child.exit_code()
        return None if self.place.lives else -int(signal.SIGKILL)

    def end(self, *, at_once: bool) -> None:
        """SIGTERM, or SIGKILL."""
        if self._child is not None:
            self._child.end(at_once=at_once)
            return
        pid = self.place.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended between the look and the signal
                os.kill(pid, signal.SIGKILL if at_once else signal.SIGTERM)


def worker_members(
    home: Home, count: int, environment: Mapping[str, str], *, name: str | None = None
) -> list[KeptWorker]:
    """`count` workers to supervise: orphans of this home first, then free names `<host>-1`, `<host>-2`, ..."""
    base = name or socket.gethostname().split(".")[0]
    if name is not None and count == 1:
        return [KeptWorker(WorkerPlace(home, name), environment)]
    orphans = [place for place in living_workers(home) if place.is_orphan]
    free = (WorkerPlace(home, f"{base}-{number}") for number in range(1, MOST_WORKERS + 1))
    names = orphans + [place for place in free if not place.lives]
    return [KeptWorker(place, environment) for place in names[:count]]
