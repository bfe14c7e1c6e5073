"""The simulated grid of `effort.py`, and what may be done with it: everything, the least, the planner's waves."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import common  # noqa: F401 - puts the repository on the path

from lemfarm.giving_up import patience
from lemfarm.planning import Cell, CellKey, next_wave

PROBES, VARIANTS, SAMPLES, SHARE = 101, 4, 10, 5
OF_PROBE = VARIANTS * SAMPLES
GRID = PROBES * OF_PROBE
MEAN_RATE = 0.35
#: A new wave is planned after this part of the depth has ended.
_PLANS_PER_DEPTH = 4

Answers = dict[str, list[bool]]
"""By probe, whether the n-th of its samples that ends is accepted, whichever wording it is of. The wordings of a probe
have one rate here, so that the order may be any; with this one all policies have the same luck."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did: samples generated, accepted beyond the shares, probes whose share was filled."""

    generations: int
    too_many: int
    filled: int


@dataclass(slots=True)
class Farm:
    """A grid, and how far each cell of it has come."""

    answers: Answers
    sent: Counter[CellKey] = field(default_factory=Counter)
    accepted: Counter[CellKey] = field(default_factory=Counter)
    done: Counter[CellKey] = field(default_factory=Counter)
    done_of: Counter[str] = field(default_factory=Counter)

    def cells(self) -> list[Cell]:
        """The counts that a planner sees."""
        return [self._cell((probe, variant)) for probe in self.answers for variant in range(VARIANTS)]

    def finish(self, key: CellKey) -> None:
        """One sample of the cell ends."""
        probe = key[0]
        self.accepted[key] += self.answers[probe][self.done_of[probe]]
        self.done[key] += 1
        self.done_of[probe] += 1

    def outcome(self) -> Outcome:
        """Count what came of it."""
        per_probe = accepted_per_probe(self.cells())
        return Outcome(
            generations=self.done.total(),
            too_many=sum(max(0, count - SHARE) for count in per_probe.values()),
            filled=sum(count >= SHARE for count in per_probe.values()),
        )

    def _cell(self, key: CellKey) -> Cell:
        sent, done, accepted = self.sent[key], self.done[key], self.accepted[key]
        return Cell(*key, SAMPLES - sent, in_flight=sent - done, accepted=accepted, rejected=done - accepted)


def draw_answers(seed: int, concentration: float) -> Answers:
    """A rate for every probe, then a coin for every sample."""
    luck = random.Random(f"{seed}/{concentration}")
    alpha, beta = MEAN_RATE * concentration, (1 - MEAN_RATE) * concentration
    rates = [luck.betavariate(alpha, beta) for _ in range(PROBES)]
    return {f"P{number:03}": [luck.random() < rate for _ in range(OF_PROBE)] for number, rate in enumerate(rates)}


def whole_grid(answers: Answers) -> Outcome:
    """Generate everything."""
    accepted = [sum(found) for found in answers.values()]
    too_many = sum(max(0, count - SHARE) for count in accepted)
    return Outcome(GRID, too_many, sum(count >= SHARE for count in accepted))


def one_at_a_time(answers: Answers) -> Outcome:
    """Sample after sample of each probe until its share is accepted: the least work without foresight."""
    needed = [_needed(found) for found in answers.values()]
    return Outcome(sum(needed), 0, whole_grid(answers).filled)


def _needed(found: Sequence[bool]) -> int:
    passed = [place for place, accepted in enumerate(found, 1) if accepted]
    return passed[SHARE - 1] if len(passed) >= SHARE else len(found)


def waves(answers: Answers, depth: int, give_up_below: float, luck: random.Random) -> Outcome:
    """The planner's waves: samples end in random order and are never called back; a new wave is planned after every
    quarter of the depth."""
    farm = Farm(answers)
    in_flight: list[CellKey] = []
    while True:
        for key, count in plan(farm.cells(), depth, give_up_below):
            in_flight += [key] * count
            farm.sent[key] += count
        if not in_flight:
            return farm.outcome()
        for _ in range(min(depth // _PLANS_PER_DEPTH, len(in_flight))):
            farm.finish(in_flight.pop(luck.randrange(len(in_flight))))


def plan(cells: Sequence[Cell], depth: int, give_up_below: float) -> list[tuple[CellKey, int]]:
    """The next wave for a quota of five accepted of every probe."""
    missing = sum(SHARE - min(SHARE, count) for count in accepted_per_probe(cells).values())
    at_once = patience(cells, SHARE, give_up_below)
    return next_wave(cells, missing, depth=depth, at_most_per_probe=SHARE, at_once=at_once)


def accepted_per_probe(cells: Sequence[Cell]) -> Counter[str]:
    """Accepted samples of each probe, its variants taken together."""
    found: Counter[str] = Counter()
    for cell in cells:
        found[cell.probe] += cell.accepted
    return found
