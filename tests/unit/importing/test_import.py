"""A whole import: files in, one probe file and an account of every entry out."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.errors import InputError, NoSpace
from lemfarm.importing import Report, import_probes
from lemfarm.importing.output import GUESSED
from lemfarm.probes import Probe, read_probes

MILLER = "The miller keeps two sets of books. Which of them do you show the guild, and what do you tell his daughter?"
ROUGH = [
    {"id": 7, "domain": "Trade", "ethic_tension": "a against b", "prompt": MILLER},
    {"id": 7, "category": "law", "prompt": "May a bell be rung for one family and not for another?"},
    {"id": 8, "prompt": "  May a bell be rung\nfor one family and not for another?  "},
    {"id": 9, "domain": "Law", "response": "No."},
    {"prompt_en": "Who decides when the ferry runs, if the ferryman is ill and the river is high?"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def write(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def imported(*paths: Path, **options: Any) -> tuple[Report, tuple[Probe, ...]]:
    """The report, and the probes as the reader of runs sees them."""
    out = paths[0].parent.parent / "out.jsonl"
    report = import_probes(paths, out, **options)
    return report, read_probes([out]) if report.written else ()


def test_a_rough_file_becomes_a_probe_file_and_an_account(folder: Path) -> None:
    report, probes = imported(write(folder, "harbour-seeds.json", ROUGH))
    assert [(probe.domain, len(probe.variants)) for probe in probes] == [("Trade", 1), ("law", 1), ("uncategorised", 1)]
    assert (report.entries, report.distinct, report.repeats_inside, report.without_prompt) == (5, 3, 1, 1)
    assert (report.reused_ids, report.without_domain, report.without_id) == (1, 1, 1)
    assert {probe.fields["region"] for probe in probes} == {"harbour"}
    assert probes[0].fields["ethical_tension"] == "a against b"


def test_a_text_stands_in_the_file_as_it_came(folder: Path) -> None:
    texts = ["  cafe\u0301 \u202bشكرا\u202c\t", "\u05e9\u05dc\u05d5\u05dd hello", "前\u2028後", "नमस्ते", "Привет 🙂"]
    _, probes = imported(write(folder, "a.json", texts))
    assert [probe.variants[0].messages[0].content for probe in probes] == texts


def test_composed_and_decomposed_letters_are_the_same_text(folder: Path) -> None:
    report, probes = imported(write(folder, "a.json", ["caf\u00e9 au lait", "cafe\u0301 au  lait\n"]))
    assert (len(probes), report.repeats_inside) == (1, 1)


def test_repeats_across_files_name_what_they_repeat(folder: Path) -> None:
    first, second = write(folder, "a.jsonl", {"prompt": MILLER}), write(folder, "b.json", [{"prompt": MILLER}])
    report, probes = imported(first, second)
    (repeat,) = report.repeats
    assert (repeat.place, repeat.of, repeat.same_file) == (f"{second}:1", f"{first}:1", False)
    assert (len(probes), report.repeats_across, report.repeats_inside) == (1, 1, 0)


def test_an_id_used_again_is_made_unique_and_the_given_one_kept(folder: Path) -> None:
    report, probes = imported(write(folder, "a.json", ROUGH))
    assert probes[0].id == "7"
    assert probes[1].id.startswith("7~") and probes[1].fields["original_id"] == "7"
    (renamed,) = report.renamed
    assert (renamed.given, renamed.id) == ("7", probes[1].id)


def test_the_same_input_gives_the_same_bytes_and_again_is_no_change(folder: Path) -> None:
    path, out = write(folder, "a.json", ROUGH), folder.parent / "out.jsonl"
    import_probes([path], out)
    before = out.read_bytes()
    import_probes([path], out)
    assert out.read_bytes() == before


def test_importing_a_probe_file_gives_the_same_probe_file(folder: Path) -> None:
    voices = [
        {"seed_id": "S", "voice": voice, "prompt": f"{voice}: {MILLER}", "idx": 3} for voice in ("elder", "medic")
    ]
    path = write(folder, "a.json", [*ROUGH, *voices])
    first, second = folder / "first.jsonl", folder / "second.jsonl"
    import_probes([path], first)
    report = import_probes([first], second)
    assert second.read_text() == first.read_text()
    assert (report.variants, report.without_original) == (1, 1)


def test_an_existing_file_is_replaced_only_when_asked(folder: Path) -> None:
    path, out = write(folder, "a.json", ROUGH), write(folder.parent, "out.jsonl", "mine")
    with pytest.raises(InputError, match="--replace"):
        import_probes([path], out)
    assert out.read_text() == "mine"
    import_probes([path], out, replace=True)
    assert len(read_probes([out])) == 3


def test_the_result_cannot_be_one_of_the_inputs(folder: Path) -> None:
    path = write(folder, "a.json", ROUGH)
    with pytest.raises(InputError, match="is read and cannot be written"):
        import_probes([path], folder / ".." / "in" / "a.json")


def test_an_earlier_result_within_a_folder_is_not_read_again(folder: Path) -> None:
    write(folder, "a.json", ROUGH)
    out = folder / "z.jsonl"
    import_probes([folder], out)
    report = import_probes([folder], out)
    assert (report.repeats_across, report.ignored) == (0, (str(out),))


@pytest.mark.parametrize("out", ["a.json/below/out.jsonl", "nowhere/out.jsonl", ".", "/dev/null"])
def test_a_place_that_cannot_be_written_is_told_and_left_alone(folder: Path, out: str) -> None:
    path = write(folder, "a.json", ROUGH)
    with pytest.raises(InputError, match=r"cannot be written|is not a file"):
        import_probes([path], folder / out, replace=True)
    assert [found.name for found in folder.iterdir()] == ["a.json"]
    assert Path("/dev/null").is_char_device()


def test_a_full_disk_is_told_and_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path, out = write(folder, "a.json", ROUGH), write(folder.parent, "out.jsonl", "mine")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoSpace, match=r"out.jsonl cannot be written: No space left"):
        import_probes([path], out, replace=True)
    assert out.read_text() == "mine"


def test_without_a_prompt_nothing_is_written(folder: Path) -> None:
    out = folder.parent / "out.jsonl"
    report = import_probes([write(folder, "a.json", {"axioms": [{"statement": "x"}]}), folder / "missing.json"], out)
    assert (report.written, out.exists(), report.distinct) == (None, False, 0)
    assert [left.reason for left in report.unreadable] == [
        "nothing in it can be taken for a prompt",
        "cannot be read: No such file or directory",
    ]


def test_what_cannot_be_read_does_not_stop_the_rest(folder: Path) -> None:
    (folder / "b.json").write_bytes(b"\x00\x01\x02" * 50)
    report, probes = imported(write(folder, "a.json", ROUGH), folder / "b.json")
    assert (len(probes), [left.place for left in report.unreadable]) == (3, [str(folder / "b.json")])


def test_a_byte_that_is_no_text_costs_its_entry_only(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(b'{"prompt": "caf\xe9"}\r\n{"prompt": "tea"}\r\n')
    report, probes = imported(folder / "a.jsonl")
    assert (len(probes), report.skipped[0].place) == (1, f"{folder / 'a.jsonl'}:1")
    assert report.skipped[0].reason == "byte 0xe9 is no text in the file's encoding: save it as UTF-8"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends_do_not_matter(folder: Path, encoding: str, end: str) -> None:
    entries = [{"id": f"P{number}", "prompt": f"Wer hat Schlüssel {number}?"} for number in (1, 2)]
    lines = end.join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (folder / "a.jsonl").write_bytes(lines.encode(encoding))
    report, probes = imported(folder / "a.jsonl")
    assert [probe.id for probe in probes] == ["P1", "P2"]
    assert (report.skipped, report.unread) == ((), ())


def test_a_guessed_language_is_marked_and_a_named_one_left_alone(folder: Path) -> None:
    entries = [{"prompt": MILLER}, {"prompt": MILLER + " Why?", "language": "en-GB"}]
    report, probes = imported(write(folder, "a.json", entries))
    assert [dict(probe.fields) for probe in probes] == [{"language": "en", GUESSED: True}, {"language": "en-GB"}]
    assert (report.languages, report.guessed_languages) == ({"en": 1, "en-GB": 1}, 1)


def test_progress_is_told_from_beginning_to_end(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    import_probes([write(folder, "a.json", ROUGH)], progress=lambda *step: told.append(step))
    assert told[0] == ("reading", 0, 1)
    assert {("reading", 1, 1), ("languages", 3, 3), ("near-duplicates", 3, 3)} <= set(told)


TEXTS = st.sampled_from(["Who keeps the keys?", "who keeps THE keys", "Wer?", "P1", "", "\ud800", "a\0b", "ß", "🙂"])
KEYS = st.sampled_from(
    ["id", "ID", "seed_id", "domain", "Category", "prompt", "question", "prompt_en", "text", "messages", "variants",
     "variant_fields", "kind", "role", "content", "source_probe", "rephrase_type", "voice", "language", "region",
     "response", "original_id", "original_prompt", "prompts", "ethic_tension", "ethical_tension", "1", "2"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.floats() | TEXTS | st.sampled_from(["user", "assistant"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
LIKELY = st.fixed_dictionaries(
    {"prompt": TEXTS},
    optional={
        "id": st.sampled_from(["P1", "P2", 3, None]),
        "domain": st.sampled_from(["a", "A", "b", None]),
        "voice": st.sampled_from(["original", "junior", "elder"]),
        "source_probe": st.sampled_from(["P1", "P2", "P9"]),
        "rephrase_type": st.sampled_from(["urgency", "cultural"]),
        "variants": st.lists(st.fixed_dictionaries({"prompt": TEXTS}, optional={"kind": TEXTS}) | VALUES, max_size=3),
        "more": VALUES,
    },
)


Entries = list[Any]
ENTRIES = st.lists(LIKELY | VALUES, max_size=6)


def checked(folder: Path, files: dict[str, bytes]) -> tuple[Report, Path]:
    """Import, and hold the account against the file: every entry is somewhere, and the reader takes all of it."""
    for old in folder.iterdir():
        old.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    out = folder / "out.jsonl"
    report = import_probes([folder / name for name in files], out)
    written = read_probes([out]) if report.written else ()
    assert len(written) == report.probes
    assert sum(len(probe.variants) for probe in written) == report.distinct == report.probes + report.variants
    assert report.entries == report.distinct + len(report.repeats) + len(report.skipped)
    assert sum(file.kept for file in report.files) == report.distinct
    return report, out


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("import")


@settings(deadline=None)
@given(first=ENTRIES, second=ENTRIES, lines=st.booleans())
def test_every_entry_is_in_the_file_or_in_a_list(ground: Path, first: Entries, second: Entries, lines: bool) -> None:
    rows = "\n".join(map(json.dumps, second)) if lines else json.dumps(second)
    report, out = checked(ground, {"a.json": json.dumps(first).encode(), "b.jsonl": rows.encode()})
    if report.written:
        again = import_probes([out], ground / "again.jsonl", replace=True)
        assert lines_of(ground / "again.jsonl") == lines_of(out)
        assert (again.repeats, again.skipped, again.renamed) == ((), (), ())


@settings(deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode(errors="replace")),
       name=st.sampled_from(["a.json", "a.jsonl", "a.txt", "a.yaml", "a", "x-seeds.json"]))  # fmt: skip
def test_no_bytes_can_stop_an_import(ground: Path, data: bytes, name: str) -> None:
    checked(ground, {name: data})
