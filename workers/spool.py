"""Finished results on local disk until the database has them, so that an outage costs nothing.

Each worker process has a folder of its own and holds a lock on it while it lives. Folders whose lock is free belong
to the dead; whoever finds one stores what lies in it.
"""

import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from lemfarm.home import write_whole
from lemfarm.work import Result, ScoredBy

log = structlog.get_logger()


class Spool:
    """One worker's folder below the home's `spool`."""

    def __init__(self, root: Path, worker_id: str) -> None:
        self.root = root
        self.folder = root / worker_id
        self._lock = FileLock(self.folder / ".alive")
        while not self._lock.is_locked:
            self.folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another keeper took the new, empty folder for a dead one's
                self._lock.acquire()

    def write(self, result: Result) -> Path:
        """Put a result on disk, whole and synced. Raises OSError, as when the disk is full."""
        path = self.folder / f"{result.sample_id}-{result.epoch}.json"
        write_whole(path, _encode(result).encode(), mode=0o600)
        return path

    def waiting(self) -> list[Path]:
        """Results of this worker that are not in the database yet, oldest first."""
        return _results(self.folder)

    def orphans(self) -> Iterator[tuple[Path, list[Path]]]:
        """Folders of workers that are gone, each locked while the caller works on it, with their results."""
        for folder in self.root.iterdir():
            if folder == self.folder or not folder.is_dir():
                continue
            # Its owner lives, or another keeper was faster: then there is nothing to do.
            with contextlib.suppress(Timeout, FileNotFoundError), FileLock(folder / ".alive", timeout=0):
                _remove_unfinished(folder)
                yield folder, _results(folder)
                _remove_if_empty(folder)

    def close(self) -> None:
        """Let others take over what could not be stored."""
        _remove_if_empty(self.folder)
        self._lock.release()


def read_result(path: Path) -> Result | None:
    """Read a spooled result; none, and the file set aside, when it is not one."""
    try:
        return _decode(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.error("a spooled result cannot be read", file=str(path), error=str(error))
        set_aside(path)
        return None


def set_aside(path: Path) -> None:
    """Keep a result that cannot be stored out of the way of the others, for a person to look at."""
    log.error("a spooled result is set aside", file=str(path.with_suffix(".broken")))
    path.rename(path.with_suffix(".broken"))


def sample_of(path: Path) -> str:
    """The sample that a spooled result belongs to."""
    return path.stem.split("-")[0]


def _results(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.json"), key=_age)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # stored and removed meanwhile; reading it will find nothing
        return 0.0


def _remove_unfinished(folder: Path) -> None:
    """A worker killed while it wrote leaves half a file under a temporary name."""
    for path in folder.glob(".*.json.*"):
        path.unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    if any(path.name != ".alive" for path in folder.iterdir()):
        return
    (folder / ".alive").unlink(missing_ok=True)
    folder.rmdir()


def _encode(result: Result) -> str:
    shallow = {field.name: getattr(result, field.name) for field in fields(result)}
    return json.dumps(shallow | {"token_ids": base64.b64encode(result.token_ids).decode()}, default=asdict)


def _decode(text: str) -> Result:
    found = json.loads(text)
    found["token_ids"] = base64.b64decode(found["token_ids"])
    found["scores"] = [ScoredBy(**score) for score in found["scores"]]
    return Result(**found)
