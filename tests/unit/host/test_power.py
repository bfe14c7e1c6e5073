"""Power and heat, from what a Mac's own tools print. The outputs were written after their documentation."""

from collections.abc import Sequence
from dataclasses import asdict

import pytest

from lemfarm.host.power import PowerState, mac_battery, mac_pressure, mac_speed_limit, mac_warning, read_power
from lemfarm.machine import Ask

ON_MAINS = "Now drawing from 'AC Power'\n -InternalBattery-0 (id=1234)\t100%; charged; 0:00 remaining present: true"
ON_BATTERY = "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1234)\t8%; discharging; 0:40 remaining"
A_DESKTOP = "Now drawing from 'AC Power'"
NOTHING_RECORDED = """\
Note: No thermal warning level has been recorded
Note: No performance warning level has been recorded
Note: No CPU power status has been recorded"""
HELD_BACK = """\
2026-11-24 13:10:40 +0100 Thermal Warning Level = 5
Note: No performance warning level has been recorded
2026-11-24 13:10:40 +0100 CPU Power notify
\tCPU_Scheduler_Limit \t= 100
\tCPU_Available_CPUs \t= 8
\tCPU_Speed_Limit \t= 35"""
PRESSURE = "com.apple.system.thermalpressurelevel"


def a_mac(**said: str) -> Ask:
    """A machine whose programs say what the table says (`batt`, `therm`, `pressure`), and nothing else."""
    commands = {"batt": "pmset -g batt", "therm": "pmset -g therm", "pressure": f"notifyutil -g {PRESSURE}"}
    table = {commands[name]: text for name, text in said.items()}

    def answer(command: Sequence[str]) -> str | None:
        return table.get(" ".join(command))

    return answer


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (ON_MAINS, ("mains", 100)),
        (ON_BATTERY, ("battery", 8)),
        (A_DESKTOP, ("mains", None)),
        ("No batteries", ("unknown", None)),
        (None, ("unknown", None)),
    ],
)
def test_a_mac_tells_mains_from_battery_and_the_charge(said: str | None, expected: tuple[str, int | None]) -> None:
    assert mac_battery(said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"{PRESSURE} 0", "nominal"),
        (f"{PRESSURE} 1", "moderate"),
        (f"{PRESSURE} 2", "heavy"),
        (f"{PRESSURE} 3", "trapping"),
        (f"{PRESSURE} 4", "sleeping"),
        (f"{PRESSURE} 17", None),
        (f"{PRESSURE}: no such key", None),
        ("", None),
        (None, None),
    ],
)
def test_thermal_pressure_has_the_names_of_powermetrics(said: str | None, expected: str | None) -> None:
    assert mac_pressure(said) == expected


@pytest.mark.parametrize(
    ("said", "warning", "limit"),
    [
        (NOTHING_RECORDED, None, None),
        (HELD_BACK, "warning", 35),
        ("2026-11-24 13:10:40 +0100 Thermal Warning Level = 0", "nominal", None),
        ("CPU_Speed_Limit = unknown", None, None),
        (None, None, None),
    ],
)
def test_what_pmset_recorded_is_read_and_no_record_says_nothing(
    said: str | None, warning: str | None, limit: int | None
) -> None:
    assert (mac_warning(said), mac_speed_limit(said)) == (warning, limit)


def test_a_hot_laptop_is_told_in_one_line() -> None:
    found = read_power(system="Darwin", ask=a_mac(batt=ON_BATTERY, therm=HELD_BACK, pressure=f"{PRESSURE} 2"))
    assert found == PowerState("battery", 8, "heavy", 35)
    assert str(found) == "battery 8 %, heat heavy, CPU held at 35 %"


def test_an_apple_silicon_mac_that_records_nothing_has_its_pressure_all_the_same() -> None:
    found = read_power(system="Darwin", ask=a_mac(batt=A_DESKTOP, therm=NOTHING_RECORDED, pressure=f"{PRESSURE} 3"))
    assert (found.heat, found.is_hot, str(found)) == ("trapping", True, "mains, heat trapping")


def test_a_recorded_warning_stands_in_for_a_pressure_that_cannot_be_asked() -> None:
    found = read_power(system="Darwin", ask=a_mac(batt=A_DESKTOP, therm=HELD_BACK))
    assert (found.heat, found.is_hot) == ("warning", True)


def test_a_mac_that_answers_nothing_is_not_a_crash() -> None:
    assert read_power(system="Darwin", ask=a_mac()) == PowerState("unknown")


@pytest.mark.parametrize(
    ("plugged", "expected"), [(True, "mains 73 %"), (False, "battery 73 %"), (None, "unknown 73 %")]
)
def test_linux_asks_its_sensors(plugged: bool | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    class Battery:
        percent = 72.6
        power_plugged = plugged

    monkeypatch.setattr(psutil, "sensors_battery", Battery, raising=False)
    assert str(read_power(system="Linux")) == expected
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)
    assert read_power(system="Linux") == PowerState("mains")


def test_this_machine_can_be_asked() -> None:
    assert read_power().source in ("mains", "battery", "unknown")


@pytest.mark.parametrize(
    ("state", "warning"),
    [
        (PowerState("mains", 80, "nominal", 100), ""),
        (PowerState("mains", heat="moderate"), ""),
        (PowerState("unknown"), ""),
        (PowerState("battery", 99, "nominal"), "battery 99 %"),
        (PowerState("mains", 100, "heavy"), "heat heavy"),
        (PowerState("mains", speed_limit=90), "CPU held at 90 %"),
        (PowerState("battery", 8, "heavy", 35), "battery 8 %, heat heavy, CPU held at 35 %"),
    ],
)
def test_battery_and_slowing_heat_are_warned_of(state: PowerState, warning: str) -> None:
    assert state.warning == warning


def test_a_workers_row_keeps_it_and_gives_it_back() -> None:
    state = PowerState("battery", 8, "heavy", 35)
    assert PowerState.from_facts({"engine": "mlx", "power": asdict(state)}) == state
    assert PowerState.from_facts({"engine": "mlx"}) is None
