"""A farm out of its backup: into a home of its own, nothing overwritten, every byte compared with the manifest.

Everything is unpacked and checked beside its place first, then the files are moved, and the rows come last: a home
whose restoring was interrupted has no farm yet, and the same command does it again.
"""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sqlalchemy import text

from lemfarm.connections import redacted
from lemfarm.copies.backup import DATABASE, FOLDERS, FORMAT, HOME_ID, KIND, MANIFEST
from lemfarm.copies.rows import OnProgress, TableCopy, copy_rows, is_empty
from lemfarm.database import SCHEMA_HEAD, Database
from lemfarm.errors import InputError, NoSpace, VersionError
from lemfarm.home import Home
from lemfarm.identity import file_hash
from lemfarm.ledger import Ledger
from lemfarm.local_workers import living_workers
from lemfarm.locks import take_lock
from lemfarm.records import WorkerState

_GONE = (WorkerState.STOPPED, WorkerState.DIED, WorkerState.REFUSED)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, from when (by the clock of the database that was backed up), and to where. `returned`: samples
    that were in flight then and are pending again; `elsewhere`: adapters that the backup does not have."""

    database: str
    created: float
    tables: tuple[TableCopy, ...]
    files: int
    returned: int
    elsewhere: tuple[str, ...]


def restore(home: Home, url: str, file: Path, on_progress: OnProgress = lambda _what, _done, _total: None) -> Restored:
    """Unpack a backup into the home and the database that it uses; both must hold no farm.

    Raises InputError for what is no whole backup and for a place that is taken; VersionError, NoSpace, DatabaseDown.
    """
    if living_workers(home):
        raise InputError(f"workers are alive in {home.root}: name another --home, or end them.")
    home.ensure()
    with _staging(home) as stage:
        manifest = _unpack(file, stage, on_progress)
        _refuse_taken(home, manifest["files"])
        target = Database(url)
        try:
            target.migrate()
            with target.read() as connection:
                if not is_empty(connection):
                    raise InputError(f"{redacted(url)} is not empty: name an empty database, or another --home.")
            staged, returned = _ready_database(stage / DATABASE)
            _place(home, stage, manifest["files"])
            with staged.snapshot() as reading, target.write(durable=True) as writing:
                tables = copy_rows(reading, writing, on_progress)
            staged.close()
        finally:
            target.close()
    files = len(manifest["files"]) - 1
    return Restored(redacted(url), manifest["created"], tables, files, returned, tuple(manifest["elsewhere"]))


@contextmanager
def _staging(home: Home) -> Iterator[Path]:
    """A folder that one restoring uses at a time; what a killed one left in it is removed."""
    folder = home.root / ".restoring"
    lock = take_lock(home.root / ".restoring.lock")
    if lock is None:
        raise InputError(f"another command is restoring into {home.root}: wait for its end.")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        yield home.ensure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (home.root / ".restoring.lock").unlink(missing_ok=True)
        os.close(lock)


def _unpack(file: Path, stage: Path, on_progress: OnProgress) -> dict[str, Any]:
    """Everything in the backup, compared with its manifest."""
    with _readable(file), file.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
        size = os.fstat(raw.fileno()).st_size
        for member in archive:
            _extract(file, archive, member, stage)
            on_progress("unpacking bytes", raw.tell(), size)
    manifest = _manifest(file, stage / MANIFEST)
    for name, expected in manifest["files"].items():
        if not (stage / name).is_file() or file_hash(stage / name) != expected:
            raise InputError(f"{file}: {name} is damaged or missing in it; restore another backup.")
    return manifest


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{file}: not a whole backup: {error}") from error
    except OSError as error:
        if error.filename is None or Path(error.filename) != file:
            raise NoSpace(f"{file} cannot be unpacked: {error.strerror or error}") from error
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error


def _extract(file: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, stage: Path) -> None:
    name = PurePosixPath(member.name)
    known = member.name in (DATABASE, HOME_ID, MANIFEST) or (name.parts[0] in FOLDERS and len(name.parts) > 1)
    if not member.isfile() or not known or ".." in name.parts:
        raise InputError(f"{file}: holds {member.name!r}, which is no part of a backup.")
    target = stage / name
    target.parent.mkdir(parents=True, exist_ok=True)
    content: IO[bytes] | None = archive.extractfile(member)
    assert content is not None
    with target.open("wb") as output:
        shutil.copyfileobj(content, output)


def _manifest(file: Path, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
        if found["kind"] != KIND or found["format"] > FORMAT or DATABASE not in found["files"]:
            raise InputError(f"{file}: not a backup that this lemfarm reads (format {FORMAT}).")
        schema = str(found["schema"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not a whole backup: it has no manifest that can be read.") from error
    if schema > SCHEMA_HEAD:
        raise VersionError(f"{file}: made by lemfarm {found['lemfarm']}, which is newer: update this machine.")
    return dict(found)


def _refuse_taken(home: Home, files: Mapping[str, str]) -> None:
    """What is there already must be the same, as after a restoring that was interrupted."""
    for name, expected in files.items():
        there = home.root / name
        if name != DATABASE and there.exists() and file_hash(there) != expected:
            raise InputError(f"{there} is there already, and is another: restore into an empty home (--home).")


def _ready_database(path: Path) -> tuple[Database, int]:
    """The database at this version's schema. Its workers are no more: what they held returns, without blame."""
    staged = Database(f"sqlite:///{path}")
    staged.migrate()
    query = "SELECT id FROM worker WHERE state NOT IN ({})".format(", ".join(f"'{state}'" for state in _GONE))
    with staged.read() as connection:
        workers = list(connection.execute(text(query)).scalars())
    ledger = Ledger(staged)
    return staged, sum(ledger.bury(worker, rebooted=True) for worker in workers)


def _place(home: Home, stage: Path, files: Mapping[str, str]) -> None:
    for name in files:
        if name == DATABASE:
            continue
        target = home.root / name
        home.ensure(target.parent)
        (stage / name).replace(target)
