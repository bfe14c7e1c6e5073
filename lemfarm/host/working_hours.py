"""When a machine may work: windows of the week on its own wall clock, as a person writes them.

    22:00-07:30                       every night; a window that ends before it begins ends on the next day
    mon-fri 22:00-07:00, sat-sun      nights of weekdays (named by the day they begin on), and whole weekend days

Hours follow the wall clock: on the night that the clocks go forward a window loses an hour, on the other it gains one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lemfarm.errors import InputError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_OF_DAY = 24 * 60
_MINUTES_OF_WEEK = 7 * _MINUTES_OF_DAY
_WINDOW = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:\s*-\s*(?P<last>[a-z]{3}))?)?\s*"
    r"(?:(?P<begin>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2}))?",
    re.IGNORECASE,
)
_EXAMPLE = "write 22:00-07:30, or with days: mon-fri 22:00-07:00, sat-sun"


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows of the week; `text` is what was written, in one form."""

    text: str
    _spans: tuple[tuple[int, int], ...]  #: minutes since Monday 00:00, in order, apart from each other

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Hours":
        """Read windows, several of them separated by commas. Raises InputError, with an example."""
        windows = [part.strip() for text in texts for part in text.split(",")]
        spans = [span for window in windows for span in _spans_of(window)]
        if not spans:
            raise InputError(f"working hours name no window: {_EXAMPLE}")
        return cls(", ".join(" ".join(window.lower().split()) for window in windows), tuple(_joined(spans)))

    def is_open(self, at: datetime) -> bool:
        """Whether work is allowed at this time of the wall clock."""
        minute = _minute_of_week(at)
        return any(begin <= minute < end for begin, end in self._spans)

    def next_change(self, at: datetime) -> datetime | None:
        """When the answer of `is_open` changes next, on the wall clock; None for hours that are the whole week."""
        edges = {edge % _MINUTES_OF_WEEK for span in self._spans for edge in span}
        if self._wraps:
            edges.discard(0)
        if not edges:
            return None
        minute = _minute_of_week(at)
        wait = min((edge - minute) % _MINUTES_OF_WEEK or _MINUTES_OF_WEEK for edge in edges)
        return at.replace(second=0, microsecond=0) + timedelta(minutes=wait)

    @property
    def _wraps(self) -> bool:
        """Sunday night goes on into Monday: midnight between them is no edge."""
        return self._spans[0][0] == 0 and self._spans[-1][1] == _MINUTES_OF_WEEK

    def __str__(self) -> str:
        return self.text


def _minute_of_week(at: datetime) -> int:
    return at.weekday() * _MINUTES_OF_DAY + at.hour * 60 + at.minute


def _spans_of(window: str) -> Iterator[tuple[int, int]]:
    """The spans of one window, one or two a day: what reaches over the week's end goes on at its beginning."""
    found = _WINDOW.fullmatch(window)
    if not window or found is None:
        raise InputError(f"working hours {window!r}: {_EXAMPLE}")
    begin, end = _times(window, found["begin"], found["end"])
    for day in _days(window, found["first"], found["last"]):
        start, stop = day * _MINUTES_OF_DAY + begin, day * _MINUTES_OF_DAY + end
        yield start, min(stop, _MINUTES_OF_WEEK)
        if stop > _MINUTES_OF_WEEK:
            yield 0, stop - _MINUTES_OF_WEEK


def _days(window: str, first: str | None, last: str | None) -> list[int]:
    """Days by number; a range may go over the week's end, as sat-mon does."""
    if first is None:
        return list(range(7))
    begin = _day(window, first)
    end = _day(window, last) if last else begin
    return [(begin + step) % 7 for step in range((end - begin) % 7 + 1)]


def _day(window: str, name: str) -> int:
    if name.lower() not in _DAYS:
        raise InputError(f"working hours {window!r}: there is no day {name!r}; days are {' '.join(_DAYS)}")
    return _DAYS.index(name.lower())


def _times(window: str, begin: str | None, end: str | None) -> tuple[int, int]:
    """Minutes since midnight of the day a window begins on; the end may lie on the next day."""
    if begin is None or end is None:
        return 0, _MINUTES_OF_DAY
    first, last = _minute(window, begin), _minute(window, end)
    if first in (last, _MINUTES_OF_DAY):
        raise InputError(f"working hours {window!r}: no time lies between these; a whole day is 00:00-24:00")
    return first, last if last > first else last + _MINUTES_OF_DAY


def _minute(window: str, clock: str) -> int:
    hour, minute = map(int, clock.split(":"))
    if minute > 59 or hour * 60 + minute > _MINUTES_OF_DAY:
        raise InputError(f"working hours {window!r}: there is no time {clock}; a day goes from 00:00 to 24:00")
    return hour * 60 + minute


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in order, with those that overlap or touch made one."""
    current: tuple[int, int] | None = None
    for begin, end in sorted(spans):
        if current is not None and begin <= current[1]:
            current = current[0], max(current[1], end)
            continue
        if current is not None:
            yield current
        current = begin, end
    if current is not None:
        yield current
