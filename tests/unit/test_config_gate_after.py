"""The gates after training in a run file: what may stand there, and what they need."""

from pathlib import Path

import pytest

from lemfarm.config import CountLimit, GateAfterConfig, ScoreBounds, config_data, config_from_data
from tests.run_files import GOOD, load, problems, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def gated(gates: str, text: str = GOOD) -> str:
    return text.replace("    train: {iterations", f"    gate_after: {gates}\n    train: {{iterations")


def test_every_gate_can_be_written_down_and_stored(folder: Path) -> None:
    text = gated(
        "{over: all, clear_fall: hold, mean_change: {at_least: 0.0, fail_below: -1.0}, not_below_base: [X1, X2],"
        " below_base_fails: 0.5, degeneration_change: null, degeneration: {at_most: 0, fail_above: 0},"
        " kernel_effect: {hold_below: 0.0}, baseline_mean: {at_least: 21.0, fail_below: 20.0},"
        " worst_probe: {at_least: 8.0, fail_below: 6.0}, probes: {X1: {at_least: 13.0, fail_below: 12.0}}}",
        GOOD.replace("trained: 0.0", "trained: 1.0"),
    )
    config = load(folder, text)
    found = config.phases[0].gate_after
    assert found is not None
    assert (found.over, found.clear_fall, found.named_probes) == ("all", "hold", ("X1", "X2"))
    assert found.probes == {"X1": ScoreBounds(at_least=13.0, fail_below=12.0)}
    assert found.degeneration == CountLimit(at_most=0, fail_above=0)
    assert config_from_data(config_data(config)) == config


def test_left_out_the_untrained_model_is_the_measure_and_null_asks_for_nothing(folder: Path) -> None:
    assert load(folder).phases[0].gate_after == GateAfterConfig()
    assert load(folder, gated("null")).phases[0].gate_after is None


WRONG = [
    ("{baseline_mean: {at_least: 20.0, fail_below: 21.0}}", "should be at most `at_least`: 21 > 20"),
    ("{degeneration: {at_most: 3, fail_above: 2}}", "should be at least `at_most`: 2 < 3"),
    ("{kernel_effect: {fail_below: 0.0}}", "kernel_effect"),
    ("{not_below_base: [X1, X2, P0]}", "names probes that `evaluate` does not ask: "),
    ("{clear_fall: never}", "clear_fall"),
]


@pytest.mark.parametrize(("gates", "words"), WRONG)
def test_what_cannot_be_meant_is_refused(folder: Path, gates: str, words: str) -> None:
    assert any(words in problem for problem in problems(folder, gated(gates)))


def test_a_probe_that_is_neither_held_out_nor_asked_besides_is_named(folder: Path) -> None:
    (problem,) = problems(folder, gated("{not_below_base: [X1, X2]}"))
    assert problem.count("X1") + problem.count("X2") == 1, "one of the two is held out, and `trained` is 0"


def test_gates_without_anything_measured_are_refused(folder: Path) -> None:
    gates = "{mean_change: {at_least: 0.0, fail_below: -1.0}}"
    without = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith("evaluate"))
    (problem,) = problems(folder, gated(gates, without))
    assert "nothing is measured without an `evaluate` section" in problem
    (problem,) = problems(
        folder, gated(gates, GOOD.replace("{baseline: null, text: kernel.txt}", "{text: kernel.txt}"))
    )
    assert "give `evaluate` a condition such as `baseline: null`" in problem


def test_the_default_gates_need_nothing(folder: Path) -> None:
    without = "".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith("evaluate"))
    assert load(folder, without).phases[0].gate_after == GateAfterConfig()
