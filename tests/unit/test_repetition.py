"""A stream that loops is noticed; one that only has a pattern is left alone."""

import random
import re
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.engines.repetition import FEWEST_COPIES, LONGEST_UNIT, SHORTEST_SPAN, LoopDetector


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


def loops_by_definition(tokens: Sequence[int]) -> bool:
    for period in range(1, LONGEST_UNIT + 1):
        span = max(SHORTEST_SPAN, FEWEST_COPIES * period)
        tail = tokens[-span:]
        if len(tail) == span and all(a == b for a, b in zip(tail, tail[period:], strict=False)):
            return True
    return False


@pytest.mark.parametrize("period", [1, 2, 5, 17, 42, 43, 64, 200, LONGEST_UNIT])
def test_the_alarm_comes_at_three_copies_and_128_tokens_and_not_before(period: int) -> None:
    before = list(range(10_000, 10_037))
    unit = list(range(period))

    assert first_alarm(before + unit * 130) == len(before) + max(SHORTEST_SPAN, FEWEST_COPIES * period)


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


@settings(max_examples=40, deadline=None)
@given(streams_about_to_loop())
def test_every_prefix_agrees_with_the_definition(tokens: list[int]) -> None:
    assert alarms(tokens) == [loops_by_definition(tokens[:length]) for length in range(1, len(tokens) + 1)]


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


def test_a_sentence_said_over_and_over_is_cut_within_a_few_copies() -> None:
    opening = "We should ask who carries the risk before we ask who gains! "
    sentence = "It is important to remember that every choice has a cost. "

    tokens = tokens_of(opening + sentence * 100)

    assert first_alarm(tokens) == len(tokens_of(opening)) + SHORTEST_SPAN


def test_ordinary_random_streams_raise_no_alarm() -> None:
    draws = random.Random(5)

    assert first_alarm(min(int(draws.paretovariate(0.8)), 50_000) for _ in range(5_000)) is None
