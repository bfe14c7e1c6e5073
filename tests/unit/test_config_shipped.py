"""The run files that come with lemfarm, and the schema that editors read."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.config import PhaseConfig, RunConfig, ScoreGate, config_warnings, json_schema, load_config
from lemfarm.config.grid import grid_of
from lemfarm.probes import read_probes

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
CAMPAIGNS = ("lek-27b", "lek-12b", "lek-4b", "lek-1b")


def shipped(name: str) -> RunConfig:
    return load_config(CONFIGS / f"{name}.yaml", environ={})


def test_all_of_them_are_here() -> None:
    assert {file.stem for file in FILES} == {"demo", "simulated", *CAMPAIGNS}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_file_is_right_and_warns_of_the_courses_own_numbers_only(file: Path) -> None:
    """The course sees fewer examples than it asks for; whoever takes its numbers as they stand should know."""
    warnings = config_warnings(load_config(file, environ={}))
    assert all("is less than one epoch" in warning for warning in warnings)
    assert len(warnings) == (4 if file.stem in CAMPAIGNS else 0)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_file_points_editors_to_the_schema(file: Path) -> None:
    assert file.read_text().startswith("# yaml-language-server: $schema=./schema.json\n")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_run_has_the_name_of_its_file(file: Path) -> None:
    assert load_config(file, environ={}).run == file.stem


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_campaigns_are_the_five_phases_of_the_course(name: str) -> None:
    phases = shipped(name).phases
    assert [(phase.name, phase.quota.accepted, len(read_probes(phase.probes))) for phase in phases] == [
        ("0-baseline-lock", 500, 125),
        ("1-deep-axiom", 1500, 101),
        ("2-multi-perspective", 1440, 480),
        ("3-adversarial", 540, 270),
        ("4-synthesis", 200, 200),
    ]
    assert [threshold(phase) for phase in phases] == [None, 24.0, 22.0, 20.0, 25.0]
    for phase in phases:
        assert phase.quota.enough == 0.6 * phase.quota.accepted
        assert phase.train is not None


def threshold(phase: PhaseConfig) -> float | None:
    return next((gate.at_least for gate in phase.gates if isinstance(gate, ScoreGate)), None)


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_first_campaign_asks_for_4_040_samples_of_phase_1(name: str) -> None:
    phase = shipped(name).phases[1]
    assert grid_of(phase).samples == 101 * 4 * 10
    assert phase.samples == 10


def test_the_rehearsal_is_ten_thousand_samples() -> None:
    config = shipped("simulated")
    assert config.model.engine == "simulated"
    assert sum(grid_of(phase).samples for phase in config.phases) >= 10_000


def test_the_demo_is_large_enough_to_show_something() -> None:
    config = shipped("demo")
    assert len(config.phases) == 3
    for phase in config.phases:
        grid = grid_of(phase)
        assert grid.probes >= 12
        assert grid.samples >= grid.probes * 4 * 4
        assert phase.train is not None


def test_the_schema_in_configs_is_that_of_the_code() -> None:
    """Write it anew with `lemfarm config schema > configs/schema.json`."""
    assert json.loads((CONFIGS / "schema.json").read_text()) == json_schema()


def test_the_schema_explains_every_key_and_refuses_others() -> None:
    schema = json_schema()
    sections = [schema, *(part for part in schema["$defs"].values() if "properties" in part)]
    assert all(section["additionalProperties"] is False for section in sections)
    for section in sections:
        for name, key in section["properties"].items():
            assert described(key), f"{section['title']}.{name}"


def described(key: dict[str, Any]) -> bool:
    if not {"description", "const", "enum", "$ref"}.isdisjoint(key):
        return True
    return any(map(described, key.get("anyOf", [])))
