"""JSON values one by one, with their lines, out of whole files and out of broken ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.json_entries import MOST_FAULTS, Entry, Fault, entries_of, forgiving_entries, line_entries, parse

FILE = Path("f")
Found = list[tuple[int, Any]]


def strict(text: str) -> tuple[Found, list[str]]:
    problems: list[str] = []
    found = list(entries_of(FILE, text, problems))
    return [(_line(one), one.value) for one in found], problems


def forgiving(text: str, first_line: int = 1) -> tuple[Found, list[tuple[int, str]]]:
    found = list(forgiving_entries(FILE, text, first_line))
    entries = [(_line(one), one.value) for one in found if isinstance(one, Entry)]
    return entries, [(_line(one), one.reason) for one in found if isinstance(one, Fault)]


def _line(found: Entry | Fault) -> int:
    return int(found.place.removeprefix("f:"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("[]", []),
        ('\n [1,\n\n"two" , {"a":\n3}\n, null]\n', [(2, 1), (4, "two"), (4, {"a": 3}), (6, None)]),
        ('{"a": 1}\n\n \n{"b": "x\u2028y"}\r\n7', [(1, {"a": 1}), (4, {"b": "x\u2028y"}), (5, 7)]),
    ],
)
def test_whole_files_are_read_alike_by_both(text: str, found: Found) -> None:
    assert strict(text) == (found, [])
    assert forgiving(text) == (found, [])


def test_a_bad_line_costs_that_line() -> None:
    found, problems = strict('{"a": 1}\n{bad\n{"b": NaN}\n' + "[" * 100_000 + '\n{"c": 2}')
    assert found == [(1, {"a": 1}), (5, {"c": 2})]
    assert [problem.split(": ")[0] for problem in problems] == ["f:2", "f:3", "f:4"]
    assert "NaN is not a JSON value" in problems[1]


def test_lines_know_their_faults() -> None:
    assert list(line_entries(FILE, '1\n{"a"\n')) == [
        Entry("f:1", 1),
        Fault("f:2", "not JSON: Expecting ':' delimiter (column 5)"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "not JSON: nested too deeply"),
        ("9" * 5_000, "not JSON: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits"),
        ("-Infinity", "not JSON: -Infinity is not a JSON value"),
    ],
)
def test_what_python_says_to_programmers_is_left_out(text: str, said: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert str(refused.value) == said
    assert forgiving(text)[1][0][1] == f"{said}; the rest is not read"
    assert strict(text if text[0] == "[" else f"[{text}]")[1] == [f"f:1: {said}"]


def test_a_fault_in_an_array_costs_the_rest_where_files_should_be_whole() -> None:
    found, (problem,) = strict('[{"a": 1},\n{"b": },\n{"c": 3}]')
    assert (found, problem) == ([(1, {"a": 1})], "f:2: not JSON: Expecting value (column 7)")


def test_forgiving_reading_goes_on_at_the_next_object() -> None:
    entries, faults = forgiving('[\n{"a": 1},\n{"b": "say "no""},\n  {"c": 3}\n]')
    assert entries == [(2, {"a": 1}), (4, {"c": 3})]
    assert faults == [(3, "not JSON: Expecting ',' delimiter (column 13); read on in line 4")]


def test_an_array_that_is_cut_short_keeps_what_is_whole() -> None:
    entries, faults = forgiving('[\n{"a": 1},\n{"b": "tw')
    assert entries == [(2, {"a": 1})]
    assert faults == [
        (3, "not JSON: Unterminated string starting at (column 7); the rest is not read"),
        (3, "not JSON: the array that begins in line 1 is not closed"),
    ]


def test_several_arrays_and_lost_commas_do_no_harm() -> None:
    text = '[{"a": 1} {"b": 2},]\n[[3]]\n{"c":\n4},{"d": 5}'
    assert forgiving(text) == ([(1, {"a": 1}), (1, {"b": 2}), (2, [3]), (3, {"c": 4}), (4, {"d": 5})], [])


def test_lines_are_counted_from_where_the_text_stands() -> None:
    assert forgiving('\n[1,\n{"x" 2}]', first_line=10) == (
        [(11, 1)],
        [(12, "not JSON: Expecting ':' delimiter (column 6); the rest is not read"),
         (12, "not JSON: the array that begins in line 11 is not closed")],
    )  # fmt: skip


def test_what_is_no_json_at_all_is_given_up_in_the_end() -> None:
    entries, faults = forgiving('{"a" 1}\n' * (MOST_FAULTS + 50))
    assert (entries, len(faults)) == ([], MOST_FAULTS + 1)
    assert faults[-1] == (MOST_FAULTS, f"{MOST_FAULTS} faults: the rest of the file is not read")


def test_deep_nesting_is_a_fault() -> None:
    entries, faults = forgiving('[\n{"a": ' + "[" * 100_000 + '\n{"b": 1}]')
    assert entries == [(3, {"b": 1})]
    assert faults[0][0] == 2 and "nested too deeply" in faults[0][1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values=st.lists(JSON, max_size=6), indent=st.sampled_from([None, 0, 2]))
def test_an_array_comes_back_as_its_values(values: list[Any], indent: int | None) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=False)
    for found, problems in (strict(text), forgiving(text)):
        assert ([value for _, value in found], problems) == (values, [])


@given(text=st.text(st.sampled_from('[]{}",: \n1ab\\'), max_size=40))
def test_any_text_is_read_to_its_end(text: str) -> None:
    entries, faults = forgiving(text)
    lines = [line for line, _ in (*entries, *faults)]
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)
    assert entries or faults or not text.strip(" \t\r\n,[]")


@given(values=st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), max_size=6), data=st.data())
def test_a_cut_file_keeps_every_whole_entry_before_the_cut(values: list[Any], data: st.DataObject) -> None:
    text = "[\n" + ",\n".join(json.dumps(value) for value in values) + "\n]"
    cut = data.draw(st.integers(0, len(text)))
    entries, faults = forgiving(text[:cut])
    whole = sum(2 + sum(len(json.dumps(v)) + 2 for v in values[: n + 1]) - 2 <= cut for n in range(len(values)))
    assert [value for _, value in entries] == values[:whole]
    assert bool(faults) == (0 < cut < len(text))
