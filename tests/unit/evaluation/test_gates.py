"""The gates after training: every bound, what is held, and what never fails."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.config import CountLimit, GateAfterConfig, KernelEffectLimit, ScoreBounds
from lemfarm.evaluation.gates import Figures, GateResult, Measured, describe, describe_worst, judge

PROBES = [f"P{number}" for number in range(8)]
NO_DEFAULTS = GateAfterConfig(clear_fall="ignore", degeneration_change=None)


def measured(scores: list[float], *, kernel: float | None = None, degenerate: int = 0, missing: int = 0) -> Measured:
    """Probes with these scores, and with a kernel that adds so much to each."""
    bare = dict(zip(PROBES, scores, strict=False))
    kernels = {} if kernel is None else {"json": Figures({name: value + kernel for name, value in bare.items()})}
    return Measured(Figures(bare, degenerate, missing), kernels, bare)


BASE = measured([10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0])


def raised(by: float) -> Measured:
    return measured([value + by for value in BASE.bare.by_probe.values()])


def only(gates: GateAfterConfig, adapter: Measured, base: Measured = BASE) -> GateResult:
    """The one gate that was asked for, beside the missing answers."""
    first, result = judge(gates, base, adapter).results
    assert first.gate == "missing_answers"
    return result


def gates(**given: object) -> GateAfterConfig:
    return NO_DEFAULTS.model_copy(update=given)


BOUNDS = ScoreBounds(at_least=21.0, fail_below=20.0)
TABLE = [
    # gate, the adapter's scores, outcome: the course's table and its edges
    (gates(baseline_mean=BOUNDS), [21.0], "passed"),
    (gates(baseline_mean=BOUNDS), [20.999], "held"),
    (gates(baseline_mean=BOUNDS), [20.0], "held"),
    (gates(baseline_mean=BOUNDS), [19.999], "failed"),
    (gates(worst_probe=ScoreBounds(at_least=8.0, fail_below=6.0)), [30.0, 8.0], "passed"),
    (gates(worst_probe=ScoreBounds(at_least=8.0, fail_below=6.0)), [30.0, 6.0], "held"),
    (gates(worst_probe=ScoreBounds(at_least=8.0, fail_below=6.0)), [30.0, 5.9], "failed"),
    (gates(probes={"P1": ScoreBounds(at_least=13.0, fail_below=12.0)}), [0.0, 13.0], "passed"),
    (gates(probes={"P1": ScoreBounds(at_least=13.0, fail_below=12.0)}), [99.0, 12.5], "held"),
    (gates(probes={"P1": ScoreBounds(at_least=13.0, fail_below=12.0)}), [99.0, 11.9], "failed"),
    (gates(not_below_base=("P0",)), [10.0], "passed"),
    (gates(not_below_base=("P0",)), [9.0], "held"),
    (gates(not_below_base=("P0",)), [8.9], "failed"),
    (gates(not_below_base=("P0",), below_base_fails=0.0), [9.9], "failed"),
    (gates(mean_change=ScoreBounds(at_least=0.0, fail_below=-0.5)), [10.0], "passed"),
    (gates(mean_change=ScoreBounds(at_least=0.0, fail_below=-0.5)), [9.6], "held"),
    (gates(mean_change=ScoreBounds(at_least=0.0, fail_below=-0.5)), [9.4], "failed"),
]


@pytest.mark.parametrize(("asked", "scores", "outcome"), TABLE)
def test_a_figure_passes_is_held_or_fails_by_its_bounds(
    asked: GateAfterConfig, scores: list[float], outcome: str
) -> None:
    assert only(asked, measured(scores)).outcome == outcome


COUNTS = [
    (gates(degeneration=CountLimit(at_most=0, fail_above=0)), 0, "passed"),
    (gates(degeneration=CountLimit(at_most=0, fail_above=0)), 1, "failed"),
    (gates(degeneration=CountLimit(at_most=0, fail_above=2)), 2, "held"),
    (gates(degeneration=CountLimit(at_most=0)), 8, "held"),
    (gates(degeneration_change=CountLimit(at_most=0, fail_above=3)), 1, "passed"),
    (gates(degeneration_change=CountLimit(at_most=0, fail_above=3)), 2, "held"),
    (gates(degeneration_change=CountLimit(at_most=0, fail_above=3)), 5, "failed"),
]


@pytest.mark.parametrize(("asked", "degenerate", "outcome"), COUNTS)
def test_degenerate_answers_are_counted_against_a_limit(asked: GateAfterConfig, degenerate: int, outcome: str) -> None:
    """The untrained model has one of its own."""
    base = replace(BASE, bare=replace(BASE.bare, degenerate=1))
    assert only(asked, measured([10.0], degenerate=degenerate), base).outcome == outcome


def test_by_default_a_clear_fall_fails_and_noise_does_not() -> None:
    assert judge(GateAfterConfig(), BASE, raised(-2.0)).outcome == "failed"
    noise = [1.0, -1.5, 0.5, -1.0, 1.5, -1.0, 0.5, -0.5]
    noisy = measured([value + by for value, by in zip(BASE.bare.by_probe.values(), noise, strict=True)])
    assert judge(GateAfterConfig(), BASE, noisy).outcome == "passed"
    assert judge(GateAfterConfig(clear_fall="hold"), BASE, raised(-2.0)).outcome == "held"


def test_five_probes_cannot_show_a_fall() -> None:
    few = measured([value - 2.0 for value in list(BASE.bare.by_probe.values())[:5]])
    assert judge(GateAfterConfig(), BASE, few).outcome == "passed"


def test_one_probe_can_show_nothing() -> None:
    assert judge(GateAfterConfig(), BASE, measured([1.0])).outcome == "passed"


def test_more_degenerate_answers_than_before_are_held_by_default() -> None:
    worse = replace(raised(1.0), bare=replace(raised(1.0).bare, degenerate=1))
    assert judge(GateAfterConfig(), BASE, worse).outcome == "held"


@pytest.mark.parametrize(("kernel", "outcome"), [(0.5, "passed"), (0.0, "passed"), (-3.0, "held"), (-30.0, "held")])
def test_the_effect_of_a_kernel_holds_and_never_fails(kernel: float, outcome: str) -> None:
    asked = gates(kernel_effect=KernelEffectLimit(hold_below=0.0))
    values = list(BASE.bare.by_probe.values())
    assert only(asked, measured(values, kernel=kernel)).outcome == outcome


def test_missing_answers_are_held_whatever_the_rest_says() -> None:
    assert judge(NO_DEFAULTS, BASE, measured([30.0] * 8, missing=1)).outcome == "held"
    assert judge(GateAfterConfig(), measured([1.0] * 8, missing=2), raised(5.0)).outcome == "held"


def test_what_was_not_measured_is_held() -> None:
    everything = GateAfterConfig(
        baseline_mean=BOUNDS,
        worst_probe=BOUNDS,
        mean_change=BOUNDS,
        degeneration=CountLimit(at_most=0, fail_above=0),
        probes={"X": BOUNDS},
        not_below_base=("Y",),
    )
    found = judge(everything, BASE, Measured(Figures({})))
    assert {result.outcome for result in found.results[1:]} == {"held"}
    assert "not measured" in found.objections[0].text


def test_a_decision_names_the_failing_gates_and_the_worst_probes() -> None:
    asked = gates(baseline_mean=BOUNDS, worst_probe=ScoreBounds(at_least=8.0, fail_below=6.0))
    found = judge(asked, BASE, measured([7.0, 12.0, 14.0]))
    assert [result.gate for result in found.objections] == ["baseline_mean", "worst_probe"], "failed before held"
    stored = found.to_dict()
    assert describe(stored["gates"], "failed") == "baseline_mean 11, wanted at least 21 (fails below 20)"
    assert describe_worst(stored["worst"]) == "P0 7.0 (was 10.0), P1 12.0 (was 12.0), P2 14.0 (was 14.0)"


scores = st.lists(st.floats(0, 40), min_size=8, max_size=8)


@settings(max_examples=25, deadline=None)
@given(scores, st.floats(0, 30), st.floats(0, 10))
def test_better_scores_never_have_a_worse_outcome(values: list[float], bound: float, lift: float) -> None:
    asked = gates(
        baseline_mean=ScoreBounds(at_least=bound + 1, fail_below=bound),
        worst_probe=ScoreBounds(at_least=bound + 1, fail_below=bound),
        not_below_base=("P3",),
        mean_change=ScoreBounds(at_least=0.0, fail_below=-0.5),
    )
    order = ["failed", "held", "passed"]
    before = judge(asked, BASE, measured(values)).outcome
    after = judge(asked, BASE, measured([value + lift for value in values])).outcome
    assert order.index(after) >= order.index(before)
