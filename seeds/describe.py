"""The tables of coverage in the data sheet, counted from the probe files.

    python seeds/describe.py            print them
    python seeds/describe.py --write    put them into seeds/README.md

A test compares, so the data sheet cannot say other than the files.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lemfarm.library.coverage import Cell, coverage
from lemfarm.library.reading import Held, Library, read_library

SEEDS = Path(__file__).parent
DATA_SHEET = SEEDS / "README.md"
BEGIN, END = "<!-- counted by describe.py -->", "<!-- end of what is counted -->"
NAMES = {"0": "baseline lock", "1": "deep axiom", "2": "multi-perspective", "3": "adversarial", "4": "synthesis"}


def tables(library: Library) -> str:
    """Markdown: the files, the domains of each phase, and the regions by phase."""
    return "\n\n".join((_phases(library), _domains(library), _regions(library)))


def _phases(library: Library) -> str:
    found = coverage(library, ["phase"])
    rows = [(f"{cell.key[0]}, {NAMES[cell.key[0]]}", *_counts(cell), _kinds(cell)) for cell in found.cells]
    rows.append(("all", *_counts(found.total), ""))
    return _table(("phase", "probes", "texts", "words of a text (fewest, median, most)", "wordings"), rows)


def _domains(library: Library) -> str:
    rows = []
    for cell in coverage(library, ["phase", "domain"]).cells:
        regions = {held.region for held in _of(library, cell)}
        rows.append((*cell.key, cell.probes, cell.texts, len(regions)))
    return _table(("phase", "domain", "probes", "texts", "regions"), rows)


def _of(library: Library, cell: Cell) -> list[Held]:
    return [held for held in library.probes if (held.phase, held.probe.domain) == cell.key]


def _regions(library: Library) -> str:
    phases = sorted({held.phase for held in library.probes})
    regions = sorted({held.region for held in library.probes})
    counted = {cell.key: cell.probes for cell in coverage(library, ["region", "phase"]).cells}
    rows = [(region, *(counted.get((region, phase), 0) for phase in phases)) for region in regions]
    return _table(("region of the original", *(f"phase {phase}" for phase in phases)), rows)


def _counts(cell: Cell) -> tuple[int, int, str]:
    return cell.probes, cell.texts, f"{cell.words.fewest}, {cell.words.median:g}, {cell.words.most}"


def _kinds(cell: Cell) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in cell.kinds.items())


def _table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def with_tables(sheet: str, counted: str) -> str:
    """The data sheet with these tables in their place."""
    before, _, rest = sheet.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{counted}\n\n{END}{after}"


def main() -> None:
    """Print the tables, or write them."""
    counted = tables(read_library([SEEDS]))
    if "--write" in sys.argv[1:]:
        DATA_SHEET.write_text(with_tables(DATA_SHEET.read_text(encoding="utf-8"), counted), encoding="utf-8")
    else:
        print(counted)


if __name__ == "__main__":
    main()
