"""JSONL files of any size as chunks of whole lines, so that neither a big file nor a long line fills the memory."""

import codecs
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lemfarm.errors import InputError
from lemfarm.text_files import encoding_of, is_so

STDIN = "-"
"""The name of a file that means standard input."""

LONGEST_LINE = 16 << 20
"""Bytes. An answer of 4,096 tokens has some 16 KB, and an A/B record holds a handful of them."""

CHUNK_BYTES = 256 << 10
"""About as much is scored at once: a tenth of a second's work."""

_STDIN_DESCRIPTOR = 0
_CHUNK_LINES = 1_000
_HEAD_BYTES = 4096
_UTF8 = ("utf-8", "utf-8-sig")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as UTF-8, or why there is none; numbers begin at 1."""

    number: int
    data: bytes
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines of one file. `position` counts the bytes of all input up to its end, of a pipe none."""

    file: str
    lines: tuple[Line, ...]
    position: int


def check_inputs(files: Sequence[str]) -> None:
    """Refuse what cannot be read before any work is done. Raises InputError."""
    if not files:
        raise InputError("name at least one file; - reads standard input.")
    if files.count(STDIN) > 1:
        raise InputError("standard input (-) can be read once only.")
    for file in files:
        if file != STDIN:
            _check_readable(Path(file))


def total_bytes(files: Sequence[str]) -> int | None:
    """The size of all input, or None where a pipe is among it."""
    paths = [Path(file) for file in files if file != STDIN]
    if len(paths) < len(files) or not all(path.is_file() for path in paths):
        return None
    return sum(path.stat().st_size for path in paths)


def read_chunks(files: Sequence[str]) -> Iterator[Chunk]:
    """All lines of the files in their order; blank ones are left out. Raises InputError when a file cannot be read."""
    before = 0
    for file in files:
        position = 0
        for lines, position in _chunks_of(file):
            yield Chunk(file, lines, before + position)
        before += position


def _check_readable(path: Path) -> None:
    if is_so(path.is_dir):
        raise InputError(f"{path} is a folder: name its files, such as {path}/*.jsonl.")
    try:
        if path.is_file():
            path.open("rb").close()
        else:
            path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _chunks_of(file: str) -> Iterator[tuple[tuple[Line, ...], int]]:
    try:
        with _opened(file) as stream:
            lines: list[Line] = []
            size = 0
            for line in _lines(stream):
                lines.append(line)
                size += len(line.data)
                if size >= CHUNK_BYTES or len(lines) >= _CHUNK_LINES:
                    yield tuple(lines), _position(stream)
                    lines, size = [], 0
            yield tuple(lines), _position(stream)
    except OSError as error:
        raise InputError(f"{file} cannot be read to its end: {error.strerror or error}") from error


@contextmanager
def _opened(file: str) -> Iterator[io.BufferedReader]:
    given = _STDIN_DESCRIPTOR if file == STDIN else file
    with open(given, "rb", closefd=file != STDIN) as stream:
        yield stream


def _position(stream: io.BufferedReader) -> int:
    return stream.tell() if stream.seekable() else 0


def _lines(stream: io.BufferedReader) -> Iterator[Line]:
    """The lines that hold something, in UTF-8 whatever the file's encoding."""
    encoding = encoding_of(stream.peek(_HEAD_BYTES)[:_HEAD_BYTES])
    found = _bounded(stream.readline) if encoding in _UTF8 else _transcoded(stream, encoding)
    for line in found:
        if line.fault or line.data.strip():
            yield line


def _transcoded(stream: io.BufferedReader, encoding: str) -> Iterator[Line]:
    """UTF-16 and UTF-32. What does not decode ends the file: where the next line begins cannot be known."""
    text = io.TextIOWrapper(stream, encoding, newline="\n")
    number = 0
    try:
        for line in _bounded(lambda limit: text.readline(limit).encode(errors="surrogatepass")):
            number = line.number
            yield line
    except UnicodeDecodeError as error:
        yield Line(number + 1, b"", f"not {encoding} from here on ({error.reason}): the rest is left out")
    finally:
        text.detach()


def _bounded(read: Callable[[int], bytes]) -> Iterator[Line]:
    """Lines without their mark and line feed; of one that is too long only the number is kept."""
    number = 0
    while data := read(LONGEST_LINE):
        number += 1
        too_long = len(data) >= LONGEST_LINE and not data.endswith(b"\n")
        while too_long and data and not data.endswith(b"\n"):
            data = read(LONGEST_LINE)
        if too_long:
            yield Line(number, b"", f"longer than {LONGEST_LINE >> 20} MiB: left out")
        else:
            yield Line(number, data.removeprefix(codecs.BOM_UTF8) if number == 1 else data)
