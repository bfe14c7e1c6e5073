"""What a library covers: how many probes and wordings it has for each domain, language, region, phase, and where it is
thin."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from statistics import median

from lemfarm.errors import InputError
from lemfarm.library.reading import Held, Library, question
from lemfarm.wording import word_count

BY: Mapping[str, Callable[[Held], str]] = {
    "domain": lambda held: held.probe.domain,
    "language": lambda held: held.language,
    "region": lambda held: held.region,
    "phase": lambda held: held.phase,
}
"""What a library can be counted by."""

THIN_BELOW = 0.5
"""Of the median: a cell with fewer texts than this share of what cells have is thin, and so is a kind of variant with
fewer than this share of what the kinds of its cell have, if most cells have that kind or this one does. The median
stays where it is when one cell is huge."""

_EMPTY_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Lengths:
    """Words a text; where words are not set apart, estimated."""

    fewest: int
    median: float
    most: int


@dataclass(frozen=True, slots=True)
class Cell:
    """The probes that agree in everything counted by. `kinds` counts their wordings by kind, `original` among them."""

    key: tuple[str, ...]
    probes: int
    texts: int
    kinds: Mapping[str, int]
    words: Lengths


@dataclass(frozen=True, slots=True)
class ThinSpot:
    """A count far below those it stands among; `kind` is empty where the texts of the whole cell are meant."""

    key: tuple[str, ...]
    kind: str
    count: int
    median: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """The counts. `kinds` are all kinds in the order in which they are met; `empty` has the first of the `empty_cells`
    combinations of values that are seen, but not together."""

    by: tuple[str, ...]
    kinds: tuple[str, ...]
    cells: tuple[Cell, ...]
    total: Cell
    thin: tuple[ThinSpot, ...]
    empty_cells: int
    empty: tuple[tuple[str, ...], ...]


def coverage(library: Library, by: Sequence[str] = ("domain", "language")) -> Coverage:
    """Count a library that has probes. Raises InputError for something it cannot be counted by."""
    by = tuple(dict.fromkeys(by))
    unknown = [name for name in by if name not in BY]
    if unknown or not by:
        raise InputError(f"probes cannot be counted by {unknown[0] if unknown else 'nothing'}: {', '.join(BY)}")
    groups: dict[tuple[str, ...], list[Held]] = defaultdict(list)
    for held in library.probes:
        groups[tuple(BY[name](held) for name in by)].append(held)
    kinds = tuple(dict.fromkeys(variant.kind for held in library.probes for variant in held.probe.variants))
    cells = tuple(_cell(key, groups[key]) for key in sorted(groups))
    values = [sorted({key[position] for key in groups}) for position in range(len(by))]
    empty = (key for key in product(*values) if key not in groups)
    return Coverage(
        by=by,
        kinds=kinds,
        cells=cells,
        total=_cell(("all",) * len(by), library.probes),
        thin=tuple(_thin(cells, kinds)),
        empty_cells=prod(map(len, values)) - len(groups),
        empty=tuple(islice(empty, _EMPTY_SHOWN)),
    )


def _cell(key: tuple[str, ...], probes: Sequence[Held]) -> Cell:
    variants = [variant for held in probes for variant in held.probe.variants]
    kinds = dict(Counter(variant.kind for variant in variants))
    return Cell(key, len(probes), len(variants), kinds, _lengths(word_count(question(variant)) for variant in variants))


def _lengths(counts: Iterable[int]) -> Lengths:
    found = sorted(counts)
    return Lengths(found[0], median(found), found[-1])


def _thin(cells: Sequence[Cell], kinds: Sequence[str]) -> Iterator[ThinSpot]:
    usual_texts = median(cell.texts for cell in cells)
    usual_kinds = {kind for kind in kinds if sum(kind in cell.kinds for cell in cells) > len(cells) / 2}
    for cell in cells:
        if cell.texts < THIN_BELOW * usual_texts:
            yield ThinSpot(cell.key, "", cell.texts, usual_texts)
        counts = {kind: cell.kinds.get(kind, 0) for kind in kinds if kind in usual_kinds or kind in cell.kinds}
        usual = median(counts.values())
        for kind, count in counts.items():
            if count < THIN_BELOW * usual:
                yield ThinSpot(cell.key, kind, count, usual)
