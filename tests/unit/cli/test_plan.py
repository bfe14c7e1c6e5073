"""`lemfarm plan` and its twin: what a run file means, what is known of its cost, and that nothing is written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemfarm.cli.look import duration, size
from lemfarm.engine_record import EngineRecord, model_name
from lemfarm.home import Home
from lemfarm.machine import MachineFacts
from producer.preview import Preview, preview
from tests.command import lemfarm
from tests.run_files import GOOD, load, write_files, write_probes

GIB = 1 << 30
SHIPPED = Path(__file__).parents[3] / "configs"
MAC = MachineFacts(
    name="studio",
    system="macOS",
    system_version="15.1",
    chip="Apple M3 Ultra",
    apple=True,
    cores=28,
    memory=96 * GIB,
    memory_free=60 * GIB,
    boot_id="b",
)
HUB = GOOD.replace("{engine: simulated}", "{engine: mlx, path: nobody/nothing-SIZE-it-4bit}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def seen(folder: Path, text: str = GOOD, machine: MachineFacts = MAC, **overrides: Any) -> Preview:
    return preview(load(folder, text, **overrides), Home(folder / "none"), machine=machine)


def test_a_phase_counts_what_its_probes_give(folder: Path) -> None:
    phase = seen(folder).phases[0]
    assert (phase.probes, phase.held_out, phase.texts, phase.samples_per_text, phase.grid) == (3, 0, 6, 10, 60)


def test_a_phase_that_waits_for_an_adapter_says_for_whose(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = GOOD[GOOD.index("  - name") : GOOD.index("train: {rank")].replace("first", "second")
    second = second.replace("    samples", "    generate_with: promoted\n    samples")
    phases = seen(folder, GOOD.replace("train: {rank", f"{second}train: {{rank")).phases
    assert [(phase.generate_with, phase.waits_for) for phase in phases] == [("base", None), ("promoted", "first")]
    said = " ".join(lemfarm(capsys, "plan", folder / "run.yaml", "--home", folder / "none").out.split())
    assert "with the adapter that is promoted once first is trained: which one," in said


def test_held_out_probes_are_no_part_of_a_phase(folder: Path) -> None:
    phase = seen(folder, evaluate__probes="probes.jsonl", evaluate__held_out=0.1).phases[0]
    assert (phase.probes, phase.held_out, phase.texts, phase.grid) == (2, 1, 4, 40)


def test_an_outlook_that_fills_the_quota_needs_less_than_the_grid(folder: Path) -> None:
    low, _, high = seen(folder).phases[0].outlooks
    assert (low.rate, low.fills, low.generations) == (0.20, False, 60)
    assert (high.rate, high.fills) == (0.50, True)
    assert 20 < high.generations < 60
    assert low.accepted == pytest.approx(12, abs=0.2)


def test_a_phase_that_does_not_stop_when_full_makes_the_whole_grid(folder: Path) -> None:
    phase = seen(folder, phases__0__quota__stop_when_full=False).phases[0]
    assert {outlook.generations for outlook in phase.outlooks} == {60}


def test_training_below_one_epoch_is_warned_of(folder: Path) -> None:
    found = seen(folder, phases__0__train__iterations=1)
    training = found.phases[0].training
    assert training is not None
    assert (training.examples_seen, training.epochs) == (8, 0.4)
    assert any("less than one epoch" in text for text in found.warnings)


def test_evaluation_counts_answers_of_both_models_under_all_conditions(folder: Path) -> None:
    found = seen(folder).evaluation
    assert found is not None
    assert (found.probes, found.texts, found.conditions, found.rows) == (1, 1, ("baseline", "text"), 1 * 2 * 2)


def test_without_training_only_the_base_model_is_measured(folder: Path) -> None:
    found = seen(folder, phases__0__train="null").evaluation
    assert found is not None
    assert (found.adapters, found.rows) == (0, 2)


def test_without_an_evaluation_nothing_is_measured(folder: Path) -> None:
    assert seen(folder, evaluate="null").evaluation is None


def test_a_simulated_run_takes_the_time_that_it_is_told_to(folder: Path) -> None:
    text = GOOD.replace("engine: simulated", "engine: simulated, tokens_per_second: 10, mean_tokens: 40, slots: 4")
    found = seen(folder, text, phases__0__quota__stop_when_full=False)
    assert found.costs.seconds == pytest.approx((60 + 4) * 4.0 / 4)
    assert (found.costs.memory, found.costs.missing) == (None, ())


def test_a_model_that_is_not_here_leaves_memory_open_and_says_how_to_get_it(folder: Path) -> None:
    found = seen(folder, HUB.replace("SIZE", "tiny")).costs
    assert (found.rate, found.seconds, found.memory) == (None, None, None)
    assert "time, memory, disk for adapters" in found.missing[0]
    assert "lemfarm model get nobody/nothing-tiny-it-4bit" in found.missing[0]


def test_a_size_in_the_name_gives_a_time_and_says_so(folder: Path) -> None:
    found = seen(folder, HUB.replace("SIZE", "27b")).costs
    assert found.rate is not None
    assert found.rate.seconds_per_sample == pytest.approx(60.0)
    assert found.sources["time"].endswith("27B by the model's name")
    assert "time" not in found.missing[0].split(":")[0].split(", ")


def test_a_model_that_is_here_gives_memory_slots_and_adapters(folder: Path) -> None:
    found = preview(load_demo(), Home(folder / "none"), machine=MAC).costs
    assert found.memory is not None
    assert found.memory.slots > 0
    assert str(SHIPPED.parent / "demo" / "model") in found.sources["memory"]
    assert "adapters" in found.sources["disk"]
    assert all("memory" not in text for text in found.missing)


def test_what_workers_measured_is_shown_beside_the_estimate(folder: Path) -> None:
    config, home = load_demo(), Home(folder / "home")
    record = EngineRecord.of(home, model_name(SHIPPED.parent / "demo" / "model", ""))
    record.note_peak(3 * GIB, slots=16)
    record.note_shortage(16, "a worker was aborted")
    measured = preview(config, home, machine=MAC).costs.measured
    assert measured[0] == "measured peak 3.0 GiB with 16 slots"
    assert "8 slots instead of 16" in measured[1]
    assert preview(config, Home(folder / "none"), machine=MAC).costs.measured == ()


def test_a_machine_that_is_too_small_is_warned_of(folder: Path) -> None:
    found = preview(load_demo(), Home(folder / "none"), machine=replace(MAC, memory=1 << 20))
    assert any("no room for a sample" in text for text in found.warnings)


def test_a_measured_figure_replaces_the_table(folder: Path) -> None:
    config = load(folder, HUB.replace("SIZE", "27b"))
    found = preview(config, Home(folder / "none"), machine=MAC, seconds_per_sample=2.5).costs
    assert found.rate is not None
    assert (found.rate.seconds_per_sample, found.sources["time"]) == (2.5, "measured on this farm")


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_run_file_can_be_planned(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "plan", file, "--home", tmp_path / "none")
    assert said.code == 0
    for text in ("20%", "35%", "50%", "quota", "this machine", "disk"):
        assert text in said.out
    assert "cannot be filled" not in said.out


def test_planning_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(folder)
    before = sorted(folder.rglob("*"))
    lemfarm(capsys, "plan", folder / "run.yaml", "--home", folder / "none")
    assert sorted(folder.rglob("*")) == before


def test_json_holds_every_figure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(folder)
    arguments = ("--set", "phases.0.samples=12", "--home", folder / "none", "--json")
    plan: dict[str, Any] = lemfarm(capsys, "plan", folder / "run.yaml", *arguments).data["plan"]
    assert plan["phases"][0]["grid"] == 72
    assert [outlook["rate"] for outlook in plan["phases"][0]["outlooks"]] == [0.2, 0.35, 0.5]
    assert plan["costs"]["sources"]["time"].startswith("simulated as configured")


def test_a_probe_file_gone_bad_ends_with_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(folder)
    write_probes(folder / "probes.jsonl", count=1)
    (folder / "probes.jsonl").open("a").write("{no json\n")
    said = lemfarm(capsys, "plan", folder / "run.yaml")
    assert said.code == 2
    assert "probes.jsonl:2" in said.err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.67, "0.7 s"), (90, "90 s"), (150, "2.5 min"), (3600, "60 min"), (50_000, "13.9 h"), (400_000, "4.6 days")],
)
def test_a_duration_reads_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_size_reads_well() -> None:
    assert [size(12), size(2048), size(3 * GIB)] == ["12 B", "2.0 KiB", "3.0 GiB"]


def load_demo() -> Any:
    from lemfarm.config import load_config

    return load_config(SHIPPED / "demo.yaml", environ={})
