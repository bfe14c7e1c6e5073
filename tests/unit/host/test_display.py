"""What is said about the display of a Mac before it trains."""

from collections.abc import Sequence

import pytest

from lemfarm.host.display import advice, is_held_awake
from lemfarm.machine import Ask

ASSERTIONS = """Assertion status system-wide:
   BackgroundTask                 0
   UserIsActive                   1
   PreventUserIdleDisplaySleep    {held}
   PreventUserIdleSystemSleep     1
"""


def says(held: int | None) -> Ask:
    def ask(command: Sequence[str]) -> str | None:
        assert command == ["pmset", "-g", "assertions"]
        return None if held is None else ASSERTIONS.format(held=held)

    return ask


@pytest.mark.parametrize(("held", "expected"), [(1, True), (0, False), (None, False)])
def test_a_program_that_keeps_the_display_on_is_noticed(held: int | None, expected: bool) -> None:
    assert is_held_awake(system="Darwin", ask=says(held)) is expected


def test_on_a_mac_the_display_is_to_sleep_while_it_trains() -> None:
    calm = advice(system="Darwin", ask=says(0))
    assert "train with the display asleep" in calm and "caffeinate" not in calm
    assert "caffeinate -is" in advice(system="Darwin", ask=says(1))


def test_elsewhere_nothing_is_asked_nor_said() -> None:
    def never(command: Sequence[str]) -> str | None:
        raise AssertionError(command)

    assert advice(system="Linux", ask=never) == ""
    assert not is_held_awake(system="Linux", ask=never)
