"""Budgets per minute and pauses: no clock, no sleep, only figures."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.engines.openai_pace import WINDOW_SECONDS, Pace, backoff_seconds, retry_after_seconds

NOON = datetime(2026, 7, 14, 12, 0, 0, tzinfo=UTC)
SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=60)


def sent(pace: Pace, sizes: list[int]) -> Iterator[tuple[float, int]]:
    """When each request goes if all are wanted at once, in their order."""
    now = 1000.0
    for size in sizes:
        while (wait := pace.wait_seconds(now, size)) > 0:
            now += wait
        pace.take(now, size)
        yield now, size


@given(SIZES, st.integers(1, 20), st.integers(100, 1000))
def test_no_minute_ever_holds_more_than_the_budgets(sizes: list[int], requests: int, tokens: int) -> None:
    gone = list(sent(Pace(requests, tokens), sizes))
    assert [size for _, size in gone] == sizes
    for begin, _ in gone:
        minute = [size for at, size in gone if begin <= at < begin + WINDOW_SECONDS]
        assert len(minute) <= requests
        assert sum(minute) <= tokens or len(minute) == 1


@given(SIZES, st.integers(1, 20))
def test_a_budget_of_requests_is_used_up(sizes: list[int], requests: int) -> None:
    times = [at for at, _ in sent(Pace(requests), sizes)]
    assert times == [1000.0 + WINDOW_SECONDS * (number // requests) for number in range(len(sizes))]


def test_without_budgets_nothing_waits() -> None:
    assert {at for at, _ in sent(Pace(), [10**6] * 50)} == {1000.0}


def test_a_request_beyond_the_whole_budget_goes_alone() -> None:
    times = [at for at, _ in sent(Pace(tokens_per_minute=100), [60, 500, 60])]
    assert [later - earlier for earlier, later in pairwise(times)] == [60.0, 60.0]


def test_what_was_reserved_and_not_used_is_free_again() -> None:
    pace = Pace(tokens_per_minute=100)
    entry = pace.take(0.0, 90)
    assert pace.wait_seconds(1.0, 50) == 59.0
    pace.settle(entry, 30)
    assert pace.wait_seconds(1.0, 50) == 0.0


def test_a_pause_holds_whatever_the_budgets_allow_and_is_not_shortened() -> None:
    pace = Pace()
    pace.pause(10.0, 30.0)
    pace.pause(10.0, 5.0)
    assert (pace.wait_seconds(20.0, 1), pace.wait_seconds(40.0, 1)) == (20.0, 0.0)


@given(st.integers(1, 10**6))
def test_waits_grow_from_a_second_to_a_minute(tries: int) -> None:
    assert 0.5 <= backoff_seconds(tries) <= 60.0
    assert backoff_seconds(1) <= 1.0
    assert backoff_seconds(7 + tries) >= 30.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("Tue, 14 Jul 2026 12:01:30 GMT", 90.0),
        ("Tue, 14 Jul 2026 12:01:30 -0000", 90.0),
        ("Tue, 14 Jul 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": header}, NOON) == seconds


def test_without_the_header_nothing_is_asked_for() -> None:
    assert retry_after_seconds({}, NOON) is None
