"""How much generation the planner saves: a simulation of its waves, and the same through the real farm (--farm).

    python bench/effort.py [--seeds 20] [--jobs 2]
    python bench/effort.py --farm

101 probes x 4 variants x 10 samples, at most 5 accepted of a probe, quota 505. Every probe has a pass rate of its own,
drawn from a Beta of mean 0.35 and concentration 2, 5 or 20 (the smaller, the more the probes differ); every seed draws
anew. Compared are the whole grid (4,040 generations), one sample at a time until a probe's share is accepted (the least
work without foresight), and the planner's waves with 16, 32 and 64 samples in flight, without and with giving up. The
policies stand in `effort_policies.py`, the farm's part in `effort_farm.py`.
"""

import argparse
import os
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from statistics import mean, stdev

from common import Aim
from effort_farm import farm_lines
from effort_policies import GRID, PROBES, Outcome, draw_answers, one_at_a_time, waves, whole_grid

CONCENTRATIONS = (2, 5, 20)
DEPTHS = (16, 32, 64)
GIVE_UP_BELOW = 0.1
SHARE_OF_OPTIMUM, SAVING_GIVING_UP, POINTS_LOST = 95.0, 55.0, 1.0


@dataclass(frozen=True, slots=True)
class Draw:
    """What all policies made of one draw of the probes' rates and answers; waves by their depth."""

    concentration: int
    whole: Outcome
    least: Outcome
    plain: dict[int, Outcome]
    lean: dict[int, Outcome]

    def of_optimum(self, depth: int) -> float:
        """How much of the saving without foresight plain waves reach, in %."""
        return 100 * saved(self.plain[depth]) / saved(self.least)

    def unfilled(self, depth: int) -> float:
        """Probes that the grid fills and plain waves do not, in points."""
        return filled(self.whole) - filled(self.plain[depth])

    def saved_giving_up(self, depth: int) -> float:
        """Generations fewer than the grid, in %."""
        return saved(self.lean[depth])

    def lost(self, depth: int) -> float:
        """Probes that the grid fills and are given up, in points."""
        return filled(self.whole) - filled(self.lean[depth])


def saved(outcome: Outcome) -> float:
    """Generations fewer than the grid, in %."""
    return 100 * (1 - outcome.generations / GRID)


def filled(outcome: Outcome) -> float:
    """Probes that have their share, in %."""
    return 100 * outcome.filled / PROBES


def draw(seed_and_concentration: tuple[int, int]) -> Draw:
    """All policies on the same answers."""
    seed, concentration = seed_and_concentration
    answers = draw_answers(seed, concentration)

    def of_depths(give_up_below: float) -> dict[int, Outcome]:
        luck = f"{seed}/{concentration}"
        return {depth: waves(answers, depth, give_up_below, random.Random(f"{luck}/{depth}")) for depth in DEPTHS}

    return Draw(concentration, whole_grid(answers), one_at_a_time(answers), of_depths(0.0), of_depths(GIVE_UP_BELOW))


def spread(values: Sequence[float]) -> str:
    """Mean, standard deviation over the seeds, least and most."""
    return f"{mean(values):.1f} ± {stdev(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def meeting(values: Sequence[float], limit: float, *, at_least: bool) -> str:
    """How many seeds meet the aim."""
    met = sum(value >= limit if at_least else value <= limit + 1e-9 for value in values)
    return f"{met} of {len(values)}"


def plain_row(draws: Sequence[Draw], depth: int) -> str:
    """Waves of one depth that give nobody up."""
    share = [one.of_optimum(depth) for one in draws]
    cells = (
        f"{draws[0].concentration}",
        f"{depth}",
        f"{mean(saved(one.least) for one in draws):.1f} %",
        spread([saved(one.plain[depth]) for one in draws]),
        spread(share),
        meeting(share, SHARE_OF_OPTIMUM, at_least=True),
        f"{mean(one.plain[depth].too_many for one in draws):.1f}",
        f"{max(one.unfilled(depth) for one in draws):.0f}",
    )
    return f"| {' | '.join(cells)} |"


def lean_row(draws: Sequence[Draw], depth: int) -> str:
    """Waves of one depth that give probes up."""
    kept, lost = [one.saved_giving_up(depth) for one in draws], [one.lost(depth) for one in draws]
    cells = (
        f"{draws[0].concentration}",
        f"{depth}",
        spread(kept),
        meeting(kept, SAVING_GIVING_UP, at_least=True),
        spread(lost),
        meeting(lost, POINTS_LOST, at_least=False),
    )
    return f"| {' | '.join(cells)} |"


PLAIN_HEAD = (
    "| concentration | waves of | least saves | saved, % | part of that, % | seeds of 95 % | accepted too many "
    "| most unfilled |"
)
LEAN_HEAD = "| concentration | waves of | saved, % | seeds of 55 % | probes lost, points | seeds of 1 point |"


def lines_of(draws: Sequence[Draw]) -> list[str]:
    """Both tables, as Markdown."""
    groups = [[one for one in draws if one.concentration == wanted] for wanted in CONCENTRATIONS]
    pairs = list(product(groups, DEPTHS))
    rule = {head: "|---" * (head.count("|") - 1) + "|" for head in (PLAIN_HEAD, LEAN_HEAD)}
    plain = [PLAIN_HEAD, rule[PLAIN_HEAD], *(plain_row(group, depth) for group, depth in pairs)]
    lean = [LEAN_HEAD, rule[LEAN_HEAD], *(lean_row(group, depth) for group, depth in pairs)]
    return [*plain, "", f"giving up below {GIVE_UP_BELOW}", "", *lean]


def aims_of(draws: Sequence[Draw], concentration: int) -> list[Aim]:
    """The planner's aims, each at the depth whose mean is worst for it."""
    group = [one for one in draws if one.concentration == concentration]
    what = f"effort: concentration {concentration}"
    share = min(mean(one.of_optimum(depth) for one in group) for depth in DEPTHS)
    unfilled = max(one.unfilled(depth) for one in group for depth in DEPTHS)
    kept = min(mean(one.saved_giving_up(depth) for one in group) for depth in DEPTHS)
    lost = max(mean(one.lost(depth) for one in group) for depth in DEPTHS)
    return [
        Aim(f"{what}, saving against the least", share, SHARE_OF_OPTIMUM, "%", at_least=True),
        Aim(f"{what}, probes that the grid fills and waves do not", unfilled, 0.0, "points"),
        Aim(f"{what}, saving when giving up", kept, SAVING_GIVING_UP, "%", at_least=True),
        Aim(f"{what}, probes lost by giving up", lost, POINTS_LOST, "points"),
    ]


def main() -> None:
    """Print the comparison as Markdown tables, and how the aims were met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="draws of each concentration, two at least")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--farm", action="store_true", help="through the real farm instead; takes some minutes")
    given = parser.parse_args()
    if given.farm:
        for line in farm_lines():
            print(line, flush=True)
        return
    asked = product(range(1, max(2, given.seeds) + 1), CONCENTRATIONS)
    with ProcessPoolExecutor(given.jobs) as pool:
        draws = list(pool.map(draw, asked))
    aims = [aim for concentration in CONCENTRATIONS for aim in aims_of(draws, concentration)]
    print("\n".join([*lines_of(draws), "", *(aim.line() for aim in aims)]))


if __name__ == "__main__":
    main()
