"""`lemfarm mix` as a person types it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.recipes import TWO, rows, write

RECIPES = Path(__file__).parents[3] / "configs" / "recipes"
Say = Callable[..., Ran]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The recipe TWO with its sources."""
    for name in ("sums", "names"):
        write(tmp_path / f"{name}.jsonl", rows(name, 10))
    (tmp_path / "recipe.yaml").write_text(TWO)
    return tmp_path / "recipe.yaml"


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    return lambda *words: lemfarm(capsys, "mix", *words, "--home", tmp_path / "home")


def test_it_says_what_it_mixed_and_where_it_lies(say: Say, file: Path) -> None:
    ran = say(file)
    out = file.parent / "home" / "mixes" / "tiny" / "mlx"
    table = [line.split() for line in ran.out.splitlines()]
    assert (ran.code, table[-1]) == (0, [str(out)])
    assert table[1][:5] == ["sums", "7", "10", "7", "70.0%"]
    assert {path.name for path in out.iterdir()} >= {"README.md", "card.json", "manifest.json", "train.jsonl"}


def test_the_same_for_programs(say: Say, file: Path) -> None:
    data = say(file, "--out", file.parent / "out", "--format", "chat", "--json").data
    assert (data["kind"], data["mix"]["taken"]) == ("mix", 10)
    assert data["written"]["hash"] == json.loads((file.parent / "out" / "manifest.json").read_text())["hash"]


def test_a_dry_run_writes_nothing(say: Say, file: Path) -> None:
    ran = say(file, "--dry-run")
    assert ran.code == 0 and "70.0%" in ran.out
    assert say(file, "--dry-run", "--json").data["written"] is None
    assert not (file.parent / "home").exists()


def test_a_smaller_mix_and_what_was_left_out_are_told(say: Say, file: Path) -> None:
    write(file.parent / "names.jsonl", [*rows("names", 2), *rows("sums", 7)])
    ran = say(file, "--set", "when_short=smaller", "--set", "valid=0", "--set", "test=0")
    assert ran.code == 0
    assert "a source ran short: 8 of 10 rows, in the same shares" in ran.err
    assert "left out: twin 7" in ran.err and "and 2 more, in card.json" in ran.err
    assert "there is no valid side" in ran.err and "there is no test side" in ran.err


@pytest.mark.parametrize("name", ["sixty-forty-pure", "sixty-forty-explained"])
def test_the_recipes_that_come_with_their_rows_can_be_mixed(say: Say, name: str) -> None:
    facts = say(RECIPES / f"{name}.yaml", "--json").data["mix"]
    pure = facts["categories"][0]["forms"]["pure"]
    assert (pure, facts["taken"]) == (6 if name == "sixty-forty-pure" else 4, 10)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "csv"), "--format csv: one of mlx, chat, text, lem, parquet"),
        (("--set", "total=100"), "in these shares 14 of 100 rows can be had: sums 10, names 4"),
        (("--set", "total"), "--set total: write KEY=VALUE"),
        (("--set", "ttl=3"), "--set ttl: ttl: unknown key"),
        (("--out", __file__), "is not a folder"),
        (("--set", "categories.0.sources=[{run: none}]"), "holds no lemfarm tables yet"),
    ],
)
def test_what_is_wrong_is_named(say: Say, file: Path, words: tuple[object, ...], said: str) -> None:
    ran = say(file, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err and "Traceback" not in ran.err, ran.err


def test_a_recipe_whose_files_are_missing_names_all_of_them(say: Say) -> None:
    ran = say(RECIPES / "six-categories.yaml")
    assert ran.code == 2
    assert ran.err.count("No such file") == 6


def test_the_schema_of_recipes_is_printed_beside_that_of_run_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert lemfarm(capsys, "config", "schema", "--recipe").data == json.loads((RECIPES / "schema.json").read_text())
    assert lemfarm(capsys, "config", "schema").data["title"] == "A run file of lemfarm"
