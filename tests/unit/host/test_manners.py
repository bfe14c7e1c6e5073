"""The settings of a machine: how they travel, and when they say that it must rest."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.host.manners import Manners, OnBattery
from lemfarm.host.power import PowerState
from lemfarm.host.working_hours import Hours

NIGHTS = Hours.parse(["22:00-07:00"])
FRIDAY_NOON, FRIDAY_NIGHT = datetime(2026, 12, 4, 12), datetime(2026, 12, 4, 23)
MAINS, BATTERY = PowerState("mains"), PowerState("battery", 63)

some_manners = st.builds(
    Manners,
    hours=st.sampled_from([None, NIGHTS, Hours.parse(["mon-fri 22:00-07:00", "sat-sun"])]),
    on_battery=st.sampled_from(OnBattery),
    caffeinate=st.booleans(),
)


def test_without_settings_a_machine_always_works() -> None:
    assert Manners.read({}) == Manners()
    assert Manners().reason_to_rest(FRIDAY_NOON, BATTERY) == ""
    assert (Manners().environment(), Manners().arguments()) == ({}, [])


def test_outside_its_hours_it_rests_and_says_until_when() -> None:
    manners = Manners(hours=NIGHTS)
    assert manners.reason_to_rest(FRIDAY_NOON, MAINS) == "outside its hours: goes on Fri 22:00"
    assert manners.reason_to_rest(FRIDAY_NIGHT, MAINS) == ""


def test_on_battery_it_rests_when_that_was_asked_for() -> None:
    manners = Manners(on_battery=OnBattery.PAUSE)
    assert manners.reason_to_rest(FRIDAY_NOON, BATTERY) == "on battery (63 %): goes on when it is plugged in"
    assert manners.reason_to_rest(FRIDAY_NOON, MAINS) == ""


def test_where_mains_cannot_be_told_from_battery_it_works() -> None:
    assert Manners(on_battery=OnBattery.PAUSE).reason_to_rest(FRIDAY_NOON, PowerState("unknown")) == ""


def test_in_its_hours_but_on_battery_it_rests() -> None:
    manners = Manners(NIGHTS, OnBattery.PAUSE)
    assert "battery" in manners.reason_to_rest(FRIDAY_NIGHT, BATTERY)


@settings(max_examples=20)
@given(some_manners)
def test_settings_come_through_the_environment_as_they_were(manners: Manners) -> None:
    assert Manners.read(manners.environment()) == manners


@pytest.mark.parametrize(
    ("environ", "words"),
    [({"LEMFARM_HOURS": "at night"}, "write 22:00-07:30"), ({"LEMFARM_ON_BATTERY": "sleep"}, "work or pause")],
)
def test_a_wrong_setting_is_refused(environ: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as refused:
        Manners.read(environ)
    assert words in str(refused.value)


def test_options_for_a_daemons_file_say_the_same() -> None:
    manners = Manners(NIGHTS, OnBattery.PAUSE, caffeinate=False)
    assert manners.arguments() == ["--hours", "22:00-07:00", "--on-battery", "pause", "--no-caffeinate"]
