"""Finished results on local disk until the database has them, so that an outage costs nothing.

Each worker process has a folder of its own and holds a lock on it while it lives. Folders whose lock is free belong
to the dead; whoever finds one stores what lies in it.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
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
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.folder / ".alive")
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
            try:
                with FileLock(folder / ".alive", timeout=0):
                    yield folder, _results(folder)
                    _remove_if_empty(folder)
            except Timeout:
                continue

    def close(self) -> None:
        """Let others take over what could not be stored."""
        self._lock.release()
        _remove_if_empty(self.folder)


def read_result(path: Path) -> Result | None:
    """Read a spooled result; none, and the file set aside, when it is not one."""
    try:
        return _decode(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.error("a spooled result cannot be read and is set aside", file=str(path), error=str(error))
        path.rename(path.with_suffix(".broken"))
        return None


def _results(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.json"), key=lambda path: path.stat().st_mtime)


def _remove_if_empty(folder: Path) -> None:
    if any(path.name != ".alive" for path in folder.iterdir()):
        return
    (folder / ".alive").unlink(missing_ok=True)
    folder.rmdir()


def _encode(result: Result) -> str:
    return json.dumps(asdict(result) | {"token_ids": base64.b64encode(result.token_ids).decode()})


def _decode(text: str) -> Result:
    fields = json.loads(text)
    fields["token_ids"] = base64.b64decode(fields["token_ids"])
    fields["scores"] = [ScoredBy(**score) for score in fields["scores"]]
    return Result(**fields)
