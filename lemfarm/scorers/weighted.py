"""What the marker-counting scorers are made of: a text, signals that count in it, and a weighted sum.

A scorer of this family is a tuple of signals. Each counts something, and contributes count x weight up to its cap;
penalties are signals with a negative weight and no cap. Case is folded once per text, not once per expression: a
case-sensitive expression over folded text finds the same hits at a fraction of the time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from lemfarm.scorers.base import Score

# The characters outside ASCII which a case-insensitive expression takes for an ASCII letter: dotted capital I, dotless
# small i, long s, Kelvin sign. str.lower() keeps two of them and makes two characters of the first.
_ODD_LETTERS = (("\u0130", "i"), ("\u0131", "i"), ("\u017f", "s"), ("\u212a", "k"))


def fold(text: str) -> str:
    """Lower case such that a lower-case ASCII expression hits exactly where `re.IGNORECASE` would in `text`.

    The result has the same length as `text`, so positions in one are positions in the other.
    """
    if not text.isascii():
        for odd, letter in _ODD_LETTERS:
            text = text.replace(odd, letter)
    return text.lower()


@dataclass(frozen=True, slots=True)
class Text:
    """An answer as it stands and case-folded, of the same length."""

    raw: str
    folded: str

    @classmethod
    def of(cls, answer: str) -> "Text":
        """Fold once, for every signal to share."""
        return cls(answer, fold(answer))


@dataclass(frozen=True, slots=True)
class Markers:
    """Counts the hits of one alternation: leftmost first, non-overlapping, alternatives tried in their listed order.

    Alternatives of different length can match at one place, so their order is part of a scorer's definition.
    """

    pattern: re.Pattern[str]
    ignore_case: bool = True

    def __call__(self, text: Text) -> int:
        """The number of hits in the text."""
        return len(self.pattern.findall(text.folded if self.ignore_case else text.raw))


def whole_words(*alternatives: str, ignore_case: bool = True) -> Markers:
    """Markers with a word boundary before and after; each alternative is an expression, lower-case if `ignore_case`.

    An alternative that ends in a blank therefore asks for a word character behind that blank.
    """
    return Markers(re.compile(rf"\b(?:{'|'.join(alternatives)})\b"), ignore_case)


def anywhere(*alternatives: str, ignore_case: bool = True) -> Markers:
    """Markers without boundaries: they hit inside words too."""
    return Markers(re.compile("|".join(alternatives)), ignore_case)


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that is counted, what a count is worth, and the most it can contribute (none: no limit)."""

    name: str
    count: Callable[[Text], float]
    weight: float
    cap: float | None = None

    def points(self, count: float) -> float:
        """What so many counts contribute to the score."""
        points = count * self.weight
        return points if self.cap is None else min(points, self.cap)


class WeightedScorer:
    """A scorer that sums its signals and rounds to two decimals; a subclass names itself and lists them."""

    name: str
    version: str
    signals: ClassVar[tuple[Signal, ...]]

    def score(self, prompt: str, answer: str) -> Score:
        """The rounded sum and the raw counts; `prompt` plays no part in this family."""
        text = Text.of(answer)
        counts = {signal.name: signal.count(text) for signal in self.signals}
        total = sum(signal.points(counts[signal.name]) for signal in self.signals)
        return Score(round(total, 2), counts)
