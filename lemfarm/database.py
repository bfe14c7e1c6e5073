"""Connections, transactions and the two dialects, SQLite and PostgreSQL.

SQLite runs in WAL mode on a local disk; a transaction that writes begins with BEGIN IMMEDIATE, because a read that
turns into a write ignores the busy timeout. Results are written with synchronous=FULL, so that a stored sample
survives a power cut; claims and renewals with NORMAL, since a lost claim costs nothing.

All times are the database's own: machines of a farm need not agree on the hour. SQLite's `unixepoch('subsec')` is
NULL before 3.42, so julianday it is.
"""

import json
import math
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from lemfarm.errors import DatabaseDown, InputError, NoSpace, VersionError

SCHEMA_HEAD = "0003"
MOVED = "moved"  #: in place of the revision: the farm lives in another database now, see `lemfarm.copies.moving`
BUSY_SECONDS = 30.0
# Pages that each SQLite connection keeps, in KiB. At its default of 2 MiB the caches of a worker's threads fill for
# days, which reads as a leak; the file itself stays in the system's cache.
_CACHE_KIB = 512
# To PostgreSQL, of one process. Threads queue up for them: to open one more costs both sides as much as many
# transactions, and a server takes 100 in all unless it is told otherwise. The few more are for those who, holding one,
# ask for the time.
_KEPT_CONNECTIONS, _MORE_CONNECTIONS = 6, 2
_TRUSTED_SECONDS = 5.0  #: so long after its last use a connection to PostgreSQL is not asked whether it still works
_MIGRATION_LOCK = 0x1E3F_A531
_WRITES, _USED = "lemfarm_writes", "lemfarm_used"


