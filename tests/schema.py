"""A database with today's schema, without migrating for every test: SQLite's file is made once and copied."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy.engine import make_url

from lemfarm.database import Database, open_database


def migrated(url: str) -> Database:
    """Open an empty database, migrated."""
    file = make_url(url).database
    if not url.startswith("sqlite") or file is None or Path(file).exists():
        return open_database(url, migrate=True)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template(), file)
    return open_database(url)


@cache
def _template() -> Path:
    """An empty migrated file, one for each process that runs tests; all of it is in the file once it is closed."""
    folder = tempfile.TemporaryDirectory(prefix="lemfarm-schema-")
    _kept.append(folder)
    path = Path(folder.name) / "farm.db"
    open_database(f"sqlite:///{path}", migrate=True).close()
    return path


_kept: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends
