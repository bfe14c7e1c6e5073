"""YAML with places: what PyYAML would read otherwise, where things stand, and what is refused."""

import math

import pytest

from lemfarm.yaml_places import Place, read_yaml


def read(text: str) -> object:
    located = read_yaml(text)
    assert located.faults == []
    return located.value


def faults(text: str) -> list[tuple[int, int, str]]:
    return [(fault.place.line, fault.place.column, fault.text) for fault in read_yaml(text).faults]


@pytest.mark.parametrize(
    "text", ["no", "yes", "on", "off", "No", "YES", "y", "12:30", "1_000", "2026-11-02", "1.2.3", "="]
)
def test_what_looks_special_only_to_yaml_1_1_stays_text(text: str) -> None:
    assert read(f"key: {text}") == {"key": text}


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-5", 1e-5), ("1E5", 1e5), ("8e-6", 8e-6), ("1.0e-5", 1e-5), (".5", 0.5), ("-1.", -1.0), ("+2.5e+3", 2500.0)],
)
def test_every_spelling_of_a_decimal_is_a_number(text: str, number: float) -> None:
    value = read(text)
    assert value == number
    assert isinstance(value, float)


@pytest.mark.parametrize(("text", "number"), [("010", 10), ("-3", -3), ("+4", 4), ("0x1F", 31), ("0o17", 15), ("0", 0)])
def test_whole_numbers_are_decimal_unless_they_say_otherwise(text: str, number: int) -> None:
    value = read(text)
    assert value == number
    assert type(value) is int


def test_true_false_null_and_quoted_scalars() -> None:
    text = "[true, False, null, ~, '', 'true', \"1\", '~', .inf, -.INF]"
    assert read(text) == [True, False, None, None, "", "true", "1", "~", math.inf, -math.inf]


def test_not_a_number_is_read() -> None:
    assert math.isnan(read(".nan"))  # type: ignore[arg-type]


def test_keys_keep_their_spelling() -> None:
    assert read("{no: 1, on: 2, 12:30: 3}") == {"no": 1, "on": 2, "12:30": 3}


def test_every_key_and_value_has_its_place() -> None:
    located = read_yaml("a: 1\nlist:\n  - x\n  - {k: v}\n")
    assert located.values[()] == Place(1, 1)
    assert (located.keys["a",], located.values["a",]) == (Place(1, 1), Place(1, 4))
    assert located.values["list", 0] == Place(3, 5)
    assert (located.keys["list", 1, "k"], located.values["list", 1, "k"]) == (Place(4, 6), Place(4, 9))


def test_columns_count_characters_and_not_bytes() -> None:
    assert read_yaml("{ä😀: ö, b: 1}").keys["b",] == Place(1, 9)


def test_aliases_are_copies_that_remember_where_their_anchor_stands() -> None:
    located = read_yaml("a: &x {k: [1]}\nb: *x\n")
    value = located.value
    assert isinstance(value, dict)
    assert value["a"] == value["b"]
    assert value["a"] is not value["b"]
    assert value["a"]["k"] is not value["b"]["k"]
    assert located.values["b", "k", 0] == Place(1, 12)


def test_merge_keys_give_way_to_own_keys_and_to_earlier_mappings() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd: {y: 0, <<: {<<: *b, w: 3}}\n"
    value = read(text)
    assert isinstance(value, dict)
    assert value["c"] == {"x": 0, "y": 1, "z": 2}
    assert value["d"] == {"y": 0, "w": 3, "z": 2}
    assert read_yaml(text).keys["c", "z"] == Place(2, 14)


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("{'<<': 1}") == {"<<": 1}


def test_standard_tags_are_obeyed() -> None:
    assert read("[!!str 1, !!float 2, !!int '3']") == ["1", 2.0, 3]


def test_duplicate_keys_are_all_found() -> None:
    assert faults("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        (2, 11, "this key stands here twice, first in line 2"),
        (3, 1, "this key stands here twice, first in line 1"),
    ]


def test_keys_that_are_not_text_are_refused() -> None:
    found = faults("1: a\ntrue: b\n? [x]\n: c\n")
    assert [(line, column) for line, column, _ in found] == [(1, 1), (2, 1), (3, 3)]
    assert all("put it in quotes" in text for _, _, text in found)


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system ['true']", "a: !mine {b: 1}", "a: !mine x"])
def test_other_tags_are_refused_and_never_executed(text: str) -> None:
    assert [fault[:2] for fault in faults(text)] == [(1, 4)]


@pytest.mark.parametrize("text", ["a: !!int x", "a: !!float x", "a: !!bool maybe", "a: !!timestamp 2026-01-01"])
def test_a_tag_that_does_not_fit_its_text_is_refused(text: str) -> None:
    assert [fault[:2] for fault in faults(text)] == [(1, 4)]


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a {<<: *a}"])
def test_an_alias_inside_its_anchor_is_refused(text: str) -> None:
    assert [text for _, _, text in faults(text)] == ["an alias stands inside the part that it repeats"]


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [1, 2]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    found = faults("\n".join(lines))
    assert len(found) == 1
    assert "multiply" in found[0][2]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: [1, 2\nb: 3\n", 2, 2),
        ("a: 1\n\tb: 2\n", 2, 1),
        ("a: 'open\n", 2, 1),
        ("a: 1\n b: 2\n", 2, 3),
        ("a: *nowhere\n", 1, 4),
        ("a: 1\n--- \nb: 2\n", 2, 1),
        ("a: 1\nb: \x01\n", 2, 4),
    ],
)
def test_broken_yaml_is_told_with_its_place(text: str, line: int, column: int) -> None:
    assert [fault[:2] for fault in faults(text)] == [(line, column)]


def test_broken_yaml_says_what_was_begun_where() -> None:
    assert "that begins in line 1" in faults("a: [1, 2\nb: 3\n")[0][2]


def test_deep_nesting_is_refused() -> None:
    assert [text for _, _, text in faults("[" * 1500)] == ["nested too deeply"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_a_text_that_says_nothing_is_null(text: str) -> None:
    located = read_yaml(text)
    assert (located.value, located.faults) == (None, [])
    assert () in located.values
