"""Drawings: in their frame, readable by a program, and the same for the same figures."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.report.charts import draw
from lemfarm.report.document import Bars, Chart, Dots, Estimate, Histogram, Lines, Series, Steps
from lemfarm.report.svg import WIDTH, element, shortened, ticks, whole_ticks

CHARTS: dict[str, Chart] = {
    "lines": Lines(
        "t", "x", "y", (Series("a", ((0.0, 2.0), (5.0, 1.0))), Series("b", ((0.0, 3.0),), marked=True)), (5.0, "m")
    ),
    "steps": Steps(
        "t",
        "y",
        ("one", "two"),
        (("a", (Estimate(1.0, 0.5, 2.0), Estimate(3.0, hollow=True))), ("b", (None, Estimate(2.0)))),
        ((4.0, "target"),),
    ),
    "bars": Bars("t", "x", ("a", "b"), (("row", (3.0, 0.0), 5.0), ("other", (1.0, 2.0), None))),
    "histogram": Histogram("t", "x", (0.0, 1.0, 2.0), (("a", (1, 0)), ("b", (2, 4))), (1.0, "m")),
    "dots": Dots("t", "x", (("row", (-1.0, 2.0), Estimate(0.5, -0.5, 1.5)), ("none", (), None)), zero=True),
}


def places(drawing: str) -> list[float]:
    """Every x of a drawing."""
    found = []
    for one in ElementTree.fromstring(drawing).iter():
        found += [float(one.attrib[name]) for name in ("x", "x1", "x2", "cx") if name in one.attrib]
    return found


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_whole_and_in_its_frame(name: str) -> None:
    drawing = draw(CHARTS[name], "what it shows")
    root = ElementTree.fromstring(drawing)
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert all(0.0 <= x <= WIDTH for x in places(drawing))
    assert drawing == draw(CHARTS[name], "what it shows")


NOTHING: list[Chart] = [
    Lines("t", "x", "y", ()),
    Steps("t", "y", (), ()),
    Bars("t", "x", ("a",), ()),
    Dots("t", "x", ()),
    Histogram("t", "x", (0.0, 1.0), (("a", (0,)), ("b", (0,)))),
]


@pytest.mark.parametrize("empty", NOTHING)
def test_a_chart_of_nothing_is_a_chart(empty: Chart) -> None:
    assert ElementTree.fromstring(draw(empty, "d")).tag == "svg"


def test_a_rejected_step_is_hollow_and_no_line_leads_to_it() -> None:
    drawing = draw(CHARTS["steps"], "d")
    assert drawing.count("hollow") == 1
    first = next(one for one in ElementTree.fromstring(drawing).iter("polyline"))
    assert len(first.attrib["points"].split()) == 1


def test_the_mark_of_a_histogram_stands_between_its_bars() -> None:
    root = ElementTree.fromstring(draw(CHARTS["histogram"], "d"))
    mark = next(float(one.attrib["x1"]) for one in root.iter("line") if one.attrib["class"] == "threshold")
    bars = [one for one in root.iter("rect") if float(one.attrib["y"]) > 30]
    ends = [(float(bar.attrib["x"]), float(bar.attrib["x"]) + float(bar.attrib["width"])) for bar in bars]
    assert all(end <= mark or start >= mark for start, end in ends)


def test_the_parts_of_a_bar_follow_each_other() -> None:
    root = ElementTree.fromstring(draw(CHARTS["bars"], "d"))
    bars = [one for one in root.iter("rect") if float(one.attrib["y"]) > 30]
    assert len(bars) == 3, "a part of nothing is not drawn"
    one, two = bars[1], bars[2]
    assert float(one.attrib["x"]) + float(one.attrib["width"]) == pytest.approx(float(two.attrib["x"]), abs=0.02)
    assert float(two.attrib["width"]) == pytest.approx(2 * float(one.attrib["width"]), abs=0.02)


@given(st.text(max_size=40), st.integers(4, 30))
@settings(max_examples=50)
def test_shortened_words_fit_and_keep_both_ends(words: str, longest: int) -> None:
    found = shortened(words, longest)
    assert len(found) == min(len(words), longest)
    assert (found[:1], found[-1:]) == (words[:1], words[-1:])


def test_steps_of_one_name_and_two_attempts_stay_apart() -> None:
    steps = tuple(f"2-multi-perspective-and-more, attempt {number}" for number in range(6))
    drawing = draw(Steps("t", "y", steps, (("a", tuple(Estimate(float(n)) for n in range(6))),)), "d")
    names = [one.text for one in ElementTree.fromstring(drawing).iter("text") if one.attrib["class"] == "label"]
    assert len(set(names)) == 6


def test_attributes_and_texts_are_escaped() -> None:
    assert element("text", "<b>", x='"&') == '<text x="&#34;&amp;">&lt;b&gt;</text>'


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
@settings(max_examples=200)
def test_ticks_hold_the_values_and_are_few(one: float, two: float) -> None:
    low, high = min(one, two), max(one, two)
    found = ticks(low, high)
    unseen = (found[1] - found[0]) * 1e-6
    assert found[0] - unseen <= low and found[-1] + unseen >= high
    assert 2 <= len(found) <= 12
    assert list(found) == sorted(set(found))


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_counted_things_have_whole_ticks(most: int) -> None:
    found = whole_ticks(0.0, float(most))
    assert found[0] == 0 and found[-1] >= most
    assert all(value == int(value) for value in found)
