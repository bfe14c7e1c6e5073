"""How long scoring takes, how it grows with the text, and how it compares with the backtracking repetition test.

    python bench/scorers.py [--scorer NAME]... [--backtracking-characters N] [--json]
    python bench/scorers.py --texts docs/data/answers.jsonl

Processor seconds of one core, the best of several rounds, for every scorer of this package; the texts are made up from
a fixed seed. The backtracking expression needs seconds for 24,000 characters, so it is asked on a shorter text unless
told otherwise. `--texts` measures nothing: it prints the table of scores that stands in the page about scorers.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

from common import Aim, report, table
from texts import HOSTILE, PERIODIC, prose

from lemfarm.scorers import scorer_for, scorer_names
from lemfarm.scorers.repeats import repeats_itself

SIZES = (24_000, 48_000, 96_000)
HOSTILE_SIZES = (250_000, 1_000_000)
LONG_ANSWER = 16_400  #: characters of 4,096 tokens
TOGETHER_MS = 40.0
GROWTH, HOSTILE_GROWTH = 2.3, 3.0  #: per doubling: twice is linear, four times is a square; caches and log n add a bit
NOTICEABLE_MS = 20.0  #: below this, growth is noise
BACKTRACKING = re.compile(r"(.{10,})\1{4,}", re.DOTALL)
REPETITION = "repetition test"
TABLED = ("v1", "v2", "v2-distill", "v2-long", "tier1", "grammar")
EXPECTED, PROMPT = "18", "How do we share the well, and who keeps the records?"

Work = Callable[[str], object]
Times = dict[int, float]


def seconds(work: Callable[[], object]) -> float:
    """Processor time of doing it once."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def timed(work: Work, texts: dict[int, str], rounds: int) -> Times:
    """Milliseconds per size: the best of some rounds, the sizes taking turns so that a busy moment hits them all."""
    work("warm up " * 100)
    best = dict.fromkeys(texts, float("inf"))
    for _ in range(rounds):
        for size, text in texts.items():
            best[size] = min(best[size], seconds(partial(work, text)) * 1e3)
    return best


def ratios(times: Times) -> list[float]:
    """Growth per doubling, from each size to the next."""
    steps = pairwise(times.items())
    return [(later / earlier) ** (1 / log2(more / less)) for (less, earlier), (more, later) in steps]


def against_backtracking(size: int) -> dict[str, float]:
    """Both repetition tests on the same prose, milliseconds; they have to agree."""
    text = prose(size)
    found: list[bool] = []
    spent = seconds(lambda: found.append(BACKTRACKING.search(text) is not None)) * 1e3
    if found != [repeats_itself(text)]:
        raise SystemExit(f"the two repetition tests disagree on prose({size})")
    ours = timed(repeats_itself, {size: text}, rounds=9)[size]
    return {"characters": size, "ours": ours, "backtracking": spent, "ratio": spent / ours}


def on_hostile_texts(works: dict[str, Work]) -> dict[str, dict[str, Times]]:
    """Milliseconds of every scorer on every hostile text, by size."""
    found: dict[str, dict[str, Times]] = {name: {} for name in works}
    for kind, make in HOSTILE.items():
        texts = {size: make(size) for size in HOSTILE_SIZES}
        for name, work in works.items():
            found[name][kind] = timed(work, texts, rounds=1)
    return found


def measure(names: Iterable[str], backtracking_characters: int) -> dict[str, Any]:
    """Everything that is reported, in milliseconds by number of characters."""
    works: dict[str, Work] = {name: partial(scorer_for(name, EXPECTED).score, PROMPT) for name in names}
    answer = {LONG_ANSWER: prose(LONG_ANSWER)}
    texts = {size: prose(size) for size in SIZES}
    periodic = {kind: {size: make(size) for size in HOSTILE_SIZES} for kind, make in PERIODIC.items()}
    return {
        "answer": {name: timed(work, answer, rounds=9)[LONG_ANSWER] for name, work in works.items()},
        "prose": {name: timed(work, texts, rounds=9) for name, work in {**works, REPETITION: repeats_itself}.items()},
        "hostile": on_hostile_texts(works),
        "repetition": {kind: timed(repeats_itself, rows, rounds=3) for kind, rows in periodic.items()},
        "backtracking": against_backtracking(backtracking_characters),
    }


