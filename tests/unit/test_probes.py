"""Probe files as people and other programs write them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.dialogue import Message
from lemfarm.errors import ProbeError
from lemfarm.probes import NO_DOMAIN, Probe, read_probe_file, read_probes, variant_hash


def write(folder: Path, *lines: object, name: str = "probes.jsonl") -> Path:
    """A JSONL file; a text stands for a raw line."""
    path = folder / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def probe(name: str = "P01", prompt: str = "Who keeps the keys?", **more: Any) -> dict[str, Any]:
    return {"id": name, "domain": "Identity", "prompt": prompt, **more}


def problems(*paths: Path) -> list[str]:
    with pytest.raises(ProbeError) as caught:
        read_probes(paths)
    return str(caught.value).splitlines()


def test_a_probe_has_its_own_text_as_variant_0_then_its_rephrasings(tmp_path: Path) -> None:
    path = write(tmp_path, probe(variants=[{"kind": "urgency", "prompt": "Quick: who?"}, {"prompt": "Say who."}]))
    (found,) = read_probes([path])
    assert [(v.position, v.kind, v.messages) for v in found.variants] == [
        (0, "original", (Message("user", "Who keeps the keys?"),)),
        (1, "urgency", (Message("user", "Quick: who?"),)),
        (2, "rephrased", (Message("user", "Say who."),)),
    ]


def test_free_fields_are_kept_as_they_stand(tmp_path: Path) -> None:
    (found,) = read_probes([write(tmp_path, probe(stakeholders=["a", "b"], region=None))])
    assert found.fields == {"stakeholders": ["a", "b"], "region": None}


def test_files_keep_their_order_and_a_probe_that_stands_twice_counts_once(tmp_path: Path) -> None:
    first = write(tmp_path, probe("P02"), probe("P01"))
    second = write(tmp_path, probe("P01"), probe("P03"), name="more.jsonl")
    assert [found.id for found in read_probes([first, second, first])] == ["P02", "P01", "P03"]


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(probe()).encode() + b"\r\n\r\n" + json.dumps(probe("P2")).encode())
    assert [found.id for found in read_probes([path])] == ["P01", "P2"]


def test_a_line_separator_inside_a_prompt_does_not_end_the_line(tmp_path: Path) -> None:
    (found,) = read_probes([write(tmp_path, '{"id": "P01", "prompt": "one\u2028two"}')])
    assert found.variants[0].messages[0].content == "one\u2028two"
    assert found.domain == NO_DOMAIN


def test_a_scripted_dialogue_ends_with_a_user_turn(tmp_path: Path) -> None:
    turns = [{"role": r, "content": r} for r in ("system", "user", "assistant", "user")]
    (found,) = read_probes([write(tmp_path, {"id": "P01", "messages": turns})])
    assert [message.role for message in found.variants[0].messages] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (["user", "assistant"], "ends with a user turn"),
        (["assistant", "user"], "begins and ends with a user turn"),
        (["user", "user"], "take turns"),
        (["user", "system", "user"], "a system turn can only be the first"),
        (["system"], "begins and ends with a user turn"),
        (["user", "tool", "user"], "turn 2 is not {role"),
        ([], "not a list of turns"),
    ],
)
def test_a_dialogue_that_no_template_takes_is_refused(tmp_path: Path, roles: list[str], expected: str) -> None:
    turns = [{"role": role, "content": "x"} for role in roles]
    (problem,) = problems(write(tmp_path, {"id": "P01", "messages": turns}))
    assert expected in problem


def test_arrays_of_the_lem_project_are_read_with_category_for_domain(tmp_path: Path) -> None:
    entries = [{"id": "P01", "domain": "Identity", "prompt": "a"}, {"id": 7, "category": "network", "prompt": "b"}]
    path = tmp_path / "P01.json"
    path.write_text("\n" + json.dumps(entries, indent=2))
    assert [(found.id, found.domain) for found in read_probes([path])] == [("P01", "Identity"), ("7", "network")]


def test_rephrased_entries_of_lem_become_variants_of_their_source(tmp_path: Path) -> None:
    entries = [
        {"id": "P01", "domain": "Identity", "prompt": "a"},
        {"id": "P01_R_URGE", "prompt": "a, now", "source_probe": "P01", "rephrase_type": "urgency"},
    ]
    path = tmp_path / "rephrased.json"
    path.write_text(json.dumps(entries))
    (found,) = read_probes([path])
    assert [(v.position, v.kind) for v in found.variants] == [(0, "original"), (1, "urgency")]


def test_a_rephrasing_without_its_source_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, probe(), {"id": "P9_R_URGE", "prompt": "x", "source_probe": "P9"})
    assert problems(path) == [f"{path}:2: source_probe 'P9' is not a probe of this file"]


def test_problems_of_all_files_are_told_at_once_each_with_file_and_line(tmp_path: Path) -> None:
    first = write(tmp_path, probe(), "{not json", {"id": "P03", "domain": "x"})
    second = write(tmp_path, probe("P04", "  "), name="second.jsonl")
    missing = tmp_path / "missing.jsonl"
    found = problems(first, second, missing)
    assert [line.split(": ", 1)[0] for line in found] == [f"{first}:2", f"{first}:3", f"{second}:1", str(missing)]
    for line, expected in zip(found, ("not JSON", "no prompt", "empty", "no such file"), strict=True):
        assert expected in line


def test_the_same_id_with_different_text_names_both_places(tmp_path: Path) -> None:
    path = write(tmp_path, probe("P01", "one"), probe("P02"), probe("P01", "two"))
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:3: probe P01 stands at {path}:1 with different text")


def test_variants_that_differ_in_white_space_only_are_twins(tmp_path: Path) -> None:
    path = write(tmp_path, probe(variants=[{"prompt": "Who  keeps\nthe keys? "}]))
    assert problems(path) == [f"{path}:1: probe P01: variants 0 and 1 have the same text"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[1]", "a probe is a JSON object, this is a number"),
        ('"text"', "this is a text"),
        ({"domain": "x", "prompt": "y"}, "no id"),
        ({"id": " P01", "prompt": "y"}, "white space"),
        ({"id": True, "prompt": "y"}, "no id"),
        ({"id": "P01", "prompt": 5}, "prompt is a number, not a text"),
        ({"id": "P01", "prompt": None}, "has no prompt"),
        ({"id": "P01", "prompt": "y", "messages": []}, "both prompt and messages"),
        ({"id": "P01", "prompt": "y", "domain": 3}, "domain is a number"),
        ({"id": "P01", "prompt": "y", "variants": {}}, "variants is an object, not a list"),
        ({"id": "P01", "prompt": "y", "variants": ["z"]}, "variant 1 is a text, not an object"),
        ({"id": "P01", "prompt": "y", "variants": [{"promt": "z"}]}, "unknown keys (promt)"),
        ({"id": "P01", "prompt": "y", "variants": [{"kind": "", "prompt": "z"}]}, "kind is a text"),
        ('{"id": "P01", "prompt": "cut \\ud83d"}', "surrogate"),
        ('{"id": "P01", "prompt": "y", "note": "a\\u0000b"}', "U+0000"),
        ('{"id": "P01", "prompt": "y", "weight": NaN}', "NaN is not a JSON value"),
        ('{"id": "P01", "prompt": "y", "weight": 1e999}', "too large"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_an_entry_that_cannot_be_used_says_why(tmp_path: Path, line: object, expected: str) -> None:
    (problem,) = problems(write(tmp_path, line))
    assert expected in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[\n{"id": "P01", "prompt": "a"}\n{"id": "P02", "prompt": "b"}]', ":3: not JSON: expected a comma"),
        ('[{"id": "P01", "prompt": "a"}', ":1: not JSON: expected a comma"),
        ('[{"id": "P01", "prompt": "a"}]\nmore', "not JSON: text after the closing bracket"),
        ('[\n\n{"id": "P01"}]', ":3: probe P01 has no prompt"),
        ("[]", ": no probes in this file"),
        ("", ": no probes in this file"),
    ],
)
def test_a_broken_array_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "probes.json"
    path.write_text(text)
    assert expected in problems(path)[-1]


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(probe()).encode() + b'\n{"id": "P02", "prompt": "caf\xe9"}\n')
    assert problems(path) == [f"{path}:2: not UTF-8 (byte 0xe9); save the file as UTF-8"]


def test_a_folder_or_no_file_at_all_is_a_problem(tmp_path: Path) -> None:
    assert "cannot be read" in problems(tmp_path)[0]
    assert "no probe file was given" in problems()[0]


def test_one_file_is_read_with_places_what_is_good_beside_what_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, probe("P01"), "{not json", probe("P02", "Why?"), probe("P01", "Why?"))
    found = read_probe_file(path)
    assert [(one.probe.id, one.place) for one in found.placed] == [
        ("P01", f"{path}:1"),
        ("P02", f"{path}:3"),
        ("P01", f"{path}:4"),
    ]
    assert [problem.split(": ")[0] for problem in found.problems] == [f"{path}:2"]


def test_a_file_that_is_wrong_throughout_is_told_in_twenty_lines(tmp_path: Path) -> None:
    found = problems(write(tmp_path, *["nonsense"] * 500))
    assert len(found) == 21
    assert found[-1].endswith("and 480 more problems")


def test_a_variants_hash_depends_on_its_text_alone(tmp_path: Path) -> None:
    def read(**more: Any) -> Probe:
        return read_probes([write(tmp_path, probe(**more))])[0]

    plain, other = read(), read(region="north")
    assert variant_hash(plain.variants[0]) == variant_hash(other.variants[0])
    assert variant_hash(plain.variants[0]) != variant_hash(read(prompt="Who else?").variants[0])


KEYS = st.sampled_from(["id", "domain", "prompt", "messages", "variants", "kind", "role", "content", "source_probe"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["user", "assistant", "a", "b", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


@given(lines=st.lists(VALUES, max_size=4), array=st.booleans())
def test_any_json_gives_probes_or_a_probe_error(
    lines: list[Any], array: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp(), *([json.dumps(lines)] if array else map(json.dumps, lines)), name="j")
    try:
        found = read_probes([path])
    except ProbeError as error:
        assert all(line.startswith(str(path)) for line in str(error).splitlines())
    else:
        assert len({one.id for one in found}) == len(found) > 0


@given(prompts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))
def test_texts_come_back_as_they_were_written(prompts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    wanted = [text for text in prompts if text.strip()] or ["one"]
    path = write(tmp_path_factory.getbasetemp(), *[probe(f"P{n}", text) for n, text in enumerate(wanted)], name="t")
    assert [found.variants[0].messages[0].content for found in read_probes([path])] == wanted


def test_an_entry_that_is_nested_too_deeply_is_refused_with_its_line(tmp_path: Path) -> None:
    """A reader that takes it must not then fail where it is hashed: the depths that both can bear differ."""
    for depth in (900, 990, 100_000):
        path = write(tmp_path, f'{{"id": "A", "prompt": "Why?", "deep": {"[" * depth}{"]" * depth}}}', probe("B"))
        found = read_probe_file(path)
        assert [one.probe.id for one in found.placed][-1] == "B"
        assert len(found.placed) + len(found.problems) == 2
