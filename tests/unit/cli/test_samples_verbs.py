"""`samples list` and `samples show`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground

Say = Callable[..., Ran]
SCORED = RUN_FILE.replace("{min_chars: 20}", "{scorer: v2, at_least: -99.0}, {min_chars: 20}")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan(SCORED)
    made.finish(made.ids(limit=2), "An answer with [brackets] and **stars**.")
    made.finish(made.ids(limit=1), SHORT_ANSWER)
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        return lemfarm(capsys, "samples", *words, "--home", ground.home.root, "--database", ground.database.url)

    return run


def test_a_list_has_a_line_for_each(say: Say) -> None:
    ran = say("list", "--state", "done")
    lines = ran.out.splitlines()
    assert (ran.code, len(lines)) == (0, 4), "a heading and three samples"
    assert sum("accepted" in line for line in lines) == 2
    assert sum("10 of 20 characters" in line for line in lines) == 1
    assert all("v2 " in line for line in lines[1:])


def test_filters_and_limit(say: Say) -> None:
    assert len(say("list", "--json").data["samples"]) == 24
    assert len(say("list", "--limit", 5, "--json").data["samples"]) == 5
    assert len(say("list", "--outcome", "rejected", "--json").data["samples"]) == 1
    assert len(say("list", "--probe", "P0", "--state", "done", "--json").data["samples"]) == 2
    assert say("list", "--phase", "nope", "--json").data["samples"] == []


def test_an_unknown_state_names_the_known_ones(say: Say) -> None:
    ran = say("list", "--state", "finished")
    assert (ran.code, "pending, leased, done, failed, skipped" in ran.err) == (2, True)


def test_a_line_for_programs(say: Say) -> None:
    first = say("list", "--outcome", "rejected", "--json").data["samples"][0]
    assert first.keys() == {"id", "label", "phase", "purpose", "state", "outcome", "reason", "scores"}
    assert (first["state"], first["outcome"], list(first["scores"])) == ("done", "rejected", ["v2"])


def test_everything_about_one_by_the_beginning_of_its_id(ground: Ground, say: Say) -> None:
    sample = ground.ids("outcome = 'accepted'")[0]
    ran = say("show", sample[:12])
    assert ran.code == 0
    for part in ("P0 v0 #0", sample, "tiny / first / distil: done accepted", "What is 0?", "[brackets] and **stars**",
                 "v2", "attempt 1 on w@h: done", "seed"):  # fmt: skip
        assert part in ran.out, part
    shown = say("show", sample, "--json").data["sample"]
    assert (shown["id"], shown["answer"]) == (sample, "An answer with [brackets] and **stars**.")


def test_a_sample_that_waits_is_shown_without_an_answer(ground: Ground, say: Say) -> None:
    ran = say("show", ground.ids()[0])
    assert (ran.code, "pending" in ran.out, "answer" in ran.out) == (0, True, False)


@pytest.mark.parametrize(("prefix", "part"), [("zzz", "lemfarm samples list"), ("", "write more of it")])
def test_no_such_sample_or_too_many(say: Say, prefix: str, part: str) -> None:
    ran = say("show", prefix)
    assert (ran.code, part in ran.err, ran.out) == (2, True, "")
