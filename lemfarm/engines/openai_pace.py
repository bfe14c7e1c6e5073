"""When the next request may go: budgets per minute, and pauses that an endpoint asked for.

Everything here is told the time by its caller, in seconds on any steady clock.
"""

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

WINDOW_SECONDS = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0


@dataclass(slots=True, eq=False)
class Entry:
    """A request in the window; `tokens` is what was reserved for it, until `settle` says what it took."""

    at: float
    tokens: int


@dataclass(slots=True)
class Pace:
    """At most so many requests and tokens in any sixty seconds; none: no limit. Nothing goes before a pause is over.

    A request that is larger than the whole budget of tokens goes when the window is empty: else it would never go.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    _window: deque[Entry] = field(default_factory=deque)
    _paused_until: float = 0.0

    def wait_seconds(self, now: float, tokens: int) -> float:
        """Seconds until a request of that many tokens may go; 0: it may go now."""
        while self._window and self._window[0].at <= now - WINDOW_SECONDS:
            self._window.popleft()
        return max(self._paused_until - now, self._until_room(now, tokens), 0.0)

    def take(self, now: float, tokens: int) -> Entry:
        """Note a request that goes now, with the tokens it may come to."""
        entry = Entry(now, tokens)
        self._window.append(entry)
        return entry

    def settle(self, entry: Entry, tokens: int) -> None:
        """Replace what was reserved by what the request really took."""
        entry.tokens = tokens

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing go for so long; a longer pause is not shortened."""
        self._paused_until = max(self._paused_until, now + seconds)

    def _until_room(self, now: float, tokens: int) -> float:
        """Entries leave the window oldest first: find the one whose leaving makes room."""
        count, sum_of_tokens = len(self._window), sum(entry.tokens for entry in self._window)
        for entry in self._window:
            if self._has_room(count, sum_of_tokens, tokens):
                break
            count, sum_of_tokens = count - 1, sum_of_tokens - entry.tokens
        gone = len(self._window) - count
        return self._window[gone - 1].at + WINDOW_SECONDS - now if gone else 0.0

    def _has_room(self, count: int, sum_of_tokens: int, tokens: int) -> bool:
        if self.requests_per_minute is not None and count >= self.requests_per_minute:
            return False
        return self.tokens_per_minute is None or count == 0 or sum_of_tokens + tokens <= self.tokens_per_minute


def backoff_seconds(tries: int) -> float:
    """How long to wait after so many tries, from 1: a second, doubled each time up to a minute, less up to a half by
    chance, so that requests which failed together do not come back together."""
    return float(min(_FIRST_WAIT * 2 ** min(tries - 1, 16), _LONGEST_WAIT)) * random.uniform(0.5, 1.0)


def retry_after_seconds(headers: Mapping[str, str], wall_clock: datetime) -> float | None:
    """What a Retry-After header asks for, as seconds or as a date (RFC 9110, 10.2.3); none where it says nothing."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, wall_clock)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(text: str, wall_clock: datetime) -> float:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return math.nan
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - wall_clock).total_seconds()
