"""JSON values one by one, out of JSONL or out of one big array, each with the line where it begins."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One JSON value of a file and where it stands."""

    place: str
    value: Any


def entries_of(path: Path, text: str, problems: list[str]) -> Iterator[Entry]:
    """The values of a JSON array or of JSONL, each with its `file:line`. What is not JSON is noted in `problems`: a bad
    line costs that line, a fault within an array the rest of it."""
    if text.lstrip().startswith("["):
        yield from _array_entries(path, text, problems)
    else:
        yield from _line_entries(path, text, problems)


def _line_entries(path: Path, text: str, problems: list[str]) -> Iterator[Entry]:
    """JSONL. Only line feeds end a line: str.splitlines would cut at U+2028 within a prompt."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            yield Entry(place, json.loads(line, parse_constant=_refuse_constant))
        except (ValueError, RecursionError) as error:
            problems.append(f"{place}: not JSON: {error}")


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
    except json.JSONDecodeError as error:
        problems.append(f"{path}:{error.lineno}: not JSON: {error.msg} (column {error.colno})")
    except (ValueError, RecursionError) as error:
        problems.append(f"{path}:{line}: not JSON: {error}")


def _after_comma(text: str, position: int) -> int:
    """Where the next value begins, or where the closing bracket stands."""
    if text[position : position + 1] == "]":
        return position
    if text[position : position + 1] != ",":
        raise json.JSONDecodeError("expected a comma or the closing bracket", text, position)
    return _skip_space(text, position + 1)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
