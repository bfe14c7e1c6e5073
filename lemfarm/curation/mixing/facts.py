"""What is known of a mix: of each category what was wanted, found and taken, and what was left out of its sources."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lemfarm.curation.mixing.choosing import TakenRow
from lemfarm.curation.mixing.items import Form
from lemfarm.curation.mixing.recipe import CategoryConfig
from lemfarm.curation.mixing.sides import LeftOut
from lemfarm.curation.mixing.sources import SourceFacts
from lemfarm.curation.sides import Side


@dataclass(frozen=True, slots=True)
class CategoryFacts:
    """Rows of one category: `wanted` by the recipe, `found` after leaks and twins were left out, and those in the mix
    by side and, of pairs, by form."""

    name: str
    about: str
    wanted: int
    found: int
    sides: Mapping[str, int]
    forms: Mapping[str, int]

    @property
    def taken(self) -> int:
        """Rows in the mix."""
        return sum(self.sides.values())


@dataclass(frozen=True, slots=True)
class MixFacts:
    """A whole mix. `similarity`: from which one on answers were left out as near twins; none: they were not sought."""

    name: str
    wanted: int
    seed: int
    similarity: float | None
    categories: Sequence[CategoryFacts]
    sources: Sequence[SourceFacts]
    left_out: Sequence[LeftOut]

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each side."""
        return {side: sum(one.sides[side] for one in self.categories) for side in map(str, Side)}

    @property
    def taken(self) -> int:
        """Rows in all."""
        return sum(self.rows.values())

    @property
    def left_out_counts(self) -> dict[str, int]:
        """How many items were left out, by the kind of reason."""
        return dict(Counter(one.kind for one in self.left_out))

    def share(self, category: CategoryFacts) -> float:
        """The category's part of the mix."""
        return category.taken / self.taken

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the sums and shares."""
        categories = [{**asdict(one), "taken": one.taken, "share": self.share(one)} for one in self.categories]
        return {**asdict(self), "categories": categories, "rows": self.rows, "taken": self.taken}


def category_facts(
    category: CategoryConfig, wanted: int, found: int, taken: Iterable[tuple[TakenRow, Side]]
) -> CategoryFacts:
    """What became of a category, given its rows in the mix with their sides."""
    own = [(one, side) for one, side in taken if one.item.category == category.name]
    sides = Counter(str(side) for _, side in own)
    forms = Counter(str(one.row.form) for one, _ in own if one.row.form)
    return CategoryFacts(
        name=category.name,
        about=category.about,
        wanted=wanted,
        found=found,
        sides={side: sides[side] for side in map(str, Side)},
        forms={form: forms[form] for form in map(str, Form)} if forms else {},
    )
