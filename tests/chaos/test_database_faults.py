"""The database is away for longer than a lease, or has no room: results wait, nobody's work is taken away."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.farm import LEASE_SECONDS, Farm
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401

pytestmark = pytest.mark.chaos
OUTAGE_SECONDS = 2.5 * LEASE_SECONDS


def test_sqlite_is_locked_for_longer_than_a_lease(farm: Farm, dice: random.Random) -> None:
    farm.start_workers()
    for _ in range(2):
        farm.wait_done(farm.balance().done + dice.randrange(30, 150))
        with contextlib.closing(sqlite3.connect(farm.home.database, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            farm.wait_seconds(OUTAGE_SECONDS)
            other.rollback()
    farm.finish()
    assert farm.value("SELECT count(*) FROM attempt WHERE ending IN ('reaped', 'died')") == 0


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Farm]:  # noqa: F811
    """A planned farm on PostgreSQL."""
    with Farm(tmp_path, postgres_url) as farm:
        farm.plan()
        yield farm


def test_postgres_is_stopped_for_longer_than_a_lease(
    on_postgres: Farm,
    postgres: PostgresServer,  # noqa: F811
    dice: random.Random,
) -> None:
    """Once in an orderly way, once as a crash."""
    if not postgres.stoppable:
        pytest.skip("the server named by the environment is not ours to stop")
    farm = on_postgres
    farm.start_workers()
    for mode in ("fast", "immediate"):
        farm.wait_done(farm.balance().done + dice.randrange(30, 150))
        postgres.stop(mode)
        try:
            farm.wait(farm.spooled, "results to wait in the spool")
            farm.wait_seconds(OUTAGE_SECONDS)
        finally:
            postgres.start()
    farm.finish()
    assert all(worker.lives for worker in farm.workers.values())
    assert farm.value("SELECT count(*) FROM attempt WHERE ending IN ('reaped', 'died')") == 0


def test_workers_on_postgres_are_killed(on_postgres: Farm, dice: random.Random) -> None:
    """A worker that dies in the middle of a transaction leaves nothing half done."""
    farm = on_postgres
    for worker in farm.start_workers():
        farm.wait_done(farm.balance().done + dice.randrange(30, 150))
        farm.kill(worker)
        farm.restart_dead()
    farm.finish()


@contextlib.contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own for a folder; skipped where we may not make one."""
    place.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk to fill")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "lemfarm-test", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Use up the last byte of a disk; removing the file makes room again."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return ballast


def test_the_disk_of_the_spool_is_full(tmp_path: Path, dice: random.Random) -> None:
    """Results go straight to the database."""
    with small_disk(tmp_path / "home" / "spool", 1), Farm(tmp_path) as farm:
        farm.plan()
        farm.start_workers()
        farm.wait_done(dice.randrange(30, 150))
        ballast = fill(farm.home.spool)
        farm.wait(lambda: farm.workers_said("cannot write the spool"), "the full disk to be felt")
        farm.wait_done(farm.balance().done + dice.randrange(30, 150))
        ballast.unlink()
        farm.finish()


def test_the_disk_of_everything_is_full(tmp_path: Path, dice: random.Random) -> None:
    """Database, spool and queue: workers hold on to what they have until there is room."""
    with small_disk(tmp_path / "home", 24), Farm(tmp_path) as farm:
        farm.plan()
        farm.start_workers()
        farm.wait_done(dice.randrange(30, 150))
        ballast = fill(farm.home.root)
        farm.wait(lambda: farm.workers_said("No space left") or farm.workers_said("is full"), "it to be felt")
        farm.wait_seconds(OUTAGE_SECONDS)
        ballast.unlink()
        farm.finish()
