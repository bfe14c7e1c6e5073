"""Moving a farm to another database: from one Mac to a head node, and back.

While the rows are copied the old database lets nobody write. The new one has all of them, compared, or none; then the
old one is marked, so that no command works on it by accident, and this home is told of the new one. Interrupted at any
point, the same command starts over or finishes what is left.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from lemfarm.broker import ping
from lemfarm.connections import Connections, redacted, resolve, write_join_file
from lemfarm.copies.rows import OnProgress, TableCopy, copy_rows, digests, is_empty, lock_tables
from lemfarm.database import MOVED, Database
from lemfarm.errors import InputError, NotFound
from lemfarm.home import Home
from lemfarm.local_workers import living_workers
from lemfarm.records import WorkerState

HOME = "home"
"""What stands for the home's own SQLite as a target."""

_SILENT_SECONDS = 30.0
_SAME_DATABASE = 0x1E3F_A532


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did. URLs without passwords; `tables` is empty where an earlier one had copied the rows already;
    `kept` is the old SQLite file under its new name, `join_file` where this home's new URLs lie."""

    source: str
    target: str
    tables: tuple[TableCopy, ...]
    kept: Path | None
    join_file: Path | None


def move(
    home: Home,
    source: Connections,
    *,
    to: str,
    broker: str | None = None,
    on_progress: OnProgress = lambda _what, _done, _total: None,
) -> Moved:
    """Move the farm of `source` to the database `to`, a PostgreSQL URL or `home`.

    Raises InputError while anything works on the farm, and for a target that holds something else; NotFound where
    there is no farm; DatabaseDown, BrokerDown, NoSpace, VersionError.
    """
    target = _target(home, to, broker)
    _refuse_local_work(home)
    _require_farm(source.database)
    if target.broker is not None:
        ping(target.broker)
    old, new = Database(source.database), Database(target.database)
    try:
        copied = () if _moved_before(old, new) else _copy(old, new, on_progress)
    finally:
        old.close()
        new.close()
    join_file = _point_home(home, target)
    return Moved(redacted(source.database), redacted(target.database), copied, _set_aside(source.database), join_file)


def _target(home: Home, to: str, broker: str | None) -> Connections:
    own = f"sqlite:///{home.database}"
    found = resolve(home, database=own if to == HOME else to, broker=broker, environ={})
    if found.database == own:
        return Connections(own, None, embedded_broker=True)
    if found.database.startswith("sqlite:"):
        raise InputError(f"a SQLite farm lies in its home: write --to {HOME}, with --home for another folder.")
    if found.broker is None:
        raise InputError(
            "several machines share a broker: name that of the head node with --broker or LEMFARM_BROKER; "
            "`lemfarm worker` will use both."
        )
    return found


def _refuse_local_work(home: Home) -> None:
    names = [place.name for place in living_workers(home)]
    if names:
        raise InputError(f"workers are alive here: {', '.join(names)}. End `lemfarm run` and `lemfarm worker` first.")
    waiting = list(home.spool.glob("*/[!.]*.json"))
    if waiting:
        raise InputError(
            f"{len(waiting)} finished answers in {home.spool} are not in the database yet: start a worker "
            "(`lemfarm run CONFIG`), which stores them, and move the farm then."
        )


def _require_farm(url: str) -> None:
    if url.startswith("sqlite:") and not _path(url).is_file():
        raise NotFound(f"there is no farm in {_path(url)} to move; --home or --database name another.")


def _moved_before(old: Database, new: Database) -> bool:
    """Whether a move to this very target was interrupted after its rows were safe."""
    if old.schema() != MOVED:
        old.require_current()
        return False
    with old.read() as connection:
        gone_to = connection.execute(text("SELECT owner FROM turn WHERE name = :name"), {"name": MOVED}).scalar()
    if gone_to != redacted(new.url):
        old.require_current()
    new.require_current()
    return True


def _copy(old: Database, new: Database, on_progress: OnProgress) -> tuple[TableCopy, ...]:
    _refuse_same(old, new)
    new.migrate()
    with old.write(durable=True) as reading:
        old.wait_for_long(reading)
        lock_tables(reading)
        _refuse_work(old, reading)
        with new.write(durable=True) as writing:
            new.wait_for_long(writing)
            if is_empty(writing):
                copied = copy_rows(reading, writing, on_progress)
            else:
                copied = _require_copy_of(reading, writing, redacted(new.url), on_progress)
        _mark(old, reading, redacted(new.url))
    return copied


