"""What to generate next, and what a grid can be expected to yield: pure functions on plain data.

A phase's grid is a set of cells, one per probe and variant. Each judged sample tells much of its cell's pass rate,
less of its probe's other cells, a little of the whole phase: `Rates`. `next_wave` turns that into the samples to send
now; `attainable`, `expected_generations` and `forecast` look ahead from an assumed rate.

Samples of one probe are exchangeable, so "stop a probe when its share is accepted" is the least work there is without
foresight. Waves give a few per cent of that back and in return keep every slot busy (bench/effort.py measures both).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import ceil

from lemfarm.probes import Probe

#: The pass rate before anything is known: the curriculum's own estimate, "about 35 % kept".
TYPICAL_RATE = 0.35
#: The rates that `plan` shows beside each other (design.md 7).
SHOWN_RATES = (0.20, 0.35, 0.50)
#: How far probes are assumed to differ where it matters: pass rates spread like a Beta of this concentration.
SPREAD = 5.0
#: How many samples of one variant are sent together, so that its prompt is prefilled once for all of them.
RUN_LENGTH = 4
#: How many samples' worth of belief each level of the prior lends to the level below it. That takes probes to be more
#: alike than those of Beta(2) or Beta(5) are, so that one is given up late rather than early. Reckoned exactly for one
#: probe of 40 samples (share 5, mean 35 %, giving up below 0.1), a weight of 5, 7, 10 saves 58.9, 57.5, 56.2 % of them
#: and loses 0.9, 0.7, 0.4 of a hundred probes at concentration 2; 58.6, 57.9, 57.2 % and 1.1, 0.8, 0.5 at 5. The weight
#: that is right for each loses 2.7 and 1.1.
_PRIOR_WEIGHT = 7.0
#: The typical rate counts for as much of a phase's mean as a probe of which seven samples were judged.
_TYPICAL_RELIABILITY = 0.5

CellKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """Counts of one (probe, variant) of a phase. `in_flight` is queued or leased; `other` is held or failed."""

    probe: str
    variant: int
    pending: int
    in_flight: int = 0
    accepted: int = 0
    rejected: int = 0
    other: int = 0

    @property
    def key(self) -> CellKey:
        """What a wave names its cells by."""
        return self.probe, self.variant

    @property
    def sent(self) -> int:
        """How many were ever sent: fairness counts these, for they do not depend on which samples ended first."""
        return self.in_flight + self.accepted + self.rejected + self.other


@dataclass(frozen=True, slots=True)
class Beta:
    """What is believed of a pass rate: Beta(alpha, beta)."""

    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        """The chance that the next sample is accepted."""
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a phase is expected to give if a share `rate` of its samples is accepted.

    `accepted` takes all probes to be alike; `accepted_if_uneven` lets them differ, so that easy ones hit the cap and
    hard ones give little (expect the truth between the two). `generations` to fill the quota; none if it is not filled.
    """

    rate: float
    accepted: float
    accepted_if_uneven: float
    generations: float | None


