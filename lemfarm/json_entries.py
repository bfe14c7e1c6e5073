"""JSON values one by one, out of JSONL or out of one big array, each with the line where it begins.

`entries_of` is for files that should be whole, `forgiving_entries` for files as they are found: cut short, with a bad
entry in the middle, several arrays one after another.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_FAULTS = 100
"""After so many faults between values the rest of a text is given up: it is something else than JSON."""

_BETWEEN = re.compile(r"[ \t\r\n,]*")
_OBJECT_LINE = re.compile(r"^[ \t]*(?=\{)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One JSON value of a file and where it stands."""

    place: str
    value: Any


@dataclass(frozen=True, slots=True)
class Fault:
    """A stretch of a file that is no JSON, and where it begins."""

    place: str
    reason: str


def parse(text: str) -> Any:
    """One JSON value, without Python's own NaN and Infinity. Raises ValueError, which says in words for people what is
    not JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(_in_words(error)) from error


def kind_of(value: Any) -> str:
    """A JSON value's type in words a person uses."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def entries_of(path: Path, text: str, problems: list[str]) -> Iterator[Entry]:
    """The values of a JSON array or of JSONL, each with its `file:line`. What is not JSON is noted in `problems`: a bad
    line costs that line, a fault within an array the rest of it."""
    if text.lstrip().startswith("["):
        yield from _array_entries(path, text, problems)
        return
    for found in line_entries(path, text):
        if isinstance(found, Fault):
            problems.append(f"{found.place}: {found.reason}")
        else:
            yield found


def line_entries(path: Path, text: str) -> Iterator[Entry | Fault]:
    """JSONL: a value for each line, or the fault that makes it none. Only line feeds end a line: str.splitlines would
    cut at U+2028 within a prompt."""
    for number, line in enumerate(_lines(text), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            yield Entry(place, parse(line))
        except ValueError as error:
            yield Fault(place, str(error))


def forgiving_entries(path: Path, text: str, first_line: int = 1) -> Iterator[Entry | Fault]:
    """Every value that can be read, in whatever order of arrays and single values they stand; commas too many or too
    few do no harm. After a fault reading goes on at the next line that begins an object."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position, line, opened, faults = 0, first_line, 0, 0
    while True:
        start = _skip_between(text, position)
        line += text.count("\n", position, start)
        if start == len(text):
            break
        if text[start] == "[" and not opened:
            position, opened = start + 1, line
        elif text[start] == "]" and opened:
            position, opened = start + 1, 0
        else:
            found, position = _value_or_fault(decoder, path, text, start, line)
            yield found
            faults += isinstance(found, Fault)
            if faults == MOST_FAULTS:
                yield Fault(f"{path}:{line}", f"{MOST_FAULTS} faults: the rest of the file is not read")
                return
            line += text.count("\n", start, position)
    if opened:
        yield Fault(f"{path}:{line}", f"not JSON: the array that begins in line {opened} is not closed")


def _value_or_fault(
    decoder: json.JSONDecoder, path: Path, text: str, start: int, line: int
) -> tuple[Entry | Fault, int]:
    """The value that begins here and where it ends, or the fault and where the next object begins."""
    try:
        value, end = decoder.raw_decode(text, start)
        return Entry(f"{path}:{line}", value), end
    except (ValueError, RecursionError) as error:
        at, reason = getattr(error, "pos", start), _in_words(error)
    at_line = line + text.count("\n", start, at)
    following = _OBJECT_LINE.search(text, max(start + 1, text.rfind("\n", start, at) + 1))
    if not following:
        return Fault(f"{path}:{at_line}", f"{reason}; the rest is not read"), len(text)
    next_line = at_line + text.count("\n", at, following.end())
    return Fault(f"{path}:{at_line}", f"{reason}; read on in line {next_line}"), following.end()


def _lines(text: str) -> Iterator[str]:
    """The lines one by one: a list of them all would be a second copy of a large file."""
    position = 0
    while (end := text.find("\n", position)) >= 0:
        yield text[position:end]
        position = end + 1
    yield text[position:]


def _array_entries(path: Path, text: str, problems: list[str]) -> Iterator[Entry]:
    """A JSON array, taken apart value by value so that each keeps its line (counted on, not from the top again)."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position = _skip_space(text, text.index("[") + 1)
    line = text.count("\n", 0, position) + 1
    try:
        while text[position : position + 1] != "]":
            value, end = decoder.raw_decode(text, position)
            yield Entry(f"{path}:{line}", value)
            following = _after_comma(text, _skip_space(text, end))
            line += text.count("\n", position, following)
            position = following
        if text[position + 1 :].strip():
            raise json.JSONDecodeError("text after the closing bracket", text, position + 1)
    except (ValueError, RecursionError) as error:
        problems.append(f"{path}:{getattr(error, 'lineno', line)}: {_in_words(error)}")


def _after_comma(text: str, position: int) -> int:
    """Where the next value begins, or where the closing bracket stands."""
    if text[position : position + 1] == "]":
        return position
    if text[position : position + 1] != ",":
        raise json.JSONDecodeError("expected a comma or the closing bracket", text, position)
    return _skip_space(text, position + 1)


def _skip_between(text: str, position: int) -> int:
    found = _BETWEEN.match(text, position)
    return found.end() if found else position


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _in_words(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} (column {error.colno})"
    if isinstance(error, RecursionError):
        return "not JSON: nested too deeply"
    return f"not JSON: {str(error).partition(';')[0]}"  # behind it, Python tells programmers how to read longer numbers


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
