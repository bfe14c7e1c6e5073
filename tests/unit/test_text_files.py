"""Text files in the encodings they come in."""

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.text_files import decode, decode_marking, encoding_of, printable, stray_bytes

MARKED = {
    "utf-8-sig": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
WHOLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize("encoding", MARKED)
@given(text=WHOLE)
def test_a_mark_names_the_encoding_and_is_no_part_of_the_text(encoding: str, text: str) -> None:
    data = MARKED[encoding] + text.encode(encoding.removesuffix("-sig"))
    if encoding != "utf-16-le" or not text.startswith("\0"):  # that beginning is the mark of UTF-32
        assert decode(data) == decode_marking(data) == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ['{"prompt": "Who?"}\r\n', '[\n{"prompt": "誰？"}]', "Wer? ", "a", '["誰守著城門，誰又守著鑰匙？"]']
)
def test_without_a_mark_the_zeros_of_utf_16_tell(encoding: str, text: str) -> None:
    assert encoding_of(text.encode(encoding)) == encoding
    assert decode(text.encode(encoding)) == text


def test_utf_8_needs_no_mark_in_any_script() -> None:
    assert decode("Кто? من؟ 誰?".encode()) == "Кто? من؟ 誰?"
    assert encoding_of(b"") == "utf-8"


def test_what_is_no_text_is_refused_or_marked() -> None:
    data = b"caf\xe9 and tea"
    with pytest.raises(UnicodeDecodeError):
        decode(data)
    marked = decode_marking(data)
    assert (marked, stray_bytes(marked)) == ("caf\udce9 and tea", [0xE9])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"c", "ab\udc63"),
        (codecs.BOM_UTF16_LE + b"a\x00\x00\xd8b\x00", "a\udc00\udcd8b"),
        (codecs.BOM_UTF32_LE + b"a\x00\x00\x00\xff\xff\xff\xff", "a\udcff\udcff\udcff\udcff"),
    ],
)
def test_a_cut_or_half_character_is_marked_in_wide_encodings_too(data: bytes, text: str) -> None:
    assert decode_marking(data) == text


@given(data=st.binary(max_size=60))
def test_no_bytes_stop_the_marking_reader(data: bytes) -> None:
    text = decode_marking(data)
    assert stray_bytes(text) or decode(data) == text


def test_a_name_that_is_no_text_can_be_shown() -> None:
    assert printable(Path("a/caf\udce9.json")) == "a/caf\ufffd.json"
    assert printable(Path("a/café.json")) == "a/café.json"
