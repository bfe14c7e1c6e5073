"""`lemfarm report`: where it writes, what it tells, and what it refuses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from tests.command import Ran, lemfarm
from tests.ground import Ground
from tests.reported_run import in_progress

Say = Callable[..., Ran]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = in_progress(tmp_path_factory.mktemp("reported"))
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    place = ("--home", ground.home.root, "--database", ground.database.url)
    return lambda *arguments: lemfarm(capsys, "report", *arguments, *place)


def test_both_files_lie_in_the_home_and_are_told(ground: Ground, say: Say) -> None:
    ran = say("tiny")
    page, twin = (ground.home.reports / f"tiny{suffix}" for suffix in (".html", ".md"))
    assert (ran.code, ran.out.split()) == (0, [str(page), str(twin)])
    assert page.read_text().startswith("<!doctype html>") and twin.read_text().startswith("# Report of run tiny")


def test_one_file_goes_where_it_is_wanted(say: Say, tmp_path: Path) -> None:
    ran = say("--out", tmp_path / "mine.html")
    assert (ran.out.strip(), "<!doctype html>" in (tmp_path / "mine.html").read_text()) == (
        str(tmp_path / "mine.html"), True,
    )  # fmt: skip
    say("--markdown", "--out", tmp_path / "mine.md")
    assert (tmp_path / "mine.md").read_text().startswith("# Report of run tiny")


def test_for_programs_the_facts_are_there(ground: Ground, say: Say) -> None:
    data = say("--json").data
    assert (data["kind"], data["run"], len(data["files"])) == ("report", "tiny", 2)
    assert data["report"]["phases"][0]["spread"]["threshold"] == 2.0


def test_it_opens_what_it_wrote(ground: Ground, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", lambda url: opened.append(url))
    say("--open")
    say("--markdown", "--open")
    assert opened == [(ground.home.reports / name).as_uri() for name in ("tiny.html", "tiny.md")]


def test_bad_input_is_told_before_anything_is_written(say: Say, tmp_path: Path) -> None:
    assert (say("other").code, say("--out", tmp_path / "nowhere" / "r.html").code) == (2, 2)
    assert say("--out", tmp_path).code == 2
    assert list(tmp_path.iterdir()) == []
