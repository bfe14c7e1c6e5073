"""Phases that are to be answered by a promoted adapter, as a run file has them."""

from pathlib import Path

import pytest

from lemfarm.config import check_config, config_warnings
from tests.run_files import GOOD, load, problems, spot, write_files

PROMOTED = "    generate_with: promoted\n    samples"
SECOND = GOOD[GOOD.index("  - name") : GOOD.index("train: {rank")].replace("first", "second")
TWO = GOOD.replace("train: {rank", SECOND.replace("    samples", PROMOTED) + "train: {rank")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def warnings(folder: Path, text: str) -> list[str]:
    prefix = f"{folder / 'run.yaml'}:"
    return [line.removeprefix(prefix) for line in config_warnings(load(folder, text))]


def test_a_phase_behind_one_that_trains_may_be_answered_by_its_adapter(folder: Path) -> None:
    assert [phase.generate_with for phase in load(folder, TWO).phases] == ["base", "promoted"]
    assert warnings(folder, TWO) == []


def test_where_nothing_can_have_been_promoted_the_file_is_taken_and_warned_of(folder: Path) -> None:
    text = GOOD.replace("    samples", PROMOTED)
    (warning,) = warnings(folder, text)
    assert warning.startswith(f"{spot(text, 'promoted')}: phases.0.generate_with: no phase before it trains")
    assert check_config(load(folder, text)) == []


def test_an_endpoint_has_no_adapters(folder: Path) -> None:
    text = GOOD[: GOOD.index("    train:")].replace("    samples", PROMOTED)
    text = text.replace("{engine: simulated}", "{engine: openai, base_url: 'http://127.0.0.1:1/v1', model: m}")
    (problem,) = problems(folder, text)
    assert problem.startswith(f"{spot(text, 'promoted')}: phases.0.generate_with: an endpoint cannot put an adapter")
