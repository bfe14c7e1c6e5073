"""Connections and transactions on SQLite, and what an error of the driver is told as."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lemfarm import database as module
from lemfarm.database import Database, open_database, redact, schema_status
from lemfarm.errors import DatabaseDown, InputError, NoSpace
from lemfarm.records import Kernel


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "farm.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{path}", migrate=True)
    yield opened
    opened.close()


def add(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO kernel (hash, name, text) VALUES (:name, :name, '')"), {"name": name})


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT name FROM kernel ORDER BY name")).scalars())


def test_a_transaction_is_committed_at_its_end_and_undone_by_an_exception(database: Database) -> None:
    add(database, "kept")
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.execute(text("INSERT INTO kernel (hash, name, text) VALUES ('x', 'undone', '')"))
        raise RuntimeError
    assert names(database) == ["kept"]


def test_a_session_writes_its_objects_together(database: Database) -> None:
    with database.session() as session:
        session.add_all([Kernel(hash="1", name="a", text=""), Kernel(hash="2", name="b", text="")])
    assert names(database) == ["a", "b"]
    with pytest.raises(IntegrityError), database.session() as session:
        session.add_all([Kernel(hash="3", name="c", text=""), Kernel(hash="1", name="again", text="")])
    assert names(database) == ["a", "b"]


def test_the_clock_tells_the_time_with_fractions(database: Database) -> None:
    ticks = {database.clock() for _ in range(50)}
    assert abs(max(ticks) - time.time()) < 2
    assert any(tick != int(tick) for tick in ticks)


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_results_survive_a_power_cut_and_claims_need_not(database: Database, durable: bool, level: int) -> None:
    with database.write(durable=durable) as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == level
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_foreign_keys_are_checked(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(text("INSERT INTO phase (run_id, name, position, state, config, gate_hash, retired) "
                                "VALUES (99, 'p', 0, 'open', '{}', '', false)"))  # fmt: skip


def test_writers_wait_for_each_other(database: Database) -> None:
    threads = [threading.Thread(target=add, args=(database, f"k{number:02}")) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(database)) == 30


def test_readers_do_not_wait_for_a_writer(database: Database, path: Path) -> None:
    add(database, "before")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert names(database) == ["before"]
        other.execute("ROLLBACK")


def test_a_database_that_stays_locked_is_down(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.1)
    database = open_database(f"sqlite:///{path}", migrate=True)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseDown, match="locked"):
            add(database, "late")
        other.execute("ROLLBACK")
    add(database, "later")
    database.close()


def test_a_new_database_that_another_process_is_making_is_waited_for(path: Path) -> None:
    """Switching to the write-ahead log needs the file alone, and SQLite does not wait for that by itself."""
    path.parent.mkdir(parents=True)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE something (x)")
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.5, other.rollback)
    release.start()
    open_database(f"sqlite:///{path}", migrate=True).close()
    release.join()
    other.close()


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("These are notes, and by no means a database of any kind. " * 10)
    with pytest.raises(InputError, match=r"farm\.db.*not a database.*--database"):
        open_database(f"sqlite:///{path}", migrate=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NoSpace, match=r"cannot create .*file"):
        Database(f"sqlite:///{tmp_path / 'file' / 'farm.db'}")


def test_a_database_that_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match="must exist and be writable"):
        open_database(f"sqlite:///{tmp_path}", migrate=True)


def test_a_full_disk_is_told_as_such(path: Path) -> None:
    database = open_database(f"sqlite:///{path}", migrate=True)
    with pytest.raises(NoSpace, match="Free some space"), database.write() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        connection.execute(
            text("INSERT INTO kernel (hash, name, text) VALUES ('b', 'big', :text)"), {"text": "x" * 1_000_000}
        )
    database.close()


@pytest.mark.parametrize(
    ("said", "told_as"),
    [
        ("database or disk is full", NoSpace),
        ("could not extend file: No space left on device", NoSpace),
        ("attempt to write a readonly database", NoSpace),
        ("unable to open database file", NoSpace),
        ("database disk image is malformed", InputError),
        ("database is locked", DatabaseDown),
        ("server closed the connection unexpectedly", DatabaseDown),
    ],
)
def test_what_a_driver_says_is_told_in_our_words(said: str, told_as: type[Exception]) -> None:
    with (
        pytest.raises(told_as, match=r"postgresql://me:\*\*\*@host/farm: " + said),
        module._translated("postgresql://me:secret@host/farm"),
    ):
        raise OperationalError("SELECT 1", {}, Exception(said))


def test_a_mistake_of_ours_stays_what_it_is() -> None:
    with pytest.raises(DatabaseError, match="no such column"), module._translated("sqlite://"):
        raise DatabaseError("SELECT y", {}, Exception("no such column: y"))


def test_a_lost_connection_is_an_outage_whatever_the_driver_calls_it() -> None:
    with pytest.raises(DatabaseDown), module._translated("postgresql://host/farm"):
        raise DatabaseError("SELECT 1", {}, Exception("gone"), connection_invalidated=True)


def test_a_process_that_waits_in_vain_for_a_connection_says_so() -> None:
    with pytest.raises(DatabaseDown, match="no connection came free"), module._translated("postgresql://host/farm"):
        raise PoolTimeout("QueuePool limit reached")


@pytest.mark.parametrize("url", ["mysql://host/farm", "not a url", "sqlite"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="sqlite"):
        Database(url)


def test_a_server_that_is_not_there_is_down() -> None:
    with pytest.raises(DatabaseDown, match=r"me:\*\*\*@127\.0\.0\.1:1/farm"):
        open_database("postgresql://me:secret@127.0.0.1:1/farm")


def test_passwords_are_not_shown() -> None:
    assert redact("postgresql://me:secret@host/farm") == "postgresql://me:***@host/farm"


def test_doctor_can_ask_for_the_state_of_a_schema(path: Path, database: Database) -> None:
    assert schema_status(f"sqlite:///{path}") == "current"
    assert schema_status(f"sqlite:///{path.parent / 'new.db'}") == "empty"
