"""How many rows each category gives, and which. Pure.

Numbers are rounded by the largest remainder: they add up exactly, and none is a whole row away from its share. Rows are
taken in an order that a seed and their content give, so that neither the order of files nor that of lines matters, and
a larger mix has all items of the smaller one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from lemfarm.curation.mixing.items import Form, Item, Row, in_seeded_order
from lemfarm.curation.mixing.recipe import Scaffold, ScaffoldConfig
from lemfarm.curation.mixing.sides import LeftOut
from lemfarm.curation.signatures import LEAST_RUNS, RUN
from lemfarm.similarity import SimilarTexts
from lemfarm.wording import shingles

Weights = Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class TakenRow:
    """A row of the mix and the item that it is of."""

    item: Item
    row: Row


def apportion(total: int, weights: Weights) -> dict[str, int]:
    """A total parted by weights into whole numbers that add up to it, each within one of its exact part; a larger
    weight never gets less. Of equal remainders the larger weight comes first, then the order given."""
    whole = sum(weights.values(), Fraction())
    parts = {name: total * weight / whole for name, weight in weights.items()}
    counts = {name: floor(part) for name, part in parts.items()}
    by_remainder = sorted(parts, key=lambda name: (counts[name] - parts[name], -parts[name]))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def reachable_total(wanted: int, weights: Weights, found: Mapping[str, int]) -> int:
    """The largest total, up to the wanted one, of which every category has its part."""
    whole = sum(weights.values(), Fraction())
    most = min(floor((found[name] + 1) * whole / weight) for name, weight in weights.items())
    totals = range(min(wanted, most), -1, -1)
    return next(total for total in totals if _is_had(apportion(total, weights), found))


def leave_out_twins(items: Iterable[Item], seed: int, similarity: float | None) -> tuple[list[Item], list[LeftOut]]:
    """Every row once: of items that share one the first is kept, categories in the order of the recipe. With a
    `similarity`, so it is for answers that have such a share of runs of words in common; short ones, and the two
    answers of one pair, are not compared."""
    kept: list[Item] = []
    out: list[LeftOut] = []
    known: dict[str, Item] = {}
    near = SimilarTexts(similarity) if similarity else None
    for item in _by_category(items, seed):
        twin = next((known[key] for key in item.row_keys if key in known), None)
        if twin is not None:
            out.append(LeftOut("twin", item.place, f"the same row stands at {twin.place} ({twin.category})"))
        elif near and (found := near.add(len(kept), _runs(item))):
            first = kept[found[0]]
            reason = f"its answer resembles that at {first.place} ({first.category}, similarity {found[1]:.2f})"
            out.append(LeftOut("near twin", item.place, reason))
        else:
            known |= dict.fromkeys(item.row_keys, item)
            kept.append(item)
    return kept, out


def rows_to_be_had(items: Collection[Item], scaffold: Scaffold | None) -> int:
    """How many rows a category can give."""
    return sum(len(item.rows) for item in items) if scaffold == "both" else len(items)


def take_rows(items: Sequence[Item], count: int, scaffold: Scaffold | None, seed: int) -> list[TakenRow]:
    """So many rows of a category. With `both`, an odd one out is the pure form of its pair."""
    ordered = in_seeded_order(items, seed, "row")
    if not isinstance(scaffold, ScaffoldConfig):
        return [TakenRow(item, row) for item in ordered for row in item.rows][:count]
    pure = _pure_ones([item for item in ordered[:count] if item.is_pair], scaffold.pure, seed)
    return [TakenRow(item, item.rows[0] if item.key in pure else item.rows[-1]) for item in ordered[:count]]


def _pure_ones(pairs: Sequence[Item], share: float, seed: int) -> set[str]:
    exact = Fraction(str(share))
    count = apportion(len(pairs), {Form.PURE: exact, Form.EXPLAINED: 1 - exact})[Form.PURE]
    return {item.key for item in in_seeded_order(pairs, seed, "form")[:count]}


def _is_had(counts: Mapping[str, int], found: Mapping[str, int]) -> bool:
    return all(count <= found[name] for name, count in counts.items())


def _by_category(items: Iterable[Item], seed: int) -> list[Item]:
    categories: dict[str, list[Item]] = {}
    for item in items:
        categories.setdefault(item.category, []).append(item)
    return [item for own in categories.values() for item in in_seeded_order(own, seed, "row")]


def _runs(item: Item) -> list[str]:
    """The runs of words of an answer, or of both; none, so that nothing resembles it, where it is short."""
    found = shingles("\n".join(row.answer for row in item.rows), RUN)
    return found if len(found) >= LEAST_RUNS else []
