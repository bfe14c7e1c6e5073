"""How much generation the planner saves: a simulation of `next_wave`, without model, queue or database.

    python bench/effort.py [--repetitions 10] [--seed 1]

101 probes x 4 variants x 10 samples, at most 5 accepted of a probe, quota 505. Every probe has a pass rate of its own,
drawn from a Beta of mean 0.35 and concentration 2, 5 or 20 (the smaller, the more the probes differ). Compared are the
whole grid (4,040 generations), one sample at a time in a fixed order until the probe's share is accepted (the least
work without foresight), and the planner's waves with 16, 32 and 64 samples in flight. Samples end in random order; a
new wave is planned after every eighth of the depth.
"""

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean

from lemfarm.planning import Cell, CellKey, hopeless, next_wave

PROBES, VARIANTS, SAMPLES, SHARE = 101, 4, 10, 5
GRID = PROBES * VARIANTS * SAMPLES
MEAN_RATE = 0.35
CONCENTRATIONS = (2, 5, 20)
DEPTHS = (16, 32, 64)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did: samples generated, accepted beyond the shares, probes whose share was filled."""

    generations: int
    too_many: int
    filled: int


@dataclass(slots=True)
class Farm:
    """A grid whose every answer is decided beforehand, so that all policies face the same luck."""

    answers: dict[CellKey, list[bool]]
    sent: Counter[CellKey] = field(default_factory=Counter)
    accepted: Counter[CellKey] = field(default_factory=Counter)
    done: Counter[CellKey] = field(default_factory=Counter)

    def cells(self) -> list[Cell]:
        """The counts that a planner sees."""
        return [
            Cell(
                *key,
                pending=SAMPLES - self.sent[key],
                in_flight=self.sent[key] - self.done[key],
                accepted=self.accepted[key],
                rejected=self.done[key] - self.accepted[key],
            )
            for key in self.answers
        ]

    def finish(self, key: CellKey) -> None:
        """One sample of the cell ends."""
        self.accepted[key] += self.answers[key][self.done[key]]
        self.done[key] += 1

    def outcome(self) -> Outcome:
        """Count what came of it."""
        per_probe = accepted_per_probe(self.accepted)
        return Outcome(
            generations=self.done.total(),
            too_many=sum(max(0, count - SHARE) for count in per_probe.values()),
            filled=sum(count >= SHARE for count in per_probe.values()),
        )


def accepted_per_probe(accepted: Counter[CellKey]) -> Counter[str]:
    """Accepted samples of each probe, its variants taken together."""
    found: Counter[str] = Counter()
    for (probe, _), count in accepted.items():
        found[probe] += count
    return found


def draw_answers(luck: random.Random, concentration: float) -> dict[CellKey, list[bool]]:
    """Which samples would be accepted: a rate for every probe, then a coin for every sample."""
    answers: dict[CellKey, list[bool]] = {}
    for number in range(PROBES):
        rate = luck.betavariate(MEAN_RATE * concentration, (1 - MEAN_RATE) * concentration)
        for variant in range(VARIANTS):
            answers[f"P{number:03}", variant] = [luck.random() < rate for _ in range(SAMPLES)]
    return answers


def whole_grid(answers: dict[CellKey, list[bool]]) -> Outcome:
    """Generate everything."""
    farm = Farm(answers)
    for key in [key for key in answers for _ in range(SAMPLES)]:
        farm.finish(key)
    return farm.outcome()


def one_at_a_time(answers: dict[CellKey, list[bool]]) -> Outcome:
    """Probe after probe, sample after sample; on to the next probe as soon as its share is accepted."""
    farm = Farm(answers)
    for key in [key for key in answers for _ in range(SAMPLES)]:
        if sum(farm.accepted[key[0], variant] for variant in range(VARIANTS)) < SHARE:
            farm.finish(key)
    return farm.outcome()


def waves(answers: dict[CellKey, list[bool]], luck: random.Random, depth: int, give_up_below: float = 0.0) -> Outcome:
    """The planner's waves, with samples ending in random order."""
    farm = Farm(answers)
    in_flight: list[CellKey] = []
    while True:
        for key, count in plan(farm.cells(), depth, give_up_below):
            in_flight += [key] * count
            farm.sent[key] += count
        if not in_flight:
            return farm.outcome()
        for _ in range(min(depth // 8, len(in_flight))):
            farm.finish(in_flight.pop(luck.randrange(len(in_flight))))


def plan(cells: Sequence[Cell], depth: int, give_up_below: float) -> list[tuple[CellKey, int]]:
    """The next wave for a quota of five accepted of every probe."""
    counted = Counter({cell.key: cell.accepted for cell in cells})
    missing = sum(SHARE - min(SHARE, count) for count in accepted_per_probe(counted).values())
    given_up = hopeless(cells, SHARE, give_up_below)
    return next_wave(cells, missing, depth=depth, at_most_per_probe=SHARE, leave_out=given_up)


def compare(concentration: float, repetitions: int, seed: int) -> dict[str, list[Outcome]]:
    """All policies on the same draws."""
    outcomes: dict[str, list[Outcome]] = {}
    for repetition in range(repetitions):
        luck = random.Random(f"{seed}/{concentration}/{repetition}")
        answers = draw_answers(luck, concentration)
        outcomes.setdefault("whole grid", []).append(whole_grid(answers))
        outcomes.setdefault("one at a time", []).append(one_at_a_time(answers))
        for depth in DEPTHS:
            outcomes.setdefault(f"waves of {depth}", []).append(waves(answers, luck, depth))
        outcomes.setdefault("waves of 32, give up below 0.1", []).append(waves(answers, luck, 32, 0.1))
    return outcomes


def table(concentration: float, outcomes: dict[str, list[Outcome]]) -> list[str]:
    """The rows of one concentration, as Markdown."""
    rows = []
    for policy, found in outcomes.items():
        generations = mean(outcome.generations for outcome in found)
        rows.append(
            f"| {concentration} | {policy} | {generations:,.0f} | {100 * (1 - generations / GRID):.1f} % "
            f"| {mean(outcome.too_many for outcome in found):.1f} "
            f"| {100 * mean(outcome.filled for outcome in found) / PROBES:.1f} % |"
        )
    return rows


def main() -> None:
    """Print the comparison as a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print("| concentration | policy | generations | fewer than the grid | accepted too many | probes filled |")
    print("|---|---|---|---|---|---|")
    for concentration in CONCENTRATIONS:
        print("\n".join(table(concentration, compare(concentration, given.repetitions, given.seed))), flush=True)


if __name__ == "__main__":
    main()
