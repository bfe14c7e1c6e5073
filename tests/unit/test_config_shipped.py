"""The run files that come with lemfarm, and the schema that editors read."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.config import RunConfig, config_warnings, json_schema, load_config
from lemfarm.config.rules import grid_of
from lemfarm.yaml_places import read_yaml

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))
CAMPAIGNS = ("lek-27b", "lek-12b", "lek-4b", "lek-1b")


def shipped(name: str) -> RunConfig:
    return load_config(CONFIGS / f"{name}.yaml", environ={})


def test_all_of_them_are_here() -> None:
    assert {file.stem for file in FILES} == {"demo", "simulated", *CAMPAIGNS}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_file_is_right_and_gives_no_warning(file: Path) -> None:
    assert config_warnings(load_config(file, environ={})) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_file_points_editors_to_the_schema(file: Path) -> None:
    assert file.read_text().startswith("# yaml-language-server: $schema=./schema.json\n")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_run_has_the_name_of_its_file(file: Path) -> None:
    assert load_config(file, environ={}).run == file.stem


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_campaigns_scale_the_quota_of_the_course_with_the_probes_that_exist(name: str) -> None:
    (phase,) = shipped(name).phases
    grid = grid_of(phase)
    assert phase.quota.accepted == pytest.approx(1500 * grid.probes / 101, abs=1)
    assert phase.quota.enough == pytest.approx(0.6 * phase.quota.accepted, abs=1)
    assert phase.samples == 10


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_phases_that_are_commented_out_are_valid_but_for_what_is_marked(name: str) -> None:
    """Each comes back by taking away its `# `, apart from keys that are marked as not available yet."""
    lines = (CONFIGS / f"{name}.yaml").read_text().splitlines()
    blocks = [line[4:] for line in lines if line.startswith("  # ") and is_yaml(line[4:])]
    located = read_yaml("\n".join(blocks))
    assert located.faults == []
    phases = located.value
    assert isinstance(phases, list)
    assert [(phase["name"][0], phase["samples"], phase["quota"]["accepted"]) for phase in phases] == [
        ("0", 8, 500),
        ("2", 6, 1440),
        ("3", 6, 540),
        ("4", 12, 200),
    ]
    for phase in phases:
        assert phase["quota"]["enough"] == 0.6 * phase["quota"]["accepted"]
        assert set(phase) <= set(json_schema()["$defs"]["PhaseConfig"]["properties"])


def is_yaml(text: str) -> bool:
    return text.startswith(("- name", "  "))


def test_the_rehearsal_is_ten_thousand_samples() -> None:
    config = shipped("simulated")
    assert config.model.engine == "simulated"
    assert sum(grid_of(phase).samples for phase in config.phases) >= 10_000


def test_the_demo_is_large_enough_to_show_something() -> None:
    config = shipped("demo")
    assert len(config.phases) == 2
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
