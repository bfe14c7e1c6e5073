"""The artifact server of a home as a process: one at a time, found by others, started for a supervisor, and ended."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lemfarm.connections import no_space
from lemfarm.errors import InputError, Unavailable
from lemfarm.home import HOME_VARIABLE, Home
from lemfarm.locks import end_holder, is_locked, read_number, take_lock
from lemfarm.supervisor import Child
from lemfarm.training.artifact_server import ArtifactServer


@dataclass(frozen=True, slots=True)
class RunningArtifacts:
    """An artifact server of this home that lives; `url` is where it listens."""

    pid: int
    url: str


@contextmanager
def open_server(home: Home, address: str, port: int) -> Iterator[ArtifactServer]:
    """A server that listens, known to this machine while the block lasts; `port` 0 takes a free one.

    Raises InputError when one serves this home already, Unavailable for an address that cannot be listened on, NoSpace.
    """
    place = _Place(home.ensure(home.root / "artifacts"))
    lock = take_lock(place.lock)
    if lock is None:
        raise InputError(f"{place.folder}: an artifact store is served from here already.")
    try:
        place.pid.unlink(missing_ok=True)  # of one that was killed
        with _listening(home, address, port) as server:
            place.note(server.url)
            yield server
    finally:
        os.close(lock)


def find_running(home: Home) -> RunningArtifacts | None:
    """The artifact server of this home, or None when none lives."""
    place = _Place(home.root / "artifacts")
    pid = read_number(place.pid)
    if pid is None or not is_locked(place.lock):
        return None
    return RunningArtifacts(pid, place.url.read_text())


def stop(home: Home, *, grace_seconds: float = 10.0) -> bool:
    """End the artifact server of this home; False when none lived. Raises Unavailable when it outlives even a kill."""
    place = _Place(home.root / "artifacts")
    if not is_locked(place.lock):
        return False
    if not end_holder(place.lock, place.pid, grace_seconds=grace_seconds):
        process = read_number(place.pid)
        raise Unavailable(f"{place.folder}: the artifact store (process {process}) does not end; end it by hand.")
    return True


def server_process(home: Home, address: str, port: int) -> Child:
    """The server for a supervisor."""
    argv = (sys.executable, "-m", "lemfarm", "artifacts", "--address", address, "--port", str(port))
    return Child("artifacts", argv, home.logs / "artifacts.log", {HOME_VARIABLE: str(home.root)}, home.root)


def _listening(home: Home, address: str, port: int) -> ArtifactServer:
    try:
        return ArtifactServer(home, address=address, port=port)
    except OSError as error:
        raise Unavailable(f"{address}:{port} cannot be listened on: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Place:
    """Names of the server's files, beside the archives."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def pid(self) -> Path:
        return self.folder / "server.pid"

    @property
    def url(self) -> Path:
        return self.folder / "url"

    def note(self, url: str) -> None:
        """Say who serves and where; the process id last, for it is what others look for."""
        try:
            self.url.write_text(url)
            self.pid.write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise no_space(self.folder, error) from error
