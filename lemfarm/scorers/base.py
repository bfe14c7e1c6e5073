"""A scorer gives a number with its signals and shows where they come from: judging is the gates' work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Hit:
    """One place that a signal counted: characters `start` to `end` (exclusive) of the answer."""

    signal: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Score:
    """`value` is the total; `signals` the raw counts behind it, before weights and caps.

    `find_hits` looks for the places behind the counts. They are wanted seldom and cost time, so nothing looks for them
    before `hits` is read.
    """

    value: float
    signals: Mapping[str, float] = field(default_factory=dict)
    find_hits: Callable[[], tuple[Hit, ...]] = field(default=tuple, repr=False, compare=False)

    @property
    def hits(self) -> tuple[Hit, ...]:
        """Where the signals were found, in the order of the text; signals that judge a whole text have no place."""
        return tuple(sorted(self.find_hits(), key=lambda hit: (hit.start, hit.end, hit.signal)))


class Scorer(Protocol):
    """`name` and `version` are stored with every score, so that a change of either can be seen and redone."""

    name: str
    version: str

    def score(self, prompt: str, answer: str) -> Score:
        """Score one answer; never raises on any text, and takes time at most proportional to its length."""


@runtime_checkable
class ComparingScorer(Protocol):
    """A scorer that compares with an expected answer: it scores once it is told which."""

    def against(self, expected: str) -> Scorer:
        """The scorer for answers to a prompt whose right answer is `expected`."""
