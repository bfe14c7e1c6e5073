"""A stream that loops is noticed; one that only has a pattern is left alone."""

import codecs
import importlib.util
import inspect
import random
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lemfarm.engines.repetition import FEWEST_COPIES, LONGEST_UNIT, SHORTEST_SPAN, LoopDetector

ROOT = Path(__file__).parents[2]


def alarms(tokens: Iterable[int]) -> list[bool]:
    detector = LoopDetector()
    return [detector.push(token) for token in tokens]


def first_alarm(tokens: Iterable[int]) -> int | None:
    """How many tokens were pushed when the alarm came; None if it never did."""
    return next((index for index, alarm in enumerate(alarms(tokens), 1) if alarm), None)


def tokens_of(text: str) -> list[int]:
    """One token per word, digit or mark with the blank before it, roughly as the tokenizers of language models cut."""
    known: dict[str, int] = {}
    return [known.setdefault(piece, len(known)) for piece in re.findall(r" ?[^\W\d]+| ?\d|\n+|[ ]{2,}| ?\S", text)]


def verdicts_by_definition(tokens: Sequence[int], reach: int = LONGEST_UNIT) -> list[bool]:
    """Compares every token with each of the `reach` before it, and counts how long each distance has held."""
    distances = np.arange(1, reach + 1)
    needed = np.maximum(SHORTEST_SPAN, FEWEST_COPIES * distances) - distances
    stream = np.concatenate([np.full(reach, -1), np.asarray(tokens, dtype=int)])
    held = np.zeros(reach, dtype=int)
    verdicts = []
    for here in range(reach, len(stream)):
        held = np.where(stream[here - reach : here][::-1] == stream[here], held + 1, 0)
        verdicts.append(bool((held >= needed).any()))
    return verdicts


@pytest.mark.parametrize("period", [1, 2, 5, 17, 42, 43, 64, 200, LONGEST_UNIT])
def test_the_alarm_comes_at_three_copies_and_128_tokens_and_not_before(period: int) -> None:
    before = list(range(10_000, 10_037))
    unit = list(range(period))
    expected = len(before) + max(SHORTEST_SPAN, FEWEST_COPIES * period)

    assert first_alarm(before + (unit * 130)[:expected]) == expected


def test_a_unit_longer_than_the_reach_is_not_looked_for() -> None:
    assert first_alarm(list(range(LONGEST_UNIT + 1)) * 5) is None


def test_the_alarm_ends_when_the_loop_does() -> None:
    looping = alarms([1, 2, 3] * 60 + [9] + [1, 2, 3] * 10)

    assert looping[179]
    assert not any(looping[180:])


def test_a_loop_around_a_passage_that_repeats_inside_is_found() -> None:
    passage = list(range(30))
    unit = [*passage, 100, *passage, 101, *passage, 102]

    assert first_alarm(unit * 3) == len(unit) * 3


def test_two_streams_do_not_share_their_past() -> None:
    one, other = LoopDetector(), LoopDetector()

    assert not any(one.push(1) or other.push(1) for _ in range(SHORTEST_SPAN - 1))
    assert one.push(1)


@st.composite
def streams_about_to_loop(draw: st.DrawFn) -> list[int]:
    """A unit over and over, for about as long as the rule asks, amid other tokens."""
    few = st.integers(0, 2)
    unit = draw(st.lists(few, min_size=1, max_size=70))
    length = draw(st.integers(100, 230))
    looping = (unit * length)[:length]
    return [*draw(st.lists(few, max_size=40)), *looping, *draw(st.lists(few, max_size=20))]


@settings(max_examples=60, deadline=None)
@given(streams_about_to_loop())
def test_every_prefix_agrees_with_the_definition(tokens: list[int]) -> None:
    assert alarms(tokens) == verdicts_by_definition(tokens)


@st.composite
def streams_of_nested_loops(draw: st.DrawFn) -> list[int]:
    """Passages that repeat up to a break, inside longer ones that do; then the whole, over and over for a while."""
    unit = [0]
    for copies, ending in draw(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2)), max_size=4)):
        unit = [*(unit * copies)[:600], ending]
    length = draw(st.integers(0, 2 * LONGEST_UNIT))
    looping = (unit * 2 * LONGEST_UNIT)[: len(unit) + length]
    return [*draw(st.lists(st.integers(0, 2), max_size=5)), *looping, 3, *unit]


@settings(max_examples=40, deadline=None)
@given(streams_of_nested_loops())
def test_loops_within_loops_agree_with_the_definition(tokens: list[int]) -> None:
    assert alarms(tokens) == verdicts_by_definition(tokens)


def fibonacci_word(length: int) -> list[int]:
    """Full of squares and cubes of every size, none of which goes on for long."""
    shorter, longer = [0], [0, 1]
    while len(longer) < length:
        shorter, longer = longer, longer + shorter
    return longer[:length]


def de_bruijn(order: int) -> list[int]:
    """Every word of so many bits once."""
    bits, seen = [0] * order, {(0,) * order}
    while len(seen) < 2**order:
        for bit in (1, 0):
            word = (*bits[len(bits) - order + 1 :], bit)
            if word not in seen:
                seen.add(word)
                bits.append(bit)
                break
    return bits


def almost_loops() -> list[int]:
    """Each run of equal tokens ends one token before the alarm."""
    return [token for run in range(32) for token in [0] * (SHORTEST_SPAN - 1) + [run + 1]]


