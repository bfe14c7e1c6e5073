"""What decides whether a phase's adapter is promoted: gates over what was measured of it and of the untrained model.

Everything here is pure. Each gate that a phase asks for gives a line with its figure, its bounds and an outcome; the
severest outcome is the phase's. A figure that rests on missing answers, or cannot be had at all, never passes: it is
held for a person. The effect of a kernel on the tuned model may hold a phase and never fails it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lemfarm.config import CountLimit, GateAfterConfig, ScoreBounds
from lemfarm.evaluation.statistics import FEWEST_PROBES_FOR_A_CLAIM, Interval, mean, paired_difference
from lemfarm.records import GateOutcome

WORST = 5
"""How many probes with the lowest scores are named beside a decision."""

_SEVERITY = (GateOutcome.PASSED, GateOutcome.HELD, GateOutcome.FAILED)


@dataclass(frozen=True, slots=True)
class Figures:
    """One model under one condition: scores by probe, degenerate answers, rows that have no score."""

    by_probe: Mapping[str, float]
    degenerate: int = 0
    missing: int = 0

    @property
    def mean(self) -> float | None:
        """Over the probes; none where there are none."""
        return mean(list(self.by_probe.values())) if self.by_probe else None


@dataclass(frozen=True, slots=True)
class Measured:
    """One model: without a kernel, and with each kernel by condition, over the probes that gates look at.

    `every_probe`: scores without a kernel of all probes that were asked.
    """

    bare: Figures
    kernels: Mapping[str, Figures] = field(default_factory=dict)
    every_probe: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: what it measured (none: it could not), what it wanted, and what follows."""

    gate: str
    measured: float | None
    wanted: str
    outcome: GateOutcome

    @property
    def text(self) -> str:
        """As a person reads it: `mean_change -0.81, wanted at least 0 (fails below -0.5)`."""
        figure = "not measured" if self.measured is None else f"{self.measured:.4g}"
        return f"{self.gate} {figure}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gates say of an adapter. `worst`: probes with the lowest scores, with the untrained model's beside."""

    outcome: GateOutcome
    results: tuple[GateResult, ...]
    worst: tuple[tuple[str, float, float | None], ...] = ()

    @property
    def objections(self) -> tuple[GateResult, ...]:
        """The gates that did not pass, failed ones first."""
        found = [result for result in self.results if result.outcome != GateOutcome.PASSED]
        return tuple(sorted(found, key=lambda result: -_SEVERITY.index(result.outcome)))

    def to_dict(self) -> dict[str, Any]:
        """As it is stored with the decision."""
        return {"gates": [asdict(result) for result in self.results], "worst": [list(one) for one in self.worst]}


def judge(gates: GateAfterConfig, base: Measured, adapter: Measured) -> Judgement:
    """Hold what was measured of an adapter, and of the untrained model, against the gates of its phase."""
    results = tuple(_results(gates, base, adapter))
    outcome = max((result.outcome for result in results), key=_SEVERITY.index, default=GateOutcome.PASSED)
    ranked = sorted(adapter.bare.by_probe.items(), key=lambda item: (item[1], item[0]))[:WORST]
    worst = tuple((name, value, base.bare.by_probe.get(name)) for name, value in ranked)
    return Judgement(outcome, results, worst)


def _results(gates: GateAfterConfig, base: Measured, adapter: Measured) -> Iterator[GateResult]:
    yield _complete(base, adapter)
    yield from _differences(gates, base, adapter)
    yield from _named_against_base(gates, base, adapter)
    yield from _kernel_effects(gates, adapter)
    yield from _absolute(gates, adapter)


def _complete(base: Measured, adapter: Measured) -> GateResult:
    """Every answer is there: half of the probes must not pass for the whole."""
    figures = [base.bare, adapter.bare, *adapter.kernels.values()]
    missing = sum(one.missing for one in figures)
    outcome = GateOutcome.HELD if missing else GateOutcome.PASSED
    return GateResult("missing_answers", missing, "0", outcome)


def _differences(gates: GateAfterConfig, base: Measured, adapter: Measured) -> Iterator[GateResult]:
    change = _change(base.bare, adapter.bare)
    if gates.clear_fall != "ignore":
        yield _clear_fall(change, GateOutcome.FAILED if gates.clear_fall == "fail" else GateOutcome.HELD)
    if gates.mean_change is not None:
        yield _bounded("mean_change", change.mean if change else None, gates.mean_change)
    if gates.degeneration_change is not None:
        more = adapter.bare.degenerate - base.bare.degenerate
        yield _limited("degeneration_change", more if change else None, gates.degeneration_change)


