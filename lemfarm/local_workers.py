"""Worker processes of this home: their names, their locks, and their supervision.

A name belongs to one process at a time: the process holds a lock named after it. A worker whose supervisor was killed
goes on working; the next supervisor adopts it instead of starting a second one beside it. Two commands that follow one
run share its workers: who started one ends it, the other starts it again if it still needs one.
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
from typing import Any

import psutil

from lemfarm.errors import InputError
from lemfarm.home import Home, write_private
from lemfarm.locks import is_locked, take_lock
from lemfarm.supervisor import SUPERVISOR_VARIABLE, Child

NAME_VARIABLE = "LEMFARM_WORKER_NAME"
RUN_VARIABLE = "LEMFARM_RUN"
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
    def vitals(self) -> Path:
        """What its engine does and takes, for whoever comes after it."""
        return self.home.root / "workers" / f"{self.name}.vitals"

    @property
    def fault(self) -> Path:
        """Where its threads stood when a signal such as SIGABRT ended it; empty otherwise."""
        return self.home.root / "workers" / f"{self.name}.fault"

    @property
    def lives(self) -> bool:
        """Whether a process of this name works."""
        return is_locked(self.lock)

    @property
    def supervisor(self) -> int:
        """The process that ends this one and starts it again; 0 where none does."""
        return int(self._read().get("supervisor") or 0)

    @property
    def is_orphan(self) -> bool:
        """Whether it works without a supervisor."""
        return self.lives and self.supervisor != 0 and not psutil.pid_exists(self.supervisor)

    @property
    def run(self) -> str:
        """The one run that it serves; empty for one that serves whichever is active."""
        return str(self._read().get("run") or "")

    @property
    def pid(self) -> int | None:
        """The process of this name, while it lives."""
        return self._read().get("pid") if self.lives else None

    def adopt(self) -> None:
        """Note that this process is its supervisor now."""
        write_private(self.ids, json.dumps({**self._read(), "supervisor": os.getpid()}))

    def _read(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.ids.read_text())
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
    serves = {"run": os.environ.get(RUN_VARIABLE) or ""}
    write_private(place.ids, json.dumps({"pid": os.getpid(), "supervisor": supervisor, **serves}))
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
    """A worker as a supervisor's member. Where one of its name lives already, an orphan is adopted, and one that
    another command supervises is shared: left alone while it lives, started here when it is gone."""

    place: WorkerPlace
    environment: Mapping[str, str]
    _child: Child | None = field(default=None)
    _left: bool = False

    @property
    def name(self) -> str:
        """What logs and the command line call it."""
        return self.place.name

    def start(self) -> None:
        """Start a process, unless one of this name is at work."""
        if self._child is None and self.place.lives:
            if self.place.is_orphan:
                self.place.adopt()
            return
        log = self.place.home.logs / f"{self.name}.log"
        environment = {**self.environment, NAME_VARIABLE: self.name}
        self._child = Child(self.name, [sys.executable, "-m", "workers"], log, environment)
        self._child.start()

    def exit_code(self) -> int | None:
        """None while it lives; one that is not our child counts as killed when it is gone: its parent has its code."""
        code = self._child.exit_code() if self._child else -int(signal.SIGKILL)
        if self._left:
            return 0
        if code is not None and self.place.lives:  # another command was first to start it again
            self._child = None
            return None
        return code

    def end(self, *, at_once: bool) -> None:
        """SIGTERM, or SIGKILL; one that another command supervises is left to it."""
        if self._child is not None:
            self._child.end(at_once=at_once)
            return
        pid, self._left = self.place.pid, self.place.supervisor != os.getpid()
        if pid is not None and not self._left:
            with contextlib.suppress(ProcessLookupError):  # it ended between the look and the signal
                os.kill(pid, signal.SIGKILL if at_once else signal.SIGTERM)


def worker_members(
    home: Home, count: int, environment: Mapping[str, str], *, name: str | None = None, shares: bool = False
) -> list[KeptWorker]:
    """`count` workers to supervise: those of this home that serve the same run (orphans only, unless it `shares`), then
    new ones with the free names `<host>-1`, `<host>-2`, ... Raises InputError for a name that is taken."""
    if name is not None and count == 1:
        return [KeptWorker(_free(WorkerPlace(home, name)), environment)]
    wanted = environment.get(RUN_VARIABLE, "")
    there = [place for place in living_workers(home) if place.run == wanted and (shares or place.is_orphan)]
    base = name or socket.gethostname().split(".")[0]
    free = (WorkerPlace(home, f"{base}-{number}") for number in range(1, MOST_WORKERS + 1))
    names = there + [place for place in free if not place.lives]
    return [KeptWorker(place, environment) for place in names[:count]]


def _free(place: WorkerPlace) -> WorkerPlace:
    if place.lives and not place.is_orphan:
        raise InputError(f"a worker named {place.name} runs in {place.home.root} already; choose another --name.")
    return place
