"""How much generation the planner saves: a simulation of its waves, and the same through the real farm (--farm).

    python bench/effort.py [--repetitions 10] [--seed 2]
    python bench/effort.py --farm

101 probes x 4 variants x 10 samples, at most 5 accepted of a probe, quota 505. Every probe has a pass rate of its own,
drawn from a Beta of mean 0.35 and concentration 2, 5 or 20 (the smaller, the more the probes differ). Compared are the
whole grid (4,040 generations), one sample at a time in a fixed order until the probe's share is accepted (the least
work without foresight), and the planner's waves with 16, 32 and 64 samples in flight, without and with giving up.
Samples end in random order; what is in flight is never called back; a new wave is planned after every eighth of the
depth. The farm's part stands in `effort_farm.py`.
"""

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean

from common import Aim
from effort_farm import farm_lines

from lemfarm.giving_up import patience
from lemfarm.planning import Cell, CellKey, next_wave

PROBES, VARIANTS, SAMPLES, SHARE = 101, 4, 10, 5
GRID = PROBES * VARIANTS * SAMPLES
MEAN_RATE = 0.35
CONCENTRATIONS = (2, 5, 20)
DEPTHS = (16, 32, 64)
GIVE_UP_BELOW = 0.1
SHARE_OF_OPTIMUM, SAVING_GIVING_UP, POINTS_LOST = 0.95, 55.0, 1.0
WHOLE, LEAST = "whole grid", "one at a time"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did: samples generated, accepted beyond the shares, probes whose share was filled."""

    generations: int
    too_many: int
    filled: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A policy over all repetitions. `saved`: generations fewer than the grid, in %; `filled`: probes, in %."""

    saved: float
    too_many: float
    filled: float


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
    at_once = patience(cells, SHARE, give_up_below)
    return next_wave(cells, missing, depth=depth, at_most_per_probe=SHARE, at_once=at_once)


def compare(concentration: float, repetitions: int, seed: int) -> dict[str, Figures]:
    """All policies on the same draws."""
    outcomes: dict[str, list[Outcome]] = {}
    for repetition in range(repetitions):
        luck = random.Random(f"{seed}/{concentration}/{repetition}")
        answers = draw_answers(luck, concentration)
        outcomes.setdefault(WHOLE, []).append(whole_grid(answers))
        outcomes.setdefault(LEAST, []).append(one_at_a_time(answers))
        for depth in DEPTHS:
            outcomes.setdefault(waves_of(depth), []).append(waves(answers, luck, depth))
        for depth in DEPTHS:
            outcomes.setdefault(giving_up(depth), []).append(waves(answers, luck, depth, GIVE_UP_BELOW))
    return {policy: figures(found) for policy, found in outcomes.items()}


def waves_of(depth: int) -> str:
    """What the planner's waves are called."""
    return f"waves of {depth}"


def giving_up(depth: int) -> str:
    """What they are called where probes are given up."""
    return f"waves of {depth}, give_up_below {GIVE_UP_BELOW}"


def figures(found: Sequence[Outcome]) -> Figures:
    """The means of a policy."""
    return Figures(
        saved=100 * (1 - mean(outcome.generations for outcome in found) / GRID),
        too_many=mean(outcome.too_many for outcome in found),
        filled=100 * mean(outcome.filled for outcome in found) / PROBES,
    )


def table(concentration: float, found: dict[str, Figures]) -> list[str]:
    """The rows of one concentration, as Markdown."""
    return [
        f"| {concentration} | {policy} | {GRID * (1 - one.saved / 100):,.0f} | {one.saved:.1f} % "
        f"| {one.too_many:.1f} | {one.filled:.1f} % |"
        for policy, one in found.items()
    ]


def aims_of(concentration: float, found: dict[str, Figures]) -> list[Aim]:
    """The planner's aims, each at the depth that is worst for it."""
    what = f"effort: concentration {concentration}"
    plain, lean = [found[waves_of(depth)] for depth in DEPTHS], [found[giving_up(depth)] for depth in DEPTHS]
    of_optimum = min(one.saved for one in plain) / found[LEAST].saved
    unfilled = found[WHOLE].filled - min(one.filled for one in plain)
    lost = found[WHOLE].filled - min(one.filled for one in lean)
    return [
        Aim(f"{what}, saving against the least", 100 * of_optimum, 100 * SHARE_OF_OPTIMUM, "%", at_least=True),
        Aim(f"{what}, probes that the grid fills and waves do not", unfilled, 0.0, "points"),
        Aim(f"{what}, saving when giving up", min(one.saved for one in lean), SAVING_GIVING_UP, "%", at_least=True),
        Aim(f"{what}, probes lost by giving up", lost, POINTS_LOST, "points"),
    ]


def main() -> None:
    """Print the comparison as a Markdown table, and how the aims were met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--farm", action="store_true", help="through the real farm instead; takes some minutes")
    given = parser.parse_args()
    if given.farm:
        for line in farm_lines():
            print(line, flush=True)
        return
    aims: list[Aim] = []
    print("| concentration | policy | generations | fewer than the grid | accepted too many | probes filled |")
    print("|---|---|---|---|---|---|")
    for concentration in CONCENTRATIONS:
        found = compare(concentration, given.repetitions, given.seed)
        aims += aims_of(concentration, found)
        print("\n".join(table(concentration, found)), flush=True)
    print("\n".join(["", *(aim.line() for aim in aims)]))


if __name__ == "__main__":
    main()
