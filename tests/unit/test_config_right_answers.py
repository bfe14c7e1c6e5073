"""A gate, or an evaluation, whose scorer compares with a right answer: probes must say what is right."""

import json
from pathlib import Path

import pytest

from lemfarm.config import config_warnings
from lemfarm.errors import InputError
from tests.run_files import GOOD, load, problems, spot, write_files

GATE = GOOD.replace("{scorer: v2-distill, at_least: 24}", "{scorer: gsm8k, at_least: 1}")
EVALUATE = GOOD.replace("held_out: 0.5,", "held_out: 0.5, scorer: gsm8k,")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def answer(path: Path, answers: dict[str, object]) -> None:
    """Write right answers into a probe file."""
    probes = [json.loads(line) for line in path.read_text().splitlines()]
    found = [probe | ({"correct_answer": answers[probe["id"]]} if probe["id"] in answers else {}) for probe in probes]
    path.write_text("".join(json.dumps(probe) + "\n" for probe in found))


def test_a_gate_that_compares_is_refused_where_no_probe_says_what_is_right(folder: Path) -> None:
    (problem,) = problems(folder, GATE)
    assert problem.startswith(f"{spot(GATE, 'gsm8k')}: phases.0.gates.0.scorer: gsm8k compares with a right answer")
    assert "none of its probes has one; give them a `correct_answer`" in problem


def test_it_is_warned_of_probes_that_do_not_say_it(folder: Path) -> None:
    answer(folder / "probes.jsonl", {"P0": "42", "P1": None, "P2": True})
    (warning,) = config_warnings(load(folder, GATE))
    assert "phases.0.gates.0.scorer: 2 of 3 probes have no `correct_answer`" in warning
    assert warning.endswith("held for it: P1, P2")


@pytest.mark.parametrize("right", ["42", 42, 0, 1.5])
def test_texts_and_numbers_are_right_answers(folder: Path, right: object) -> None:
    answer(folder / "probes.jsonl", {"P0": right, "P1": right, "P2": right})
    assert config_warnings(load(folder, GATE)) == []


def test_of_many_probes_the_first_are_named(folder: Path) -> None:
    lines = [{"id": f"Q{number}", "domain": "d", "prompt": f"What is {number}?"} for number in range(9)]
    (folder / "probes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer(folder / "probes.jsonl", {"Q0": "0"})
    warnings = config_warnings(load(folder, GATE))
    assert any("8 of 9 probes" in line and line.endswith("Q1, Q2, Q3, Q4, Q5, ...") for line in warnings)


def test_of_an_evaluation_the_held_out_probes_count(folder: Path) -> None:
    (problem,) = problems(folder, EVALUATE)
    assert problem.startswith(f"{spot(EVALUATE, 'gsm8k')}: evaluate.scorer: ")
    answer(folder / "other.jsonl", {"X1": "1", "X2": "2"})
    assert config_warnings(load(folder, EVALUATE)) == []


def test_probes_that_cannot_be_read_are_reported_once(folder: Path) -> None:
    (folder / "probes.jsonl").write_text("{}\n")
    assert all("correct_answer" not in problem for problem in problems(folder, GATE))


def test_a_plugin_that_does_not_load_is_left_to_whoever_scores(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise InputError(f"the scorer plug-in {name!r} cannot be loaded")

    monkeypatch.setattr("lemfarm.config.right_answers.get_scorer", broken)
    assert config_warnings(load(folder, GATE)) == []
