"""The watcher: one look over all active runs, one watcher at a time, and never an error that ends it."""

import pytest

from lemfarm.errors import BrokerDown, DatabaseDown
from producer import campaign, watch
from producer.turn import leave_turn, take_turn
from producer.watch import Watcher
from tests.ground import RUN_FILE, Ground


@pytest.fixture
def lost_broker(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the broker says that it is new, look by look."""
    answers: list[bool] = []
    monkeypatch.setattr(watch, "ensure_nonce", lambda _app: answers.pop(0) if answers else False)
    return answers


@pytest.fixture
def watcher(ground: Ground, lost_broker: list[bool]) -> Watcher:
    ground.execute("UPDATE worker SET state = 'stopped'")
    ground.queue.length = 1
    return Watcher(ground.database, None, owner="me", home=ground.home)  # type: ignore[arg-type]


def test_a_look_sends_and_ends_runs(ground: Ground, watcher: Watcher) -> None:
    ground.plan()
    watcher.look_in_turn()
    assert len(ground.queue.messages) == 24
    ground.finish(ground.queue.ids[:10])
    watcher.look_in_turn()
    watcher.look_in_turn()
    assert ground.state == "done"


def test_a_farm_without_active_runs_is_left_in_peace(ground: Ground, watcher: Watcher) -> None:
    watcher.look_in_turn()
    ground.plan()
    campaign.pause(ground.database, None)
    watcher.look_in_turn()
    assert ground.queue.messages == []


def test_every_active_run_is_looked_at(ground: Ground, watcher: Watcher) -> None:
    ground.plan()
    ground.plan(RUN_FILE.replace("run: tiny", "run: other"))
    watcher.look_in_turn()
    assert len(ground.queue.messages) == 48


def test_a_changed_run_file_is_followed(ground: Ground, watcher: Watcher) -> None:
    ground.plan()
    watcher.look_in_turn()
    ground.finish(ground.queue.ids[:4])
    ground.plan(phases__0__quota__accepted=4)
    watcher.look_in_turn()
    assert ground.phase_states() == {"first": "full"}


def test_a_broker_that_lost_its_data_gets_all_messages_again(
    ground: Ground, watcher: Watcher, lost_broker: list[bool]
) -> None:
    ground.plan()
    watcher.look_in_turn()
    sent = set(ground.queue.ids)
    ground.queue.messages.clear()
    lost_broker.append(True)
    watcher.look_in_turn()
    assert set(ground.queue.ids) == sent


def test_only_who_has_the_turn_acts(ground: Ground, watcher: Watcher) -> None:
    # Given two watchers
    ground.plan()
    other = Watcher(ground.database, None, owner="other", home=ground.home)  # type: ignore[arg-type]
    watcher.look_in_turn()
    sent = len(ground.queue.messages)
    ground.execute("UPDATE sample SET wave = NULL")
    # When the second one looks, then it does nothing
    other.look_in_turn()
    assert len(ground.queue.messages) == sent
    # When the first one leaves, then the second one acts at once
    watcher.leave()
    other.look_in_turn()
    assert len(ground.queue.messages) == 2 * sent


@pytest.mark.parametrize("error", [DatabaseDown("away"), BrokerDown("away"), RuntimeError("nobody expected this")])
def test_an_error_is_told_and_the_next_look_comes(
    ground: Ground, watcher: Watcher, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ground.plan()

    def broken(_app: object) -> bool:
        raise error

    monkeypatch.setattr(watch, "ensure_nonce", broken)
    watcher.look_in_turn()
    assert ground.queue.messages == []
    monkeypatch.setattr(watch, "ensure_nonce", lambda _app: False)
    watcher.look_in_turn()
    assert len(ground.queue.messages) == 24


def test_it_looks_until_it_is_told_to_end_and_then_leaves_its_turn(ground: Ground, watcher: Watcher) -> None:
    ground.plan()
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) > 3

    watcher.run_until(wait)
    assert len(pauses) == 4
    assert all(pause >= watch.LOOK_SECONDS for pause in pauses)
    assert ground.value("SELECT expires FROM turn") == 0
    assert len(ground.queue.messages) == 24


def test_who_waits_for_its_turn_looks_less_often(ground: Ground, watcher: Watcher) -> None:
    assert take_turn(ground.database, watch.TURN, "another", 60.0)
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) == 3:
            leave_turn(ground.database, watch.TURN, "another")
        return len(pauses) > 4

    watcher.run_until(wait)
    idle = watch.LOOK_SECONDS * watch.IDLE_LOOKS
    assert pauses == [watch.LOOK_SECONDS, idle, idle, watch.LOOK_SECONDS, watch.LOOK_SECONDS]


def test_one_slow_look_delays_no_wave_and_two_do(
    ground: Ground, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look of a process imports and connects: a pause in proportion would leave the queue to run dry."""
    lengths = iter([2.0, 0.1, 3.0, 4.0, 0.1])
    pauses: list[float] = []
    passed = [0.0]

    def look() -> bool:
        passed[0] += next(lengths)
        return True

    def wait(seconds: float) -> bool:
        pauses.append(round(seconds, 3))
        return len(pauses) > 5

    monkeypatch.setattr(watch.time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(watcher, "look_in_turn", look)
    watcher.run_until(wait)
    assert pauses == [1.0, 1.0, 1.0, 1.0, 30.0, 1.0]
