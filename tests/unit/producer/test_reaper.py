"""Taking back what nobody works on: two sightings half a lease apart, and workers whose process is gone."""

import os
import socket
import subprocess
import sys
import time

import pytest

from lemfarm.machine import boot_id
from lemfarm.records import WorkerState
from producer import reaper as module
from producer.reaper import Reaper
from producer.turn import leave_turn, take_turn
from tests.ground import Ground

LEASE = 90.0
OVER = -1.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def reaper(ground: Ground, clock: Clock) -> Reaper:
    ground.plan()
    ground.execute("UPDATE worker SET host = 'elsewhere'")
    return Reaper(ground.database, ground.ledger, ground.home)


def test_a_lease_is_taken_back_when_it_was_seen_expired_for_half_a_lease(
    ground: Ground, reaper: Reaper, clock: Clock
) -> None:
    ground.claim(ground.ids()[0], lease=OVER)
    assert reaper.look(LEASE) == 0, "a first sighting"
    clock.now += LEASE / 2 - 1
    assert reaper.look(LEASE) == 0, "too soon after the first"
    clock.now += 1
    assert reaper.look(LEASE) == 1
    assert ground.balance().pending == 24
    assert ground.value("SELECT ending FROM attempt") == "reaped"


def test_a_lease_that_is_renewed_in_between_is_kept(ground: Ground, reaper: Reaper, clock: Clock) -> None:
    """After an outage of the database all leases have run out, and the living renew theirs first."""
    sample = ground.claim(ground.ids()[0], lease=OVER).sample_id
    reaper.look(LEASE)
    ground.ledger.renew("w", [sample], 1000.0)
    clock.now += LEASE
    assert reaper.look(LEASE) == 0
    assert ground.balance().leased == 1


def test_a_lease_that_was_renewed_and_ran_out_again_is_a_new_sighting(
    ground: Ground, reaper: Reaper, clock: Clock
) -> None:
    sample = ground.claim(ground.ids()[0], lease=OVER).sample_id
    reaper.look(LEASE)
    clock.now += LEASE
    ground.ledger.renew("w", [sample], OVER)
    assert reaper.look(LEASE) == 0
    clock.now += LEASE
    assert reaper.look(LEASE) == 1


def test_leases_that_hold_are_left_alone(ground: Ground, reaper: Reaper, clock: Clock) -> None:
    ground.claim(ground.ids()[0])
    reaper.look(LEASE)
    clock.now += 10 * LEASE
    assert reaper.look(LEASE) == 0


def _worker(ground: Ground, pid: int, **fields: str) -> str:
    """The worker of this machine and home that holds a sample."""
    values = {"host": socket.gethostname(), "boot": boot_id(), "home": ground.home.identity, **fields}
    ground.execute(
        "UPDATE worker SET pid = :pid, host = :host, boot_id = :boot, home_id = :home, state = 'ready'",
        pid=pid,
        **values,
    )
    return ground.claim(ground.ids()[0]).sample_id


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_worker_here_whose_process_is_gone_is_buried_at_once(ground: Ground, reaper: Reaper, dead_pid: int) -> None:
    sample = _worker(ground, dead_pid)
    assert reaper.look(LEASE) == 1
    row = ground.rows("SELECT state, deaths FROM sample WHERE id = :id", id=sample)[0]
    assert (row["state"], row["deaths"]) == ("pending", 1)
    assert ground.value("SELECT state FROM worker") == WorkerState.DIED
    assert reaper.look(LEASE) == 0


def test_a_worker_whose_process_is_a_zombie_is_gone(ground: Ground, reaper: Reaper) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        _worker(ground, process.pid)
        deadline = time.monotonic() + 30
        while reaper.look(LEASE) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.wait()


def test_a_worker_that_lives_is_left_alone(ground: Ground, reaper: Reaper) -> None:
    _worker(ground, os.getpid())
    assert reaper.look(LEASE) == 0


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"boot": "before"}, {"home": "shared-not"}])
def test_a_process_that_cannot_be_seen_from_here_is_judged_by_its_lease(
    ground: Ground, reaper: Reaper, dead_pid: int, elsewhere: dict[str, str]
) -> None:
    """Another machine's process ids say nothing here, nor do those of the time before a reboot."""
    _worker(ground, dead_pid, **elsewhere)
    assert reaper.look(LEASE) == 0


# ---- whose turn it is


def test_one_acts_at_a_time(ground: Ground) -> None:
    assert take_turn(ground.database, "watcher", "a", 100.0)
    assert not take_turn(ground.database, "watcher", "b", 100.0)
    assert take_turn(ground.database, "watcher", "a", 100.0)
    assert take_turn(ground.database, "another", "b", 100.0)


def test_a_turn_that_ran_out_or_was_left_is_free(ground: Ground) -> None:
    assert take_turn(ground.database, "watcher", "a", -1.0)
    assert take_turn(ground.database, "watcher", "b", 100.0)
    leave_turn(ground.database, "watcher", "a")
    assert not take_turn(ground.database, "watcher", "c", 100.0), "a has it no more and gives nothing away"
    leave_turn(ground.database, "watcher", "b")
    assert take_turn(ground.database, "watcher", "c", 100.0)


def test_a_turn_is_renewed_before_it_runs_out(ground: Ground) -> None:
    take_turn(ground.database, "watcher", "a", 100.0)
    first = ground.value("SELECT expires FROM turn")
    take_turn(ground.database, "watcher", "a", 100.0)
    assert ground.value("SELECT expires FROM turn") == first, "more than half of it is left: no write"
    ground.execute("UPDATE turn SET expires = expires - 60")
    take_turn(ground.database, "watcher", "a", 100.0)
    assert ground.value("SELECT expires FROM turn") >= first
