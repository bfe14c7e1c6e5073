"""Charts as inline SVG. Colours are the page's: a drawing names classes, so that it is legible by day and by night.

Series differ in colour and in shape, so that they can be told apart in print, too.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup

from lemfarm.report.document import Bars, Chart, Dots, Estimate, Histogram, Lines, Steps
from lemfarm.report.svg import (
    CHARACTER,
    WIDTH,
    Scale,
    drawing,
    element,
    label,
    line,
    number,
    shortened,
    ticks,
    whole_ticks,
)

COLOURS = 6
"""Classes `s0` to `s5`; a further series begins again. The last one is grey: what does not count is drawn in it."""

_GREY = COLOURS - 1

_TOP, _BOTTOM, _LEFT, _RIGHT = 34.0, 46.0, 56.0, 16.0
_EDGE = 8.0  #: above charts without a legend
_PLOT_HEIGHT = 210.0
_ROW = 30.0
_LONGEST_NAME = 30
_COUNTED_OR_NOT = (0, _GREY)  #: colours of a histogram's parts
_JITTER = (0.0, -4.0, 4.0, -8.0, 8.0)


def draw(chart: Chart, description: str) -> Markup:
    """A chart with a text for who cannot see it."""
    if isinstance(chart, Lines):
        return _lines(chart, description)
    if isinstance(chart, Steps):
        return _steps(chart, description)
    if isinstance(chart, Bars):
        return _bars(chart, description)
    if isinstance(chart, Histogram):
        return _histogram(chart, description)
    return _dots(chart, description)


def _lines(chart: Lines, description: str) -> Markup:
    xs = [x for series in chart.series for x, _ in series.points] or [0.0]
    ys = [y for series in chart.series for _, y in series.points] or [0.0]
    x, y = _plot(whole_ticks(min(xs), max(xs)), ticks(min(ys), max(ys), 5))
    parts = [*_y_axis(y, chart.y), *_x_axis(x, chart.x)]
    if chart.mark is not None:
        parts += _vertical_mark(x(chart.mark[0]), chart.mark[1])
    for place, series in enumerate(chart.series):
        points = [(x(one), y(two)) for one, two in series.points]
        parts.append(_path(points, place))
        parts += [_mark(*point, place) for point in points] if series.marked else []
    return drawing(chart.title, description, _height(), [*parts, *_legend([one.name for one in chart.series])])


def _steps(chart: Steps, description: str) -> Markup:
    found = [one for _, estimates in chart.series for one in estimates if one is not None]
    values = [value for one in found for value in (one.value, one.low, one.high) if value is not None]
    values += [value for value, _ in chart.levels]
    y = _y_scale(ticks(min(values, default=0.0), max(values, default=1.0), 5))
    beside = max(70.0, 30 + max((CHARACTER * len(words) for _, words in chart.levels), default=0.0))
    x = Scale(0.0, max(1.0, len(chart.steps) - 1.0), _LEFT + beside, WIDTH - _RIGHT - 70)
    parts = [*_y_axis(y, chart.y), *_step_names(chart.steps, x)]
    for value, words in chart.levels:
        parts.append(line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "goal"))
        parts.append(label(words, _LEFT + 4, y(value) - 4, class_="tick"))
    for place, (_name, estimates) in enumerate(chart.series):
        shift = (place - (len(chart.series) - 1) / 2) * 8
        parts += _estimates([(x(i) + shift, one) for i, one in enumerate(estimates) if one], y, place)
    return drawing(chart.title, description, _height(), [*parts, *_legend([name for name, _ in chart.series])])


def _step_names(steps: Sequence[str], x: Scale) -> Iterator[Markup]:
    """Below each other in turns where one line has no room for them."""
    room = int((x(1) - x(0)) / CHARACTER)
    in_turns = max(map(len, steps), default=0) >= room
    for place, step in enumerate(steps):
        lower = 16 if in_turns and place % 2 else 0
        words = shortened(step, 2 * room - 2 if in_turns else room)
        yield label(words, x(place), _TOP + _PLOT_HEIGHT + 20 + lower, anchor="middle")


def _estimates(found: Sequence[tuple[float, Estimate]], y: Scale, place: int) -> Iterator[Markup]:
    """A line through those that came to count, and every one with its interval."""
    yield _path([(x, y(one.value)) for x, one in found if not one.hollow], place)
    for x, one in found:
        if one.low is not None and one.high is not None:
            yield line(x, y(one.low), x, y(one.high), f"whisker s{place % COLOURS}")
        yield _mark(x, y(one.value), place, hollow=one.hollow)


def _bars(chart: Bars, description: str) -> Markup:
    left = _names_width(name for name, _, _ in chart.rows)
    longest = max([sum(parts) for _, parts, _ in chart.rows] + [goal or 0.0 for _, _, goal in chart.rows] + [1.0])
    marks = whole_ticks(0.0, longest)
    x = Scale(0.0, marks[-1], left, WIDTH - _RIGHT - 20)
    bottom = _TOP + _ROW * len(chart.rows)
    parts = list(_x_ticks(x, marks, chart.x, _TOP, bottom))
    for row, (name, values, goal) in enumerate(chart.rows):
        y, start = _TOP + row * _ROW, 0.0
        parts.append(label(shortened(name, _LONGEST_NAME), left - 10, y + _ROW / 2 + 4, anchor="end"))
        for place, value in enumerate(values):
            if value:
                parts.append(_bar(x(start), y + 6, x(start + value) - x(start), _ROW - 12, place))
            start += value
        if goal is not None:
            parts.append(line(x(goal), y + 2, x(goal), y + _ROW - 2, "threshold"))
    return drawing(chart.title, description, bottom + _BOTTOM, [*parts, *_legend(chart.parts, bars=range(COLOURS))])


def _histogram(chart: Histogram, description: str) -> Markup:
    totals = [sum(counts) for counts in zip(*(counts for _, counts in chart.parts), strict=True)]
    x, y = _plot(chart.edges, whole_ticks(0.0, float(max(totals, default=1)), 5))
    parts = [*_y_axis(y, "samples"), *_x_axis(x, chart.x, ticks(chart.edges[0], chart.edges[-1], 8))]
    for i, (low, high) in enumerate(pairwise(chart.edges)):
        below = 0
        for place, (_, counts) in zip(_COUNTED_OR_NOT, chart.parts, strict=False):
            if counts[i]:
                top = y(below + counts[i])
                parts.append(_bar(x(low) + 0.5, top, max(1.0, x(high) - x(low) - 1), y(below) - top, place))
            below += counts[i]
    if chart.mark is not None:
        parts += _vertical_mark(x(chart.mark[0]), chart.mark[1])
    return drawing(
        chart.title, description, _height(), [*parts, *_legend([n for n, _ in chart.parts], bars=_COUNTED_OR_NOT)]
    )


def _dots(chart: Dots, description: str) -> Markup:
    left = _names_width(name for name, _, _ in chart.rows)
    values = [value for _, row, _ in chart.rows for value in row] + ([0.0] if chart.zero else [])
    bounds = [bound for _, _, one in chart.rows if one for bound in (one.value, one.low, one.high) if bound is not None]
    marks = ticks(min([*values, *bounds], default=0.0), max([*values, *bounds], default=1.0))
    x = Scale(marks[0], marks[-1], left, WIDTH - _RIGHT - 20)
    bottom = _EDGE + _ROW * len(chart.rows)
    parts = list(_x_ticks(x, marks, chart.x, _EDGE, bottom))
    if chart.zero:
        parts.append(line(x(0.0), _EDGE, x(0.0), bottom, "zero"))
    for row, (name, found, estimate) in enumerate(chart.rows):
        y = _EDGE + row * _ROW + _ROW / 2
        parts.append(label(shortened(name, _LONGEST_NAME), left - 10, y + 4, anchor="end"))
        parts += [_dot(x(value), y + _JITTER[i % len(_JITTER)]) for i, value in enumerate(sorted(found))]
        parts += _horizontal_estimate(estimate, x, y)
    return drawing(chart.title, description, bottom + _BOTTOM, parts)


def _horizontal_estimate(estimate: Estimate | None, x: Scale, y: float) -> Iterator[Markup]:
    if estimate is None:
        return
    if estimate.low is not None and estimate.high is not None:
        yield line(x(estimate.low), y, x(estimate.high), y, "whisker s1")
    yield _mark(x(estimate.value), y, 1, hollow=estimate.hollow)


# ---- axes and marks


def _plot(x_marks: Sequence[float], y_marks: Sequence[float]) -> tuple[Scale, Scale]:
    return Scale(x_marks[0], x_marks[-1], _LEFT, WIDTH - _RIGHT), _y_scale(y_marks)


def _y_scale(marks: Sequence[float]) -> Scale:
    return Scale(marks[0], marks[-1], _TOP + _PLOT_HEIGHT, _TOP)


def _height() -> float:
    return _TOP + _PLOT_HEIGHT + _BOTTOM


def _y_axis(y: Scale, words: str) -> list[Markup]:
    parts = [label(words, WIDTH - _RIGHT, 14, anchor="end", class_="axis")]
    for value in ticks(y.first, y.last, 5):
        if y.first <= value <= y.last:
            parts.append(line(_LEFT, y(value), WIDTH - _RIGHT, y(value), "grid"))
            parts.append(label(number(value), _LEFT - 8, y(value) + 4, anchor="end", class_="tick"))
    return parts


def _x_axis(x: Scale, words: str, marks: Sequence[float] | None = None) -> list[Markup]:
    bottom = _TOP + _PLOT_HEIGHT
    shown = [value for value in marks or whole_ticks(x.first, x.last) if x.first <= value <= x.last]
    parts = [label(number(value), x(value), bottom + 18, anchor="middle", class_="tick") for value in shown]
    return [*parts, label(words, (x.start + x.end) / 2, bottom + 38, anchor="middle", class_="axis")]


def _x_ticks(x: Scale, marks: Iterable[float], words: str, top: float, bottom: float) -> Iterator[Markup]:
    """The axis of charts whose rows have names."""
    for value in marks:
        yield line(x(value), top, x(value), bottom, "grid")
        yield label(number(value), x(value), bottom + 16, anchor="middle", class_="tick")
    yield label(words, (x.start + x.end) / 2, bottom + 36, anchor="middle", class_="axis")


def _vertical_mark(x: float, words: str) -> list[Markup]:
    """Its words stand on the side that has room."""
    is_late = x > (_LEFT + WIDTH) / 2
    where = {"anchor": "end"} if is_late else {}
    beside = x - 5 if is_late else x + 5
    return [line(x, _TOP, x, _TOP + _PLOT_HEIGHT, "threshold"), label(words, beside, _TOP + 11, class_="note", **where)]


def _legend(names: Sequence[str], *, bars: Sequence[int] = ()) -> Iterator[Markup]:
    """On the top left, in the order of the series; `bars`: of bars, and their colours."""
    x = _LEFT
    for place, name in enumerate(names):
        yield _bar(x - 4, 5, 10, 10, bars[place]) if bars else _mark(x, 10.0, place)
        words = shortened(name, _LONGEST_NAME)
        yield label(words, x + 11, 14, class_="axis")
        x += 30 + CHARACTER * len(words)


def _path(points: Sequence[tuple[float, float]], place: int) -> Markup:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("polyline", points=joined, class_=f"curve s{place % COLOURS}")


def _bar(x: float, y: float, width: float, height: float, place: int) -> Markup:
    return element("rect", x=x, y=y, width=width, height=height, class_=f"bar s{place % COLOURS}")


def _dot(x: float, y: float) -> Markup:
    return element("circle", cx=x, cy=y, r=3.2, class_="dot")


def _mark(x: float, y: float, place: int, *, hollow: bool = False) -> Markup:
    """A circle, a square, a diamond or a triangle, in turns."""
    class_ = f"mark s{place % COLOURS}" + (" hollow" if hollow else "")
    if place % 4 == 0:
        return element("circle", cx=x, cy=y, r=4.5, class_=class_)
    if place % 4 == 1:
        return element("rect", x=x - 4, y=y - 4, width=8, height=8, class_=class_)
    corners = ((0, -6), (6, 0), (0, 6), (-6, 0)) if place % 4 == 2 else ((0, -5.5), (5.5, 4.5), (-5.5, 4.5))
    return element("polygon", points=" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners), class_=class_)


def _names_width(names: Iterable[str]) -> float:
    longest = max((min(len(name), _LONGEST_NAME) for name in names), default=0)
    return max(90.0, 24 + CHARACTER * longest)
