"""What is told when, where, and how often: once for each change, in the home where the run was started."""

import json
from pathlib import Path
from threading import Thread

import pytest

from lemfarm.errors import DatabaseDown
from lemfarm.home import Home
from lemfarm.notices import tell_here
from lemfarm.records import NoticeKind, StageState
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.phases import claim_stage, finish_stage, open_stage
from producer import messenger as module
from producer.campaign import train_now
from producer.messenger import Messenger
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground
from tests.notify_script import keeping, python, told

SECONDS = 30.0
TRAINS = RUN_FILE.replace("quota: {", "train: {iterations: 1, learning_rate: 1.0e-5}\n    quota: {") + "train: {}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "told.jsonl"


@pytest.fixture
def messenger(ground: Ground) -> Messenger:
    """Of the home in which the run was started."""
    return Messenger(ground.database, ground.home)


def plan(ground: Ground, command: str, text: str = RUN_FILE, **overrides: object) -> None:
    ground.plan(text, notify=json.dumps(command), **overrides)
    tell_here(ground.database, ground.run_id, ground.home.identity)


def fill(ground: Ground) -> None:
    ground.look()
    ground.finish(ground.ids(limit=15))
    ground.look()


def events(file: Path) -> list[str]:
    return [line["event"] for line in told(file)]


def test_a_full_phase_and_the_end_of_the_run_are_told_once_each(
    ground: Ground, messenger: Messenger, file: Path
) -> None:
    plan(ground, keeping(file))
    messenger.finish(SECONDS)
    assert told(file) == []
    fill(ground)
    ground.look()
    messenger.finish(SECONDS)
    messenger.finish(SECONDS)
    assert [(line["event"], line["run"], line["phase"]) for line in told(file)] == [
        ("full", "tiny", "first"),
        ("done", "tiny", ""),
    ]
    assert told(file)[0]["message"] == "phase first is full: 14 accepted, 10 wanted."
    assert [row["outcome"] for row in ground.rows("SELECT outcome FROM notice")] == ["told", "told"]


def test_a_starved_run_says_why(ground: Ground, messenger: Messenger, file: Path) -> None:
    plan(ground, keeping(file))
    ground.look()
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look()
    ground.look()
    messenger.finish(SECONDS)
    (line,) = told(file)
    assert (ground.state, line["event"]) == ("starved", "starved")
    assert line["message"] == ground.reason


def test_a_stopped_run_has_failed(ground: Ground, messenger: Messenger, file: Path) -> None:
    plan(ground, keeping(file))
    ground.look()
    ground.fail(ground.ids())
    ground.look()
    messenger.finish(SECONDS)
    assert (ground.state, events(file)) == ("stopped", ["failed"])


def test_a_held_run_that_is_let_go_on_tells_both(ground: Ground, messenger: Messenger, file: Path) -> None:
    # Given a phase that ran out with enough, and holds
    plan(ground, keeping(file), TRAINS, phases__0__quota__when_exhausted="hold")
    ground.look()
    ground.finish(ground.ids(limit=6))
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look(phases__0__quota__when_exhausted="hold")
    ground.look(phases__0__quota__when_exhausted="hold")
    messenger.finish(SECONDS)
    assert events(file) == ["held"]
    # When a person lets it train
    train_now(ground.database, None)
    stage = claim_stage(ground.database, open_stage(ground.database, ground.run_id, 1), "w", 1000.0)
    assert stage is not None
    manifest = AdapterManifest("b2:new", {}, {}, job="b2:job", dataset="b2:data", parent=None)
    assert finish_stage(ground.database, stage, manifest, "home", {})
    assert not finish_stage(ground.database, stage, manifest, "home", {}), StageState.DONE
    ground.look(phases__0__quota__when_exhausted="hold")
    messenger.finish(SECONDS)
    assert events(file) == ["held", "trained", "done"]
    assert told(file)[1]["message"] == "phase first is trained: b2:new is promoted."


