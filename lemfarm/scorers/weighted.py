"""What the marker-counting scorers are made of: a text, signals that count in it, and a weighted sum.

A scorer of this family is a tuple of signals. Each counts something, and contributes count x weight up to its cap;
penalties are signals with a negative weight and no cap. Case is folded once per text, not once per expression: a
case-sensitive expression over folded text finds the same hits at a fraction of the time.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

from lemfarm.scorers.base import Hit, Score

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
    """An answer as it stands, and without its case as the scorer at hand compares it."""

    raw: str
    folded: str

    @classmethod
    def of(cls, answer: str) -> "Text":
        """Fold once, for every signal to share."""
        return cls(answer, fold(answer))

    @classmethod
    def lowered(cls, answer: str) -> "Text":
        """For scorers that compare with `str.lower()`, which makes two characters of the dotted capital I."""
        return cls(answer, answer.lower())

    def in_raw(self, places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Places of the folded text as places of the raw one."""
        if len(self.folded) == len(self.raw):
            return iter(places)
        origins = [index for index, character in enumerate(self.raw) for _ in character.lower()]
        return ((origins[start], origins[end - 1] + 1) for start, end in places)


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

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Start and end of each hit."""
        if self.ignore_case:
            return text.in_raw(match.span() for match in self.pattern.finditer(text.folded))
        return (match.span() for match in self.pattern.finditer(text.raw))


@dataclass(frozen=True, slots=True)
class Literal:
    """Counts one literal text, non-overlapping; `beyond` is added to the count (n separators make n + 1 parts)."""

    wanted: str
    beyond: int = 0

    def __call__(self, text: Text) -> int:
        """The number of hits in the text, and `beyond`."""
        return text.raw.count(self.wanted) + self.beyond

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Start and end of each hit."""
        start = text.raw.find(self.wanted)
        while start >= 0:
            yield start, start + len(self.wanted)
            start = text.raw.find(self.wanted, start + len(self.wanted))


@runtime_checkable
class Placed(Protocol):
    """A count that can also tell where it found what it counted."""

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Start and end of each hit."""


def places_of(count: Callable[[Text], float], text: Text) -> Iterator[tuple[int, int]]:
    """Where it counted; nothing for a count that judges the text as a whole."""
    return count.places(text) if isinstance(count, Placed) else iter(())


def whole_words(*alternatives: str, ignore_case: bool = True, ascii_words: bool = False) -> Markers:
    """Markers with a word boundary before and after; each alternative is an expression, lower-case if `ignore_case`.

    An alternative that ends in a blank therefore asks for a word character behind that blank. With `ascii_words` only
    letters and digits of ASCII (and `_`) make words.
    """
    flags = re.ASCII if ascii_words else re.NOFLAG
    return Markers(re.compile(rf"\b(?:{'|'.join(alternatives)})\b", flags), ignore_case)


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

    def hits(self, text: Text) -> Iterator[Hit]:
        """Where it counted; nothing for a signal that judges the text as a whole."""
        return (Hit(self.name, start, end) for start, end in places_of(self.count, text))


class WeightedScorer:
    """A scorer that sums its signals; a subclass names itself and lists them."""

    name: str
    version: str
    signals: ClassVar[tuple[Signal, ...]]
    decimals: ClassVar[int | None] = 2  #: none: the sum stands as it is

    def score(self, prompt: str, answer: str) -> Score:
        """The sum and the raw counts; `prompt` plays no part in this family."""
        text = self._read(answer)
        counts = {signal.name: signal.count(text) for signal in self.signals}
        total = sum(signal.points(counts[signal.name]) for signal in self.signals)
        value = total if self.decimals is None else round(total, self.decimals)
        return Score(value, counts, partial(self._hits, text))

    def _read(self, answer: str) -> Text:
        return Text.of(answer)

    def _hits(self, text: Text) -> tuple[Hit, ...]:
        return tuple(hit for signal in self.signals for hit in signal.hits(text))
