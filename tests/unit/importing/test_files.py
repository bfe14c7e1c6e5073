"""Which shape a file has, and where its entries stand."""

import json
from pathlib import Path

import pytest

from lemfarm.importing.files import NotReadable, TextUnit, read_file
from lemfarm.importing.sources import MOST_YAML_BYTES
from lemfarm.json_entries import Entry, Fault

TWO = [{"prompt": "one"}, {"prompt": "two"}]


Seen = tuple[str, list[str], list[str]]


def look(folder: Path, name: str, text: str | bytes, unit: TextUnit = TextUnit.AUTO) -> Seen:
    """The shape, every entry as `line: value`, and every fault as `line: reason`."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    content = read_file(path, unit)
    found = list(content.found)
    entries = [f"{_line(one)}: {one.value}" for one in found if isinstance(one, Entry)]
    return content.shape, entries, [f"{_line(one)}: {one.reason}" for one in found if isinstance(one, Fault)]


def _line(found: Entry | Fault) -> str:
    return found.place.rsplit(":", 1)[1]


ENTRIES = ["{'prompt': 'one'}", "{'prompt': 'two'}"]


@pytest.mark.parametrize(
    ("name", "text", "shape", "lines"),
    [
        ("a.json", json.dumps(TWO, indent=1), "JSON array", (2, 5)),
        ("a.txt", json.dumps(TWO), "JSON array", (1, 1)),
        ("a.jsonl", '{"prompt": "one"}\n\n{"prompt": "two"}\n', "JSONL", (1, 3)),
        ("a.json", '{"prompt": "one"}\n{"prompt": "two"}', "JSONL", (1, 2)),
        ("a", '{"prompt": "one"}\n{"prompt": "two"}', "JSONL", (1, 2)),
        ("a.json", '{\n"prompt": "one"}\n{\n"prompt": "two"}', "JSON", (1, 3)),
        ("a.json", '[{"prompt": "one"}]\n[{"prompt": "two"}]', "JSON array", (1, 2)),
        ("a.yaml", "- prompt: one\n- prompt: two\n", "YAML", (1, 2)),
        ("a.yml", "title: x\nprompts:\n- prompt: one\n\n- {prompt: two}\n", "YAML", (3, 5)),
    ],
)
def test_a_shape_is_known_by_what_stands_in_it(
    tmp_path: Path, name: str, text: str, shape: str, lines: tuple[int, int]
) -> None:
    expected = [f"{line}: {entry}" for line, entry in zip(lines, ENTRIES, strict=True)]
    assert look(tmp_path, name, text) == (shape, expected, [])


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a"])
@pytest.mark.parametrize("fence", ["```json", "```", "~~~ JSON"])
def test_json_between_fences_is_read_and_the_talk_around_it_told(tmp_path: Path, name: str, fence: str) -> None:
    end = fence[:3]
    first, second = f"{fence}\n{json.dumps(TWO, indent=0)}\n{end}\n", f'{fence}\n[\n"three"\n]\n{end}\n'
    text = f"Here you are:\n\n{first}\nand more\n{second}Enjoy!\n"
    shape, entries, faults = look(tmp_path, name, text)
    assert shape == "JSON in text"
    assert entries == [f"5: {ENTRIES[0]}", f"8: {ENTRIES[1]}", "17: three"]
    assert faults == [f"{line}: text around the JSON is not read" for line in (1, 14, 20)]


def test_a_fence_that_is_never_closed_ends_with_the_text(tmp_path: Path) -> None:
    shape, entries, faults = look(tmp_path, "raw.txt", '```json\n[\n{"prompt": "one"},\n{"prompt": "tw')
    assert (shape, entries) == ("JSON in text", [f"3: {ENTRIES[0]}"])
    assert [fault.split(" (")[0] for fault in faults] == [
        "4: not JSON: Unterminated string starting at",
        "4: not JSON: the array that begins in line 2 is not closed",
    ]


def test_json_without_fences_within_a_text_is_found(tmp_path: Path) -> None:
    shape, entries, faults = look(tmp_path, "raw.txt", 'Sure!\n[\n{"prompt": "one"}]\nHope this helps.')
    assert (shape, entries) == ("JSON in text", [f"3: {ENTRIES[0]}"])
    assert faults[0] == "1: text around the JSON is not read"
    assert faults[1].startswith("4: not JSON")


def test_paragraphs_are_prompts_where_blank_lines_part_them(tmp_path: Path) -> None:
    text = "\r\nOne\r\n two.\r\n \t\r\n\r\nThree.\r\n"
    assert look(tmp_path, "a.txt", text) == ("plain text, paragraphs", ["2: One\n two.", "6: Three."], [])


def test_without_blank_lines_each_line_is_a_prompt(tmp_path: Path) -> None:
    assert look(tmp_path, "a.md", "[One] thing\n{two}\n\n") == ("plain text, lines", ["1: [One] thing", "2: {two}"], [])


def test_what_one_prompt_is_can_be_said(tmp_path: Path) -> None:
    text = "One\ntwo.\n\nThree."
    assert look(tmp_path, "a.txt", text, TextUnit.LINES)[1] == ["1: One", "2: two.", "4: Three."]
    assert look(tmp_path, "a.txt", "One\ntwo.", TextUnit.PARAGRAPHS)[1] == ["1: One\ntwo."]


def test_faults_in_yaml_are_told_with_their_line(tmp_path: Path) -> None:
    shape, entries, faults = look(tmp_path, "a.yaml", "prompts:\n- prompt: one\n  prompt: two\n")
    assert (shape, entries) == ("YAML", ["2: {'prompt': 'one'}"])
    assert faults == ["3: this key stands here twice, first in line 2"]


def test_a_json_file_that_is_prose_is_a_fault_not_a_prompt(tmp_path: Path) -> None:
    _, entries, faults = look(tmp_path, "a.json", "Who keeps the keys?")
    assert (entries, faults) == ([], ["1: not JSON: Expecting value (column 1); the rest is not read"])


def test_a_bad_line_of_jsonl_costs_that_line(tmp_path: Path) -> None:
    shape, entries, faults = look(tmp_path, "a.jsonl", '{bad\n{"prompt": "one"}\n{"prompt": "t\n{"prompt": "two"}')
    assert (shape, entries) == ("JSONL", [f"2: {ENTRIES[0]}", f"4: {ENTRIES[1]}"])
    assert [fault.split(":")[0] for fault in faults] == ["1", "3"]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.json", b"", "it is empty"),
        ("a.json", b" \n", "it is empty"),
        ("a.txt", b"MZ\x90\x00\x03\x00\x00\x00", "no text file"),
        ("a.yaml", b"#" * (MOST_YAML_BYTES + 1), "more than 4 MiB of YAML"),
    ],
)
def test_a_file_that_holds_nothing_to_read_says_so(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    with pytest.raises(NotReadable, match=expected):
        look(tmp_path, name, data)


def test_a_device_is_not_read_to_its_end() -> None:
    with pytest.raises(NotReadable, match="a device"):
        read_file(Path("/dev/zero"))


def test_a_folder_or_a_missing_file_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.yaml"):
        with pytest.raises(NotReadable, match="cannot be read"):
            read_file(path)