class Rates:
    """The pass rates of a phase's cells and probes, estimated from what has been judged.

    Each level starts from the level above without its own part (no sample counts twice) and gives that the weight of
    seven samples: the phase starts at 35 %, a probe at the rest of its phase, a cell at the rest of its probe. The mean
    of a phase is one over probes, each weighted by how well it is known, never above 1: probes stop at their share, so
    that most samples come of the hard ones, and a mean over samples would be too low.
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._accepted: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        for cell in cells:
            self._accepted[cell.probe] += cell.accepted
            self._rejected[cell.probe] += cell.rejected
        weighed = {probe: self._weigh(probe) for probe in self._accepted}
        passing = _TYPICAL_RELIABILITY * TYPICAL_RATE + sum(one for one, _ in weighed.values())
        reliability = _TYPICAL_RELIABILITY + sum(one for _, one in weighed.values())
        self._of_others = {probe: (passing - own) / (reliability - weight) for probe, (own, weight) in weighed.items()}

    def of_probe(self, probe: str) -> Beta:
        """The posterior of a probe, all its variants taken together."""
        return _posterior(self._of_others[probe], self._accepted[probe], self._rejected[probe])

    def of_cell(self, cell: Cell) -> Beta:
        """The posterior of one cell."""
        accepted, rejected = self._accepted[cell.probe] - cell.accepted, self._rejected[cell.probe] - cell.rejected
        siblings = _posterior(self._of_others[cell.probe], accepted, rejected)
        return _posterior(siblings.mean, cell.accepted, cell.rejected)

    def _weigh(self, probe: str) -> tuple[float, float]:
        """What a probe adds to the mean of its phase, and with which weight: judged / (judged + 7)."""
        judged = self._accepted[probe] + self._rejected[probe]
        return self._accepted[probe] / (judged + _PRIOR_WEIGHT), judged / (judged + _PRIOR_WEIGHT)


def _posterior(prior_mean: float, accepted: int, rejected: int) -> Beta:
    return Beta(_PRIOR_WEIGHT * prior_mean + accepted, _PRIOR_WEIGHT * (1 - prior_mean) + rejected)


def grid(probes: Iterable[Probe], samples: int) -> tuple[Cell, ...]:
    """The untouched cells of a phase: every variant of every probe, `samples` times."""
    return tuple(Cell(probe.id, variant.position, samples) for probe in probes for variant in probe.variants)


def expected_accepted(cells: Sequence[Cell], *, at_most_per_probe: int | None = None) -> float:
    """How many more accepted samples everything in flight and pending should bring, caps taken into account."""
    rates = Rates(cells)
    further = dict.fromkeys((cell.probe for cell in cells), 0.0)
    for cell in cells:
        further[cell.probe] += (cell.in_flight + cell.pending) * rates.of_cell(cell).mean
    standings = _standings(cells, sum(cell.in_flight + cell.pending for cell in cells), at_most_per_probe)
    return sum(min(standing.room, further[probe]) for probe, standing in standings.items())


def next_wave(
    cells: Sequence[Cell],
    missing: int,
    *,
    depth: int,
    at_most_per_probe: int | None = None,
    at_once: Mapping[str, int] | None = None,
    run_length: int = RUN_LENGTH,
) -> list[tuple[CellKey, int]]:
    """Which pending samples to send now: (cell key, count), in the order in which they should be queued.

    `missing` is what the quota still wants; `depth` how many samples should be in flight, those that are included.
    The probe that was sent least has the next turn, with a run of one variant; turns look at what was sent, never at
    what has ended, so that short answers win nothing. First come samples that would not be too many even if all of
    them passed; slots that stay idle then get as many more as the pass rates make likely to be needed. Probes at
    their cap get nothing; those in `at_once` have no more in flight than it says (see `giving_up.patience`).
    """
    standings = _standings(cells, missing, at_most_per_probe)
    for probe, most in (at_once or {}).items():
        standings[probe].at_once = most
    wave = _Wave(list(standings.values()), missing, depth, run_length)
    wave.fill(certain=True)
    wave.fill(certain=False)
    return wave.taken


@dataclass(slots=True)
class _Standing:
    """One probe while a wave is made; the counts grow with what the wave gives it. `room`: how many more may pass;
    `passing`: how many of those in flight should, each by its cell's rate."""

    probe: str
    room: int
    at_once: int | None = None
    in_flight: int = 0
    passing: float = 0.0
    sent: int = 0
    pending: dict[int, int] = field(default_factory=dict)
    sent_of: dict[int, int] = field(default_factory=dict)
    rate_of: dict[int, float] = field(default_factory=dict)

    @property
    def expected(self) -> float:
        return min(self.room, self.passing)

    def next_variant(self) -> int | None:
        """The variant that was sent least, among those that have samples left."""
        left = [variant for variant, count in self.pending.items() if count > 0]
        return min(left, key=lambda variant: (self.sent_of[variant], variant), default=None)

    def send(self, variant: int, count: int) -> None:
        self.pending[variant] -= count
        self.sent_of[variant] += count
        self.in_flight += count
        self.passing += count * self.rate_of[variant]
        self.sent += count


def _standings(cells: Sequence[Cell], most: int, at_most_per_probe: int | None) -> dict[str, _Standing]:
    """Every probe's standing, in the order of the cells; `most` bounds the room of a phase without a cap."""
    rates = Rates(cells)
    accepted: Counter[str] = Counter()
    for cell in cells:
        accepted[cell.probe] += cell.accepted
    found = {probe: _Standing(probe, _room(count, most, at_most_per_probe)) for probe, count in accepted.items()}
    for cell in cells:
        standing = found[cell.probe]
        if cell.in_flight or (cell.pending and standing.room):
            standing.rate_of[cell.variant] = rates.of_cell(cell).mean
            standing.passing += cell.in_flight * standing.rate_of[cell.variant]
        standing.in_flight += cell.in_flight
        standing.sent += cell.sent
        standing.pending[cell.variant] = cell.pending
        standing.sent_of[cell.variant] = cell.sent
    return found


def _room(accepted: int, most: int, at_most_per_probe: int | None) -> int:
    return most if at_most_per_probe is None else max(0, min(most, at_most_per_probe - accepted))


