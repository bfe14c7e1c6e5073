"""A farm carried from SQLite to PostgreSQL and back, with everything that may come in between."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from lemfarm import valkey
from lemfarm.connections import Connections, resolve
from lemfarm.copies.backup import back_up
from lemfarm.copies.moving import Moved, move
from lemfarm.copies.restoring import restore
from lemfarm.copies.rows import digests
from lemfarm.database import Database, open_database
from lemfarm.errors import DatabaseDown, InputError, NotFound, Unavailable, VersionError
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from producer.verify import verify_run
from tests.command import lemfarm
from tests.farm import ROOT
from tests.ground import Ground
from tests.lemfarm_process import Site
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The head node's."""
    home = Home(tmp_path_factory.mktemp("head"))
    home.ensure()
    yield valkey.start(home).url
    valkey.stop(home, grace_seconds=5.0)


@pytest.fixture
def target(postgres_url: str) -> str:  # noqa: F811
    """An empty database on the head node."""
    return postgres_url


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A farm in its home: samples pending, accepted, rejected and failed, texts with marks of all kinds."""
    made = Ground(tmp_path, f"sqlite:///{tmp_path / 'home' / 'lemfarm.db'}")
    made.plan()
    made.finish(made.ids(limit=4), "Sätze mit „Zeichen“, 日本, \N{SNOWMAN} und \\u0000.")
    made.finish(made.ids(limit=2), "short")
    made.fail(made.ids(limit=1))
    made.execute("UPDATE worker SET state = 'stopped'")
    yield made
    made.database.close()


@pytest.fixture
def here(ground: Ground) -> Connections:
    """What the home's commands use."""
    return resolve(ground.home, environ={})


def contents(database: Database) -> Mapping[str, tuple[int, str]]:
    """Each table's rows, told by count and hash."""
    with database.snapshot() as connection:
        return {found.table: (found.rows, found.digest) for found in digests(connection)}


def values(ground: Ground) -> list[list[dict[str, Any]]]:
    """All rows, with JSON taken apart: it may be spaced in another way."""
    return [[{name: parsed(value) for name, value in row.items()} for row in rows] for rows in ground.dump()]


def parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value


def carry(ground: Ground, to: str, broker: str | None = None) -> Moved:
    """Move what the home uses at the moment."""
    return move(ground.home, resolve(ground.home, environ={}), to=to, broker=broker)


def test_there_and_back_every_row_is_the_same(ground: Ground, target: str, broker: str) -> None:
    before, rows = contents(ground.database), values(ground)
    ground.database.close()
    moved = carry(ground, target, broker)
    there = open_database(target)
    assert contents(there) == before
    assert {one.table: (one.rows, one.digest) for one in moved.tables} == before
    assert resolve(ground.home, environ={}) == Connections(target, broker, embedded_broker=False)
    assert (moved.kept is not None and moved.kept.exists(), ground.home.database.exists()) == (True, False)
    there.close()

    back = carry(ground, "home")
    assert (back.kept, back.join_file, ground.home.join_file.exists()) == (None, None, False)
    ground.database = open_database(resolve(ground.home, environ={}).database)
    assert contents(ground.database) == before
    assert values(ground) == rows
    with pytest.raises(VersionError, match="was moved to another database"):
        open_database(target)
    assert make_url(target).password not in repr((moved, back))


def test_new_rows_get_new_ids_after_a_move(ground: Ground, target: str, broker: str) -> None:
    carry(ground, target, broker)
    ground.database.close()
    ground.database = open_database(target)
    ground.ledger = Ledger(ground.database)
    ground.finish(ground.ids(limit=2))
    assert [finding for finding in verify_run(ground.database, "tiny") if not finding.holds] == []


def test_a_target_that_holds_something_else_is_refused(
    ground: Ground, target: str, broker: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Ground(tmp_path / "other", target)
    other.plan()
    before = contents(other.database)
    with pytest.raises(InputError, match="is not empty, and holds something else"):
        carry(ground, target, broker)
    assert contents(other.database) == before
    assert ground.home.database.exists()
    other.database.close()


def test_a_database_is_known_by_any_of_its_names(ground: Ground, target: str, broker: str) -> None:
    carry(ground, target, broker)
    again = make_url(target).set(query={"application_name": "another"}).render_as_string(hide_password=False)
    for url in (target, again):
        with pytest.raises(InputError, match="the farm is there already"):
            carry(ground, url, broker)
    open_database(target).close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE worker SET state = 'ready', last_seen = 4e9", "workers w"),
        ("UPDATE sample SET state = 'leased', lease_expires = 4e9 WHERE state = 'pending'", "17 samples are leased"),
        ("INSERT INTO turn (name, owner, expires) VALUES ('watcher', 'me', 4e9)", "somebody watches it"),
    ],
)
def test_a_farm_at_work_is_refused(ground: Ground, target: str, broker: str, change: str, said: str) -> None:
    ground.execute(change)
    with pytest.raises(InputError, match=f"the farm is at work: {said}.*move it then"):
        carry(ground, target, broker)
    ground.database.require_current()


def test_results_that_wait_in_the_spool_are_refused(ground: Ground, target: str, broker: str) -> None:
    folder = ground.home.ensure(ground.home.spool / "w")
    (folder / "abc-1.json").write_text("{}")
    with pytest.raises(InputError, match=r"1 finished answers .* are not in the database yet"):
        carry(ground, target, broker)


