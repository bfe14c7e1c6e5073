"""A report as plain blocks, before it is HTML or Markdown: both say the same because both are written from these.

Every chart carries the table of its figures, and every table the command that prints them again.
"""

from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph. `is_warning`: something that a reader must not overlook."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Figures in rows; `numbers` are the columns that stand right. `source`: the command that prints them again."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    source: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure that is seen first."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """A few figures beside each other."""

    tiles: tuple[Tile, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; no bounds where there are none. `hollow`: it did not come to count."""

    value: float
    low: float | None = None
    high: float | None = None
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one name, joined by a line. `marked`: each is a measurement that a reader should see."""

    name: str
    points: tuple[Point, ...]
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """Curves over numbers. `mark`: an x that is pointed at, with its words."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    mark: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """Estimates over named steps, one series for each name; a step without one is left out of the line.

    `levels` are values that are hoped for, with their words.
    """

    title: str
    y: str
    steps: tuple[str, ...]
    series: tuple[tuple[str, tuple[Estimate | None, ...]], ...]
    levels: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """For each row one bar of parts; `goal` is marked where there is one."""

    title: str
    x: str
    parts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...], float | None], ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values fall between `edges`, a part stacked on the one before. `mark`: a value with its words."""

    title: str
    x: str
    edges: tuple[float, ...]
    parts: tuple[tuple[str, tuple[int, ...]], ...]
    mark: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class Dots:
    """Rows of single values, each row with an estimate over them where it has one. `zero`: show the line at 0."""

    title: str
    x: str
    rows: tuple[tuple[str, tuple[float, ...], Estimate | None], ...]
    zero: bool = False


Chart = Lines | Steps | Bars | Histogram | Dots


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, and the same in figures for who cannot see it."""

    chart: Chart
    table: Table


@dataclass(frozen=True, slots=True)
class Example:
    """An answer with what was asked. `pieces` are (text, signal); `facts` one line about it; `notes` what is left out.
    `signals` has what its score is made of."""

    title: str
    facts: str
    prompt: str
    pieces: tuple[tuple[str, str], ...]
    signals: Table
    notes: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A long text as it stands, folded away where that can be."""

    title: str
    text: str
    source: str = ""


Block = Words | Table | Tiles | Picture | Example | Listing


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a chapter."""

    text: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter; `key` names it in links."""

    key: str
    title: str
    blocks: tuple[Block | Heading, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report. `left_out`: one line for each chapter that has nothing to say yet."""

    title: str
    subtitle: str
    chapters: tuple[Chapter, ...] = ()
    left_out: tuple[str, ...] = field(default_factory=tuple)
