"""`worker` where it cannot start, and `workers list|drain|forget`."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemfarm.local_workers import take_name
from tests.command import Ran, lemfarm
from tests.ground import Ground

Say = Callable[..., Ran]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan()
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        return lemfarm(capsys, *words, "--home", ground.home.root, "--database", ground.database.url)

    return run


def heard_of(ground: Ground, seconds: float, state: str = "ready") -> None:
    sql = f"UPDATE worker SET state = :state, last_seen = {ground.database.now} - {seconds}"
    ground.execute(sql, state=state)


def test_workers_that_live_are_listed_with_what_they_say(ground: Ground, say: Say) -> None:
    heard_of(ground, 1, "refused")
    ground.execute("UPDATE worker SET message = 'weights differ'")
    ran = say("workers", "list")
    assert ran.code == 0
    assert all(part in ran.out for part in ("w", "refused", "weights differ", "s ago"))
    (worker,) = say("workers", "list", "--json").data["workers"]
    assert (worker["name"], worker["slots"], worker["state"]) == ("w", 4, "refused")


def test_power_and_heat_are_listed(ground: Ground, say: Say) -> None:
    heard_of(ground, 1)
    assert say("workers", "list", "--json").data["workers"][0]["power"] is None
    power = {"source": "battery", "percent": 63, "heat": "heavy", "speed_limit": 70}
    ground.execute("UPDATE worker SET facts = :facts", facts=json.dumps({"power": power}))
    assert "battery 63 %, heat heavy, CPU held at 70 %" in say("workers", "list").out
    assert say("workers", "list", "--json").data["workers"][0]["power"] == power


@pytest.mark.parametrize("hours", ["at night", "08:00-08:00"])
def test_hours_that_cannot_be_read_are_refused(say: Say, hours: str) -> None:
    ran = say("worker", "--hours", hours, "--broker", "redis://127.0.0.1:1")
    assert (ran.code, "working hours" in ran.err) == (2, True)


def test_an_empty_list_says_how_to_start_one(ground: Ground, say: Say) -> None:
    heard_of(ground, 1, "stopped")
    ran = say("workers", "list")
    assert (ran.code, ran.out, "`lemfarm worker` starts one" in ran.err) == (0, "", True)
    assert "stopped" in say("workers", "list", "--all").out


def test_drain_asks_and_says_so(ground: Ground, say: Say) -> None:
    heard_of(ground, 1)
    ran = say("workers", "drain", "w")
    assert (ran.code, "will end when they have finished" in ran.out) == (0, True)
    assert ground.value("SELECT command FROM worker") == "drain"


def test_forget_returns_what_a_lost_worker_held(ground: Ground, say: Say) -> None:
    ground.claim(ground.ids()[0])
    heard_of(ground, 1)
    refused = say("workers", "forget", "w")
    assert (refused.code, "drain it instead" in refused.err) == (2, True)
    heard_of(ground, 1000)
    assert say("workers", "forget", "w").out == "forgot w; 1 samples went back.\n"
    assert ground.balance().leased == 0


@pytest.mark.parametrize("verb", ["drain", "forget"])
def test_an_unknown_worker_is_refused(say: Say, verb: str) -> None:
    ran = say("workers", verb, "nobody")
    assert (ran.code, "'nobody'" in ran.err, ran.out) == (2, True, "")


def test_a_worker_without_a_broker_says_how_to_get_one(say: Say) -> None:
    ran = say("worker")
    assert (ran.code, "`lemfarm up`" in ran.err) == (4, True)


def test_a_name_that_is_taken_is_refused(ground: Ground, say: Say) -> None:
    lock = take_name(ground.home, "mac-1")
    try:
        ran = say("worker", "--name", "mac-1", "--broker", "redis://127.0.0.1:1")
        assert (ran.code, "choose another --name" in ran.err) == (2, True)
        assert str(os.getpid()) in ran.err or str(ground.home.root) in ran.err
    finally:
        os.close(lock)


def test_a_model_folder_that_is_not_there_is_refused(ground: Ground, say: Say) -> None:
    ran = say("worker", "--model", "owner/model=/nowhere", "--broker", "redis://127.0.0.1:1")
    assert (ran.code, "ID=FOLDER" in ran.err) == (2, True)
