"""What shape a file has, and the entries in it: JSON of any make, YAML, JSON within other text, plain text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lemfarm.importing.sources import JSON_SUFFIXES, MOST_YAML_BYTES, YAML_SUFFIXES
from lemfarm.importing.spellings import wrapped_list
from lemfarm.json_entries import Entry, Fault, forgiving_entries, line_entries
from lemfarm.text_files import decode_marking, printable
from lemfarm.yaml_places import read_yaml

_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$\n?", re.MULTILINE)
_JSON_START = re.compile(r"^[ \t]*(?=\[\s*(?:[\[{\"]|\Z)|\{\s*\")", re.MULTILINE)
_HEAD = 4096


class TextUnit(StrEnum):
    """What one prompt is in plain text."""

    AUTO = "auto"  #: paragraphs where blank lines part them, else lines
    PARAGRAPHS = "paragraphs"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Content:
    """A file taken apart: its shape in words, and what stands in it."""

    shape: str
    found: Iterator[Entry | Fault]


class NotReadable(Exception):
    """A file is nothing that prompts can be read from; its text is the reason."""


def read_file(path: Path, unit: TextUnit = TextUnit.AUTO) -> Content:
    """Look into a file. Raises NotReadable."""
    try:
        if path.is_char_device() or path.is_block_device():
            raise NotReadable("a device, not a file")
        if path.suffix.lower() in YAML_SUFFIXES and path.stat().st_size > MOST_YAML_BYTES:
            raise NotReadable(f"more than {MOST_YAML_BYTES >> 20} MiB of YAML")
        text = decode_marking(path.read_bytes())
    except OSError as error:
        raise NotReadable(f"cannot be read: {error.strerror or error}") from None
    if not text.strip():
        raise NotReadable("it is empty")
    if "\0" in text[:_HEAD]:
        raise NotReadable("no text file")
    return _content(Path(printable(path)), text, unit)


def _content(path: Path, text: str, unit: TextUnit) -> Content:
    suffix = path.suffix.lower()
    if suffix in YAML_SUFFIXES:
        return Content("YAML", _yaml_entries(path, text))
    if text.lstrip().startswith(("[", "{")) and (suffix in JSON_SUFFIXES or _holds_json(text, 0)):
        return _json(path, text, suffix)
    if blocks := _fenced_blocks(text) or _open_block(text):
        return Content("JSON in text", _block_entries(path, text, blocks))
    return _json(path, text, suffix) if suffix in JSON_SUFFIXES else _plain(path, text, unit)


def _holds_json(text: str, position: int) -> bool:
    """Whether any value can be read from here on: prose may begin a line with a bracket too."""
    return any(isinstance(found, Entry) for found in forgiving_entries(Path(), text[position:]))


def _json(path: Path, text: str, suffix: str) -> Content:
    """One document, or a value a line: JSONL is what has a whole value in its first line and goes on after it."""
    stripped = text.lstrip()
    if stripped.startswith("["):
        return Content("JSON array", forgiving_entries(path, text))
    lines = suffix in (".jsonl", ".ndjson") or _first_line_is_whole(stripped)
    return Content("JSONL", line_entries(path, text)) if lines else Content("JSON", forgiving_entries(path, text))


def _first_line_is_whole(stripped: str) -> bool:
    first, feed, rest = stripped.partition("\n")
    whole = not any(isinstance(found, Fault) for found in line_entries(Path(), first))
    return bool(whole and feed and rest.strip())


def _fenced_blocks(text: str) -> list[tuple[int, int]]:
    """Where fenced blocks hold JSON; the last one may be cut before its closing fence."""
    fences = [found.span() for found in _FENCE.finditer(text)]
    if len(fences) % 2:
        fences.append((len(text), len(text)))
    blocks = [(opening[1], closing[0]) for opening, closing in zip(fences[::2], fences[1::2], strict=True)]
    return [(begin, end) for begin, end in blocks if _JSON_START.match(text[begin:end].lstrip())]


def _open_block(text: str) -> list[tuple[int, int]]:
    """Where JSON begins in the middle of a text without fences; what follows it is told as a fault there."""
    begin = _JSON_START.search(text)
    return [(begin.end(), len(text))] if begin and _holds_json(text, begin.end()) else []


def _block_entries(path: Path, text: str, blocks: list[tuple[int, int]]) -> Iterator[Entry | Fault]:
    line, position = 1, 0
    for begin, end in blocks:
        yield from _around(path, text[position:begin], line)
        line += text.count("\n", position, begin)
        yield from forgiving_entries(path, text[begin:end], line)
        line += text.count("\n", begin, end)
        position = end
    yield from _around(path, text[position:], line)


def _around(path: Path, text: str, line: int) -> Iterator[Fault]:
    """What stands around JSON is told, not read: it is the talk of whoever made the list. Fences are nothing."""
    for number, words in enumerate(text.split("\n"), start=line):
        if words.strip() and not words.lstrip().startswith(("```", "~~~")):
            yield Fault(f"{path}:{number}", "text around the JSON is not read")
            return


def _yaml_entries(path: Path, text: str) -> Iterator[Entry | Fault]:
    """The list of a YAML file, or the one under `prompts`, `probes` and the like: each entry with its line."""
    located = read_yaml(text)
    for fault in located.faults:
        yield Fault(f"{path}:{fault.place.line}", fault.text)
    value = located.value
    inner = wrapped_list(value)
    if inner is None:
        if value is not None:
            yield Entry(f"{path}:1", value)
        return
    above = next((key for key, held in value.items() if held is inner), None) if isinstance(value, dict) else None
    for number, entry in enumerate(inner):
        where = (number,) if above is None else (above, number)
        yield Entry(f"{path}:{located.values[where].line}", entry)


def _plain(path: Path, text: str, unit: TextUnit) -> Content:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if unit is TextUnit.AUTO:
        unit = TextUnit.PARAGRAPHS if re.search(r"\n[ \t]*\n", text.strip()) else TextUnit.LINES
    return Content(f"plain text, {unit}", _plain_entries(path, text, unit))


def _plain_entries(path: Path, text: str, unit: TextUnit) -> Iterator[Entry]:
    begin, gathered = 0, list[str]()
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            begin = begin or number
            gathered.append(line)
        if gathered and (unit is TextUnit.LINES or not line.strip()):
            yield Entry(f"{path}:{begin}", "\n".join(gathered).strip())
            begin, gathered = 0, []
