"""Working hours: how they are written, when they are open, and when that changes."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.host.working_hours import Hours

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONDAY = datetime(2026, 11, 30)
WEEK = timedelta(days=7)

clocks = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
times = st.tuples(clocks, clocks).filter(lambda pair: pair[0] != pair[1]).map("-".join)
days = st.one_of(st.sampled_from(DAYS), st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map("-".join))
windows = st.one_of(times, days, st.tuples(days, times).map(" ".join))
moments = st.integers(0, 7 * 24 * 60 - 1).map(lambda minute: MONDAY + timedelta(minutes=minute))


def at(day: str, clock: str) -> datetime:
    """A moment of the week that begins on MONDAY."""
    hour, minute = map(int, clock.split(":"))
    return MONDAY + timedelta(days=DAYS.index(day), hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "open_at", "closed_at"),
    [
        ("22:00-07:30", [("mon", "22:00"), ("sun", "03:00"), ("wed", "07:29")], [("mon", "21:59"), ("tue", "07:30")]),
        ("09:00-17:00", [("sat", "09:00"), ("sat", "16:59")], [("sat", "08:59"), ("sat", "17:00")]),
        ("sat-sun", [("sat", "00:00"), ("sun", "23:59")], [("fri", "23:59"), ("mon", "00:00")]),
        ("fri 22:00-07:00", [("fri", "22:00"), ("sat", "06:59")], [("sat", "22:00"), ("fri", "06:00")]),
        ("sun 22:00-07:00", [("sun", "23:00"), ("mon", "06:59")], [("mon", "07:00"), ("mon", "22:00")]),
        ("sat-mon 10:00-24:00", [("sat", "10:00"), ("mon", "23:59")], [("tue", "10:00"), ("sun", "09:59")]),
        (
            "MON - FRI  22:00 - 7:00, sat-sun",
            [("thu", "23:00"), ("sat", "12:00")],
            [("mon", "06:00"), ("fri", "12:00")],
        ),
        ("00:00-24:00", [("mon", "00:00"), ("sun", "23:59")], []),
    ],
)
def test_hours_are_read_as_people_write_them(
    text: str, open_at: list[tuple[str, str]], closed_at: list[tuple[str, str]]
) -> None:
    hours = Hours.parse([text])
    assert [moment for moment in open_at if not hours.is_open(at(*moment))] == []
    assert [moment for moment in closed_at if hours.is_open(at(*moment))] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write 22:00-07:30"),
        ("at night", "write 22:00-07:30"),
        ("22-7", "write 22:00-07:30"),
        ("22:00", "write 22:00-07:30"),
        ("sat-sun,", "write 22:00-07:30"),
        ("22:00-25:00", "no time 25:00"),
        ("22:61-23:00", "no time 22:61"),
        ("08:00-08:00", "no time lies between"),
        ("24:00-08:00", "no time lies between"),
        ("fry 22:00-07:00", "no day 'fry'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_an_example(text: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        Hours.parse([text])
    assert words in str(refused.value)


def test_no_window_at_all_is_refused() -> None:
    with pytest.raises(InputError):
        Hours.parse([])


@pytest.mark.parametrize(
    ("now", "change"),
    [(("fri", "12:00"), ("fri", "22:00")), (("fri", "23:00"), ("sat", "07:00")), (("fri", "22:00"), ("sat", "07:00"))],
)
def test_the_next_change_is_the_next_opening_or_closing(now: tuple[str, str], change: tuple[str, str]) -> None:
    assert Hours.parse(["22:00-07:00"]).next_change(at(*now)) == at(*change)


def test_the_night_from_sunday_to_monday_is_one_window() -> None:
    hours = Hours.parse(["sun 22:00-07:00"])
    assert hours.next_change(at("sun", "23:00")) == at("mon", "07:00") + WEEK


@pytest.mark.parametrize("text", ["mon-sun", "00:00-24:00", "06:00-18:00, 18:00-06:00"])
def test_hours_of_the_whole_week_never_change(text: str) -> None:
    assert Hours.parse([text]).next_change(MONDAY) is None


def test_the_wall_clock_counts_when_clocks_are_changed() -> None:
    """In the night to 25 October 2026 the hour from 02:00 comes twice in Berlin, and both times it is open."""
    hours, berlin = Hours.parse(["02:00-03:00"]), ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=0)
    second = first.replace(fold=1)
    assert second.timestamp() - first.timestamp() == 3600
    assert hours.is_open(first)
    assert hours.is_open(second)


@settings(max_examples=15)
@given(st.lists(windows, min_size=1, max_size=4), moments)
def test_the_next_change_is_the_first_minute_that_differs(texts: list[str], now: datetime) -> None:
    hours = Hours.parse(texts)
    change = hours.next_change(now)
    minutes = (now + timedelta(minutes=step) for step in range(1, 7 * 24 * 60 + 1))
    assert change == next((minute for minute in minutes if hours.is_open(minute) != hours.is_open(now)), None)


@settings(max_examples=25)
@given(st.lists(windows, min_size=1, max_size=4), moments)
def test_windows_together_are_open_when_one_of_them_is(texts: list[str], now: datetime) -> None:
    apart = any(Hours.parse([text]).is_open(now) for text in texts)
    assert Hours.parse(texts).is_open(now) is apart
    assert Hours.parse([", ".join(texts)]).is_open(now) is apart


@settings(max_examples=25)
@given(st.lists(windows, min_size=1, max_size=4))
def test_hours_are_read_again_from_their_text(texts: list[str]) -> None:
    hours = Hours.parse(texts)
    assert Hours.parse([str(hours)]) == hours
