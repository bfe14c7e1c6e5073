"""On how many honest texts the rule against loops would raise an alarm, by the shortest span that it asks for.

    python bench/loops.py

The texts are the standard library of this Python without its tests, and this repository's documents, probes, library
and tests, the first 16,000 characters of each, as the demo model's tokenizer cuts them. Three full copies of a unit of
at most 512 tokens are asked for throughout (`lemfarm/engines/repetition.py`).
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import ROOT, Aim, table
from tokenizers import Tokenizer

from lemfarm.engines.repetition import FEWEST_COPIES, LONGEST_UNIT, SHORTEST_SPAN

SPANS = (24, 48, 72, 96, SHORTEST_SPAN, 192, 256)
LONGEST_TEXT = 16_000
OURS = ("*.md", "docs/*.md", "seeds/*.jsonl", "lemfarm/*.py", "tests/unit/*.py")
LEFT_OUT = {"test", "tests", "idlelib", "site-packages"}
ALARMS_IN_A_THOUSAND = 5.0


def texts() -> Iterator[Path]:
    """What people have written."""
    library = Path(sysconfig.get_path("stdlib"))
    for pattern in ("*.py", "*/*.py"):
        yield from (path for path in library.glob(pattern) if not LEFT_OUT.intersection(path.parts))
    for pattern in OURS:
        yield from ROOT.glob(pattern)


def longest_span(tokens: np.ndarray) -> int:
    """Tokens of the longest stretch that is three or more full copies of one unit."""
    found = 0
    for period in range(1, min(LONGEST_UNIT, len(tokens) // FEWEST_COPIES) + 1):
        parted = np.flatnonzero(tokens[period:] != tokens[:-period])
        bounds = np.concatenate([[-1], parted, [len(tokens) - period]])
        span = int(np.diff(bounds).max()) - 1 + period
        if span >= FEWEST_COPIES * period:
            found = max(found, span)
    return found


def main() -> None:
    """Print the table."""
    tokenizer = Tokenizer.from_file(str(ROOT / "demo" / "model" / "tokenizer.json"))
    spans, tokens = [], 0
    for path in texts():
        cut = np.array(tokenizer.encode(path.read_text(encoding="utf-8", errors="replace")[:LONGEST_TEXT]).ids)
        tokens += len(cut)
        spans.append(longest_span(cut))
    alarms = {shortest: sum(span >= shortest for span in spans) for shortest in SPANS}
    print("\n".join(table(["shortest span, tokens", "texts with an alarm"], list(alarms.items()))))
    print(f"{len(spans):,} texts, {tokens:,} tokens\n")
    share = 1_000 * alarms[SHORTEST_SPAN] / len(spans)
    print(Aim("loops: honest texts that would be cut, of a thousand", share, ALARMS_IN_A_THOUSAND, "texts").line())


if __name__ == "__main__":
    main()