def test_a_wrong_password_is_not_shown(ground: Ground, target: str, broker: str) -> None:
    wrong = make_url(target).set(password="s3cret-and-wrong").render_as_string(hide_password=False)
    with pytest.raises(DatabaseDown) as refused:
        carry(ground, wrong, broker)
    assert "s3cret" not in str(refused.value)
    ground.database.require_current()


def test_places_that_are_none(ground: Ground, target: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name that of the head node with --broker"):
        carry(ground, target)
    with pytest.raises(InputError, match="write --to home"):
        carry(ground, f"sqlite:///{tmp_path / 'else.db'}")
    with pytest.raises(InputError, match="the farm is there already"):
        carry(ground, "home")
    with pytest.raises(Unavailable):
        carry(ground, target, "redis://127.0.0.1:1/0")
    empty = Home(tmp_path / "empty")
    with pytest.raises(NotFound, match="there is no farm"):
        move(empty, resolve(empty, environ={}), to="home")


def test_a_text_that_postgres_cannot_hold_is_named(ground: Ground, target: str, broker: str) -> None:
    ground.execute("UPDATE attempt SET error = 'a' || char(0) || 'b' WHERE id = 3")
    with pytest.raises(InputError, match=r"table attempt, row 3: error holds a NUL"):
        carry(ground, target, broker)
    with Database(target).snapshot() as connection:
        assert sum(found.rows for found in digests(connection)) == 0


# ---- killed on the way

CHILD = """
import os, sys, time
from pathlib import Path
from lemfarm.copies import moving
from lemfarm.connections import resolve
from lemfarm.home import Home
from lemfarm.ledger import Ledger

home, to, broker, where, mark = sys.argv[1:]

def stand_still(*_arguments):
    Path(mark).touch()
    time.sleep(600)

def on_progress(what, done, total):
    if where == what and done > total / 2:
        stand_still()

if hasattr(moving, where):
    setattr(moving, where, stand_still)
moving.move(Home(Path(home)), resolve(Home(Path(home)), environ={}), to=to, broker=broker, on_progress=on_progress)
"""


def killed_at(where: str, ground: Ground, to: str, broker: str) -> None:
    """Move in a process of its own, and kill -9 it when it has come so far."""
    mark = ground.folder / f"at-{where}"
    command = [sys.executable, "-c", CHILD, str(ground.home.root), to, broker, where, str(mark)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait(lambda: mark.exists() or process.poll() is not None)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("where", ["copying rows", "_mark", "_point_home"])
def test_killed_at_any_point_the_same_command_finishes(ground: Ground, target: str, broker: str, where: str) -> None:
    before = contents(ground.database)
    ground.database.close()
    killed_at(where, ground, target, broker)
    carry(ground, target, broker)
    there = open_database(target)
    assert contents(there) == before
    assert resolve(ground.home, environ={}).database == target
    there.close()


# ---- as a person does it


def test_a_farm_goes_on_where_it_was_moved_to(
    ground: Ground, target: str, broker: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.database.close()
    monkeypatch.setenv("LEMFARM_MOVE_TO", target)
    moved = lemfarm(capsys, "move", "--broker", broker, "--home", ground.home.root, "--json")
    assert (moved.code, moved.data["kind"]) == (0, "moved"), moved.err
    assert str(make_url(target).password) not in moved.out + moved.err
    site = Site(ground.folder)
    try:
        went_on = site.run("run", "run.yaml")
    finally:
        site.__exit__()
    assert went_on.code == 0, went_on.err
    there = open_database(target)
    assert [finding for finding in verify_run(there, "tiny") if not finding.holds] == []
    there.close()


def test_what_a_person_is_told(
    ground: Ground, target: str, broker: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = lemfarm(capsys, "move", "--home", ground.home.root)
    assert (nowhere.code, "LEMFARM_MOVE_TO" in nowhere.err) == (2, True)
    monkeypatch.setenv("LEMFARM_BROKER", broker)
    moved = lemfarm(capsys, "move", "--to", target, "--home", ground.home.root)
    assert (moved.code, "rows in" in moved.out, "may be deleted" in moved.out) == (0, True, True)
    assert "LEMFARM_BROKER is set" in moved.err
    old = next(ground.home.root.glob("lemfarm.moved-*.db"))
    asked = lemfarm(capsys, "status", "--home", ground.home.root, "--database", f"sqlite:///{old}")
    assert (asked.code, "was moved to another database" in asked.err) == (2, True)


# ---- copies


def test_a_farm_on_the_head_node_is_backed_up_and_comes_back_anywhere(
    ground: Ground,
    target: str,
    broker: str,
    tmp_path: Path,
    postgres: PostgresServer,  # noqa: F811
) -> None:
    carry(ground, target, broker)
    ground.database.close()
    there = ground.database = open_database(target)
    ground.ledger = Ledger(there)
    before = contents(there)

    def work(_what: str, done: int, total: int) -> None:
        if done < total / 2 and not ground.ids("state = 'leased'"):
            ground.claim(ground.ids()[-1])

    back_up(ground.home, there, tmp_path / "farm.tar", work)
    assert contents(there) != before
    for number, url in enumerate((f"sqlite:///{tmp_path / '0' / 'lemfarm.db'}", postgres.create_database())):
        restore(Home(tmp_path / str(number)), url, tmp_path / "farm.tar")
        restored = open_database(url)
        assert contents(restored) == before, "rows of one moment, whatever was claimed meanwhile"
        restored.close()
