"""A farm in one file: its database as SQLite, its adapters, datasets and reports, with a hash of each.

A backup is made while the farm works: rows are those of one moment, adapters are immutable, and an adapter is finished
before a row names it. The file is there whole or not at all. What it cannot hold are adapters that lie in other homes.

    lemfarm.db  home-id  adapters/...  datasets/...  reports/...  manifest.json (last)
"""

import gzip
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from sqlalchemy import text

from lemfarm import __version__
from lemfarm.copies.rows import OnProgress, TableCopy, copy_rows
from lemfarm.database import SCHEMA_HEAD, Database
from lemfarm.errors import InputError, NoSpace
from lemfarm.home import Home
from lemfarm.identity import PREFIX
from lemfarm.output_files import check_output, whole_file
from lemfarm.training.adapters import is_complete

KIND, FORMAT = "lemfarm-backup", 1
MANIFEST, DATABASE, HOME_ID = "manifest.json", "lemfarm.db", "home-id"
FOLDERS = ("adapters", "datasets", "reports")

_COMPRESSED = (".tar.gz", ".tgz")
_QUICKLY = 1  # weights hardly shrink, text does at once
_WRITTEN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds. `created` by the database's clock; `files` maps names in it to content hashes; `elsewhere`
    are adapters that the rows name and that lie in another home."""

    created: float
    schema: str
    home_id: str
    tables: tuple[TableCopy, ...]
    files: dict[str, str]
    elsewhere: tuple[str, ...]
    lemfarm: str = __version__


def back_up(
    home: Home, database: Database, file: Path, on_progress: OnProgress = lambda _what, _done, _total: None
) -> Backup:
    """Write a backup of the farm; an older one of that name is replaced once this one is whole.

    Raises InputError for a name that does not end in .tar, .tar.gz or .tgz; NoSpace, DatabaseDown.
    """
    if not file.name.endswith((".tar", *_COMPRESSED)):
        raise InputError(f"{file}: a backup's name ends in .tar, or in .tar.gz to have it compressed.")
    check_output(file, ())
    with _drafts_beside(file) as drafts, whole_file(file) as write:
        tables, created, adapters = _copy_database(database, drafts / DATABASE, on_progress)
        with _archive(file, write) as archive:
            pack = _Packer(archive)
            pack.add(DATABASE, drafts / DATABASE)
            home_id = home.identity
            pack.add(HOME_ID, home.root / HOME_ID)
            _add_folders(home, pack, on_progress)
            elsewhere = tuple(one for one in adapters if not is_complete(home.adapters / one))
            made = Backup(created, SCHEMA_HEAD, home_id, tables, pack.files, elsewhere)
            pack.add_text(MANIFEST, json.dumps({"kind": KIND, "format": FORMAT, **asdict(made)}, indent=1))
    return made


class _Packer:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.files: dict[str, str] = {}

    def add(self, name: str, path: Path) -> None:
        """Add a file as long as it is now. Raises InputError when it cannot be read."""
        try:
            with path.open("rb") as file:
                about = tarfile.TarInfo(name)
                status = os.fstat(file.fileno())
                about.size, about.mtime = status.st_size, int(status.st_mtime)
                hashing: Any = _Hashing(file)
                self._archive.addfile(about, hashing)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        self.files[name] = PREFIX + hashing.digest.hexdigest()

    def add_text(self, name: str, content: str) -> None:
        """Add what lies in no file."""
        data = content.encode()
        about = tarfile.TarInfo(name)
        about.size = len(data)
        self._archive.addfile(about, BytesIO(data))


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = blake2b(digest_size=16)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


class _Sink:
    """Where an archive goes."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""


@contextmanager
def _archive(file: Path, write: Callable[[bytes], None]) -> Iterator[tarfile.TarFile]:
    sink: Any = _Sink(write)
    squeezed = gzip.GzipFile("", "wb", _QUICKLY, sink) if file.name.endswith(_COMPRESSED) else nullcontext(sink)
    with squeezed as stream, tarfile.open(mode="w|", fileobj=stream, bufsize=_WRITTEN_BYTES) as archive:
        yield archive


@contextmanager
def _drafts_beside(file: Path) -> Iterator[Path]:
    """A folder for the copy of the database, on the disk that must hold the backup anyway."""
    try:
        folder = tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=f".{file.name}.")
    except OSError as error:
        raise NoSpace(f"{file} cannot be written: {error.strerror or error}") from error
    with folder as name:
        yield Path(name)


def _copy_database(
    database: Database, path: Path, on_progress: OnProgress
) -> tuple[tuple[TableCopy, ...], float, list[str]]:
    """The tables, the moment they show, and the adapters that they name."""
    copy = Database(f"sqlite:///{path}")
    try:
        copy.migrate()
        with database.snapshot() as reading, copy.write(durable=True) as writing:
            created = float(reading.execute(text(f"SELECT {database.now}")).scalar_one())
            ids = reading.execute(text("SELECT id FROM adapter ORDER BY id")).scalars()
            adapters = [str(one).removeprefix(PREFIX) for one in ids]
            return copy_rows(reading, writing, on_progress), created, adapters
    finally:
        copy.close()


def _add_folders(home: Home, pack: _Packer, on_progress: OnProgress) -> None:
    paths = [path for name in FOLDERS for path in _finished(home, name)]
    for done, path in enumerate(paths, start=1):
        pack.add(str(path.relative_to(home.root)), path)
        on_progress("packing files", done, len(paths))


def _finished(home: Home, folder: str) -> Iterator[Path]:
    """What is hidden is in the making, and an adapter without a manifest is half of one."""
    for path in sorted((home.root / folder).rglob("*")):
        parts = path.relative_to(home.root).parts
        half = folder == "adapters" and not is_complete(home.adapters / parts[1])
        if path.is_file() and not half and not any(part.startswith(".") for part in parts):
            yield path
