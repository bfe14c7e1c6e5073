"""Text files as they come: UTF-8 with or without a byte order mark, UTF-16, UTF-32, any line ends."""

import codecs
import os
from collections.abc import Callable
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD_BYTES = 4096
_JSON_BEGINS = b'[{" \t\r\n'
_MARK_BYTES = "lemfarm.mark-bytes"


def encoding_of(head: bytes) -> str:
    """The encoding that the first bytes of a text show: by its mark, or by where the zeros of UTF-16 stand; else UTF-8.
    Text of JSON begins with an ASCII character, whose other byte in UTF-16 is zero; text of Latin letters has a zero in
    every second byte. UTF-8 has none."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if len(head) > 1 and (head[0] == 0) != (head[1] == 0) and max(head[:2]) in _JSON_BEGINS:
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    even, odd = head[0:_HEAD_BYTES:2].count(0), head[1:_HEAD_BYTES:2].count(0)
    if max(even, odd) * 4 <= len(head[:_HEAD_BYTES]) or even == odd:
        return "utf-8"
    return "utf-16-be" if even > odd else "utf-16-le"


def decode(data: bytes) -> str:
    """The text without its mark; line ends stay as they are. Raises UnicodeDecodeError."""
    return data.decode(encoding_of(data[:_HEAD_BYTES]))


def decode_marking(data: bytes) -> str:
    """The same, but never raises: a byte that is no text becomes the half surrogate U+DC00 + byte, so that whoever
    reads on can tell which entry holds it (`stray_bytes`) and keep the others."""
    return data.decode(encoding_of(data[:_HEAD_BYTES]), errors=_MARK_BYTES)


def stray_bytes(text: str) -> list[int]:
    """The bytes that `decode_marking` could not read, in their order."""
    return [ord(character) - 0xDC00 for character in text if "\udc00" <= character <= "\udcff"]


def storable(text: str) -> str:
    """A text as every database can hold it: a model may write a NUL, which PostgreSQL's text cannot hold, or half a
    surrogate pair, which UTF-8 cannot."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def printable(path: Path) -> str:
    """The name of a file as it can be shown and stored: bytes in it that are no text are replaced."""
    return os.fsencode(path).decode(errors="replace")


def is_so(question: Callable[[], bool]) -> bool:
    """What `Path.exists`, `is_file` or `is_dir` says; no for a name that no system takes, such as a text that somebody
    gave in place of a file: there they raise."""
    try:
        return question()
    except OSError:
        return False


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARK_BYTES, _mark_bytes)
