"""Counts beyond plain markers, and counts made of counts: what `v1` and `tier1` need besides `weighted`."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from lemfarm.scorers.weighted import Text, places_of

Count = Callable[[Text], float]
"""Any count of something in a text; one with a method `places` can also say where."""


def as_it_stands(text: str) -> str:
    """Strips nothing."""
    return text


@dataclass(frozen=True, slots=True)
class Opening:
    """1 if the text, stripped, opens with the expression, else 0."""

    pattern: re.Pattern[str]
    strip: Callable[[str], str]
    ignore_case: bool = True

    def __call__(self, text: Text) -> int:
        """Whether it opens so."""
        return sum(1 for _ in self.places(text))

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Start and end of the opening words."""
        return text.in_raw(self._spans(text.folded)) if self.ignore_case else self._spans(text.raw)

    def _spans(self, searched: str) -> Iterator[tuple[int, int]]:
        stripped = self.strip(searched)
        match = self.pattern.match(stripped)
        if match:
            start = searched.find(stripped)
            yield start, start + match.end()


def opens_with(*alternatives: str, strip: Callable[[str], str] = str.strip, ignore_case: bool = True) -> Opening:
    """Any of these expressions, lower-case if `ignore_case`, right at the start; no boundary is asked for behind."""
    return Opening(re.compile("|".join(alternatives)), strip, ignore_case)


@dataclass(frozen=True, slots=True)
class Present:
    """How many of these lower-case phrases occur, inside words too; each counts once however often it does."""

    phrases: tuple[str, ...]

    def __call__(self, text: Text) -> int:
        """The number of phrases that the text contains."""
        return sum(phrase in text.folded for phrase in self.phrases)

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Start and end of the first occurrence of each."""
        starts = ((phrase, text.folded.find(phrase)) for phrase in self.phrases)
        return text.in_raw((start, start + len(phrase)) for phrase, start in starts if start >= 0)


@dataclass(frozen=True, slots=True)
class MoreWordsThan:
    """How many of these numbers of blank-separated words the text exceeds."""

    limits: tuple[int, ...]
    split: Callable[[str], list[str]] = str.split

    def __call__(self, text: Text) -> int:
        """The number of limits passed."""
        words = len(self.split(text.raw))
        return sum(words > limit for limit in self.limits)


@dataclass(frozen=True, slots=True)
class AtMost:
    """A count that is taken up to a limit; so are its places, those that come first."""

    limit: int
    count: Count

    def __call__(self, text: Text) -> float:
        """The count or the limit."""
        return min(self.limit, self.count(text))

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """The first places of the count."""
        return islice(places_of(self.count, text), self.limit)


@dataclass(frozen=True, slots=True)
class Times:
    """A count of which each hit is worth several."""

    factor: int
    count: Count

    def __call__(self, text: Text) -> float:
        """The count, multiplied."""
        return self.factor * self.count(text)

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """The places of the count, each as often as it counts."""
        return (place for place in places_of(self.count, text) for _ in range(self.factor))


class Sum:
    """Several counts added up."""

    def __init__(self, *counts: Count) -> None:
        self._counts = counts

    def __call__(self, text: Text) -> float:
        """The sum of the counts."""
        return sum(count(text) for count in self._counts)

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """The places of each count in turn."""
        return (place for count in self._counts for place in places_of(count, text))
