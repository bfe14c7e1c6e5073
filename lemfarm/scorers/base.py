"""A scorer gives a number with its signals, and nothing else: judging is the gates' work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Score:
    """`value` is the total; `signals` the raw counts behind it, before weights and caps."""

    value: float
    signals: Mapping[str, float] = field(default_factory=dict)


class Scorer(Protocol):
    """`name` and `version` are stored with every score, so that a change of either can be seen and redone."""

    name: str
    version: str

    def score(self, prompt: str, answer: str) -> Score:
        """Score one answer; never raises on any text, and takes time at most proportional to its length."""
