"""Scores in figures, by file, category and condition. Eight bytes are kept of every score, so medians are exact."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lemfarm.scoring.chunk_scores import AnswerScores


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """The scores of one group by one scorer; `category` and `condition` are empty where a record has none to tell."""

    file: str
    category: str
    condition: str
    scorer: str
    n: int
    mean: float
    median: float
    min: float
    max: float


_Key = tuple[str, str, str, str]


@dataclass(slots=True)
class Tally:
    """Collects scores of any number of answers."""

    scorers: Sequence[str]
    _values: dict[_Key, "array[float]"] = field(default_factory=dict)

    def add(self, file: str, answers: Iterable[AnswerScores]) -> None:
        """Count answers of a file; scores that are missing do not count."""
        for answer in answers:
            for scorer, value in zip(self.scorers, answer.values, strict=True):
                if value is not None:
                    self._group((file, answer.category, answer.condition, scorer)).append(value)

    def groups(self) -> tuple[SummaryRow, ...]:
        """A row for each file, category, condition and scorer, in the order in which they were first met."""
        return tuple(_row(key, [values]) for key, values in self._values.items())

    def totals(self) -> tuple[SummaryRow, ...]:
        """A row for each file, condition and scorer, all categories together (`category` is empty)."""
        merged: dict[_Key, list[array[float]]] = {}
        for (file, _category, condition, scorer), values in self._values.items():
            merged.setdefault((file, "", condition, scorer), []).append(values)
        return tuple(_row(key, parts) for key, parts in merged.items())

    def _group(self, key: _Key) -> "array[float]":
        if key not in self._values:
            self._values[key] = array("d")
        return self._values[key]


def _row(key: _Key, parts: Sequence["array[float]"]) -> SummaryRow:
    values = np.concatenate([np.frombuffer(part) for part in parts])
    return SummaryRow(
        *key,
        n=len(values),
        mean=float(values.mean()),
        median=float(np.median(values)),
        min=float(values.min()),
        max=float(values.max()),
    )
