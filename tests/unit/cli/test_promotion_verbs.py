"""`phases`, `promote`, `reject`, `rollback` and `train --retry`, as a person gives them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lemfarm.cli.decision_views import news
from lemfarm.status import read_status
from producer import handover, waves
from tests.command import Ran, lemfarm
from tests.gated_course import course_of, start
from tests.ground import Ground

Say = Callable[..., Ran]


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """A course whose first phase is trained and waits for its gates no more than for a person."""
    made = Ground(tmp_path)
    for module, names in ((waves, ("send_generate", "queue_length")), (handover, ("send_train", "queue_length"))):
        for name in names:
            monkeypatch.setattr(module, name, getattr(made.queue, name))
    start(made)
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        return lemfarm(capsys, *words, "--home", ground.home.root, "--database", ground.database.url)

    return run


def test_the_story_names_attempts_gates_and_who_decided(ground: Ground, say: Say) -> None:
    course_of(ground, "b2:one", 1.0)
    assert say("train", "tiny", "--phase", "fir", "--retry", "--learning-rate", "5e-5").code == 0
    course_of(ground, "b2:two", 4.0)
    assert say("promote", "--by", "ada", "--note", "reads well").code == 0
    told = say("phases")
    assert told.code == 0
    for words in (
        "promoted: b2:two",
        "attempt 1: done, adapter b2:one, on top of the untrained model",
        "b2:one rejected by its gates: baseline_mean 1, wanted at least 5 (fails below 3)",
        "attempt 2: done, with learning_rate 5e-05, adapter b2:two",
        "b2:two promoted by ada: reads well",
    ):
        assert words in told.out
    found = say("phases", "tiny", "--json").data
    assert found["kind"] == "phases"
    assert [attempt["adapter"] for attempt in found["story"]["phases"][0]["attempts"]] == ["b2:one", "b2:two"]


def test_a_rejection_says_how_to_go_on(ground: Ground, say: Say) -> None:
    course_of(ground, "b2:one", 4.0)
    told = say("reject", "--by", "ada")
    assert (told.code, ground.state) == (0, "stopped")
    assert "`lemfarm train tiny --phase first --retry" in told.out


def test_a_full_phase_behind_a_rejected_one_cannot_be_let_train(ground: Ground, say: Say) -> None:
    course_of(ground, "b2:one", 1.0)
    told = say("train", "tiny")
    assert told.code == 2 and "--retry" in told.err
    assert ground.state == "stopped"


def test_a_rollback_says_what_was_taken_back(ground: Ground, say: Say) -> None:
    course_of(ground, "b2:one", 6.0)
    course_of(ground, "b2:two", 6.0)
    told = say("rollback", "--to", "base")
    assert told.code == 0
    assert "b2:two is taken back" in told.out and "b2:one is taken back" in told.out
    assert "the untrained model is promoted now" in told.out
    assert ground.run.promoted is None


BAD = [
    (["promote"], "no phase that is held"),
    (["reject", "--phase", "second"], "has no adapter yet"),
    (["rollback"], "nothing to take back"),
    (["promote", "--phase", "ninth"], "there is no such phase"),
    (["train", "tiny", "--phase", "first"], "add --retry"),
    (["train", "tiny", "--learning-rate", "1e-4"], "add --retry"),
    (["train", "tiny", "--retry"], "no phase that is"),
    (["train", "tiny", "--phase", "first", "--retry", "--learning-rate", "7"], "learning_rate: should be less than 1"),
    (["train", "tiny", "--phase", "first", "--retry", "--set", "speed=3"], "speed: unknown key"),
    (["train", "tiny", "--phase", "first", "--retry"], "attempt 1 of phase first is waiting"),
    (["promote", "nobody"], "there is no run"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_bad_input_is_told_and_changes_nothing(ground: Ground, say: Say, words: list[str], said: str) -> None:
    before = ground.dump()
    told = say(*words)
    assert (told.code, ground.dump()) == (2, before)
    assert said in told.err and "Traceback" not in told.err


def test_a_decision_is_news_once(ground: Ground) -> None:
    before = read_status(ground.database)
    course_of(ground, "b2:one", 6.0)
    after = read_status(ground.database)
    assert news(None, after) == []
    assert news(before, after) == ["phase first: b2:one promoted by its gates"]
    assert news(after, replace(after, reason="x")) == []
