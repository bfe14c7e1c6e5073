"""Rest, step by step, with a clock and a plug in the test's hand: queues are left, memory is freed, work goes on."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from lemfarm.errors import DatabaseDown, ModelError
from lemfarm.host.manners import Manners, OnBattery
from lemfarm.host.power import PowerState
from lemfarm.host.working_hours import Hours
from tests.ground import Ground
from tests.unit.workers.engine_double import EngineDouble, request
from tests.unit.workers.test_keeper import wait
from workers.awake import KeepAwake
from workers.engine_thread import EngineThread, Withdrawn
from workers.leases import Leases
from workers.rest import Rest, Watch
from workers.shutdown import Shutdown

NOON, NIGHT = datetime(2026, 12, 4, 12), datetime(2026, 12, 4, 23)
MAINS, BATTERY = PowerState("mains", 100), PowerState("battery", 63)


@dataclass
class Queues:
    """The queues of a worker, which only count."""

    has_begun: bool = True
    calls: list[str] = field(default_factory=list)

    def leave_queues(self) -> None:
        self.calls.append("left")

    def return_to_queues(self) -> None:
        self.calls.append("returned")


class Awake(KeepAwake):
    """Remembers instead of starting a program."""

    held = False

    def hold(self) -> None:
        self.held = True

    def let_go(self) -> None:
        self.held = False


@dataclass
class World:
    """A worker that may work at night, and on mains only. The engine's thread is real, its model is a double."""

    ground: Ground
    double: EngineDouble = field(default_factory=EngineDouble)
    queues: Queues = field(default_factory=Queues)
    now: datetime = NIGHT
    power: PowerState = MAINS
    run_is_active: bool = True
    started_again: int = 0

    def __post_init__(self) -> None:
        self.engine = EngineThread(self.double)
        self.engine.start()
        manners = Manners(Hours.parse(["22:00-07:00"]), OnBattery.PAUSE)
        self.watch = Watch(manners, read_power=lambda: self.power, now=lambda: self.now)
        self.leases, self.taken, self.shutdown = Leases(), threading.Lock(), Shutdown()
        self.rest = Rest(
            "w", self.ground.database, self.watch, Awake(wanted=True), self.engine, self.leases, self.queues,
            self.taken, self.shutdown, has_run=lambda: self.run_is_active, start_again=self._start_again,
            usual_message="batches are safe here",
        )  # fmt: skip

    def _start_again(self) -> None:
        self.started_again += 1

    def look(self, now: datetime | None = None, power: PowerState | None = None) -> None:
        """One look, at another time or on other power if told so."""
        self.now, self.power = now or self.now, power or self.power
        self.watch._power = None
        self.rest.look()

    @property
    def is_awake(self) -> bool:
        return bool(getattr(self.rest.awake, "held", False))

    @property
    def row(self) -> tuple[str, str]:
        """State and message of the worker's row."""
        (row,) = self.ground.rows("SELECT state, message FROM worker")
        return row["state"], row["message"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(Ground(tmp_path))
    yield made
    made.engine.stop()
    made.ground.database.close()


def test_in_its_hours_and_on_mains_it_works_and_stays_awake(world: World) -> None:
    before = world.row
    world.look()
    assert (world.queues.calls, world.rest.may_claim(), world.is_awake, world.row) == ([], True, True, before)


def test_what_is_being_decoded_finishes_and_what_waits_goes_back(world: World) -> None:
    world.double.slots = 1
    decoding = world.engine.submit(request("a"))
    wait(lambda: world.engine.busy)
    waiting = world.engine.submit(request("b"))
    world.leases.hold("a", 1)

    world.look(now=NOON)

    assert world.queues.calls == ["left"]
    assert not world.rest.may_claim()
    assert world.row == ("resting", "outside its hours: goes on Fri 22:00")
    with pytest.raises(Withdrawn):
        waiting.result(timeout=10)
    world.look()
    assert world.double.calls == ["load"], "the model stays while it is needed"
    assert world.is_awake
    world.double.answer("a")
    assert decoding.result(timeout=10).text


def test_the_model_leaves_the_memory_and_the_mac_may_sleep(world: World) -> None:
    world.look(now=NOON)
    world.look()
    assert world.double.calls == ["load", "unload"]
    assert not world.is_awake


def test_it_goes_on_by_itself(world: World) -> None:
    world.look(now=NOON)
    world.look()
    world.look(now=NIGHT)
    assert world.double.calls == ["load", "unload", "load"]
    assert world.queues.calls == ["left", "returned"]
    assert (world.row, world.rest.may_claim(), world.is_awake) == (("ready", "batches are safe here"), True, True)
    assert not world.taken.locked()
    world.engine.submit(request("a"))
    wait(lambda: world.engine.busy)


def test_a_plug_that_was_out_for_a_moment_costs_no_loading(world: World) -> None:
    world.engine.submit(request("a"))
    wait(lambda: world.engine.busy)
    world.look(power=BATTERY)
    assert world.row == ("resting", "on battery (63 %): goes on when it is plugged in")
    world.look(power=MAINS)
    assert (world.double.calls, world.row, world.engine.busy) == (["load"], ("ready", "batches are safe here"), 1)
    world.engine.submit(request("b"))
    wait(lambda: world.engine.busy == 2)


def test_a_training_finishes_first(world: World) -> None:
    world.taken.acquire()
    world.run_is_active = False
    world.look(now=NOON)
    assert (world.queues.calls, world.rest.may_claim(), world.is_awake) == ([], True, True)
    world.taken.release()
    world.look()
    assert world.queues.calls == ["left"]


def test_no_training_begins_during_a_rest(world: World) -> None:
    world.look(now=NOON)
    assert world.taken.locked()


def test_queues_that_are_not_there_yet_are_left_when_they_are(world: World) -> None:
    world.queues.has_begun = False
    world.look(now=NOON)
    assert (world.queues.calls, world.taken.locked()) == ([], False)
    world.queues.has_begun = True
    world.look()
    assert world.queues.calls == ["left"]


def test_with_no_run_the_mac_may_sleep_but_not_with_something_in_hand(world: World) -> None:
    world.run_is_active = False
    world.look()
    assert not world.is_awake
    world.leases.hold("a", 1)
    world.look()
    assert world.is_awake


def test_a_worker_that_cannot_load_its_model_again_asks_to_be_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.look(now=NOON)
    world.look()

    def gone() -> None:
        raise ModelError("the folder is gone")

    monkeypatch.setattr(world.double, "load", gone)
    world.look(now=NIGHT)
    assert (world.started_again, world.queues.calls) == (1, ["left"])


def test_what_could_not_be_said_is_said_at_the_next_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseDown("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.ground.database, "session", away)
        with pytest.raises(DatabaseDown):
            world.look(now=NOON)
    assert world.queues.calls == ["left"], "it acts all the same"
    world.look()
    assert world.row[0] == "resting"


def test_power_and_heat_stand_beside_the_other_facts_of_the_row(world: World) -> None:
    world.ground.execute("""UPDATE worker SET facts = '{"engine": "double"}'""")
    world.look(power=PowerState("mains", 80, "heavy", 70))
    facts = world.ground.value("SELECT facts FROM worker")
    assert '"engine": "double"' in facts
    assert '"heat": "heavy"' in facts
    assert '"speed_limit": 70' in facts


def test_its_thread_ends_with_the_worker_and_lets_the_mac_sleep(world: World) -> None:
    world.rest.start()
    wait(lambda: world.is_awake)
    world.shutdown.begin(0.0)
    world.rest.close()
    assert not world.is_awake


def test_the_machine_is_not_asked_at_every_question() -> None:
    asked: list[int] = []

    def read() -> PowerState:
        asked.append(1)
        return MAINS

    watch = Watch(Manners(), read_power=read)
    assert [watch.reason_to_rest, watch.reason_to_rest, str(watch.power)] == ["", "", "mains 100 %"]
    assert len(asked) == 1
