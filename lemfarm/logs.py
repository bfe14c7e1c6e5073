"""The logs of a farm on this machine: which there are, their last lines, and what is added to them.

Logs are rotated (`name.log` becomes `name.log.1`) while their process lives and when it is started again: following
reads the older one to its end, and goes on with the new one.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lemfarm.errors import NotFound
from lemfarm.home import Home
from lemfarm.rotation import older

SUFFIX = ".log"
_POLL_SECONDS = 0.25
_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Log:
    """One log; `name` is the worker's or the service's."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log, without its end."""

    log: str
    text: str


def find_logs(home: Home, name: str | None = None) -> tuple[Log, ...]:
    """All logs of a home by name, or the one of that name. Raises NotFound, naming those that exist."""
    paths = [*home.logs.glob(f"*{SUFFIX}"), *home.valkey.glob(f"*{SUFFIX}")]
    logs = tuple(Log(path.name.removesuffix(SUFFIX), path) for path in sorted(paths, key=lambda path: path.name))
    if name is None:
        return logs
    found = tuple(log for log in logs if log.name == name)
    if not found:
        known = ", ".join(log.name for log in logs) or "none yet: nothing has run in this home"
        raise NotFound(f"there is no log {name!r} in {home.root}; logs here: {known}")
    return found


def last_lines(log: Log, count: int) -> list[Line]:
    """The last `count` lines, read from the end: logs may be long. A log that is gone has none."""
    return _tail(log, count, log.path.stat().st_size) if log.path.exists() else []


def follow(
    find: Callable[[], Sequence[Log]], count: int, *, wait: Callable[[float], object] = time.sleep
) -> Iterator[Line]:
    """The last `count` lines of each log, then what is added to them and to logs that `find` finds later.

    Goes on until `wait`, which is given seconds, returns something true.
    """
    ends = {log.path: _End.of(log) for log in find()}
    for end in ends.values():
        yield from _tail(end.log, count, end.position)
    while not wait(_POLL_SECONDS):
        for log in find():
            end = ends.setdefault(log.path, _End(log))
            yield from end.added()


def _tail(log: Log, count: int, size: int) -> list[Line]:
    """The last `count` lines within the first `size` bytes."""
    if count <= 0:
        return []
    with log.path.open("rb") as file:
        position, data = size, b""
        while position > 0 and data.count(b"\n") <= count:
            step = min(_BLOCK_BYTES, position)
            position = file.seek(position - step)
            data = file.read(step) + data
    return [Line(log.name, text) for text in data.decode(errors="replace").splitlines()[-count:]]


@dataclass(slots=True)
class _End:
    """How far a log has been read. A line counts when it is complete."""

    log: Log
    position: int = 0
    file_number: int = 0
    partial: bytes = field(default=b"")

    @classmethod
    def of(cls, log: Log) -> "_End":
        status = log.path.stat()
        return cls(log, status.st_size, status.st_ino)

    def added(self) -> list[Line]:
        try:
            with self.log.path.open("rb") as file:
                data = self._rest_if_rotated(file.fileno())
                file.seek(self.position)
                data += file.read()
                self.position = file.tell()
        except FileNotFoundError:  # between the two halves of a rotation
            return []
        *whole, self.partial = (self.partial + data).split(b"\n")
        return [Line(self.log.name, text.decode(errors="replace")) for text in whole]

    def _rest_if_rotated(self, descriptor: int) -> bytes:
        """What was added to a log before it was moved aside; then the new one is read from its beginning."""
        status, rest = os.fstat(descriptor), b""
        if status.st_ino != self.file_number or status.st_size < self.position:
            rest = self._rest_of_older()
            self.position = 0
        self.file_number = status.st_ino
        return rest

    def _rest_of_older(self) -> bytes:
        try:
            with older(self.log.path).open("rb") as file:
                if os.fstat(file.fileno()).st_ino == self.file_number:
                    file.seek(self.position)
                    return file.read()
        except FileNotFoundError:
            pass
        self.partial = b""  # its end is not to be had any more
        return b""