HOSTILE = {
    "one token": [7] * 4096,
    "two tokens in turn": [7, 8] * 2048,
    "a unit of the longest reach": list(range(LONGEST_UNIT)) * 8,
    "runs that end just before the alarm": almost_loops(),
    "Fibonacci word": fibonacci_word(4096),
    "de Bruijn sequence": de_bruijn(12),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_streams_agree_with_the_definition(name: str) -> None:
    assert alarms(HOSTILE[name]) == verdicts_by_definition(HOSTILE[name])


def steps_per_push(tokens: Sequence[int]) -> float:
    """How many bytecodes the detector executes for a token, on average."""
    steps = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return count

    detector, before = LoopDetector(), sys.gettrace()
    sys.settrace(count)
    try:
        for token in tokens:
            detector.push(token)
    finally:
        sys.settrace(before)
    return steps / len(tokens)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_push_takes_as_many_steps_on_a_hostile_stream_as_on_any_other(name: str) -> None:
    draws = random.Random(3)
    ordinary = [draws.randrange(2_000) for _ in range(1_600)]

    assert steps_per_push(HOSTILE[name][:1_600]) < 1.2 * steps_per_push(ordinary)


def numbered_list() -> str:
    topics = ["rivers", "roads", "schools", "wells", "markets", "clinics", "forests", "archives", "courts", "ports"]
    return "".join(
        f"{number}. **Who decides about the {topic}?** Ask those who use the {topic}, and write down what they say.\n"
        for number, topic in enumerate(topics * 3, 1)
    )


def checklist() -> str:
    return "".join(f"- [ ] Step {number}: \n" for number in range(1, 60))


def empty_planner() -> str:
    return "| Mon | Tue | Wed | Thu | Fri | Sat | Sun |\n" + "| --- " * 7 + "|\n" + "| | | | | | | |\n" * 12


def filled_table() -> str:
    rows = (f"| 2{year:03d} | yes | yes | no | {year * 7 % 10} |\n" for year in range(80))
    return "| Year | Vote | Count | Veto | Score |\n|---|---|---|---|---|\n" + "".join(rows)


def program() -> str:
    fields = ["name", "place", "owner", "year", "price", "size", "weight", "colour", "shape", "note"]
    body = "".join(
        f"    if record.get('{field}') is None:\n        raise ValueError('{field} is missing')\n"
        for field in fields * 2
    )
    grid = "grid = [\n" + "    [0, 0, 0, 0, 0],\n" * 5 + "]\n"
    return f"def check(record):\n{body}    return record\n\n{grid}"


def verse() -> str:
    refrain = "Row on, row on, the river is wide,\nrow on, my brother, row on to the tide.\n\n"
    verses = [
        "The lamp is low and the oar is long,\nthe night has forgotten the words of the song.\n",
        "The heron stands where the water is thin,\nand asks of the dark if the light may come in.\n",
        "My father was ferryman, so was his own,\nthey carried the wheat and they carried the stone.\n",
    ]
    return "".join(part + refrain + refrain for part in verses) + "la, " * 30


@pytest.mark.parametrize("text", [numbered_list, checklist, empty_planner, filled_table, program, verse])
def test_lists_tables_programs_and_verse_raise_no_alarm(text: Callable[[], str]) -> None:
    tokens = tokens_of(text())

    assert len(tokens) > SHORTEST_SPAN
    assert first_alarm(tokens) is None


LONGEST_TEXT = 20_000
REAL_FILES = ["README.md", "CHANGELOG.md", "docs/the-run-file.md", "seeds/phase1-deep-axiom.jsonl", "tests/ground.py"]
MODULES = ["calendar", "colorsys", "encodings.cp1252", "mimetypes", "opcode", "token"]


def real_texts() -> dict[str, str]:
    """Prose, tables, code, data and verse that nobody wrote for this test."""
    texts = {name: (ROOT / name).read_text()[:LONGEST_TEXT] for name in REAL_FILES}
    texts |= {name: inspect.getsource(importlib.import_module(name))[:LONGEST_TEXT] for name in MODULES}
    texts["the year 2026"] = importlib.import_module("calendar").calendar(2026)
    texts["the Zen of Python"] = codecs.decode(_verse_of_this(), "rot13")
    return texts


def _verse_of_this() -> str:
    found = importlib.util.find_spec("this")
    assert found is not None
    assert found.origin is not None
    verse = re.search(r's = """(.*?)"""', Path(found.origin).read_text(), re.DOTALL)
    assert verse is not None
    return verse[1]


@pytest.mark.parametrize("name", list(real_texts()))
def test_real_prose_tables_code_and_verse_raise_no_alarm(name: str) -> None:
    tokenizer = Tokenizer.from_file(str(ROOT / "demo" / "model" / "tokenizer.json"))

    assert first_alarm(tokenizer.encode(real_texts()[name]).ids) is None


def test_a_sentence_said_over_and_over_is_cut_within_a_few_copies() -> None:
    opening = "We should ask who carries the risk before we ask who gains! "
    sentence = "It is important to remember that every choice has a cost. "

    tokens = tokens_of(opening + sentence * 100)

    assert first_alarm(tokens) == len(tokens_of(opening)) + SHORTEST_SPAN


def test_ordinary_random_streams_raise_no_alarm() -> None:
    draws = random.Random(5)

    assert first_alarm(min(int(draws.paretovariate(0.8)), 50_000) for _ in range(5_000)) is None
