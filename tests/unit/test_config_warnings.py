"""What a run file may say and will hardly want."""

import json
from pathlib import Path

import pytest

from lemfarm.config import RunConfig, check_config, config_data, config_from_data, config_warnings
from lemfarm.errors import ProbeError
from tests.run_files import GOOD, load, spot, write_files, write_probes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def warnings(folder: Path, text: str) -> list[str]:
    prefix = f"{folder / 'run.yaml'}:"
    return [line.removeprefix(prefix) for line in config_warnings(load(folder, text))]


def quota(accepted: int) -> str:
    return GOOD.replace("accepted: 20, at_most_per_probe: 12, enough: 12", f"accepted: {accepted}")


def test_a_sensible_file_gives_no_warning(folder: Path) -> None:
    assert warnings(folder, GOOD) == []


def test_a_quota_that_will_hardly_fill_is_warned_of(folder: Path) -> None:
    assert warnings(folder, quota(36)) == []
    text = quota(37)
    (warning,) = warnings(folder, text)
    assert warning.startswith(f"{spot(text, '37')}: phases.0.quota.accepted: will hardly be filled: 62% of all 60 ")


def test_less_than_one_epoch_is_warned_of_with_what_would_be_one(folder: Path) -> None:
    text = GOOD.replace("iterations: 10", "iterations: 2")
    (warning,) = warnings(folder, text)
    assert warning.startswith(f"{spot(text, '2, learning')}: phases.0.train.iterations: is less than one epoch: ")
    assert warning.endswith("2 updates see 16 of 20 accepted samples; 3 updates would see all")
    assert warnings(folder, text.replace("rank: 4", "rank: 4, batch_size: 2")) == []


def test_an_epoch_is_one_of_all_rows_those_from_elsewhere_too(folder: Path) -> None:
    text = GOOD.replace("    samples", "    external: {share: 0.75, files: [other.jsonl]}\n    samples")
    assert warnings(folder, text) == []
    (warning,) = warnings(folder, text.replace("0.75", "0.8"))
    assert warning.endswith("10 updates see 80 of 100 accepted samples; 13 updates would see all")


def test_a_share_that_nothing_is_named_for_is_warned_of(folder: Path) -> None:
    text = GOOD.replace("    samples", "    external: {share: 0.1}\n    samples")
    (warning,) = warnings(folder, text)
    assert "phases.0.external.share: names no files and no runs: only what `lemfarm external import` brings" in warning


def test_rows_that_training_would_leave_out_are_warned_of(folder: Path) -> None:
    text = GOOD.replace("max_seq_length: 256", "max_seq_length: 80")
    (warning,) = warnings(folder, text)
    assert warning.startswith(f"{spot(text, '80}')}: phases.0.train.max_seq_length: an answer of max_tokens 64 after ")
    needed = int(warning.split("use ")[1].split(" ")[0])
    assert warnings(folder, GOOD.replace("max_seq_length: 256", f"max_seq_length: {needed}")) == []
    assert len(warnings(folder, GOOD.replace("max_seq_length: 256", f"max_seq_length: {needed - 1}"))) == 1


def test_longer_prompts_and_a_phases_own_max_tokens_count(folder: Path) -> None:
    shorter = GOOD.replace("    samples: 10", "    sampling: {max_tokens: 16}\n    samples: 10")
    assert warnings(folder, shorter.replace("max_seq_length: 256", "max_seq_length: 48")) == []
    write_probes(folder / "probes.jsonl", count=3, prompt="why? " * 200)
    assert "phases.0.train.max_seq_length" in warnings(folder, GOOD)[0]


def model_of(folder: Path, facts: dict[str, object]) -> str:
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "config.json").write_text(json.dumps(facts))
    return GOOD.replace("engine: simulated", "engine: mlx, path: model")


@pytest.mark.parametrize("nested", [False, True])
def test_the_context_of_a_model_at_hand_is_compared(folder: Path, nested: bool) -> None:
    def facts(length: object) -> dict[str, object]:
        inner: dict[str, object] = {"max_position_embeddings": length}
        return {"text_config": inner} if nested else inner

    (warning,) = warnings(folder, model_of(folder, facts(80)))
    assert "phases.0.sampling.max_tokens: max_tokens 64 after a kernel and prompt of about " in warning
    assert "the model's context of 80" in warning
    assert warnings(folder, model_of(folder, facts(8192))) == []


def test_the_kernel_counts_towards_the_context_unless_it_goes_nowhere(folder: Path) -> None:
    (folder / "kernel.txt").write_text("word " * 1000)
    text = model_of(folder, {"max_position_embeddings": 512})
    assert len(warnings(folder, text)) == 1
    assert warnings(folder, text.replace("file: kernel.txt", "file: kernel.txt, placement: none")) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"max_position_embeddings": null}', '{"text_config": 3}'])
def test_a_model_that_tells_no_context_is_left_to_whoever_loads_it(folder: Path, content: str) -> None:
    text = model_of(folder, {})
    (folder / "model" / "config.json").write_text(content)
    assert warnings(folder, text) == []


def test_a_probe_file_gone_bad_since_loading_is_told(folder: Path) -> None:
    config = load(folder)
    (folder / "probes.jsonl").write_text("")
    with pytest.raises(ProbeError):
        config_warnings(config)


def test_a_configuration_made_in_python_is_checked_and_warned_about_without_places(folder: Path) -> None:
    data = config_data(load(folder, quota(37)))
    assert config_warnings(config_from_data(data))[0].startswith("phases.0.quota.accepted: will hardly be filled")
    data["phases"][0]["samples"] = 1
    config: RunConfig = config_from_data(data)
    assert check_config(config)[0].startswith("phases.0.quota.accepted: 37 accepted samples cannot be had")
    assert check_config(load(folder)) == []
