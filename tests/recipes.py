"""Recipes and their sources in a folder of a test's own."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lemfarm.curation.mixing.mixture import Mixture, mix
from lemfarm.curation.mixing.recipe import Recipe, load_recipe
from lemfarm.database import Database

TWO = """\
mix: tiny
total: 10
categories:
  - {name: sums, share: 0.7, sources: [sums.jsonl]}
  - {name: names, share: 0.3, sources: [names.jsonl]}
"""
"""A recipe with nothing wrong, once there are ten rows of each."""


def row(question: str, answer: str = "", **more: object) -> dict[str, object]:
    """A line with a question and an answer of its own."""
    return {"prompt": question, "completion": answer or f"The answer to {question}", **more}


def rows(what: str, count: int) -> list[dict[str, object]]:
    """So many rows, no two alike."""
    return [row(f"{what} {number}?") for number in range(count)]


def pair(number: int) -> dict[str, object]:
    """A pair of forms of one item."""
    return {"pure": row(f"pure {number}?"), "explained": row(f"explained {number}?")}


def pairs(count: int) -> list[dict[str, object]]:
    """So many pairs."""
    return [pair(number) for number in range(count)]


def write(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def recipe(folder: Path, text: str = TWO, **overrides: object) -> Recipe:
    """Load a recipe from the folder."""
    (folder / "recipe.yaml").write_text(text)
    return load_recipe(folder / "recipe.yaml", {key.replace("__", "."): value for key, value in overrides.items()})


def mixed(folder: Path, text: str = TWO, **overrides: object) -> Mixture:
    """Mix a recipe that names no run."""
    return mix(recipe(folder, text, **overrides), no_database)


def no_database() -> Database:
    """For recipes that name no run."""
    raise AssertionError("the database was opened")


def questions(mixture: Mixture, side: str | None = None) -> list[str]:
    """What is asked in the rows of a mix, or of one side of it, in their order."""
    return [one.row.prompt[-1].content for one, own in mixture.rows if side in (None, own)]
