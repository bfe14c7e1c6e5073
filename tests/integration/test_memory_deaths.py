"""A worker whose engine aborts above so many answers at once: it comes back with fewer, and the next one knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lemfarm.connections import child_environment
from lemfarm.engine_record import EngineRecord
from lemfarm.local_workers import worker_members
from lemfarm.supervisor import Supervisor
from tests.farm import ROOT, RUN_FILE, Farm

ABORTS_ABOVE_3 = RUN_FILE.replace("slots: {slots}}}", "slots: {slots}, abort_above: 3}}").replace("0.9", "0.5")


@contextmanager
def supervised(farm: Farm, name: str, **environ: str) -> Iterator[Supervisor]:
    """A worker as `lemfarm worker` keeps it; whoever waits for something polls."""
    environment = child_environment(farm.connections, farm.home) | {"PYTHONPATH": str(ROOT)} | environ
    supervisor = Supervisor(worker_members(farm.home, 1, environment, name=name), first_pause_seconds=0.1)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop(15.0)


def polled(supervisor: Supervisor) -> bool:
    supervisor.poll()
    return True


def slots_of(farm: Farm, name: str) -> list[int]:
    """Of every process of that name that got as far as loading its engine, in order."""
    rows = farm.rows("SELECT slots FROM worker WHERE name = :name AND slots > 0 ORDER BY id", name=name)
    return [row["slots"] for row in rows]


def test_slots_are_halved_until_memory_holds_them_and_the_next_worker_begins_there(tmp_path: Path) -> None:
    with Farm(tmp_path, probes=6, run_file=ABORTS_ABOVE_3) as farm:
        farm.plan()
        # Given a person who asks for eight slots where six are known to be too many, and three would do
        EngineRecord.of(farm.home, "simulated").note_shortage(12, "memory ran out long ago")
        with supervised(farm, "asked", LEMFARM_SLOTS="8") as supervisor:
            # When the worker dies of it, and dies again
            farm.wait(lambda: polled(supervisor) and slots_of(farm, "asked") == [8, 4, 2], "the slots to be halved")
        assert "2 slots instead of 4" in farm.value("SELECT message FROM worker WHERE name = 'asked' AND slots = 2")
        # Then whoever starts next without asking begins there, and finishes
        with supervised(farm, "next") as supervisor:
            farm.wait(lambda: polled(supervisor) and farm.run_state() != "active", "the run to end")
        assert slots_of(farm, "next") == [2]
        farm.check()
