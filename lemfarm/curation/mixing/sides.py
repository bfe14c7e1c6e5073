"""On which side every item of a mix stands. Pure.

Items of one question, or of one probe, stand on one side, and so do the two forms of a pair. A side that a source gives
holds: what was left out of one training must not come into another by way of a second source. Where sources disagree,
the one that keeps more out of training holds, and what stood elsewhere is left out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lemfarm.curation.mixing.items import Item
from lemfarm.curation.sides import Side
from lemfarm.identity import content_hash

_STRICTEST_FIRST = (Side.TEST, Side.VALID, Side.TRAIN)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that is not mixed, and why."""

    kind: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Families:
    """Items by the questions and probes that they have in common. `fixed` is the side that sources give a family."""

    of: Mapping[str, str]  #: an item's key -> the name of its family, equal whatever order the items came in
    fixed: Mapping[str, Side]

    def __getitem__(self, item: Item) -> str:
        return self.of[item.key]


def find_families(items: Sequence[Item], probe_sides: Mapping[str, Collection[Side]]) -> Families:
    """Put together what must stand on one side. `probe_sides`: the sides that sources give to probes."""
    roots: dict[str, str] = {}
    for item in items:
        for other in item.marks[1:]:
            _join(roots, item.marks[0], other)
    of = {item.key: _root(roots, item.marks[0]) for item in items}
    sides: dict[str, set[Side]] = {}
    for item in items:
        given = {item.side} if item.side else set()
        sides.setdefault(of[item.key], set()).update(given, probe_sides.get(item.probe, ()))
    return Families(of, {name: _strictest(found) for name, found in sides.items() if found})


def leave_out_leaks(items: Iterable[Item], families: Families) -> tuple[list[Item], list[LeftOut]]:
    """What may be mixed, and what another source keeps out of the side on which it stands."""
    kept: list[Item] = []
    out: list[LeftOut] = []
    for item in items:
        held = families.fixed.get(families[item])
        if item.side in (None, held):
            kept.append(item)
        else:
            reason = f"it stands in {item.side} there, and another source has its question or probe in {held}"
            out.append(LeftOut("leak", item.place, reason))
    return kept, out


def choose_mix_sides(
    chosen: Iterable[Item], families: Families, *, valid: float, test: float, seed: int
) -> dict[str, Side]:
    """The side of every family of what was chosen.

    One that no source has placed is placed by a hash of its own, so that it stays where it is when others come or go.
    Where that leaves a side empty which should have some, the family next to it goes there, as long as one is left to
    train on.
    """
    names = {families[item] for item in chosen}
    sides = {name: families.fixed[name] for name in names if name in families.fixed}
    places = {name: _place(name, seed) for name in names - sides.keys()}
    free = sorted(places, key=lambda name: (places[name], name))
    for side, bound, wanted in ((Side.VALID, valid, valid), (Side.TEST, valid + test, test)):
        here = [name for name in free if places[name] < bound] if wanted else []
        if wanted and not here and side not in sides.values() and len(free) > 1:
            here = free[:1]
        sides |= dict.fromkeys(here, side)
        free = [name for name in free if name not in sides]
    return sides | dict.fromkeys(free, Side.TRAIN)


def _join(roots: dict[str, str], one: str, other: str) -> None:
    """The smaller name leads, so that the name of a family does not depend on the order of its items."""
    first, second = sorted((_root(roots, one), _root(roots, other)))
    roots[second] = first


def _root(roots: dict[str, str], mark: str) -> str:
    while (above := roots.get(mark, mark)) != mark:
        roots[mark] = roots.get(above, above)
        mark = above
    return mark


def _strictest(found: Collection[Side]) -> Side:
    return next(side for side in _STRICTEST_FIRST if side in found)


def _place(family: str, seed: int) -> float:
    """A number from 0 to below 1 that depends on the family's name and the seed only."""
    digits = content_hash(["side of a mix", seed, family])[-13:]
    return int(digits, 16) / 16**13
