"""How long scoring takes, how it grows with the text, and how it compares with the backtracking repetition test.

    python bench/scorers.py [--json] [--backtracking-characters N]

Processor seconds of one core, the best of several rounds; the texts are made up here from a fixed seed. The
backtracking expression needs seconds for 24,000 characters, so it is asked on a shorter text unless told otherwise.
"""

import argparse
import json
import random
import re
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from lemfarm.scorers import get_scorer
from lemfarm.scorers.repeats import repeats_itself

SIZES = (24_000, 48_000, 96_000)
HOSTILE_SIZES = (500_000, 1_000_000)
SCORERS = ("v2", "v2-distill")
BACKTRACKING = re.compile(r"(.{10,})\1{4,}", re.DOTALL)

SUBJECTS = ("the council", "a neighbour", "Amina", "the ferryman", "my teacher", "every clinic", "Tomas", "the village")
VERBS = ("asks for", "decides about", "remembers", "refuses", "measures", "shares", "protects", "imagines", "repairs")
OBJECTS = ("the well", "a promise", "the records", "consent", "the harvest", "a fear", "the tension", "a trade-off")
ENDS = (
    "because nobody else would",
    "however late it is",
    "as if it were a lamp",
    "for example in {n}",
    "while the river also rises",
    "before the {n} people arrive",
    "without a word",
    "like a stone in water",
)


def prose(length: int) -> str:
    """Sentences in paragraphs, drawn from thousands of combinations: text that neither loops nor runs dry."""
    draw = random.Random(20)
    pieces: list[str] = []
    size = 0
    while size < length:
        end = draw.choice(ENDS).format(n=draw.randrange(2_000))
        sentence = f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)} {end}"
        pieces.append(sentence[0].upper() + sentence[1:] + draw.choice([". ", ". ", "? ", ".\n\n"]))
        size += len(pieces[-1])
    return "".join(pieces)[:length]


def fibonacci_word(length: int) -> str:
    """The word with repetitions of every scale that never reach four copies."""
    shorter, word = "a", "ab"
    while len(word) < length:
        shorter, word = word, word + shorter
    return word[:length]


def almost_five(length: int) -> str:
    """Nothing but units repeated 4.9 times, each a candidate that has to be looked at and turned down."""
    rows = ("".join(chr(97 + index) for index in range(12)) * 5)[:59]
    return "".join(rows + chr(0x4E00 + index % 20_000) for index in range(length // 60 + 1))[:length]


HOSTILE: dict[str, Callable[[int], str]] = {
    "equal characters": lambda length: "a" * length,
    "Fibonacci word": fibonacci_word,
    "4.9 copies": almost_five,
}


def seconds(work: Callable[[], object]) -> float:
    """Processor time of doing it once."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def growth(work: Callable[[str], object], texts: dict[int, str], rounds: int) -> dict[int, float]:
    """Milliseconds per size: the best of some rounds, the sizes taking turns so that a busy moment hits them all."""
    work("warm up " * 100)
    best = dict.fromkeys(texts, float("inf"))
    for _ in range(rounds):
        for size, text in texts.items():
            best[size] = min(best[size], seconds(partial(work, text)) * 1e3)
    return best


def against_backtracking(size: int) -> dict[str, float]:
    """Both repetition tests on the same prose, milliseconds; they have to agree."""
    text = prose(size)
    found: list[bool] = []
    spent = seconds(lambda: found.append(BACKTRACKING.search(text) is not None)) * 1e3
    if found != [repeats_itself(text)]:
        raise SystemExit(f"the two repetition tests disagree on prose({size})")
    ours = growth(repeats_itself, {size: text}, rounds=9)[size]
    return {"characters": size, "ours": ours, "backtracking": spent, "ratio": spent / ours}


def measure(backtracking_characters: int) -> dict[str, Any]:
    """Everything this page reports, in milliseconds by number of characters."""
    works: dict[str, Callable[[str], object]] = {name: partial(get_scorer(name).score, "") for name in SCORERS}
    works["repetition test"] = repeats_itself
    texts = {size: prose(size) for size in SIZES}
    return {
        "prose": {name: growth(work, texts, rounds=9) for name, work in works.items()},
        "hostile": {
            name: growth(repeats_itself, {size: make(size) for size in HOSTILE_SIZES}, rounds=3)
            for name, make in HOSTILE.items()
        },
        "backtracking": against_backtracking(backtracking_characters),
    }


def show_growth(title: str, rows: dict[str, dict[int, float]]) -> None:
    """A line per row: milliseconds per size, then the growth from each size to its double."""
    sizes = next(iter(rows.values()))
    print(f"{title:24}" + "".join(f"{size:>11,}" for size in sizes) + "   growth per doubling")
    for name, times in rows.items():
        ratios = ", ".join(f"{later / earlier:.2f}" for earlier, later in pairwise(times.values()))
        print(f"{name:24}" + "".join(f"{value:11.2f}" for value in times.values()) + f"   {ratios}")


def show(result: dict[str, Any]) -> None:
    """The same as tables."""
    show_growth("prose, ms", result["prose"])
    print()
    show_growth("repetition test, ms", result["hostile"])
    against = result["backtracking"]
    print(
        f"\n{against['characters']:,} characters of prose: {against['ours']:.2f} ms against"
        f" {against['backtracking']:,.0f} ms by backtracking, {against['ratio']:,.0f} times"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    parser.add_argument("--backtracking-characters", type=int, default=6_000, metavar="N", help="length of that text")
    options = parser.parse_args()
    result = measure(options.backtracking_characters)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
