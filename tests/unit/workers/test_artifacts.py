"""How a worker comes by adapters, and how it lets others have its own."""

from pathlib import Path

import pytest

from lemfarm.broker import generate_queue
from lemfarm.errors import EngineFailure, Unavailable
from lemfarm.home import Home
from lemfarm.records import Adapter, Purpose
from lemfarm.status import read_status
from lemfarm.training.artifacts import FolderStore
from producer import handover, waves
from producer.evaluation import plan_adapter_evaluation
from tests.ground import MODEL, Ground
from tests.unit.producer.test_evaluation import EVALUATE, FILE
from tests.unit.training.test_artifacts import adapter
from workers.artifacts import Adapters
from workers.library import Library


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """A measured run; what is sent can be looked at."""
    made = Ground(tmp_path)
    for module in (waves, handover):
        monkeypatch.setattr(module, "queue_length", made.queue.queue_length)
    monkeypatch.setattr(waves, "send_generate", made.queue.send_generate)
    made.plan(FILE + EVALUATE)
    made.finish(made.ids(purpose=Purpose.EVALUATE))
    return made


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "share").mkdir()
    return FolderStore(tmp_path / "share")


def trained(ground: Ground, home: Home) -> str:
    """An adapter that was trained in that home, and is to be measured."""
    name = adapter(home.adapters).name
    phase = ground.value("SELECT id FROM phase")
    with ground.database.session() as session:
        session.add(Adapter(id=name, run_id=ground.run_id, phase_id=phase, home_id=home.identity, created=1.0))
    plan_adapter_evaluation(ground.database, ground.run_id, name)
    return name


def home(ground: Ground, name: str) -> Home:
    made = Home(ground.folder / name)
    made.ensure()
    return made


def queues(ground: Ground) -> set[str]:
    before = len(ground.queue.messages)
    ground.waves.send_evaluation(ground.run)
    return {message.queue for message in ground.queue.messages[before:]}


def test_an_adapter_of_another_home_is_fetched_when_a_sample_wants_it(ground: Ground, store: FolderStore) -> None:
    here, there = home(ground, "here"), home(ground, "there")
    name = trained(ground, here)
    assert Adapters(ground.database, here, store).share(name)
    library = Library(ground.database, there, Adapters(ground.database, there, store))
    claim = ground.claim(ground.ids("adapter_id IS NOT NULL", purpose=Purpose.EVALUATE)[0])
    assert library.request(claim).adapter == there.adapters / name


def test_without_a_store_it_cannot_be_had_elsewhere(ground: Ground) -> None:
    name = trained(ground, home(ground, "here"))
    with pytest.raises(EngineFailure, match="another home has it"):
        Adapters(ground.database, home(ground, "there")).folder(name)


def test_a_store_without_it_says_so_and_one_that_is_away_is_waited_for(ground: Ground, store: FolderStore) -> None:
    name, there = trained(ground, home(ground, "here")), home(ground, "there")
    with pytest.raises(EngineFailure, match="nor in the artifact store"):
        Adapters(ground.database, there, store).folder(name)
    with pytest.raises(Unavailable):
        Adapters(ground.database, there, FolderStore(ground.folder / "nowhere")).folder(name)


def test_work_is_bound_to_the_home_until_the_store_has_the_adapter(ground: Ground, store: FolderStore) -> None:
    # Given an adapter whose work was sent to its home alone
    here = home(ground, "here")
    name = trained(ground, here)
    assert queues(ground) == {generate_queue(MODEL, here.identity)}
    # When it is shared, then what waits is sent anew, to all
    Adapters(ground.database, here, store).share(name)
    assert queues(ground) == {generate_queue(MODEL)}
    assert ground.handover._home_of(name) is None, "training may go on from it anywhere"
    # and sharing it again sends nothing twice
    Adapters(ground.database, here, store).share(name)
    assert queues(ground) == set()


def test_a_store_that_is_away_costs_nothing_and_is_tried_again(ground: Ground, store: FolderStore) -> None:
    here = home(ground, "here")
    name = trained(ground, here)
    assert not Adapters(ground.database, here, FolderStore(ground.folder / "nowhere")).share(name)
    assert not ground.value("SELECT in_store FROM adapter")
    Adapters(ground.database, here, store).share_own()
    assert ground.value("SELECT in_store FROM adapter")


def test_a_home_shares_only_its_own(ground: Ground, store: FolderStore) -> None:
    trained(ground, home(ground, "here"))
    Adapters(ground.database, home(ground, "there"), store).share_own()
    assert not ground.value("SELECT in_store FROM adapter")


def test_status_says_which_adapter_nobody_can_have(ground: Ground, store: FolderStore) -> None:
    # Given an adapter whose home has no living worker
    here = home(ground, "here")
    name = trained(ground, here)
    (line,) = read_status(ground.database).waits_for
    assert name in line
    assert "start one there, or give the farm an artifact store" in line
    # When a worker of that home lives, or the store has it, then nothing is said
    ground.execute(
        "UPDATE worker SET home_id = :home, last_seen = :now", home=here.identity, now=ground.database.clock()
    )
    assert read_status(ground.database).waits_for == ()
    ground.execute("UPDATE worker SET state = 'died'")
    assert len(read_status(ground.database).waits_for) == 1
    Adapters(ground.database, here, store).share(name)
    assert read_status(ground.database).waits_for == ()
