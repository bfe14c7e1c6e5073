"""What a recipe may say: categories with their sources, in shares or numbers, and what to do when a source runs short.

    recipe = load_recipe(Path("configs/recipes/pairs-60-pure.yaml"))

Recipes are as strict as run files and report as they do: everything that is wrong at once, with file, line and column.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from os.path import normpath
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lemfarm.config.base import FOLDER, AtLeastOne, Name, NotEmpty, Section, Share, frozen, rule
from lemfarm.config.messages import problems_of
from lemfarm.config.source import Problem, Source, read_source
from lemfarm.errors import ConfigError

_ROUNDING = Fraction(1, 1000)  # three times 0.333 is meant as a whole
_NO_OVERRIDES: Mapping[str, object] = {}


class RunSource(Section):
    """The accepted answers of a run of this farm, on the sides on which its own training has them."""

    run: Name = Field(description="Name of the run.")
    phase: Name | None = Field(default=None, description="Only the answers of this phase; null: of all.")


def _readable(text: str, info: ValidationInfo) -> str:
    """Checked while the recipe is read, so that a missing source is told with the line that names it."""
    if info.context is not None:
        path = source_path(text, info.context[FOLDER])
        try:
            if not path.is_dir():
                path.open("rb").close()
        except OSError as error:
            raise rule(f"cannot read {path}: {error.strerror or error}") from error
    return text


def _source_tag(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    return "<RunSource>" if isinstance(value, Mapping | RunSource) else None


SourceConfig = Annotated[
    Annotated[str, Field(min_length=1), AfterValidator(_readable), Tag("<text>")]
    | Annotated[RunSource, Tag("<RunSource>")],
    Discriminator(
        _source_tag,
        custom_error_type="source",
        custom_error_message="should be a JSONL file, the folder of an export, or {run: NAME}",
    ),
]


class ScaffoldConfig(Section):
    """In which form the pairs of a category are taken, one of each."""

    pure: Share = Field(description="Share of the pairs taken in their pure form; the others in the explained one.")


def _scaffold_tag(value: object) -> str | None:
    if isinstance(value, str):
        return "<both>"
    return "<ScaffoldConfig>" if isinstance(value, Mapping | ScaffoldConfig) else None


Scaffold = Annotated[
    Annotated[Literal["both"], Tag("<both>")] | Annotated[ScaffoldConfig, Tag("<ScaffoldConfig>")],
    Discriminator(
        _scaffold_tag,
        custom_error_type="scaffold",
        custom_error_message="should be {pure: SHARE}, which takes one form of each pair, or both",
    ),
]


class CategoryConfig(Section):
    """One kind of rows, how many of them, and where they come from."""

    name: Name = Field(description="Name of the category, unique in the recipe.")
    about: str = Field(default="", description="What it holds, for the dataset's page.")
    share: float | None = Field(
        default=None, gt=0, le=1, description="Its share of all rows; either this or `count` is said."
    )
    count: AtLeastOne | None = Field(
        default=None, description="How many rows it gives; either this or `share` is said."
    )
    sources: Annotated[tuple[SourceConfig, ...], NotEmpty] = Field(
        description="JSONL files, folders that `lemfarm export` wrote, or runs of this farm as {run: NAME}; paths are "
        "relative to this file.",
        json_schema_extra={"minItems": 1},
    )
    scaffold: Scaffold | None = Field(
        default=None,
        description="Which forms of pairs are taken: {pure: 0.4} takes one form of each, 40 % of them pure; both takes "
        "two rows of each. Must be said where a source has pairs.",
    )

    @field_validator("sources")
    @classmethod
    def _each_once(cls, sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
        twice = [one for one, count in Counter(map(_plain, sources)).items() if count > 1]
        if twice:
            raise rule(f"names {twice[0]} twice")
        return sources

    @model_validator(mode="after")
    def _says_how_many(self) -> "CategoryConfig":
        if (self.share is None) == (self.count is None):
            raise rule("should have either a `share` or a `count`")
        return self


class Recipe(Section):
    """A dataset to be mixed: what `load_recipe` returns."""

    mix: Name = Field(description="Name of the dataset.")
    total: AtLeastOne | None = Field(
        default=None, description="Rows of all categories together; left out: the sum of the counts."
    )
    seed: int = Field(default=42, description="Chooses rows and sides; the same seed chooses the same.")
    when_short: Literal["refuse", "smaller"] = Field(
        default="refuse",
        description="What to do when a category has too few rows: refuse, and say what can be had; or make a smaller "
        "dataset with the same shares.",
    )
    valid: Share = Field(default=0.05, description="Share of the free rows that validate; see below.")
    test: Share = Field(default=0.05, description="Share of the free rows that are left out of training.")
    similarity: float | None = Field(
        default=None,
        ge=0.5,
        le=1,
        description="From which share of common runs of three words on two answers count as one; null: only rows that "
        "are the same do.",
    )
    categories: Annotated[tuple[CategoryConfig, ...], NotEmpty] = Field(
        description="What is mixed, in order.", json_schema_extra={"minItems": 1}
    )

    _source: Source = PrivateAttr(default_factory=Source)

    @field_validator("test")
    @classmethod
    def _leaves_training(cls, test: float, info: ValidationInfo) -> float:
        if test + info.data.get("valid", 0) >= 1:
            raise rule("should leave something to train on: `valid` and `test` are below 1 together")
        return test

    @property
    def source(self) -> Source:
        """Where each value was written."""
        return self._source

    @property
    def rows(self) -> int:
        """How many rows are wanted of all categories."""
        return self.total or self._counted

    @property
    def weights(self) -> dict[str, Fraction]:
        """The rows wanted of each category, exact and not yet rounded; together they are `rows`."""
        shares = sum((_exact(one.share) for one in self.categories if one.share), Fraction())
        left = self.rows - self._counted
        return {
            one.name: Fraction(one.count) if one.count else left * _exact(one.share or 0) / shares
            for one in self.categories
        }

    @property
    def _counted(self) -> int:
        return sum(one.count or 0 for one in self.categories)

    def tell(self, number: int, text: str) -> str:
        """Something about a category, with its place in the file."""
        return self._source.tell(Problem(("categories", number), text))


def load_recipe(path: str | Path, overrides: Mapping[str, object] = _NO_OVERRIDES) -> Recipe:
    """Read a recipe with what flags (`overrides`, by dotted key) put over it. Raises ConfigError with every problem."""
    source = read_source(Path(path), {}, overrides, "a recipe")
    problems = list(source.problems)
    try:
        recipe = Recipe.model_validate(frozen(source.data), context={FOLDER: source.folder})
        problems += _broken_rules(recipe)
    except ValidationError as error:
        problems += problems_of(error, Recipe)
    if problems:
        raise ConfigError([source.tell(problem) for problem in sorted(problems, key=source.order)])
    recipe._source = source
    return recipe


def source_path(text: str, folder: Path) -> Path:
    """Where a source of a recipe in this folder lies."""
    return Path(folder, Path(text).expanduser())


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of recipes, for editors; configs/recipes/schema.json is a copy of it."""
    schema = Recipe.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A recipe of lemfarm"}


