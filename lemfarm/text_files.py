"""Text files as they come: UTF-8 with or without a byte order mark, UTF-16, UTF-32, any line ends."""

import codecs
from pathlib import Path
from typing import TextIO

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD_BYTES = 4096


def encoding_of(head: bytes) -> str:
    """The encoding that the first bytes of a text show: by its mark, or by where the zeros of UTF-16 stand; else UTF-8.
    Text of JSON or of Latin letters has a zero in every second byte of UTF-16, and none in UTF-8."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[0:_HEAD_BYTES:2].count(0), head[1:_HEAD_BYTES:2].count(0)
    if max(even, odd) * 4 <= len(head[:_HEAD_BYTES]) or even == odd:
        return "utf-8"
    return "utf-16-be" if even > odd else "utf-16-le"


def decode(data: bytes) -> str:
    """The text without its mark; line ends stay as they are. Raises UnicodeDecodeError."""
    return data.decode(encoding_of(data[:_HEAD_BYTES]))


def open_text(path: Path) -> TextIO:
    """Open for reading line by line, whatever the encoding; only line feeds end a line, so that U+2028 within a text
    does not. Raises OSError."""
    with path.open("rb") as file:
        encoding = encoding_of(file.read(_HEAD_BYTES))
    return path.open(encoding=encoding, newline="\n")
