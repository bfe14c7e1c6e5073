"""Lines of any file: every one is seen once, in order, and none can fill the memory."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.scoring import lines
from lemfarm.scoring.lines import Line, check_inputs, read_chunks, total_bytes


def lines_of(*paths: Path) -> list[tuple[str, int, bytes, str]]:
    """File name, number, text without its line end, fault."""
    return [
        (Path(chunk.file).name, line.number, line.data.rstrip(b"\r\n"), line.fault)
        for chunk in read_chunks([str(path) for path in paths])
        for line in chunk.lines
    ]


def file(folder: Path, data: bytes, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_lines_have_their_numbers_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    path = file(tmp_path, b"one\n\n  \r\ntwo\r\nthree")
    assert lines_of(path) == [
        ("a.jsonl", 1, b"one", ""),
        ("a.jsonl", 4, b"two", ""),
        ("a.jsonl", 5, b"three", ""),
    ]


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    text = "a\u2028b\u0085c\x0bd"
    assert [data for _, _, data, _ in lines_of(file(tmp_path, text.encode()))] == [text.encode()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_any_encoding_comes_as_utf8_without_its_mark(tmp_path: Path, encoding: str) -> None:
    written = '{"response": "Grüße"}\n{"response": "two"}\n'
    found = lines_of(file(tmp_path, written.encode(encoding)))
    assert [data.decode() for _, _, data, _ in found] == written.splitlines()


def test_a_byte_that_is_not_utf8_costs_its_line_only(tmp_path: Path) -> None:
    assert [data for _, _, data, _ in lines_of(file(tmp_path, b"a\n\xff\nb"))] == [b"a", b"\xff", b"b"]


def test_utf16_that_breaks_off_ends_the_file_with_the_reason(tmp_path: Path) -> None:
    found = lines_of(file(tmp_path, "one\ntwo\n".encode("utf-16") + b"\x00\xd8"))
    assert found[-1][3].startswith("not utf-16 from here on")


def test_a_line_of_absurd_length_is_named_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 1 << 20)
    found = lines_of(file(tmp_path, b"one\n" + b"x" * (5 << 20) + b"\nthree\n" + b"y" * (2 << 20)))
    assert [(number, data) for _, number, data, fault in found if not fault] == [(1, b"one"), (3, b"three")]
    assert [(number, data, fault) for _, number, data, fault in found if fault] == [
        (2, b"", "longer than 1 MiB: left out"),
        (4, b"", "longer than 1 MiB: left out"),
    ]


def test_a_chunk_ends_at_a_line_and_tells_how_far_it_reaches(tmp_path: Path) -> None:
    paths = [file(tmp_path, b"x" * 999 + b"\n", "one"), file(tmp_path, (b"y" * 999 + b"\n") * 1_000, "two")]
    chunks = list(read_chunks([str(path) for path in paths]))
    assert {chunk.file for chunk in chunks} == {str(path) for path in paths}
    assert max(sum(len(line.data) for line in chunk.lines) for chunk in chunks) < lines.CHUNK_BYTES + 1_000
    assert [chunk.position for chunk in chunks] == sorted(chunk.position for chunk in chunks)
    assert chunks[-1].position == total_bytes([str(path) for path in paths]) == 1_001_000


def test_a_chunk_of_short_lines_is_bounded_too(tmp_path: Path) -> None:
    chunks = list(read_chunks([str(file(tmp_path, b"{}\n" * 2_500))]))
    assert [len(chunk.lines) for chunk in chunks] == [1_000, 1_000, 500]


@given(st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\n", b""))))
def test_every_line_is_seen_once_and_in_order(texts: list[bytes]) -> None:
    # Given bytes that hold no line feed, when they are lines of UTF-8, then they come back as they are.
    stream = io.BytesIO(b"\n".join(texts))
    found = list(lines._bounded(stream.readline))
    assert [line.number for line in found] == list(range(1, len(found) + 1))
    expected = list(texts)
    if expected and not expected[-1]:
        expected.pop()
    mark = b"\xef\xbb\xbf"
    assert [line.data.removesuffix(b"\n") for line in found] == [
        text.removeprefix(mark) if number == 0 else text for number, text in enumerate(expected)
    ]


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)
    found = [line for chunk in read_chunks([str(path)]) for line in chunk.lines]
    assert all(isinstance(line, Line) and bool(line.data) != bool(line.fault) for line in found)


@pytest.mark.parametrize(
    ("names", "said"),
    [([], "at least one file"), (["-", "-"], "once only"), (["none.jsonl"], "No such file"), (["."], "is a folder")],
)
def test_what_cannot_be_read_is_refused_before_anything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        check_inputs(names)


def test_a_pipe_has_no_size_and_is_read_once(tmp_path: Path) -> None:
    # Given a pipe with two lines, when it is checked and then read, then checking took nothing from it.
    reading, writing = os.pipe()
    try:
        os.write(writing, b"one\ntwo\n")
        os.close(writing)
        name = f"/dev/fd/{reading}"
        check_inputs([name])
        assert total_bytes([name]) is None
        assert [line.data for chunk in read_chunks([name]) for line in chunk.lines] == [b"one\n", b"two\n"]
    finally:
        os.close(reading)
