"""How figures are written in a report: the same one always looks the same."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from lemfarm.evaluation.statistics import Interval
from lemfarm.report.document import Estimate

NONE = "-"


def score(value: float | None) -> str:
    """A score, or a mean of scores."""
    return NONE if value is None else f"{value:.2f}"


def change(value: float | None) -> str:
    """A difference, with its sign."""
    return NONE if value is None else f"{value:+.2f}"


def bounds(interval: Interval | None, *, signed: bool = False) -> str:
    """The interval alone."""
    if interval is None or interval.low is None or interval.high is None:
        return NONE
    write = change if signed else score
    return f"{write(interval.low)} to {write(interval.high)}"


def counted(number: int, one: str) -> str:
    """A number with its noun: 1 machine, 2 machines."""
    return f"{number:,} {one if number == 1 else one + 's'}"


def compare_command(run: str, scorer: str) -> str:
    """What prints means and differences again, with every probe."""
    return f"lemfarm compare {run} --scorer {scorer} --json"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent."""
    return f"{part / whole:.0%}" if whole else NONE


def count(value: float) -> str:
    """A number of things."""
    return f"{value:,.0f}"


def span(seconds: float | None) -> str:
    """A time as a person says it: 25 s, 12 min, 14.5 h, 3.2 days."""
    if seconds is None:
        return NONE
    for unit, length, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 259_200)):
        if seconds < below:
            return f"{seconds / length:.1f} {unit}" if unit == "h" else f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def moment(seconds: float | None) -> str:
    """A time of the database's clock, in UTC so that the page is the same everywhere."""
    return NONE if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def short(identity: str | None) -> str:
    """Enough of an id to find it by."""
    return identity[:12] if identity else NONE


def listed(items: Iterable[str]) -> str:
    """Names in a line."""
    return ", ".join(items) or NONE


def counts(found: Mapping[str, int]) -> str:
    """`keep 12, split 1`."""
    return listed(f"{name} {number:,}" for name, number in found.items())


def estimate(interval: Interval, *, hollow: bool = False) -> Estimate:
    """An interval as charts show it."""
    return Estimate(interval.mean, interval.low, interval.high, hollow)


def numbers(columns: Sequence[str], words: int) -> frozenset[int]:
    """All columns but the first few hold figures."""
    return frozenset(range(words, len(columns)))
