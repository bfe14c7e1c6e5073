"""How a machine behaves towards the person it belongs to: when it works, on which power, and whether it stays awake.

Settings of the machine, not of a run: a worker gets them from its command line and passes them on in its environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lemfarm.errors import InputError
from lemfarm.host.power import PowerState
from lemfarm.host.working_hours import Hours

HOURS_VARIABLE = "LEMFARM_HOURS"
BATTERY_VARIABLE = "LEMFARM_ON_BATTERY"
CAFFEINATE_VARIABLE = "LEMFARM_CAFFEINATE"


class OnBattery(StrEnum):
    """What a machine does that is not plugged in."""

    WORK = "work"  #: go on
    PAUSE = "pause"  #: finish what is in hand, claim nothing until it is plugged in


@dataclass(frozen=True, slots=True)
class Manners:
    """No hours: it may always work."""

    hours: Hours | None = None
    on_battery: OnBattery = OnBattery.WORK
    caffeinate: bool = True

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Manners":
        """What `environment` wrote, or a person. Raises InputError."""
        hours, battery = environ.get(HOURS_VARIABLE), environ.get(BATTERY_VARIABLE)
        if battery and battery not in list(OnBattery):
            raise InputError(f"{BATTERY_VARIABLE}={battery}: it is {' or '.join(OnBattery)}.")
        return cls(
            hours=Hours.parse([hours]) if hours else None,
            on_battery=OnBattery(battery) if battery else OnBattery.WORK,
            caffeinate=environ.get(CAFFEINATE_VARIABLE) != "0",
        )

    def environment(self) -> dict[str, str]:
        """For the worker process; only what differs from the default, so that a person's own variables hold."""
        told = {HOURS_VARIABLE: str(self.hours)} if self.hours else {}
        told |= {BATTERY_VARIABLE: self.on_battery.value} if self.on_battery is not OnBattery.WORK else {}
        return told | ({} if self.caffeinate else {CAFFEINATE_VARIABLE: "0"})

    def arguments(self) -> list[str]:
        """The same as options of `lemfarm worker`, for a daemon's file."""
        told = ["--hours", str(self.hours)] if self.hours else []
        told += ["--on-battery", self.on_battery.value] if self.on_battery is not OnBattery.WORK else []
        return told + ([] if self.caffeinate else ["--no-caffeinate"])

    def reason_to_rest(self, at: datetime, power: PowerState) -> str:
        """Why this machine must not take work now, in words for the worker's row; empty when it may.

        Where mains cannot be told from battery it works.
        """
        if self.on_battery is OnBattery.PAUSE and power.source == "battery":
            charge = "" if power.percent is None else f" ({power.percent} %)"
            return f"on battery{charge}: goes on when it is plugged in"
        if self.hours is None or self.hours.is_open(at):
            return ""
        opening = self.hours.next_change(at)
        return f"outside its hours: goes on {opening:%a %H:%M}" if opening else ""