def _plain(source: SourceConfig) -> str:
    """A source without the detours in its path."""
    return f"run {source.run} {source.phase or ''}".strip() if isinstance(source, RunSource) else normpath(source)


def _exact(share: float | None) -> Fraction:
    """A share as it was written: 0.1 is a tenth."""
    return Fraction(str(share))


def _broken_rules(recipe: Recipe) -> Iterator[Problem]:
    names = Counter(one.name for one in recipe.categories)
    for number, one in enumerate(recipe.categories):
        if names[one.name] > 1:
            yield Problem(("categories", number, "name"), f"{one.name} stands for two categories; rename one")
    shares = sum((_exact(one.share) for one in recipe.categories if one.share), Fraction())
    counted = recipe._counted
    if shares and recipe.total is None:
        yield Problem(("total",), "is missing: a `share` is a part of it")
    elif not shares and recipe.total not in (None, counted):
        yield Problem(("total",), f"the counts add up to {counted:,}, not {recipe.total:,}; leave `total` out")
    elif shares and recipe.total and abs(shares + Fraction(counted, recipe.total) - 1) > _ROUNDING:
        told = f", and the counts are {counted:,} of {recipe.total:,}" if counted else ""
        yield Problem(("categories",), f"the shares add up to {float(shares):g}{told}; together they should make 1")
    elif shares and recipe.total and counted >= recipe.total:
        yield Problem(("total",), f"the counts take all of the {recipe.total:,} rows and leave none for the shares")
