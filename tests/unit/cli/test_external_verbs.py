"""`lemfarm external`: answers from elsewhere come in and are looked at; `plan` and `status` count them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.ground import RUN_FILE, Ground
from tests.unit.producer.test_external import MIXED, answers, write

Say = Callable[..., Ran]
WITHOUT_FILES = MIXED.replace(", files: [answers.jsonl]", "")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan(WITHOUT_FILES)
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        return lemfarm(capsys, *words, "--home", ground.home.root, "--database", ground.database.url)

    return run


def test_an_import_says_what_came_of_the_file_and_again_that_all_is_known(ground: Ground, say: Say) -> None:
    path = write(ground, answers(ground, 1))
    first, again = say("external", "import", "tiny", path), say("external", "import", "tiny", path)
    assert (first.code, again.code) == (0, 0)
    assert first.out.strip() == f"phase first: {path}: 6 new (6 accepted), 0 known, 0 without a question, 0 bad"
    assert f"{path}: nothing new, 6 known" in again.out


def test_lines_that_cannot_be_taken_make_the_exit_code_1_and_are_named_up_to_a_limit(ground: Ground, say: Say) -> None:
    path = write(ground, [{"prompt": f"Whence {number}?", "response": "There."} for number in range(25)])
    ran = say("external", "import", "tiny", path)
    assert ran.code == 1
    assert f"problem {path}:1: its prompt is no wording that this phase asks" in ran.err
    assert f"problem {path}: 5 more lines" in ran.err
    assert ran.err.count("problem ") == 21


def test_a_file_or_phase_or_run_that_is_not_there_is_an_error_without_a_traceback(ground: Ground, say: Say) -> None:
    path = write(ground, answers(ground, 1))
    for words in (("tiny", ground.folder / "no"), ("tiny", path, "--phase", "x"), ("nobody", path)):
        ran = say("external", "import", *words)
        assert (ran.code, ran.out) == (2, "")
        assert "Traceback" not in ran.err


def test_a_list_shows_sources_and_what_the_mix_comes_to(ground: Ground, say: Say) -> None:
    none = say("external", "list")
    assert none.out == ""
    assert "run tiny: there are no external answers" in none.err
    say("external", "import", "tiny", write(ground, answers(ground, 1)))
    ran = say("external", "list")
    assert ran.out.splitlines()[-1].split() == ["first", "answers.jsonl", "-", "-", "6", "6", "0", "0"]
    assert "phase first: wanted 50/50, reachable 62/38: 6 external answers passed, 10 are needed" in ran.err
    found = say("external", "list", "--phase", "first", "--json").data["external"]
    assert [one["source"] for one in found["answers"]] == [f"answers.jsonl:{number}" for number in range(1, 7)]


def test_status_shows_both_sides(ground: Ground, say: Say) -> None:
    say("external", "import", "tiny", write(ground, answers(ground, 1)))
    ran = say("status", "tiny")
    assert "external 6/10" in ran.out
    assert "first: wanted 50/50, reachable 62/38" in ran.out
    mix = say("status", "tiny", "--json").data["status"]["phases"][0]["mix"]
    assert (mix["own"], mix["wanted"], mix["external"], mix["passed"]) == (10, 10, 6, 6)


def test_a_plan_counts_what_the_files_hold(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    write(ground, [*answers(ground, 1), {"prompt": "Whence?", "response": "There."}])
    ground.config(MIXED.replace("[answers.jsonl]", "[answers.jsonl], runs: [stronger]"))
    words = ("plan", ground.folder / "run.yaml", "--home", ground.home.root)
    external = lemfarm(capsys, *words, "--json").data["plan"]["phases"][0]["external"]
    assert (external["wanted"], external["found"], external["refused"]) == (10, 6, 1)
    said = " ".join(lemfarm(capsys, *words).out.split())
    assert "10 more from elsewhere, 50% of all rows; 6 answers in 1 file (1 more line cannot be taken)" in said
    assert "what run stronger has accepted" in said


def test_a_plan_without_a_source_says_how_answers_come(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    ground.config(WITHOUT_FILES)
    ran = lemfarm(capsys, "plan", ground.folder / "run.yaml", "--home", ground.home.root)
    assert "none is named: `lemfarm external import` brings them" in " ".join(ran.out.split())
    ground.config(RUN_FILE)
    assert "elsewhere" not in lemfarm(capsys, "plan", ground.folder / "run.yaml", "--home", ground.home.root).out
