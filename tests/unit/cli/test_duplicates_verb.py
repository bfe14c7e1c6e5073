"""`lemfarm duplicates`: the groups, and which answer each was rejected for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.ground import Ground
from tests.unit.producer.test_duplicates import COMPARING, SECOND, answer, near, ranked, text

Say = Callable[..., Ran]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan(COMPARING + SECOND)
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        return lemfarm(capsys, "duplicates", *words, "--home", ground.home.root, "--database", ground.database.url)

    return run


def test_groups_name_the_kept_answer_and_its_twins_the_largest_first(ground: Ground, say: Say) -> None:
    ids = ranked(ground, 5)
    answer(ground, ids, (text(1), text(2), text(2), near(text(2)), text(1)))
    ran = say()
    kept = [line.split()[-1] for line in ran.out.splitlines() if line.startswith("kept")]
    assert (ran.code, kept) == (0, [ids[1][:12], ids[0][:12]])
    assert "3 answers rejected as duplicates of 2 kept" in ran.err
    groups = say("--json").data["duplicates"]["groups"]
    assert [one["name"] for one in groups[0]["duplicates"]] == [ids[2], ids[3]]
    assert groups[0]["duplicates"][0]["similarity"] == 1.0 > groups[0]["duplicates"][1]["similarity"]


def test_a_phase_shows_what_it_rejected_though_another_kept_the_twin(ground: Ground, say: Say) -> None:
    (own,), (other,) = ranked(ground, 1), ranked(ground, 1, "second")
    answer(ground, (own, other), (text(1), text(1)))
    rejected = "second" if ground.value("SELECT outcome FROM sample WHERE id = :id", id=own) == "accepted" else "first"
    kept = {"first": "second", "second": "first"}[rejected]
    assert say("--phase", rejected, "--json").data["duplicates"]["groups"][0]["kept"]["phase"] == kept
    assert say("--phase", kept, "--json").data["duplicates"]["rejected"] == 0


def test_without_duplicates_it_says_so(say: Say) -> None:
    ran = say()
    assert (ran.code, ran.out) == (0, "")
    assert "no answer was rejected as a duplicate" in ran.err


def test_an_unknown_phase_names_those_there_are(say: Say) -> None:
    ran = say("--phase", "third")
    assert ran.code == 2
    assert "first, second" in ran.err