def _change(before: Figures, after: Figures) -> Interval | None:
    """The mean paired difference; none where no probe has both."""
    if not before.by_probe.keys() & after.by_probe.keys():
        return None
    return paired_difference(before.by_probe.items(), after.by_probe.items()).interval


def _clear_fall(change: Interval | None, outcome: GateOutcome) -> GateResult:
    """A fall is clear where the whole interval lies below zero and enough probes stand behind it."""
    wanted = "no interval below 0"
    if change is None:
        return GateResult("clear_fall", None, wanted, GateOutcome.HELD)
    if change.low is None or change.high is None:
        return GateResult("clear_fall", change.mean, f"{wanted} (one probe has none)", GateOutcome.PASSED)
    fell = change.high < 0 and change.n >= FEWEST_PROBES_FOR_A_CLAIM
    wanted += f" (is {change.low:+.2f} to {change.high:+.2f}, {change.n} probes)"
    return GateResult("clear_fall", change.mean, wanted, outcome if fell else GateOutcome.PASSED)


def _named_against_base(gates: GateAfterConfig, base: Measured, adapter: Measured) -> Iterator[GateResult]:
    for name in gates.not_below_base:
        before, after = base.every_probe.get(name), adapter.every_probe.get(name)
        if before is None or after is None:
            yield GateResult(f"not_below_base {name}", after, "the untrained model's score", GateOutcome.HELD)
            continue
        bounds = ScoreBounds(at_least=before, fail_below=before - gates.below_base_fails)
        yield _bounded(f"not_below_base {name}", after, bounds)


def _kernel_effects(gates: GateAfterConfig, adapter: Measured) -> Iterator[GateResult]:
    if gates.kernel_effect is None:
        return
    least = gates.kernel_effect.hold_below
    for name, figures in adapter.kernels.items():
        effect = _change(adapter.bare, figures)
        added = effect.mean if effect else None
        outcome = GateOutcome.PASSED if added is not None and added >= least else GateOutcome.HELD
        yield GateResult(f"kernel_effect {name}", added, f"at least {least:g} (never fails)", outcome)


def _absolute(gates: GateAfterConfig, adapter: Measured) -> Iterator[GateResult]:
    if gates.baseline_mean is not None:
        yield _bounded("baseline_mean", adapter.bare.mean, gates.baseline_mean)
    if gates.worst_probe is not None:
        yield _bounded("worst_probe", min(adapter.bare.by_probe.values(), default=None), gates.worst_probe)
    if gates.degeneration is not None:
        count = adapter.bare.degenerate if adapter.bare.by_probe else None
        yield _limited("degeneration", count, gates.degeneration)
    for name, bounds in gates.probes.items():
        yield _bounded(f"probe {name}", adapter.every_probe.get(name), bounds)


def _bounded(gate: str, value: float | None, bounds: ScoreBounds) -> GateResult:
    wanted = f"at least {bounds.at_least:.4g} (fails below {bounds.fail_below:.4g})"
    if value is None or bounds.fail_below <= value < bounds.at_least:
        return GateResult(gate, value, wanted, GateOutcome.HELD)
    return GateResult(gate, value, wanted, GateOutcome.PASSED if value >= bounds.at_least else GateOutcome.FAILED)


def _limited(gate: str, value: int | None, limit: CountLimit) -> GateResult:
    end = "never fails" if limit.fail_above is None else f"fails above {limit.fail_above}"
    wanted = f"at most {limit.at_most} ({end})"
    if value is not None and value <= limit.at_most:
        return GateResult(gate, value, wanted, GateOutcome.PASSED)
    fails = value is not None and limit.fail_above is not None and value > limit.fail_above
    return GateResult(gate, value, wanted, GateOutcome.FAILED if fails else GateOutcome.HELD)


def describe(gates: Iterable[Mapping[str, Any]], outcome: str) -> str:
    """The stored gates with one outcome, in one line: what a person is told of a decision."""
    chosen = [GateResult(**{**one, "outcome": GateOutcome(one["outcome"])}) for one in gates]
    return "; ".join(result.text for result in chosen if result.outcome == outcome)


def describe_worst(worst: Sequence[Sequence[Any]], count: int = 3) -> str:
    """The stored probes with the lowest scores, in one line: `P1 2.0 (was 5.5), P2 3.1`."""
    return ", ".join(
        f"{name} {value:.1f}" + ("" if before is None else f" (was {before:.1f})")
        for name, value, before in worst[:count]
    )
