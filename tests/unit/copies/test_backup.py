"""Backups of a farm that works, and farms brought back out of them."""

import io
import json
import resource
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lemfarm.copies.backup import Backup, back_up
from lemfarm.copies.restoring import Restored, restore
from lemfarm.copies.rows import digests
from lemfarm.database import Database, open_database
from lemfarm.errors import InputError, Unavailable, VersionError
from lemfarm.home import Home
from lemfarm.locks import take_lock
from lemfarm.records import Adapter, Worker
from producer.verify import verify_run
from tests.command import lemfarm
from tests.ground import Ground

HERE, ELSEWHERE, HALF = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A farm at work: three samples done, two in flight, an adapter, a dataset, half an adapter."""
    made = Ground(tmp_path, f"sqlite:///{tmp_path / 'home' / 'lemfarm.db'}")
    made.plan()
    made.finish(made.ids(limit=3))
    for sample in made.ids(limit=2):
        made.claim(sample)
    for name, files in (
        (f"adapters/{HERE}", ("adapters.safetensors", "manifest.json")),
        (f"adapters/{HALF}", ("adapters.safetensors",)),
        ("adapters/.partial-x", ("adapters.safetensors", "manifest.json")),
        ("datasets/tiny/first", ("train.jsonl",)),
    ):
        folder = made.home.ensure(made.home.root / name)
        for file in files:
            (folder / file).write_bytes(f"{name}/{file}".encode() * 999)
    with made.database.session() as session:
        for one in (HERE, ELSEWHERE):
            phase = made.value("SELECT id FROM phase")
            session.add(Adapter(id=one, run_id=made.run_id, phase_id=phase, home_id=made.home.identity))
    yield made
    made.database.close()


@pytest.fixture
def file(ground: Ground) -> Path:
    """A backup of it."""
    back_up(ground.home, ground.database, ground.folder / "farm.tar")
    return ground.folder / "farm.tar"


def bring_back(home: Home, file: Path) -> Restored:
    return restore(home, f"sqlite:///{home.database}", file)


def tables(database: Database) -> list[Any]:
    with database.read() as connection:
        return digests(connection)


def files_of(home: Home) -> set[str]:
    return {str(path.relative_to(home.root)) for path in home.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["farm.tar", "farm.tar.gz"])
def test_what_is_backed_up_comes_back(ground: Ground, tmp_path: Path, name: str) -> None:
    made = back_up(ground.home, ground.database, tmp_path / name)
    there = Home(tmp_path / "there")
    found = bring_back(there, tmp_path / name)
    changed = {"sample", "attempt", "worker"}  # what was in flight has returned
    same = [one for one in found.tables if one.table not in changed]
    assert same == [one for one in tables(ground.database) if one.table not in changed] == [
        one for one in made.tables if one.table not in changed
    ]  # fmt: skip
    assert found.tables == tuple(tables(open_database(f"sqlite:///{there.database}")))
    assert there.identity == ground.home.identity
    for path in (f"adapters/{HERE}/adapters.safetensors", "datasets/tiny/first/train.jsonl"):
        assert (there.root / path).read_bytes() == (ground.home.root / path).read_bytes()
    assert {one for one in files_of(there) if HALF in one or ".partial" in one} == set()
    assert (made.elsewhere, found.elsewhere) == ((ELSEWHERE,), (ELSEWHERE,))


def test_what_was_in_flight_is_pending_again_without_blame(file: Path, tmp_path: Path) -> None:
    there = Home(tmp_path / "there")
    assert bring_back(there, file).returned == 2
    database = open_database(f"sqlite:///{there.database}")
    with database.read() as connection:
        states = connection.exec_driver_sql("SELECT state, count(*), sum(deaths), sum(failures) FROM sample GROUP BY 1")
        assert sorted(map(tuple, states)) == [("done", 3, 0, 0), ("pending", 21, 0, 0)]
    assert [finding for finding in verify_run(database, "tiny") if not finding.holds] == []


def test_a_farm_that_works_on_is_seen_at_one_moment(ground: Ground, tmp_path: Path) -> None:
    before = tables(ground.database)

    def work(what: str, done: int, _total: int) -> None:
        if done == 1:
            ground.finish(ground.ids(limit=1))

    made = back_up(ground.home, ground.database, tmp_path / "farm.tar", work)
    assert list(made.tables) == before
    assert tables(ground.database) != before


def test_an_older_backup_is_replaced_only_by_a_whole_one(ground: Ground, file: Path) -> None:
    old = file.read_bytes()

    def fail(what: str, _done: int, _total: int) -> None:
        if what == "packing files":
            raise RuntimeError("the machine is switched off")

    with pytest.raises(RuntimeError):
        back_up(ground.home, ground.database, file, fail)
    assert file.read_bytes() == old
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".farm")] == []


def test_a_name_says_what_is_in_it(ground: Ground) -> None:
    with pytest.raises(InputError, match=r"ends in \.tar, or in \.tar\.gz"):
        back_up(ground.home, ground.database, ground.folder / "farm.zip")


def test_a_full_disk_leaves_nothing(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    target = ground.folder / "out"
    target.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(Unavailable):
            back_up(ground.home, ground.database, target / "farm.tar")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(target.iterdir()) == []


def test_nothing_is_overwritten(file: Path, ground: Ground, tmp_path: Path) -> None:
    before = files_of(ground.home)
    with pytest.raises(InputError, match="is not empty: name an empty database"):
        bring_back(ground.home, file)
    assert files_of(ground.home) == before
    taken = Home(tmp_path / "taken")
    (taken.ensure(taken.root) / "home-id").write_text("another\n")
    with pytest.raises(InputError, match=r"home-id is there already, and is another"):
        bring_back(taken, file)
    assert files_of(taken) == {"home-id"}


def test_an_interrupted_restoring_is_done_again(file: Path, tmp_path: Path) -> None:
    there = Home(tmp_path / "there")

    def fail(what: str, _done: int, _total: int) -> None:
        if what == "copying rows":
            raise RuntimeError("the machine is switched off")

    with pytest.raises(RuntimeError):
        restore(there, f"sqlite:///{there.database}", file, fail)
    (there.ensure(there.root / ".restoring") / "left over").touch()
    assert bring_back(there, file).returned == 2
    assert not (there.root / ".restoring").exists()


def test_a_damaged_backup_is_refused_before_anything_is_placed(file: Path, tmp_path: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(f"adapters/{HERE}/adapters.safetensors".encode() * 2)] ^= 1
    for damaged in (bytes(data), file.read_bytes()[: len(data) // 2], b"no archive at all"):
        (tmp_path / "bad.tar").write_bytes(damaged)
        there = Home(tmp_path / "there")
        with pytest.raises(InputError, match=r"bad\.tar: (adapters/.* is damaged|not a whole backup)"):
            bring_back(there, tmp_path / "bad.tar")
        assert files_of(there) == set()


def test_an_archive_of_something_else_is_refused(file: Path, tmp_path: Path) -> None:
    there = Home(tmp_path / "there")
    for name in ("../outside", "/etc/passwd", "adapters/../../outside", "join.json"):
        with tarfile.open(tmp_path / "odd.tar", "w") as archive:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        with pytest.raises(InputError, match="which is no part of a backup"):
            bring_back(there, tmp_path / "odd.tar")
    assert files_of(there) == set()
    with pytest.raises(InputError, match="cannot be read"):
        bring_back(there, tmp_path / "missing.tar")


@pytest.mark.parametrize(("change", "error"), [({"format": 99}, InputError), ({"schema": "9999"}, VersionError)])
def test_a_backup_of_a_newer_lemfarm_is_refused(
    file: Path, tmp_path: Path, change: dict[str, Any], error: type[Exception]
) -> None:
    with tarfile.open(file) as old, tarfile.open(tmp_path / "newer.tar", "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == "manifest.json":
                data = json.dumps({**json.loads(data), **change}).encode()
                member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    with pytest.raises(error):
        bring_back(Home(tmp_path / "there"), tmp_path / "newer.tar")


def test_a_home_in_use_is_refused(file: Path, tmp_path: Path) -> None:
    there = Home(tmp_path / "there")
    lock = take_lock(there.ensure(there.root / "workers") / "mac-1.lock")
    assert lock is not None
    with pytest.raises(InputError, match="workers are alive"):
        bring_back(there, file)


def test_by_hand(ground: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "backup", tmp_path / "by-hand.tar.gz", "--home", ground.home.root)
    assert (said.code, "rows in" in said.out, ELSEWHERE in said.err) == (0, True, True)
    data = lemfarm(capsys, "backup", tmp_path / "by-hand.tar", "--home", ground.home.root, "--json").data
    assert (data["kind"], data["backup"]["elsewhere"]) == ("backup", [ELSEWHERE])
    back = lemfarm(capsys, "restore", tmp_path / "by-hand.tar.gz", "--home", tmp_path / "new")
    assert (back.code, "2 samples that were in flight are pending again" in back.out) == (0, True)
    again = lemfarm(capsys, "restore", tmp_path / "by-hand.tar.gz", "--home", tmp_path / "new")
    assert (again.code, "is not empty" in again.err) == (2, True)


def test_workers_that_ended_are_left_as_they_are(ground: Ground, tmp_path: Path) -> None:
    with ground.database.session() as session:
        session.add(
            Worker(id="x", name="x", host="h", pid=1, boot_id="b", home_id="h", lemfarm_version="0", state="stopped")
        )
    made: Backup = back_up(ground.home, ground.database, tmp_path / "farm.tar")
    there = Home(tmp_path / "there")
    bring_back(there, tmp_path / "farm.tar")
    database = open_database(f"sqlite:///{there.database}")
    with database.read() as connection:
        states = {row.id: row.state for row in connection.exec_driver_sql("SELECT id, state FROM worker")}
    assert states == {"w": "died", "x": "stopped"}
    assert made.home_id == there.identity
