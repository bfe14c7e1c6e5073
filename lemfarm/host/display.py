"""The display of a Mac that trains: while it is on, macOS may end long GPU work, or bring the whole Mac down.

Reported of LoRA trainings with MLX (github.com/ml-explore/mlx/issues/3267), which go through with the display asleep.
lemfarm puts no display to sleep and sets no driver's knob; it says what helps.
"""

import platform
import re

from lemfarm.machine import Ask, ask

_HELD_AWAKE = re.compile(r"^\s*PreventUserIdleDisplaySleep\s+1\b", re.MULTILINE)
_ADVICE = "train with the display asleep: while it is on, macOS may end long GPU work (`pmset displaysleepnow`)"
_HELD = "something keeps the display on, as `caffeinate -d` does; `caffeinate -is` keeps the Mac awake without it"

#: What Metal says when macOS ended the work of a process for the sake of the display.
WATCHDOG_WORDS = "Impacting Interactivity"


def is_held_awake(*, system: str | None = None, ask: Ask = ask) -> bool:
    """Whether a program on this Mac asks for the display to stay on. False elsewhere, and where it is not told."""
    if (system or platform.system()) != "Darwin":
        return False
    return bool(_HELD_AWAKE.search(ask(["pmset", "-g", "assertions"]) or ""))


def advice(*, system: str | None = None, ask: Ask = ask) -> str:
    """What to do about this machine's display before a training; nothing where it has no part in it."""
    if (system or platform.system()) != "Darwin":
        return ""
    return f"{_ADVICE}; {_HELD}" if is_held_awake(system=system, ask=ask) else _ADVICE