def _require_copy_of(
    reading: Connection, writing: Connection, name: str, on_progress: OnProgress
) -> tuple[TableCopy, ...]:
    """A move that was killed just before its end has left a whole copy."""
    there = digests(writing, on_progress)
    if there != digests(reading, on_progress):
        raise InputError(f"{name} is not empty, and holds something else than this farm: name an empty database.")
    return tuple(there)


def _refuse_same(old: Database, new: Database) -> None:
    """One database may have two URLs: a path tells, or a lock that a server knows by its number."""
    if old.is_sqlite != new.is_sqlite:
        return
    if old.is_sqlite:
        same = _path(old.url).resolve() == _path(new.url).resolve()
    else:
        lock = text("SELECT pg_try_advisory_xact_lock(:key)").bindparams(key=_SAME_DATABASE)
        with old.snapshot() as one, new.snapshot() as other:
            one.execute(lock)
            same = not other.execute(lock).scalar_one()
    if same:
        raise InputError(f"{redacted(new.url)}: the farm is there already.")


def _refuse_work(old: Database, connection: Connection) -> None:
    found = list(_work(old, connection))
    if found:
        raise InputError(
            f"{redacted(old.url)}: the farm is at work: {'; '.join(found)}. Drain the workers, end `lemfarm run`, and "
            "move it then; what was killed counts as alive until its lease has run out."
        )


def _work(old: Database, connection: Connection) -> Iterator[str]:
    gone = ", ".join(f"'{state}'" for state in (WorkerState.STOPPED, WorkerState.DIED, WorkerState.REFUSED))
    heard = f"state NOT IN ({gone}) AND last_seen > {old.now} - {_SILENT_SECONDS}"
    for what, query in (
        ("workers {}", f"SELECT name FROM worker WHERE {heard} ORDER BY name"),
        ("{} samples are leased", f"SELECT count(*) FROM sample WHERE state = 'leased' AND lease_expires > {old.now}"),
        ("{} trainings", f"SELECT count(*) FROM training_stage WHERE state = 'leased' AND lease_expires > {old.now}"),
        ("somebody watches it", f"SELECT name FROM turn WHERE owner <> '' AND expires > {old.now}"),
    ):
        values = [value for value in connection.execute(text(query)).scalars() if value]
        if values:
            yield what.format(", ".join(map(str, values)))


def _mark(old: Database, connection: Connection, target: str) -> None:
    """Nobody opens it any more, and who has it open already finds no run to work for."""
    connection.execute(
        text("UPDATE run SET state = 'stopped', reason = :why WHERE state IN ('active', 'paused')"),
        {"why": f"the farm was moved to {target}"},
    )
    connection.execute(
        text(f"INSERT INTO turn (name, owner, expires) VALUES (:name, :target, {old.now})"),
        {"name": MOVED, "target": target},
    )
    connection.execute(text("UPDATE alembic_version SET version_num = :moved"), {"moved": MOVED})


def _point_home(home: Home, target: Connections) -> Path | None:
    """From now on this home's commands use the new database."""
    if target.broker is None:
        home.join_file.unlink(missing_ok=True)
        return None
    return write_join_file(home, database=target.database, broker=target.broker)


def _set_aside(url: str) -> Path | None:
    """Give the old SQLite file another name; it may be deleted when the new farm has been seen to work."""
    if not url.startswith("sqlite:"):
        return None
    path = _path(url)
    kept = path.with_name(f"{path.stem}.moved-{datetime.now(UTC):%Y%m%d-%H%M%S}{path.suffix}")
    for part in ("", "-wal", "-shm"):  # there are such where another process still looks at it
        with suppress(FileNotFoundError):
            Path(f"{path}{part}").rename(f"{kept}{part}")
    Path(f"{path}.migrating").unlink(missing_ok=True)
    return kept


def _path(url: str) -> Path:
    return Path(str(make_url(url).database))
