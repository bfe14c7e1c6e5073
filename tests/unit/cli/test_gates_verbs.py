"""`gates try` and `gates apply`, as a person gives them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.ground import RUN_FILE, Ground

Say = Callable[..., Ran]
MIDDLING = "Fifteen letters"
SCORED = RUN_FILE.replace("{min_chars: 20}", "{scorer: v2-distill, at_least: 40.0}, {min_chars: 20}")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Four answers that pass, and two of fifteen characters."""
    made = Ground(tmp_path)
    made.plan()
    ids = made.ids(limit=6)
    made.finish(ids[:4])
    made.finish(ids[4:], MIDDLING)
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        return lemfarm(capsys, "gates", *words, "--home", ground.home.root, "--database", ground.database.url)

    return run


# ---- try


def test_a_trial_shows_counts_shares_and_the_difference(ground: Ground, say: Say) -> None:
    before = ground.dump()
    ran = say("try", "--min-chars", 12)
    assert ran.code == 0
    assert "phase first (open)  {min_chars: 20} -> {min_chars: 12}" in ran.out
    lines = {line.split("  ")[0]: line.split() for line in ran.out.splitlines()}
    assert lines["all"][1:] == ["6", "4", "67%", "6", "100%", "+2"]
    assert lines["domain d"][2:] == ["6", "4", "67%", "6", "100%", "+2"]
    assert {"P0", "P1", "P2"} <= lines.keys()
    assert ground.dump() == before


def test_a_trial_shows_the_quota_and_who_would_starve(ground: Ground, say: Say) -> None:
    ground.finish(ground.ids("state = 'pending' AND probe.name = 'P0'"))
    ran = say("try", "--min-chars", 100)
    assert "quota now:  " in ran.out and " of 10 count, " in ran.out
    assert "quota then: 0 of 10 count, 10 short; 12 samples left, about " in ran.out
    assert "would starve: P0 (0 of 4, 0 left)" in ran.out


def test_scores_that_had_to_be_computed_are_told(ground: Ground, say: Say) -> None:
    ran = say("try", "--scorer", "tier1", "--at-least", 0)
    assert "6 scores that are not stored were computed" in ran.err
    assert "phase first had no gate on a score: one of tier1 is added" in ran.err
    assert ground.value("SELECT count(*) FROM score") == 0


def test_what_cannot_be_scored_is_told(say: Say) -> None:
    ran = say("try", "--scorer", "gsm8k", "--at-least", 1)
    assert (ran.code, "6 answers have no score: gsm8k needs" in ran.err) == (0, True)


def test_a_trained_phase_says_that_its_adapter_would_stay(ground: Ground, say: Say) -> None:
    ground.execute("UPDATE phase SET state = 'trained'")
    assert "its adapter would stay" in say("try").out


def test_a_trial_for_programs(say: Say) -> None:
    data = say("try", "--min-chars", 12, "--json").data
    trial = data["trial"]
    (phase,) = trial["phases"]
    assert (data["kind"], trial["run"], trial["computed"]) == ("gates-try", "tiny", 0)
    assert trial["differences"] == [{"path": "phases.0.gates.0.min_chars", "was": 20, "now": 12}]
    assert (phase["total"]["difference"], phase["total"]["share_then"]) == (2, 1.0)
    assert phase["quota_then"]["counted"] == 6
    assert [line["name"] for line in phase["probes"]] == ["P0", "P1", "P2"]


# ---- apply


def test_applying_says_what_became_of_answers_and_run(ground: Ground, say: Say) -> None:
    ran = say("apply", "--min-chars", 12)
    assert ran.code == 0
    assert "6 answers judged again, 2 with another outcome, +2 accepted, -2 rejected; 6 of 10 count: open" in ran.out
    assert "the run is active: workers go by these gates within seconds" in ran.out
    assert ground.balance().accepted == 6


def test_the_run_file_is_to_be_changed_and_key_and_values_are_named(ground: Ground, say: Say) -> None:
    ground.plan(SCORED)
    ran = say("apply", "--min-chars", 12, "--at-least", "-5", "--scorer", "v2")
    assert "the next `lemfarm run FILE` takes that" in ran.err
    for line in (
        "phases.0.gates.0.scorer: v2-distill -> v2",
        "phases.0.gates.0.at_least: 40.0 -> -5.0",
        "phases.0.gates.1.min_chars: 20 -> 12",
    ):
        assert f"  {line}\n" in ran.err
    assert "phase first: the gate of v2-distill is replaced by one of v2" in ran.err


def test_with_the_run_file_there_is_nothing_to_change_in_it(ground: Ground, say: Say) -> None:
    ground.config(RUN_FILE.replace("min_chars: 20", "min_chars: 12"))
    ran = say("apply", "--config", ground.folder / "run.yaml")
    assert (ran.code, ran.err, ground.balance().accepted) == (0, "", 6)


def test_a_run_that_had_ended_goes_on_and_one_that_stays_says_so(ground: Ground, say: Say) -> None:
    ground.execute("UPDATE run SET state = 'starved', reason = 'because'")
    assert "the run stays starved" in say("apply").out
    ran = say("apply", "tiny", "--phase", "first", "--min-chars", 12)
    assert "run tiny had ended and is active again" in ran.out
    assert (ground.state, ground.reason) == ("active", "")


def test_applying_for_programs(say: Say) -> None:
    data = say("apply", "--min-chars", 12, "--json").data
    applied = data["applied"]
    assert (data["kind"], applied["state"], applied["woken"]) == ("gates-apply", "active", False)
    assert applied["differences"] == [{"path": "phases.0.gates.0.min_chars", "was": 20, "now": 12}]
    assert applied["phases"][0]["judged"]["outcomes"] == {"rejected": -2, "accepted": 2}


# ---- bad input


@pytest.mark.parametrize("verb", ["try", "apply"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "there is no run 'nope'"),
        (["--phase", "third"], "no phase 'third'; it has first"),
        (["--scorer", "v9", "--at-least", "1"], "no scorer named 'v9'"),
        (["--scorer", "v2"], "--at-least"),
        (["--at-least", "22"], "name the scorer that --at-least is meant for: --scorer"),
        (["--at-least", "nan"], "write a number"),
        (["--min-chars", "0"], "--min-chars"),
        (["--config", "/nowhere/run.yaml"], "/nowhere/run.yaml"),
    ],
)
def test_bad_input_ends_with_2_and_a_word_what_to_do(
    ground: Ground, say: Say, verb: str, words: list[str], said: str
) -> None:
    before = ground.dump()
    ran = say(verb, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ground.dump() == before


def test_a_file_and_values_are_not_mixed(ground: Ground, say: Say) -> None:
    ran = say("try", "--min-chars", 12, "--config", ground.folder / "run.yaml")
    assert (ran.code, "leave out --at-least, --scorer and --min-chars" in ran.err) == (2, True)


def test_the_file_of_another_run_is_refused_where_the_run_is_named(ground: Ground, say: Say) -> None:
    ground.config(RUN_FILE.replace("run: tiny", "run: other"))
    ran = say("apply", "tiny", "--config", ground.folder / "run.yaml")
    assert (ran.code, "of run other, not of tiny" in ran.err) == (2, True)
    assert "there is no run 'other'" in say("apply", "--config", ground.folder / "run.yaml").err