class _Wave:
    """A wave in the making: what it has given, and what it may still give."""

    def __init__(self, standings: Sequence[_Standing], missing: int, depth: int, run_length: int) -> None:
        self.taken: list[tuple[CellKey, int]] = []
        self._standings = standings
        self._missing = missing
        self._run_length = run_length
        self._in_flight = sum(standing.in_flight for standing in standings)
        self._expected = sum(standing.expected for standing in standings)
        self._slots = depth - self._in_flight

    def fill(self, *, certain: bool) -> None:
        """Probes take turns, least sent first, until the slots are used or nobody may send."""
        queue = [(s.sent, order, s) for order, s in enumerate(self._standings) if s.room > 0]
        heapify(queue)
        while queue and self._slots > 0:
            _, order, standing = heappop(queue)
            if self._turn(standing, certain):
                heappush(queue, (standing.sent, order, standing))

    def _turn(self, standing: _Standing, certain: bool) -> bool:
        variant = standing.next_variant()
        if variant is None:
            return False
        needed = self._certainly_needed(standing) if certain else self._likely_needed(standing, variant)
        allowed = needed if standing.at_once is None else min(needed, standing.at_once - standing.in_flight)
        if allowed <= 0:
            return False
        count = min(allowed, self._slots, self._run_length, standing.pending[variant])
        self._expected -= standing.expected
        standing.send(variant, count)
        self._expected += standing.expected
        self._in_flight += count
        self._slots -= count
        self.taken.append(((standing.probe, variant), count))
        return True

    def _certainly_needed(self, standing: _Standing) -> int:
        """Not one too many, even if everything in flight is accepted."""
        return min(standing.room - standing.in_flight, self._missing - self._in_flight)

    def _likely_needed(self, standing: _Standing, variant: int) -> int:
        """As many as should fill the probe's room and the phase's need at the cell's pass rate."""
        missing = min(standing.room - standing.passing, self._missing - self._expected)
        return ceil(missing / standing.rate_of[variant])


def reachable(cells: Sequence[Cell], at_most_per_probe: int | None) -> int:
    """The most that a grid can give: every sample accepted, caps taken into account. A quota above it is a mistake."""
    sizes = _sizes(cells)
    return sum(size if at_most_per_probe is None else min(size, at_most_per_probe) for size in sizes)


def attainable(
    cells: Sequence[Cell], rate: float, at_most_per_probe: int | None = None, *, spread: float | None = None
) -> float:
    """Expected accepted samples of an untouched grid if each is accepted with chance `rate`.

    Per probe the expectation of min(cap, Binomial(samples, rate)); with `spread`, the probes' own rates are drawn
    from Beta(rate x spread, (1 - rate) x spread), which lowers the sum wherever the cap bites.
    """
    growth = _growths(cells, rate, at_most_per_probe, spread)
    return sum(growth[size][-1][0] for size in _sizes(cells))


def expected_generations(
    cells: Sequence[Cell],
    quota: int,
    rate: float,
    at_most_per_probe: int | None = None,
    *,
    spread: float | None = None,
) -> float | None:
    """How many generations fill the quota when probes take turns and stop at their cap; none if the grid cannot.

    The point where the expected number of accepted samples reaches the quota; between two turns, a straight line.
    """
    growth = _growths(cells, rate, at_most_per_probe, spread)
    sizes = _sizes(cells)
    before = (0.0, 0.0)
    for turn in range(1, max(sizes, default=0) + 1):
        steps = [growth[size][min(turn, size)] for size in sizes]
        here = (sum(accepted for accepted, _ in steps), sum(generations for _, generations in steps))
        if here[0] >= quota:
            part = (quota - before[0]) / (here[0] - before[0])
            return before[1] + part * (here[1] - before[1])
        before = here
    return None


def forecast(
    cells: Sequence[Cell], quota: int, at_most_per_probe: int | None = None, rates: Sequence[float] = SHOWN_RATES
) -> tuple[Forecast, ...]:
    """What `plan` shows of a phase: expected accepted samples and generations at 20, 35 and 50 %."""
    return tuple(
        Forecast(
            rate,
            attainable(cells, rate, at_most_per_probe),
            attainable(cells, rate, at_most_per_probe, spread=SPREAD),
            expected_generations(cells, quota, rate, at_most_per_probe),
        )
        for rate in rates
    )


def _sizes(cells: Sequence[Cell]) -> list[int]:
    """How many samples each probe of a grid has."""
    sizes: Counter[str] = Counter()
    for cell in cells:
        sizes[cell.probe] += cell.pending
    return list(sizes.values())


def _growths(
    cells: Sequence[Cell], rate: float, cap: int | None, spread: float | None
) -> dict[int, list[tuple[float, float]]]:
    return {size: _growth(size, size if cap is None else cap, rate, spread) for size in set(_sizes(cells))}


def _growth(size: int, cap: int, rate: float, spread: float | None) -> list[tuple[float, float]]:
    """(expected accepted, expected generations) of a probe after each of its turns, sampling until the cap.

    `chances[s]` is the chance to have s accepted and still be sampling. With a spread the next sample passes with
    chance (rate x spread + s) / (spread + turns), which is Polya's urn: exactly a rate drawn from that Beta.
    """
    chances = [1.0] + [0.0] * (max(cap, 1) - 1) if cap > 0 else []
    steps = [(0.0, 0.0)]
    for turn in range(size):
        passing = [rate if spread is None else (rate * spread + s) / (spread + turn) for s in range(len(chances))]
        gained = [chance * share for chance, share in zip(chances, passing, strict=True)]
        accepted, generations = steps[-1]
        steps.append((accepted + sum(gained), generations + sum(chances)))
        stayed = [chance - gain for chance, gain in zip(chances, gained, strict=True)]
        chances = [stay + (gained[s - 1] if s else 0.0) for s, stay in enumerate(stayed)]
    return steps