class Database:
    """One database of a farm, safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.now = _NOW_SQLITE if self.is_sqlite else _NOW_POSTGRES
        self.engine = _sqlite(url) if self.is_sqlite else _postgres(url)
        self._readers = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Statements that only read; each sees what is there when it runs. Raises DatabaseDown.

        On PostgreSQL no transaction is begun and ended around them: its default level promises no more than that, and
        two of three round trips are saved.
        """
        with _translated(self.url), self._readers.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write_at_once(self) -> Iterator[Connection]:
        """For a single statement that writes, to PostgreSQL only: its own transaction, in one round trip. On SQLite a
        statement that writes waits for its turn, see `write`. Raises DatabaseDown, NoSpace."""
        with self.read() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that reads all as it was at one moment, however long that takes. Raises DatabaseDown."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        opened = self.engine.connect
        with _translated(self.url), opened().execution_options(**options) as connection, connection.begin():
            self.wait_for_long(connection)
            yield connection

    def wait_for_long(self, connection: Connection) -> None:
        """Let this transaction be idle, while another database is busy, without being taken for a forgotten one."""
        if not self.is_sqlite:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """A transaction that writes; a `durable` one survives a power cut. Raises DatabaseDown, NoSpace."""
        with _translated(self.url), self._turn_to_write(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.info[_WRITES] = "FULL" if durable else "NORMAL"
            with connection.begin():
                yield connection

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """SQLite has one writer at a time, and who waits for it polls: threads of one process queue up here instead,
        which halves what a write costs when sixteen tasks want to."""
        if not self.is_sqlite:
            yield
            return
        if not self._writer.acquire(timeout=BUSY_SECONDS):
            raise DatabaseDown(f"{redact(self.url)}: another thread has been writing for {BUSY_SECONDS:g} s")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session whose objects are written in one transaction at the end. Raises as `write`."""
        with self.write() as connection, Session(bind=connection, expire_on_commit=False) as session:
            yield session
            session.flush()

    def clock(self) -> float:
        """Seconds since 1970 by the database's clock."""
        with self.read() as connection:
            return float(connection.execute(text(f"SELECT {self.now}")).scalar_one())

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    def require_current(self) -> None:
        """Refuse a schema that this version does not know. Raises VersionError, DatabaseDown."""
        found = self.schema()
        if found == SCHEMA_HEAD:
            return
        if found is None:
            raise VersionError(
                f"{redact(self.url)} holds no lemfarm tables yet. Start a run, or `lemfarm up`, on the head node first."
            )
        raise VersionError(_version_text(self.url, found))

    def schema(self) -> str | None:
        """The revision the tables are at, or none where there are no tables."""
        with self.read() as connection:
            if not _has_table(connection, "alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()

    def migrate(self) -> None:
        """Bring the tables to this version's schema; safe to call from several processes at once."""
        found = self.schema()
        if found == SCHEMA_HEAD:
            return
        if found is not None and found > SCHEMA_HEAD:
            raise VersionError(_version_text(self.url, found))
        with self._migration_lock():
            if self.schema() != SCHEMA_HEAD:
                with _translated(self.url):
                    _upgrade(self.engine)

    @contextmanager
    def _migration_lock(self) -> Iterator[None]:
        if self.is_sqlite:
            from filelock import FileLock

            with FileLock(f"{make_url(self.url).database}.migrating", timeout=60):
                yield
            return
        with _translated(self.url), self.engine.connect() as connection, connection.begin():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            yield


@cache
def prepared(statement: str) -> TextClause:
    """A statement taken apart once: for those that are run for every sample that costs as much as running them. Not
    for texts that hold values, since every one of them is kept."""
    return text(statement)


def decoded(value: object) -> Any:
    """A JSON column as it came from a plain statement: SQLite gives its text, PostgreSQL its value."""
    return json.loads(value) if isinstance(value, str) else value


def open_database(url: str, *, migrate: bool = False) -> Database:
    """Open a database and make sure that its schema is this version's, migrating when asked."""
    database = Database(url)
    if migrate:
        database.migrate()
    else:
        database.require_current()
    return database


def redact(url: str) -> str:
    """The URL without its password, for messages."""
    return make_url(url).render_as_string(hide_password=True)


def schema_status(url: str) -> str:
    """One word for doctor: current, empty, older, newer or moved."""
    found = Database(url).schema()
    if found is None:
        return "empty"
    if found == SCHEMA_HEAD:
        return "current"
    if found == MOVED:
        return "moved"
    return "newer" if found > SCHEMA_HEAD else "older"


_NOW_SQLITE = "((julianday('now') - 2440587.5) * 86400.0)"
_NOW_POSTGRES = "extract(epoch from clock_timestamp())::double precision"


def _parse(url: str) -> Any:
    try:
        parsed = make_url(url)
    except Exception as error:
        raise InputError(
            f"not a database URL: {error}. Write sqlite:////path/farm.db or postgresql://user@host/name."
        ) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise InputError(f"{parsed.get_backend_name()} databases are not supported: use sqlite or postgresql.")
    return parsed


def _sqlite(url: str) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:":
        _make_parent(Path(path))
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=20,
        max_overflow=100,
        pool_use_lifo=True,  # the connection used last knows the file best; another one reads again what changed
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL", f"cache_size=-{_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # Straight to the driver: through SQLAlchemy these few words would cost more than a small statement.
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        synchronous = connection.info.pop(_WRITES, None)
        if synchronous is None:
            driver.execute("BEGIN")
            return
        driver.execute(f"PRAGMA synchronous={synchronous}")
        driver.execute("BEGIN IMMEDIATE")

    return engine


def _postgres(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    connect = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "prepare_threshold": 1,
        "options": "-c lock_timeout=30000 -c idle_in_transaction_session_timeout=60000",
    }
    engine = create_engine(
        parsed,
        connect_args=connect,
        pool_size=_KEPT_CONNECTIONS,
        max_overflow=_MORE_CONNECTIONS,
        pool_timeout=BUSY_SECONDS,
        pool_use_lifo=True,
    )
    _ask_rested_connections(engine)
    return engine


def _ask_rested_connections(engine: Engine) -> None:
    """SQLAlchemy's `pool_pre_ping` asks before every use, which is every fifth round trip of a busy worker. One that
    was used a moment ago and is lost all the same fails its transaction, which whoever it belongs to tries again."""

    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - record.info.get(_USED, math.inf) < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool opens another


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NoSpace(
            f"cannot create {path.parent}: {error.strerror}. Choose another folder with LEMFARM_HOME or --database."
        ) from error


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _plain(url, error) from error
    except PoolTimeout as error:
        raise DatabaseDown(f"{redact(url)}: no connection came free within {BUSY_SECONDS:g} s") from error


#: What SQLite says of a statement that is wrong: waiting would not mend it.
_MISTAKE = re.compile(r"no such (table|column|function)|syntax error|ambiguous column|has no column named")


def _plain(url: str, error: DBAPIError | sqlite3.Error) -> Exception:
    """Say in our own words what a driver's error means; a programming error stays what it is."""
    said = str(error.orig if isinstance(error, DBAPIError) else error)
    if "disk is full" in said or "No space left" in said:
        return NoSpace(f"{redact(url)}: {said}. Free some space; results wait in the spool meanwhile.")
    if "readonly" in said or "unable to open" in said:
        return NoSpace(f"{redact(url)}: {said}. The folder must exist and be writable.")
    if "malformed" in said or "not a database" in said:
        return InputError(f"{redact(url)}: {said}. This is not a lemfarm database; name another with --database.")
    if _MISTAKE.search(said):
        return error
    invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    if invalidated or isinstance(error, (OperationalError, sqlite3.OperationalError)):
        reason = " ".join(said.split())
        return DatabaseDown(f"{redact(url)}: {reason}. It must run and answer; --database names another.")
    return error


def _has_table(connection: Connection, name: str) -> bool:
    from sqlalchemy import inspect

    return inspect(connection).has_table(name)


def _version_text(url: str, found: str) -> str:
    from lemfarm import __version__

    if found == MOVED:
        return (
            f"{redact(url)}: this farm was moved to another database. Where --database, LEMFARM_DATABASE or join.json "
            "name this one, they must name the other."
        )
    way = "newer than" if found > SCHEMA_HEAD else "older than"
    step = (
        "Update lemfarm on this machine." if found > SCHEMA_HEAD else "Run `lemfarm up` on the head node to migrate it."
    )
    return f"{redact(url)} has schema {found}, {way} the {SCHEMA_HEAD} of lemfarm {__version__}. {step}"


def alembic_config(engine: Engine | None = None) -> Any:
    """Alembic's configuration for our migrations folder, bound to an engine when one is given."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config


def _upgrade(engine: Engine) -> None:
    from alembic import command

    command.upgrade(alembic_config(engine), "head")
