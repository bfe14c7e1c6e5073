"""What this machine runs on and how hot it is: mains or battery, charge, thermal pressure.

On Apple silicon `pmset -g therm` mostly records nothing, also while the chip is slowed down; the thermal pressure that
`powermetrics` shows is read without root from macOS's notification `com.apple.system.thermalpressurelevel`. Everything
may be unknown: a tool that is missing or says something new yields None, never an exception.
"""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lemfarm.machine import Ask, ask

Source = Literal["mains", "battery", "unknown"]

_PRESSURE_KEY = "com.apple.system.thermalpressurelevel"
#: Names of its levels as `powermetrics` prints them; from the second on the machine is slower than it could be.
_PRESSURES = ("nominal", "moderate", "heavy", "trapping", "sleeping")
_SLOWING = frozenset(_PRESSURES[2:]) | {"warning"}


@dataclass(frozen=True, slots=True)
class PowerState:
    """Power and heat at one moment. `percent` and `speed_limit` (of the CPU's full speed) in percent."""

    source: Source
    percent: int | None = None
    heat: str | None = None
    speed_limit: int | None = None

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "PowerState | None":
        """What a worker's row keeps; None where it has not looked yet."""
        kept = facts.get("power")
        return cls(**kept) if kept else None

    @property
    def is_hot(self) -> bool:
        """Whether heat makes this machine slower."""
        return self.heat in _SLOWING or (self.speed_limit is not None and self.speed_limit < 100)

    @property
    def warning(self) -> str:
        """What a person who looks at a run wants to know: it is on battery, or slowed down by heat; else empty."""
        return ", ".join([*([self._supply] if self.source == "battery" else []), *(self._heat if self.is_hot else [])])

    def __str__(self) -> str:
        return ", ".join([self._supply, *self._heat])

    @property
    def _supply(self) -> str:
        return self.source if self.percent is None else f"{self.source} {self.percent} %"

    @property
    def _heat(self) -> list[str]:
        words = [f"heat {self.heat}"] if self.heat else []
        return words + ([f"CPU held at {self.speed_limit} %"] if self.speed_limit not in (None, 100) else [])


def read_power(*, system: str | None = None, ask: Ask = ask) -> PowerState:
    """Ask this machine; takes some tens of milliseconds on a Mac, at most as long as three programs may take."""
    if (system or platform.system()) == "Darwin":
        said = ask(["pmset", "-g", "therm"])
        return PowerState(
            *mac_battery(ask(["pmset", "-g", "batt"])),
            heat=mac_pressure(ask(["notifyutil", "-g", _PRESSURE_KEY])) or mac_warning(said),
            speed_limit=mac_speed_limit(said),
        )
    return PowerState(*_sensors())


def mac_battery(said: str | None) -> tuple[Source, int | None]:
    """What `pmset -g batt` says: the source of power and the battery's charge."""
    text = said or ""
    source: Source = "battery" if "'Battery Power'" in text else "mains" if "'AC Power'" in text else "unknown"
    charge = re.search(r"(\d{1,3})%", text)
    return source, int(charge[1]) if charge else None


def mac_pressure(said: str | None) -> str | None:
    """What `notifyutil -g` says of the thermal pressure: the notification's name and a level from 0."""
    level = re.search(rf"{re.escape(_PRESSURE_KEY)}\s+(\d+)", said or "")
    if level is None or int(level[1]) >= len(_PRESSURES):
        return None
    return _PRESSURES[int(level[1])]


def mac_warning(said: str | None) -> str | None:
    """A thermal warning that `pmset -g therm` has recorded; no record says nothing."""
    level = re.search(r"Thermal Warning Level\s*=\s*(\d+)", said or "")
    if level is None:
        return None
    return "nominal" if int(level[1]) == 0 else "warning"


def mac_speed_limit(said: str | None) -> int | None:
    """The share of its full speed that `pmset -g therm` says the CPU may use, where it says so."""
    limit = re.search(r"CPU_Speed_Limit\s*=\s*(\d{1,3})", said or "")
    return int(limit[1]) if limit else None


def _sensors() -> tuple[Source, int | None]:
    """The battery as psutil finds it; a machine without one hangs on the mains."""
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is None:
        return "mains", None
    plugged = battery.power_plugged
    source: Source = "unknown" if plugged is None else "mains" if plugged else "battery"
    return source, round(battery.percent)
