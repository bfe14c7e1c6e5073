"""Run files that are right: values, defaults, files, environment, flags, and what is shown and stored of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lemfarm.config import (
    GateAfterConfig,
    KernelConfig,
    MlxModel,
    PhaseConfig,
    RunConfig,
    SamplingConfig,
    ScoreGate,
    SimulatedModel,
    config_data,
    config_from_data,
    config_hash,
    effective_yaml,
    load_config,
)
from lemfarm.dialogue import Placement
from lemfarm.errors import ConfigError
from lemfarm.yaml_places import read_yaml
from tests.run_files import GOOD, load, problems, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def only_phase(config: RunConfig) -> PhaseConfig:
    (phase,) = config.phases
    return phase


def test_a_run_file_becomes_typed_values(folder: Path) -> None:
    config = load(folder)
    phase = only_phase(config)
    assert (config.run, phase.name, phase.samples) == ("tiny", "first", 10)
    assert phase.gates[0] == ScoreGate(scorer="v2-distill", at_least=24.0)
    assert phase.train is not None
    assert phase.train.learning_rate == 1e-5
    assert config.train is not None
    assert config.train.rank == 4


def test_what_is_left_out_has_defaults(folder: Path) -> None:
    config = load(folder)
    phase = only_phase(config)
    assert config.model == SimulatedModel(engine="simulated")
    assert (config.farm.lease_seconds, config.farm.retries, config.farm.deadline_seconds) == (90.0, 3, 3600.0)
    assert (phase.kernel, phase.generate_with, config.notify) == ("inherit", "base", None)
    assert phase.gate_after == GateAfterConfig(), "a phase is compared with the untrained model"
    assert (phase.quota.when_exhausted, phase.quota.stop_when_full, phase.quota.select) == ("hold", True, "first")
    assert (phase.review.share, phase.external.share, phase.quota.give_up_below) == (0.0, 0.0, 0.0)


def test_enough_is_the_whole_quota_unless_said_otherwise(folder: Path) -> None:
    assert only_phase(load(folder, GOOD.replace(", enough: 12", ""))).quota.enough == 20


def test_files_are_found_beside_the_run_file_and_not_in_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    (folder / "run.yaml").write_text(GOOD)
    config = load_config("../run.yaml", environ={})
    assert config.kernel == KernelConfig(file=folder / "kernel.txt", placement=Placement.SYSTEM)
    assert only_phase(config).probes == (folder / "probes.jsonl",)
    assert config.evaluate is not None
    assert config.evaluate.conditions == {"baseline": None, "text": folder / "kernel.txt"}


def test_files_may_lie_above_the_run_file(folder: Path) -> None:
    (folder / "configs").mkdir()
    text = GOOD.replace("kernel.txt", "../kernel.txt").replace("probes.jsonl", "../probes.jsonl")
    text = text.replace("other.jsonl", "../other.jsonl")
    assert only_phase(load(folder / "configs", text)).probes == (folder / "probes.jsonl",)


def test_a_model_folder_becomes_absolute_and_other_names_are_hub_ids(folder: Path) -> None:
    (folder / "weights").mkdir()
    for written, path in [("weights", str(folder / "weights")), ("./weights", str(folder / "weights")), ("a/b", "a/b")]:
        config = load(folder, GOOD.replace("engine: simulated", f"engine: mlx, path: {written}"))
        assert config.model == MlxModel(engine="mlx", path=path)


def test_a_phase_has_the_files_kernel_its_own_or_none(folder: Path) -> None:
    def kernel(words: str) -> KernelConfig | None:
        config = load(folder, GOOD.replace("    samples: 10\n", f"    samples: 10\n{words}"))
        return config.kernel_for(only_phase(config))

    inherited = KernelConfig(file=folder / "kernel.txt")
    assert kernel("") == kernel("    kernel: inherit\n") == inherited
    assert kernel("    kernel: null\n") is None
    own = KernelConfig(file=folder / "other.txt", placement=Placement.USER)
    assert kernel("    kernel: {file: other.txt, placement: user}\n") == own


def test_a_run_without_kernel_has_none_to_inherit(folder: Path) -> None:
    config = load(folder, GOOD.replace("kernel: {file: kernel.txt}\n", ""))
    assert config.kernel_for(only_phase(config)) is None


def test_a_phase_replaces_single_keys_of_sampling(folder: Path) -> None:
    config = load(folder, GOOD.replace("    samples: 10\n", "    samples: 10\n    sampling: {temperature: 0}\n"))
    expected = SamplingConfig(temperature=0.0, top_p=0.95, max_tokens=64, seed=42)
    assert config.sampling_for(only_phase(config)) == expected
    assert config.sampling.temperature == 0.8


def test_anchors_and_merge_keys_spare_repetition(folder: Path) -> None:
    second = "  - <<: *first\n    name: second\n    samples: 12\ntrain:"
    text = GOOD.replace("  - name: first", "  - &first\n    name: first").replace("\ntrain:", "\n" + second, 1)
    config = load(folder, text)
    assert [(phase.name, phase.samples) for phase in config.phases] == [("first", 10), ("second", 12)]
    assert config.phases[0].gates == config.phases[1].gates


def test_names_that_yaml_1_1_takes_for_something_else_stay_names(folder: Path) -> None:
    text = GOOD.replace("run: tiny", "run: no").replace("text: kernel.txt", "on: kernel.txt, off: other.txt")
    config = load(folder, text)
    assert config.run == "no"
    assert config.evaluate is not None
    assert list(config.evaluate.conditions) == ["baseline", "on", "off"]


def test_the_environment_goes_over_the_file_and_flags_over_both(folder: Path) -> None:
    environ = {"LEMFARM__SAMPLING__TEMPERATURE": "0.5", "LEMFARM__SAMPLING__MAX_TOKENS": "50"}
    config = load(folder, environ=environ, sampling__temperature=0.25)
    assert (config.sampling.temperature, config.sampling.max_tokens, config.sampling.top_p) == (0.25, 50, 0.95)


def test_the_process_environment_is_read_by_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "run.yaml").write_text(GOOD)
    monkeypatch.setitem(os.environ, "LEMFARM__RUN", "other")
    assert load_config(folder / "run.yaml").run == "other"


def test_overrides_reach_into_lists_and_create_sections(folder: Path) -> None:
    environ = {
        "LEMFARM__PHASES__0__SAMPLES": "11",
        "LEMFARM__PHASES__0__GATES__0__AT_LEAST": "1e1",
        "LEMFARM__PHASES__0__SAMPLING__SEED": "7",
        "LEMFARM__FARM__RETRIES": "0",
    }
    config = load(folder, environ=environ)
    phase = only_phase(config)
    assert (phase.samples, phase.gates[0], config.farm.retries) == (
        11,
        ScoreGate(scorer="v2-distill", at_least=10.0),
        0,
    )
    assert config.sampling_for(phase).seed == 7


def test_overrides_may_be_whole_sections_null_or_values_of_python(folder: Path) -> None:
    environ = {"LEMFARM__SAMPLING": "{max_tokens: 10}", "LEMFARM__EVALUATE": "null", "LEMFARM__SAMPLING__SEED": "1"}
    config = load(folder, environ=environ, phases__0__quota={"accepted": 5}, train__rank="8")
    assert config.sampling == SamplingConfig(max_tokens=10, seed=1)
    assert config.evaluate is None
    assert (only_phase(config).quota.accepted, only_phase(config).quota.enough) == (5, 5)
    assert config.train is not None
    assert config.train.rank == 8


def test_an_override_of_one_alias_leaves_the_others_alone(folder: Path) -> None:
    text = GOOD.replace("run: tiny\n", "run: tiny\n").replace("sampling: {", "sampling: &s {", 1)
    text = text.replace("    samples: 10\n", "    samples: 10\n    sampling: *s\n")
    config = load(folder, text, phases__0__sampling__seed=1)
    assert (config.sampling.seed, config.sampling_for(only_phase(config)).seed) == (42, 1)


def test_an_override_can_repair_the_file(folder: Path) -> None:
    text = GOOD.replace("samples: 10", "samples: many")
    assert problems(folder, text)
    assert only_phase(load(folder, text, phases__0__samples=10)).samples == 10


def test_other_variables_are_left_alone(folder: Path) -> None:
    assert load(folder, environ={"LEMFARM_HOME": "/tmp/x", "LEMFARM_X": "y", "PATH": "z"}).run == "tiny"


def test_the_effective_file_says_the_same(folder: Path, tmp_path: Path) -> None:
    text = GOOD.replace("run: tiny", "run: 1e5x")
    text = text.replace("baseline: null, text: kernel.txt", "no: null, '1e5': kernel.txt, '010': other.txt")
    text = text.replace("    samples: 10\n", "    samples: 10\n    kernel: null\n    sampling: {seed: 3}\n")
    config = load(folder, text, environ={"LEMFARM__FARM__RETRIES": "5"})
    (tmp_path / "elsewhere").mkdir()
    assert load(tmp_path / "elsewhere", effective_yaml(config)) == config


def test_the_effective_file_names_what_did_not_come_from_the_file(folder: Path) -> None:
    shown = effective_yaml(load(folder, environ={"LEMFARM__FARM__RETRIES": "5"}, run="other"))
    assert "# farm.retries: from LEMFARM__FARM__RETRIES\n" in shown
    assert "# run: from --set run\n" in shown
    assert "run: other\n" in shown


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@example("1e5")
@example("0o17")
@example("no")
@example("12:30")
@example("<<")
@example(" # x")
@example("two\nlines\x85\u2028")
def test_any_text_is_shown_so_that_it_is_read_as_the_same_text(text: str) -> None:
    phase = {"name": "p", "probes": ("p.jsonl",), "samples": 1, "quota": {"accepted": 1}}
    model = {"engine": "mlx", "path": text}
    config = config_from_data({"run": "r", "model": model, "phases": (phase,)})
    shown = read_yaml(effective_yaml(config))
    assert shown.faults == []
    assert isinstance(shown.value, dict)
    assert shown.value["model"]["path"] == text


def test_stock_yaml_readers_understand_the_effective_file(folder: Path) -> None:
    config = load(folder)
    assert yaml.safe_load(effective_yaml(config)) == config_data(config)


def test_a_stored_configuration_is_read_back_without_its_files(folder: Path) -> None:
    config = load(folder)
    data = config_data(config)
    for file in folder.iterdir():
        file.unlink()
    assert config_from_data(data) == config


def test_a_stored_configuration_of_another_shape_is_refused(folder: Path) -> None:
    data = config_data(load(folder))
    data["farm"]["colour"] = "green"
    with pytest.raises(ConfigError, match=r"stored configuration: farm\.colour: unknown key"):
        config_from_data(data)


def test_nothing_can_be_changed_after_loading(folder: Path) -> None:
    config = load(folder)
    with pytest.raises(ValueError, match="frozen"):
        config.run = "other"


def test_the_hash_follows_values_and_contents_but_not_places(folder: Path, tmp_path: Path) -> None:
    first = config_hash(load(folder))
    (tmp_path / "copy").mkdir()
    write_files(tmp_path / "copy")
    assert config_hash(load(tmp_path / "copy")) == first
    assert config_hash(load(folder, GOOD.replace("rank: 4", "rank: 8"))) != first
    config = load(folder)
    (folder / "kernel.txt").write_text("Be bold.\n")
    assert config_hash(config) != first


def test_the_hash_does_not_mind_how_a_default_is_spelled(folder: Path) -> None:
    spelled = GOOD.replace("rank: 4", "rank: 4, batch_size: 1").replace("at_least: 24", "at_least: 24.0")
    assert config_hash(load(folder, spelled)) == config_hash(load(folder))


def test_a_model_folder_counts_by_its_name(folder: Path, tmp_path: Path) -> None:
    text = GOOD.replace("engine: simulated", "engine: mlx, path: ./weights")
    (folder / "weights").mkdir()
    (tmp_path / "copy" / "weights").mkdir(parents=True)
    write_files(tmp_path / "copy")
    assert config_hash(load(folder, text)) == config_hash(load(tmp_path / "copy", text))


def test_the_hash_says_which_file_has_gone(folder: Path) -> None:
    config = load(folder)
    (folder / "kernel.txt").unlink()
    with pytest.raises(ConfigError, match=r"kernel\.txt: cannot be read"):
        config_hash(config)


def test_reading_run_files_needs_none_of_the_heavy_libraries() -> None:
    heavy = "{'mlx', 'mlx_lm', 'celery', 'sqlmodel', 'sqlalchemy', 'huggingface_hub', 'transformers', 'rich'}"
    check = f"import sys, lemfarm.config, lemfarm.gates; sys.exit(', '.join({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stderr.strip() == ""


def test_a_stored_run_is_read_where_its_scorer_is_not_installed(folder: Path) -> None:
    data = config_data(load(folder))
    data["phases"][0]["gates"][0]["scorer"] = "uninstalled"
    gate = only_phase(config_from_data(data)).gates[0]
    assert gate == ScoreGate.model_construct(scorer="uninstalled", at_least=24.0)