def test_a_run_that_is_done_again_tells_it_again(ground: Ground, messenger: Messenger, file: Path) -> None:
    plan(ground, keeping(file))
    fill(ground)
    messenger.finish(SECONDS)
    plan(ground, keeping(file), phases__0__quota__accepted=11, phases__0__quota__at_most_per_probe=8)
    ground.look(phases__0__quota__accepted=11, phases__0__quota__at_most_per_probe=8)
    ground.look(phases__0__quota__accepted=11, phases__0__quota__at_most_per_probe=8)
    messenger.finish(SECONDS)
    assert events(file) == ["full", "done", "full", "done"]


def test_a_phase_that_is_full_a_second_time_in_one_go_is_old_news(ground: Ground, file: Path) -> None:
    plan(ground, keeping(file))
    ground.look()
    ground.finish(ground.ids(limit=15))
    for _ in range(2):
        ground.execute("UPDATE phase SET state = 'open'")
        ground.execute("UPDATE run SET state = 'active'")
        ground.look()
    assert ground.value("SELECT count(*) FROM notice WHERE kind = :kind", kind=NoticeKind.FULL) == 1


def test_many_who_could_tell_it_tell_it_once(ground: Ground, file: Path) -> None:
    plan(ground, keeping(file))
    fill(ground)
    threads = [Thread(target=Messenger(ground.database, ground.home).finish, args=(SECONDS,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(events(file)) == ["done", "full"]


def test_one_that_was_taken_on_by_somebody_who_died_is_not_told_again(
    ground: Ground, messenger: Messenger, file: Path
) -> None:
    plan(ground, keeping(file))
    fill(ground)
    module.claim_notice(ground.database, ground.home.identity)
    messenger.finish(SECONDS)
    assert events(file) == ["done"]


def test_another_home_leaves_it_to_that_of_the_run(
    ground: Ground, messenger: Messenger, file: Path, tmp_path: Path
) -> None:
    plan(ground, keeping(file))
    fill(ground)
    other = Home(tmp_path / "other")
    Messenger(ground.database, other).finish(SECONDS)
    assert told(file) == []
    # When the run is started there
    tell_here(ground.database, ground.run_id, other.identity)
    messenger.finish(SECONDS)
    assert told(file) == []
    Messenger(ground.database, other).finish(SECONDS)
    assert events(file) == ["full", "done"]


def test_a_command_that_fails_is_noted_and_the_next_is_told(ground: Ground, messenger: Messenger, file: Path) -> None:
    plan(ground, python("import sys; sys.exit('no network')"))
    fill(ground)
    messenger.finish(SECONDS)
    assert ground.state == "done"
    outcomes = [row["outcome"] for row in ground.rows("SELECT outcome FROM notice")]
    assert outcomes == ["ended with code 1: no network"] * 2


def test_a_command_that_hangs_holds_nobody_up(ground: Ground, file: Path) -> None:
    plan(ground, python("import time; time.sleep(600)"))
    fill(ground)
    messenger = Messenger(ground.database, ground.home, seconds=0.2)
    assert messenger.look()
    assert messenger.look()
    messenger.finish(SECONDS)
    assert {row["outcome"] for row in ground.rows("SELECT outcome FROM notice")} == {"did not end within 0.2 s"}


def test_without_a_command_nothing_waits_for_one(ground: Ground, messenger: Messenger, file: Path) -> None:
    ground.plan()
    tell_here(ground.database, ground.run_id, ground.home.identity)
    fill(ground)
    messenger.finish(SECONDS)
    plan(ground, keeping(file))
    messenger.finish(SECONDS)
    assert told(file) == []


def test_a_database_that_is_away_is_asked_again(
    ground: Ground, messenger: Messenger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(ground, keeping(file))
    fill(ground)

    def away(*_: object) -> None:
        raise DatabaseDown("away")

    with monkeypatch.context() as patch:
        patch.setattr(module, "claim_notice", away)
        assert not messenger.look()
    messenger.finish(SECONDS)
    assert events(file) == ["full", "done"]
