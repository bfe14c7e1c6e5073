"""Workers that are killed, stopped, asked to end, at random instants and at each write."""

import random
import signal

import pytest

from tests.chaos.faulty_worker import FAULT_CODE, FAULT_VARIABLE, PLACES
from tests.farm import LEASE_SECONDS, Farm

pytestmark = pytest.mark.chaos


def test_a_worker_is_killed_in_the_middle_of_a_batch(farm: Farm, dice: random.Random) -> None:
    """Both are, one after the other, and their supervisor starts them again."""
    first, second = farm.start_workers()
    for worker in dice.sample([first, second], 2):
        farm.wait_done(farm.balance().done + dice.randrange(40, 150))
        farm.kill(worker)
        farm.restart_dead()
    farm.finish()
    wait_buried(farm, 2)
    assert farm.value("SELECT max(failures) FROM sample") == 0, "a death spends no retry"


def test_all_workers_are_killed_at_once(farm: Farm, dice: random.Random) -> None:
    workers = farm.start_workers()
    farm.wait_done(dice.randrange(50, 350))
    for worker in workers:
        farm.kill(worker)
    farm.finish()


def test_a_worker_is_asked_to_end(farm: Farm, dice: random.Random) -> None:
    """Nothing is generated twice: what was not finished in the grace was released unfinished."""
    first, second = farm.start_workers()
    for worker in (first, second, first):
        farm.wait_done(farm.balance().done + dice.randrange(30, 120))
        process = farm.workers[worker.name].process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert farm.held_by(farm.workers[worker.name]) == set()
        farm.start_worker(worker.name)
    farm.finish()
    assert farm.value("SELECT count(*) FROM attempt WHERE ending IN ('died', 'reaped', 'failed')") == 0


def test_a_worker_is_stopped_for_longer_than_its_lease(farm: Farm, dice: random.Random) -> None:
    """As when a Mac sleeps: others take over; what it finishes after it woke up is stored once or dropped."""
    first, second = farm.start_workers()
    worker = dice.choice([first, second])
    farm.wait_done(dice.randrange(30, 150))
    farm.wait_busy(worker)
    held = farm.freeze_outside_transactions(worker)
    farm.wait(lambda: not farm.held_by(worker), "the leases of the stopped worker to be taken back")
    assert farm.value("SELECT count(*) FROM attempt WHERE ending = 'reaped'") >= len(held)
    worker.signal(signal.SIGCONT)
    farm.finish()
    assert worker.lives
    assert farm.value("SELECT count(*) FROM worker WHERE state = 'died'") == 0


def test_the_process_of_the_acting_watcher_is_killed(farm: Farm, dice: random.Random) -> None:
    """Another takes its turn over when it has run out."""
    farm.start_workers()
    farm.wait_done(dice.randrange(30, 150))
    acting = farm.value("SELECT w.name FROM turn t JOIN worker w ON w.id = t.owner")
    farm.kill(farm.workers[acting])
    other = next(worker for name, worker in farm.workers.items() if name != acting)
    farm.wait(
        lambda: farm.value("SELECT w.name FROM turn t JOIN worker w ON w.id = t.owner") == other.name,
        "the other worker's watcher to act",
    )
    farm.finish()


@pytest.mark.subset
def test_a_worker_dies_at_each_write(farm: Farm, dice: random.Random) -> None:
    """Claim, text, spool, store, acknowledgement: one death at each, in any order, and again at two of them. A worker
    with one slot goes on beside it, so slow that it leaves work for those who are to die."""
    steady = farm.start_worker("steady", LEMFARM_SLOTS="1")
    farm.wait_ready(steady)
    places = dice.sample(list(PLACES), len(PLACES)) + dice.sample(list(PLACES), 2)
    for place in places:
        fault = {FAULT_VARIABLE: f"{place}:{dice.randrange(1, 15)}"}
        faulty = farm.start_worker("faulty", program=("-m", "tests.chaos.faulty_worker"), **fault)
        farm.wait(lambda faulty=faulty: not faulty.lives, f"the worker to die: {fault}")  # type: ignore[misc]
        assert faulty.process.returncode == FAULT_CODE, farm.story()
        farm.interrupted |= in_flight_at_death(farm, faulty.pid)
    assert steady.lives
    farm.start_worker("faulty")
    farm.finish()
    wait_buried(farm, len(places))


def wait_buried(farm: Farm, count: int) -> None:
    """Every death is noticed: by the watchers beside it, or by the next process of its name."""
    died = "SELECT count(*) FROM worker WHERE state = 'died'"
    farm.wait(lambda: farm.value(died) == count, f"{count} deaths to be noticed")


def in_flight_at_death(farm: Farm, pid: int) -> set[str]:
    """What a process had claimed and not ended when it last said that it lived."""
    rows = farm.rows(
        """SELECT a.sample_id FROM attempt a JOIN worker w ON w.id = a.worker_id
           WHERE w.pid = :pid AND w.name = 'faulty' AND (a.ended IS NULL OR a.ended >= w.last_seen)""",
        pid=pid,
    )
    return {row["sample_id"] for row in rows}


def test_a_killed_worker_with_many_slots_does_not_stop_the_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One death is one failure, however many samples it interrupted."""
    run_file = Farm.run_file.replace("stop_at_error_rate: 0.9", "stop_at_error_rate: 0.5")
    with Farm(tmp_path_factory.mktemp("many"), slots=24, speed=200.0, run_file=run_file) as farm:
        farm.plan()
        first, second = farm.start_workers()
        farm.wait_done(30)
        farm.wait_busy(first, 40)
        farm.kill(first)
        farm.finish()
        assert second.lives


def test_a_lease_that_nobody_knows_of_is_taken_back(farm: Farm) -> None:
    """A claim whose answer was lost on the way: its worker lives, renews the others, and does not know of it."""
    first, _ = farm.start_workers()
    worker_id = farm.value("SELECT id FROM worker WHERE name = :name", name=first.name)
    lost = farm.rows("SELECT id FROM sample WHERE state = 'pending' ORDER BY sample_index DESC LIMIT 3")
    claimed = [row["id"] for row in lost if farm.ledger.claim(row["id"], worker_id, LEASE_SECONDS)]
    assert claimed
    farm.finish()
    assert farm.value("SELECT count(*) FROM attempt WHERE ending = 'reaped'") >= len(claimed)
