"""Options that say how a machine behaves: its hours, battery, sleep. Shared by `worker`, `worker install` and `run`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from lemfarm.host.manners import Manners

HoursOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hours",
        metavar="WINDOW",
        help="Work only then, as 22:00-07:30 or 'mon-fri 22:00-07:00, sat-sun'; may be given again.",
        show_default="always",
    ),
]
OnBatteryOption = Annotated[
    Literal["work", "pause"],
    typer.Option("--on-battery", help="What to do without mains power; pause: finish what is in hand, claim nothing."),
]
CaffeinateOption = Annotated[
    bool, typer.Option("--caffeinate/--no-caffeinate", help="Keep a Mac awake while there is work.")
]


def manners_of(hours: list[str] | None, on_battery: str, caffeinate: bool) -> "Manners":
    """What the options ask for. Raises InputError."""
    from lemfarm.host.manners import Manners, OnBattery
    from lemfarm.host.working_hours import Hours

    return Manners(Hours.parse(hours) if hours else None, OnBattery(on_battery), caffeinate)
