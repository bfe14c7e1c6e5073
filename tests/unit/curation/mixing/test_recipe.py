"""What a recipe may say: everything that is wrong is told at once, with its place."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from lemfarm.curation.mixing.recipe import Recipe, load_recipe, recipe_schema
from lemfarm.errors import ConfigError
from tests.recipes import TWO, recipe, rows, write

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "how-do-i-mix-a-dataset.md"
RECIPES = ROOT / "configs" / "recipes"
SIX = {"pure-logic": 4000, "creative-prompts": 2000, "role": 1500, "feeling": 1500, "what-if": 1500, "poetry": 1500}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with the files that TWO names."""
    for name in ("sums", "names"):
        write(tmp_path / f"{name}.jsonl", rows(name, 10))
    return tmp_path


def problems(folder: Path, text: str = TWO, **overrides: object) -> list[str]:
    with pytest.raises(ConfigError) as told:
        recipe(folder, text, **overrides)
    return [problem.removeprefix(f"{folder}/recipe.yaml:") for problem in told.value.problems]


def test_shares_are_of_the_total(folder: Path) -> None:
    assert recipe(folder).weights == {"sums": 7, "names": 3}


def test_shares_that_are_rounded_to_a_whole_are_meant_as_one(folder: Path) -> None:
    text = TWO.replace("share: 0.7", "share: 0.333").replace("share: 0.3,", "share: 0.666,")
    assert recipe(folder, text).weights == {"sums": Fraction(10, 3), "names": Fraction(20, 3)}


def test_counts_need_no_total_and_stand_beside_shares_of_the_rest(folder: Path) -> None:
    text = TWO.replace("total: 10\n", "").replace("share: 0.7", "count: 5").replace("share: 0.3", "count: 2")
    assert (recipe(folder, text).rows, recipe(folder, text).weights) == (7, {"sums": 5, "names": 2})
    beside = TWO.replace("share: 0.7", "count: 7")
    assert recipe(folder, beside).weights == {"sums": 7, "names": 3}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("total: 10\n", "", "1:1: total: is missing: a `share` is a part of it"),
        ("total: 10", "total: 0", "2:8: total: should be at least 1, not 0"),
        ("share: 0.3", "share: 0.2", "categories: the shares add up to 0.9; together they should make 1"),
        ("share: 0.7", "count: 8", "the shares add up to 0.3, and the counts are 8 of 10; together they should make 1"),
        ("share: 0.7", "share: 0.7, count: 7", "categories.0: should have either a `share` or a `count`"),
        ("share: 0.7, ", "", "4:5: categories.0: should have either a `share` or a `count`"),
        ("name: names", "name: sums", "sums stands for two categories; rename one"),
        ("[sums.jsonl]", "[none.jsonl]", "none.jsonl: No such file"),
        ("[sums.jsonl]", "[]", "categories.0.sources: should not be empty"),
        ("[sums.jsonl]", "[sums.jsonl, ./sums.jsonl]", "categories.0.sources: names sums.jsonl twice"),
        ("[sums.jsonl]", "[{run: a, phase: b}, {run: a, phase: b}]", "names run a b twice"),
        ("[sums.jsonl]", "[3]", "should be a JSONL file, the folder of an export, or {run: NAME}"),
        ("[sums.jsonl]", "[{run: a, phse: b}]", "unknown key; did you mean `phase`?"),
        ("share: 0.3", "share: 0.3, scaffold: 0.4", "should be {pure: SHARE}, which takes one form of each"),
        ("share: 0.3", "share: 0.3, scaffold: {pure: 2}", "scaffold.pure: should be at most 1, not 2"),
        ("share: 0.3", "share: 0.3, scaffold: half", "should be both"),
        ("total: 10", "totl: 10", "unknown key; did you mean `total`?"),
        ("total: 10", "total: 10\nwhen_short: fill", "should be refuse or smaller, not 'fill'"),
        ("total: 10", "total: 10\nvalid: 0.5\ntest: 0.5", "`valid` and `test` are below 1 together"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(folder: Path, before: str, after: str, said: str) -> None:
    assert any(said in problem for problem in problems(folder, TWO.replace(before, after)))


def test_counts_that_do_not_make_the_total_are_told(folder: Path) -> None:
    text = TWO.replace("share: 0.7", "count: 5").replace("share: 0.3", "count: 2")
    assert problems(folder, text) == ["2:8: total: the counts add up to 7, not 10; leave `total` out"]


def test_everything_is_told_at_once_and_flags_by_their_name(folder: Path) -> None:
    found = problems(folder, TWO.replace("[sums.jsonl]", "[none.jsonl]"), seed="first", total=0)
    assert [problem.partition(":")[0] for problem in found] == ["4", "--set total", "--set seed"]


def test_what_is_no_recipe_is_told(tmp_path: Path) -> None:
    assert "a recipe is a mapping of keys" in problems(tmp_path, "- one\n")[0]
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


# ---- those that are shipped


def test_the_table_of_six_categories_is_twelve_thousand_rows(tmp_path: Path) -> None:
    for name in SIX:
        write(tmp_path / f"{name}.jsonl", rows(name, 1))
    (tmp_path / "six-categories.yaml").write_bytes((RECIPES / "six-categories.yaml").read_bytes())
    found = load_recipe(tmp_path / "six-categories.yaml")
    assert found.weights == SIX
    assert found.rows == sum(SIX.values()) == 12_000
    assert all(one.about and one.scaffold is None for one in found.categories)


@pytest.mark.parametrize(("name", "pure"), [("sixty-forty-pure", 0.6), ("sixty-forty-explained", 0.4)])
def test_both_readings_of_sixty_forty_are_there_and_say_which_they_are(name: str, pure: float) -> None:
    found = load_recipe(RECIPES / f"{name}.yaml")
    assert found.mix == name
    scaffold = found.categories[0].scaffold
    assert scaffold is not None and scaffold != "both" and scaffold.pure == pure


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_recipe_points_editors_to_the_schema_and_has_the_name_of_its_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./schema.json\n")
    assert f"\nmix: {file.stem}\n" in text


def test_the_schema_in_configs_is_that_of_the_code() -> None:
    """Write it anew with `lemfarm config schema --recipe > configs/recipes/schema.json`."""
    assert json.loads((RECIPES / "schema.json").read_text()) == recipe_schema()


def test_the_page_on_recipes_has_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    sections = [recipe_schema(), *recipe_schema()["$defs"].values()]
    keys = {key for section in sections for key in section["properties"]}
    assert keys >= set(Recipe.model_fields)
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_the_example_on_that_page_is_a_valid_recipe(tmp_path: Path) -> None:
    (tmp_path / "exports" / "lek-4b" / "mlx").mkdir(parents=True)
    own = tmp_path / "own"
    own.mkdir()
    for name in ("proofs", "greetings"):
        write(own / f"{name}.jsonl", rows(name, 1))
    example = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert recipe(own, example[0]).weights == {"own": 2100, "proofs": 600, "greetings": 300}
