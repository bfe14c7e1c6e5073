"""Which gates a change means, and what is different afterwards."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.config import (
    Gate,
    LoopingGate,
    MinCharsGate,
    RunConfig,
    ScoreGate,
    TruncatedGate,
    config_from_data,
)
from lemfarm.errors import InputError
from lemfarm.gates import gate_hash
from producer.gate_change import ChangedGates, GateChange, change_gates
from tests.run_files import GOOD, load, write_files

FIRST = GOOD[GOOD.index("  - name: first") : GOOD.index("train: {rank")]
SECOND = FIRST.replace("first", "second").replace("v2-distill, at_least: 24", "v2, at_least: 9")
TWO = GOOD.replace(FIRST, FIRST + SECOND)
GATES = "[{scorer: v2-distill, at_least: 24}, {truncated: reject}, {looping: reject}, {min_chars: 20}]"
NO_GATES = GOOD.replace(GATES, "[]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


@pytest.fixture
def config(folder: Path) -> RunConfig:
    """Two phases: one gate on `v2-distill`, one on `v2`."""
    return load(folder, TWO)


def told(changed: ChangedGates) -> list[str]:
    return [f"{one.path}: {one.was} -> {one.now}" for one in changed.differences]


def test_without_a_change_nothing_is_different(config: RunConfig) -> None:
    changed = change_gates(config, GateChange())
    assert (changed.config, changed.differences, changed.notes) == (config, (), ())
    assert changed.phases == ("first", "second")


def test_a_threshold_is_meant_for_every_score_gate(config: RunConfig) -> None:
    changed = change_gates(config, GateChange(at_least=22))
    assert told(changed) == ["phases.0.gates.0.at_least: 24.0 -> 22.0", "phases.1.gates.0.at_least: 9.0 -> 22.0"]
    assert changed.config.phases[0].gates[1:] == config.phases[0].gates[1:]


def test_a_threshold_is_meant_for_one_phase_where_one_is_named(config: RunConfig) -> None:
    changed = change_gates(config, GateChange(phase="second", at_least=22))
    assert (changed.phases, told(changed)) == (("second",), ["phases.1.gates.0.at_least: 9.0 -> 22.0"])
    assert changed.config.phases[0] == config.phases[0]


def test_a_threshold_of_a_scorer_replaces_the_gate_of_another_and_says_so(config: RunConfig) -> None:
    changed = change_gates(config, GateChange(at_least=22, scorer="v2-distill"))
    assert told(changed) == [
        "phases.0.gates.0.at_least: 24.0 -> 22.0",
        "phases.1.gates.0.scorer: v2 -> v2-distill",
        "phases.1.gates.0.at_least: 9.0 -> 22.0",
    ]
    assert changed.notes == ("phase second: the gate of v2 is replaced by one of v2-distill",)


def test_gates_that_are_missing_are_added_and_it_is_said(folder: Path) -> None:
    changed = change_gates(load(folder, NO_GATES), GateChange(at_least=22, scorer="v2", min_chars=5))
    assert changed.config.phases[0].gates == (ScoreGate(scorer="v2", at_least=22), MinCharsGate(min_chars=5))
    assert told(changed) == [
        "phases.0.gates.0: None -> {'scorer': 'v2', 'at_least': 22.0}",
        "phases.0.gates.1: None -> {'min_chars': 5}",
    ]
    assert changed.notes == (
        "phase first had no gate on a score: one of v2 is added",
        "phase first had no gate on the length: one is added",
    )


def test_a_length_replaces_the_one_there_is(config: RunConfig) -> None:
    changed = change_gates(config, GateChange(phase="first", min_chars=7))
    assert told(changed) == ["phases.0.gates.3.min_chars: 20 -> 7"]


def test_gates_of_several_scorers_get_one_threshold_with_a_word_about_it(folder: Path) -> None:
    both = load(folder, GOOD.replace("{truncated: reject}", "{scorer: v2, at_least: 9}"))
    changed = change_gates(both, GateChange(at_least=22))
    assert told(changed) == ["phases.0.gates.0.at_least: 24.0 -> 22.0", "phases.0.gates.1.at_least: 9.0 -> 22.0"]
    assert changed.notes == ("phase first: v2-distill and v2 get the same threshold; name one with --scorer",)
    only = change_gates(both, GateChange(at_least=22, scorer="v2"))
    assert (told(only), only.notes) == (["phases.0.gates.1.at_least: 9.0 -> 22.0"], ())
    with pytest.raises(InputError, match="which one it should replace"):
        change_gates(both, GateChange(at_least=22, scorer="v1"))


# ---- the gates of a file


def test_the_gates_of_a_file_are_taken(folder: Path, config: RunConfig) -> None:
    other = load(folder, TWO.replace("at_least: 24", "at_least: 21").replace(" {truncated: reject},", ""))
    changed = change_gates(config, GateChange(config=other))
    assert [phase.gates for phase in changed.config.phases] == [phase.gates for phase in other.phases]
    assert changed.notes == ()


def test_what_else_a_file_says_is_not_taken_and_a_phase_it_lacks_keeps_its_gates(
    folder: Path, config: RunConfig
) -> None:
    other = load(folder, GOOD.replace("at_least: 24", "at_least: 21").replace("samples: 10", "samples: 12"))
    changed = change_gates(config, GateChange(config=other))
    assert told(changed) == ["phases.0.gates.0.at_least: 24.0 -> 21.0"]
    assert [phase.samples for phase in changed.config.phases] == [10, 10]
    assert changed.notes == (
        "the file says other things than the run beside its gates; `lemfarm run` with it takes those",
        "phase second is not in the file: its gates stay as they are",
    )


def test_the_file_of_another_run_is_refused(folder: Path, config: RunConfig) -> None:
    other = load(folder, TWO.replace("run: tiny", "run: other"))
    with pytest.raises(InputError, match="run other, not of tiny"):
        change_gates(config, GateChange(config=other))


# ---- what cannot be meant


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (GateChange(phase="third"), "no phase 'third'; it has first, second"),
        (GateChange(scorer="v2"), "needs --at-least"),
        (GateChange(scorer="v9", at_least=1), "'v9'"),
        (GateChange(at_least=float("nan")), "write a number"),
        (GateChange(at_least=float("inf")), "write a number"),
        (GateChange(min_chars=0), "at least 1"),
    ],
)
def test_bad_changes_are_refused(config: RunConfig, change: GateChange, words: str) -> None:
    with pytest.raises(InputError, match=words):
        change_gates(config, change)


def test_a_file_and_values_are_not_mixed(config: RunConfig) -> None:
    with pytest.raises(InputError, match="leave out --at-least, --scorer and --min-chars"):
        change_gates(config, GateChange(at_least=1, config=config))


def test_a_threshold_without_any_score_gate_asks_for_the_scorer(folder: Path) -> None:
    with pytest.raises(InputError, match="--scorer"):
        change_gates(load(folder, NO_GATES), GateChange(at_least=22))


# ---- whatever the gates are

gates: st.SearchStrategy[Gate] = st.one_of(
    st.builds(ScoreGate, scorer=st.sampled_from(["v1", "v2"]), at_least=st.floats(-9, 9)),
    st.builds(TruncatedGate, truncated=st.sampled_from(["reject", "keep"])),
    st.builds(LoopingGate, looping=st.sampled_from(["reject", "keep"])),
    st.builds(MinCharsGate, min_chars=st.integers(1, 9)),
)


@given(was=st.lists(gates, max_size=4), now=st.lists(gates, max_size=4))
def test_differences_tell_how_to_get_from_one_to_the_other(was: list[Gate], now: list[Gate]) -> None:
    # Given two configurations of a run that differ by their gates
    before, after = (one_run([gate.model_dump() for gate in some]) for some in (was, now))
    # When the gates of the other are taken, and every difference is carried out on the first
    changed = change_gates(before, GateChange(config=after))
    written: dict[int, dict[str, Any]] = {number: gate.model_dump() for number, gate in enumerate(was)}
    for one in changed.differences:
        _, _, _, number, *key = one.path.split(".")
        if key:
            assert written[int(number)].pop(key[0]) == one.was
            written[int(number)][key[0]] = one.now
        else:
            assert written.pop(int(number), None) == one.was
            written |= {int(number): one.now} if one.now else {}
    # Then it says what the other says, and nothing is told where nothing is different
    assert [written[number] for number in sorted(written)] == [gate.model_dump() for gate in now]
    assert (changed.differences == ()) == (gate_hash(was) == gate_hash(now))


def one_run(found: list[dict[str, Any]]) -> RunConfig:
    phase = {"name": "first", "probes": ["p.jsonl"], "samples": 1, "gates": found, "quota": {"accepted": 1}}
    return config_from_data({"run": "tiny", "model": {"engine": "simulated"}, "phases": [phase]})
