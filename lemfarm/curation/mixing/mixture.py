"""From a recipe to the rows of a mix: read, keep apart what must stay apart, choose, and say what came of it.

mixture = mix(load_recipe(path), lambda: open_database(url))
write_mixture(mixture, folder)          # lemfarm.curation.mixing.writing
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lemfarm.curation.mixing.choosing import (
    TakenRow,
    apportion,
    leave_out_twins,
    reachable_total,
    rows_to_be_had,
    take_rows,
)
from lemfarm.curation.mixing.facts import MixFacts, category_facts
from lemfarm.curation.mixing.items import Item
from lemfarm.curation.mixing.recipe import Recipe
from lemfarm.curation.mixing.sides import LeftOut, choose_mix_sides, find_families, leave_out_leaks
from lemfarm.curation.mixing.sources import Advance, OpenDatabase, read_material
from lemfarm.curation.sides import Side
from lemfarm.errors import ConfigError
from lemfarm.identity import content_hash

_NOTHING = "in these shares no mix with all categories can be had: add rows, or leave the category out."


@dataclass(frozen=True, slots=True)
class Mixture:
    """The rows of a mix with their sides, categories mingled, and what is known of them."""

    rows: Sequence[tuple[TakenRow, Side]]
    facts: MixFacts


def mix(recipe: Recipe, open_database: OpenDatabase, advance: Advance = lambda _done, _total: None) -> Mixture:
    """Choose the rows of a recipe; nothing is written.

    Raises ConfigError where a category has too few rows, with what can be had, and where a recipe and its sources
    disagree about pairs; InputError for sources that cannot be read; NotFound; DatabaseDown.
    """
    material = read_material(recipe, open_database, advance)
    _require_scaffolds(recipe, material.items)
    families = find_families(material.items, material.probe_sides)
    items, leaks = leave_out_leaks(material.items, families)
    items, twins = leave_out_twins(items, recipe.seed, recipe.similarity)
    left_out = [*map(_bad_line, material.problems), *leaks, *twins]
    pools = {one.name: [item for item in items if item.category == one.name] for one in recipe.categories}
    found = {one.name: rows_to_be_had(pools[one.name], one.scaffold) for one in recipe.categories}
    wanted = apportion(recipe.rows, recipe.weights)
    taken = _take(recipe, pools, _reachable(recipe, wanted, found, left_out))
    chosen = [row.item for row in taken]
    sides = choose_mix_sides(chosen, families, valid=recipe.valid, test=recipe.test, seed=recipe.seed)
    rows = [(row, sides[families[row.item]]) for row in taken]
    facts = MixFacts(
        name=recipe.mix,
        wanted=recipe.rows,
        seed=recipe.seed,
        similarity=recipe.similarity,
        categories=[category_facts(one, wanted[one.name], found[one.name], rows) for one in recipe.categories],
        sources=material.sources,
        left_out=left_out,
    )
    return Mixture(rows, facts)


def _require_scaffolds(recipe: Recipe, items: Sequence[Item]) -> None:
    problems = []
    for number, category in enumerate(recipe.categories):
        pair = next((item for item in items if item.category == category.name and item.is_pair), None)
        if pair and category.scaffold is None:
            problems.append(
                recipe.tell(
                    number,
                    f"{pair.place} is a pair, so {category.name} must say `scaffold`: {{pure: SHARE}} takes one form "
                    "of each, `both` takes two rows of each",
                )
            )
        elif category.scaffold and not pair:
            problems.append(recipe.tell(number, f"`scaffold` is about pairs, and no source of {category.name} has any"))
    if problems:
        raise ConfigError(problems)


def _reachable(
    recipe: Recipe, wanted: Mapping[str, int], found: Mapping[str, int], left_out: Sequence[LeftOut]
) -> Mapping[str, int]:
    """The rows that each category gives: as wanted, or fewer of all in the same shares."""
    short = list(_short(recipe, wanted, found))
    if not short:
        return wanted
    counts = apportion(reachable_total(recipe.rows, recipe.weights, found), recipe.weights)
    has_all = all(counts[name] or not count for name, count in wanted.items())
    if recipe.when_short == "refuse" or not has_all:
        told = _what_can_be_had(recipe, counts) if has_all else _NOTHING
        raise ConfigError([*short, told, *_left_out_hint(left_out)])
    return counts


def _short(recipe: Recipe, wanted: Mapping[str, int], found: Mapping[str, int]) -> Iterator[str]:
    for number, category in enumerate(recipe.categories):
        name = category.name
        if found[name] < wanted[name]:
            yield recipe.tell(number, f"{name} wants {wanted[name]:,} rows, its sources have {found[name]:,}")


def _what_can_be_had(recipe: Recipe, counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return (
        f"in these shares {sum(counts.values()):,} of {recipe.rows:,} rows can be had: {parts}. Add rows, change the "
        "recipe, or take the smaller mix with `when_short: smaller`."
    )


def _left_out_hint(left_out: Sequence[LeftOut]) -> list[str]:
    if not left_out:
        return []
    first = left_out[0]
    return [f"{len(left_out):,} entries of the sources were left out, the first at {first.place}: {first.reason}"]


def _take(recipe: Recipe, pools: Mapping[str, Sequence[Item]], counts: Mapping[str, int]) -> list[TakenRow]:
    """The rows in an order that the seed gives, so that a training that reads from the top meets all categories."""
    rows = [
        row
        for one in recipe.categories
        for row in take_rows(pools[one.name], counts[one.name], one.scaffold, recipe.seed)
    ]
    return sorted(rows, key=lambda one: content_hash(["place in a mix", recipe.seed, one.item.key, one.row.form]))


def _bad_line(problem: str) -> LeftOut:
    place, _, reason = problem.partition(": ")
    return LeftOut("no row", place, reason)