def growth_rows(rows: dict[str, Times]) -> list[str]:
    """A line per row: milliseconds per size, then the growth per doubling."""
    sizes = next(iter(rows.values()))
    heads = ["ms", *(f"{size:,}" for size in sizes), "growth per doubling"]
    cells = [
        [name, *(f"{value:.2f}" for value in times.values()), ", ".join(f"{ratio:.2f}" for ratio in ratios(times))]
        for name, times in rows.items()
    ]
    return table(heads, cells)


def steepest(times: dict[str, Times]) -> tuple[str, float]:
    """The hostile text on which a scorer's time grows fastest, and by how much per doubling."""
    growths = {kind: max(ratios(row)) for kind, row in times.items() if max(row.values()) >= NOTICEABLE_MS}
    return max(growths.items(), key=lambda item: item[1], default=("none that takes long", 1.0))


def hostile_rows(hostile: dict[str, dict[str, Times]]) -> list[str]:
    """A line per scorer: its slowest text, and the one on which it grows fastest."""
    size = HOSTILE_SIZES[-1]
    cells = []
    for name, times in hostile.items():
        slowest = max(times, key=lambda kind: times[kind][size])
        kind, ratio = steepest(times)
        cells.append([name, slowest, f"{times[slowest][size]:,.0f}", kind, f"{ratio:.2f}"])
    return table([f"{len(HOSTILE)} hostile texts", "slowest", f"ms for {size:,}", "steepest", "per doubling"], cells)


def lines_of(result: dict[str, Any]) -> list[str]:
    """Everything as tables."""
    against = result["backtracking"]
    answer = [[name, f"{spent:.2f}"] for name, spent in result["answer"].items()]
    return [
        *table([f"a 4,096-token answer of {LONG_ANSWER:,} characters", "ms"], answer),
        f"all together: {sum(result['answer'].values()):.1f} ms\n",
        *growth_rows(result["prose"]),
        "",
        *hostile_rows(result["hostile"]),
        "",
        *growth_rows({f"{REPETITION}, {kind}": times for kind, times in result["repetition"].items()}),
        "",
        f"{against['characters']:,} characters of prose, backtracking: {against['backtracking']:,.0f} ms",
        f"{against['characters']:,} characters of prose, ours: {against['ours']:.2f} ms, {against['ratio']:,.0f} times",
    ]


def aims_of(result: dict[str, Any]) -> list[Aim]:
    """What the scorers are held to."""
    prose_growth = max(max(ratios(times)) for times in result["prose"].values())
    hostile_growth = max(steepest(times)[1] for times in result["hostile"].values())
    together = sum(result["answer"].values())
    return [
        Aim("scorers: all of them on a 4,096-token answer", together, TOGETHER_MS, "ms"),
        Aim("scorers: growth per doubling, prose", prose_growth, GROWTH, "times"),
        Aim("scorers: growth per doubling, hostile texts", hostile_growth, HOSTILE_GROWTH, "times"),
    ]


def score_table(path: Path) -> list[str]:
    """The scores of the answers in a file as a Markdown table, a line for each answer."""
    scorers = [scorer_for(name, EXPECTED) for name in TABLED]
    lines = [f"| probe | kind | words | {' | '.join(TABLED)} |", "|---|---|--:|" + "--:|" * len(TABLED)]
    for record in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        values = [scorer.score(record["prompt"], record["response"]).value for scorer in scorers]
        shown = [record["id"], record["kind"], f"{record['words']:,}", *(f"{value:.1f}" for value in values)]
        lines.append(f"| {' | '.join(shown)} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or score, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scorer", action="append", choices=scorer_names(), metavar="NAME", help="only this one")
    parser.add_argument("--backtracking-characters", type=int, default=6_000, metavar="N", help="length of that text")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="print the scores of these answers and do no more")
    parser.add_argument("--json", action="store_true", help="one object instead of the tables")
    options = parser.parse_args(arguments)
    if options.texts:
        print("\n".join(score_table(options.texts)))
        return 0
    result = measure(options.scorer or scorer_names(), options.backtracking_characters)
    report(result, aims_of(result), as_json=options.json, lines=lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
