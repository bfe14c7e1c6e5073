"""The pieces of a drawing: escaped elements, and scales with round ticks. No drawing knows more than this."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

WIDTH = 760.0
"""Units of a drawing's width; the page scales it to its column."""

CHARACTER = 7.2
"""About the width of a letter at the size of labels, in units."""

_ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to places: `first` to `start`, `last` to `end`."""

    first: float
    last: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.last - self.first
        share = 0.5 if span == 0 else (value - self.first) / span
        return self.start + share * (self.end - self.start)


def element(name: str, *inside: str, **attributes: object) -> Markup:
    """An SVG element; attributes and plain texts are escaped. `class_` is `class`, `text_anchor` is `text-anchor`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{given}>{''.join(map(escape, inside))}</{name}>")


def drawing(title: str, description: str, height: float, parts: Iterable[str]) -> Markup:
    """A whole drawing with the words that a screen reader says."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_label=title,
    )


def ticks(low: float, high: float, wanted: int = 6) -> tuple[float, ...]:
    """Round values that hold low and high between them."""
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / max(wanted, 1)
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in _ROUND_STEPS if factor * power >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return tuple(round(number * step, 10) for number in range(first, last + 1))


def whole_ticks(low: float, high: float, wanted: int = 6) -> tuple[float, ...]:
    """As `ticks`, for things that are counted."""
    found = [value for value in ticks(low, max(high, low + 1), wanted) if value == int(value)]
    return tuple(found)


def number(value: float) -> str:
    """A tick as it is written."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.10g}"


def shortened(words: str, longest: int) -> str:
    """Words that fit beside a drawing: names begin alike and end in what tells them apart, so the middle goes."""
    if len(words) <= longest:
        return words
    tail = longest // 2
    return words[: longest - 1 - tail] + "…" + words[len(words) - tail :]


def label(words: str, x: float, y: float, *, anchor: str = "start", class_: str = "label") -> Markup:
    """A text at a place."""
    return element("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _attribute(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
