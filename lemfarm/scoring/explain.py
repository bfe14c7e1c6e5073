"""Where a score comes from: every hit in its context, and what it is worth."""

from collections import Counter
from dataclasses import dataclass

from lemfarm.scorers import Hit, Score, Scorer
from lemfarm.scorers.weighted import Signal, WeightedScorer
from lemfarm.scoring.records import Answered, Record

CONTEXT = 40
"""Characters shown before and after a hit."""

_LONGEST_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Place:
    """One hit: characters `start` to `end` of the answer, with the text around it.

    `points` is what this hit added to the score, none where the scorer does not say; hits beyond a signal's cap add 0.
    """

    signal: str
    start: int
    end: int
    before: str
    text: str
    after: str
    points: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """One signal of a score: its raw count, and what it contributed after weight and cap."""

    signal: str
    count: float
    points: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One score of one answer, taken apart. `place` is file:line."""

    place: str
    probe: str
    condition: str
    scorer: str
    version: str
    value: float
    signals: tuple[Share, ...]
    hits: tuple[Place, ...]


def explain(scorer: Scorer, score: Score, record: Record, answered: Answered, place: str) -> Explanation:
    """Take the score of one answer of a record apart; `place` is the record's file:line. Points are known of the
    marker-counting scorers, of others only counts and places."""
    weighted = {signal.name: signal for signal in scorer.signals} if isinstance(scorer, WeightedScorer) else {}
    shares = tuple(Share(name, count, _points(weighted.get(name), count)) for name, count in score.signals.items())
    return Explanation(
        place=place,
        probe=record.probe,
        condition=answered.condition,
        scorer=scorer.name,
        version=scorer.version,
        value=score.value,
        signals=shares,
        hits=_places(score, answered.text, weighted),
    )


def _points(signal: Signal | None, count: float) -> float | None:
    return None if signal is None else signal.points(count)


def _places(score: Score, answer: str, weighted: dict[str, Signal]) -> tuple[Place, ...]:
    """Hits in the order of the text. A signal may count more than it has places for (paragraphs are blank lines and
    one) or less (of some markers only the first few count), so a hit is worth what it lifts the count by, if at all. A
    hit that counts twice is there twice, and told once."""
    hits = score.hits
    places = Counter(hit.signal for hit in hits)
    reached = {name: max(0.0, score.signals.get(name, 0.0) - number) for name, number in places.items()}
    found = []
    for hit, times in Counter(hits).items():
        before = reached[hit.signal]
        reached[hit.signal] = min(before + times, score.signals.get(hit.signal, 0.0))
        found.append(_place(hit, answer, _worth(weighted.get(hit.signal), before, reached[hit.signal])))
    return tuple(found)


def _worth(signal: Signal | None, before: float, after: float) -> float | None:
    return None if signal is None else signal.points(after) - signal.points(before)


def _place(hit: Hit, answer: str, points: float | None) -> Place:
    text = answer[hit.start : hit.end]
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[: _LONGEST_SHOWN // 2]}…{text[-_LONGEST_SHOWN // 2 :]}"
    return Place(
        signal=hit.signal,
        start=hit.start,
        end=hit.end,
        before=answer[max(0, hit.start - CONTEXT) : hit.start],
        text=text,
        after=answer[hit.end : hit.end + CONTEXT],
        points=points,
    )
