"""`gsm8k`: is the number that an answer ends in the right one? Exact match, 1 or 0, by the rules of the Python script.

The number stands behind the first `####` that has one; without such a mark it is the last that follows a blank, an
equals sign or the start of the text. So `$18` and `(18` are invisible, and `#### ...` answers with three full stops:
flaws of the published check, kept since its accuracies are only comparable with them.
"""

import re
from dataclasses import dataclass
from functools import partial
from math import isfinite

from lemfarm.errors import InputError
from lemfarm.scorers.base import Hit, Score

_MARKED = re.compile(r"####\s*([\d,.\-]+)")
_NUMBER = re.compile(r"(?<![^\s=])(-?[\d,]+(?:\.\d+)?)")
_FAILURE = "ERROR"
_TOLERANCE = 0.01


class Gsm8k:
    """Whether the number that an answer to a sum ends in is the right one. Cannot score before it is told which that
    is: `against(expected)`."""

    name = "gsm8k"
    version = "1"

    def against(self, expected: str) -> "ExactNumber":
        """The scorer for answers to the question whose right answer is `expected`; with commas in it, it is a text."""
        return ExactNumber(expected)

    def score(self, prompt: str, answer: str) -> Score:
        """Raises InputError: there is nothing to compare with."""
        raise InputError(
            "gsm8k was not told the expected answer: give the probe or record a `correct_answer`, "
            "or in Python ask `scorer_for('gsm8k', expected)`"
        )


@dataclass(frozen=True, slots=True)
class ExactNumber:
    """Scores 1 where the answer's number is less than 0.01 off the expected one, else 0.

    Signals: `correct` and `answered` (a number, or what stands in its place, was found), each 0 or 1, and `extracted`,
    the number itself where it is one.
    """

    expected: str
    name = Gsm8k.name
    version = Gsm8k.version

    def score(self, prompt: str, answer: str) -> Score:
        """Whether the answer is right; `prompt` plays no part."""
        place = _find_number(answer)
        if place is None:
            return Score(0.0, {"correct": 0, "answered": 0})
        extracted = answer[slice(*place)].replace(",", "")
        correct = _is_same(self.expected, extracted)
        signals = {"correct": int(correct), "answered": 1} | _number_signal(extracted)
        return Score(float(correct), signals, partial(_hits, place))


def _hits(place: tuple[int, int]) -> tuple[Hit, ...]:
    return (Hit("extracted", *place),)


def _find_number(answer: str) -> tuple[int, int] | None:
    """Start and end of what the answer gives as its number."""
    if answer.startswith(_FAILURE):
        return None
    marked = _MARKED.search(answer)
    if marked:
        return marked.span(1)
    place = None
    for match in _NUMBER.finditer(answer):
        place = match.span(1)
    return place


def _is_same(expected: str, extracted: str) -> bool:
    """As numbers, or, if one of them is none, as texts."""
    wanted, given = _as_number(expected), _as_number(extracted)
    if wanted is None or given is None:
        return expected.strip() == extracted.strip()
    return abs(wanted - given) < _TOLERANCE


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _number_signal(extracted: str) -> dict[str, float]:
    number = _as_number(extracted)
    return {} if number is None or not isfinite(number) else {"extracted": number}
