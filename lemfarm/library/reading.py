"""A library of probes on disk: which files belong to it, what stands where, and which phase each probe is for."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from lemfarm.errors import InputError, ProbeError
from lemfarm.probes import Probe, Variant, read_probe_file
from lemfarm.text_files import is_so

UNSTATED = "unstated"
"""What a probe counts as where no field says it: nothing here guesses a language or a region from the text."""

EXCUSED_FILE = "excused-phrases.txt"
"""Beside the probes: runs of words that may stand in any number of them, one a line; `#` begins a comment."""

_SUFFIXES = (".json", ".jsonl")
_SETS_SUFFIXES = (".yaml", ".yml")
_PROBLEMS_SHOWN = 5
_PHASE_NAME = re.compile(r"phase[-_ ]?(\d+)", re.IGNORECASE)
_PHASE_VALUE = re.compile(r"(?:phase[-_ ]?)?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Held:
    """A probe of a library: where it stands (`file:line`) and which phase it is for, as the number in its name."""

    probe: Probe
    place: str
    phase: str

    @property
    def language(self) -> str:
        """The field `language` or `languages`. A probe that mixes languages is of a kind of its own: `en+yue`."""
        return _label(self.probe.fields.get("language") or self.probe.fields.get("languages"))

    @property
    def region(self) -> str:
        """The field `region`, else `place`."""
        return _label(self.probe.fields.get("region") or self.probe.fields.get("place"))


@dataclass(frozen=True, slots=True)
class Remark:
    """Something wrong at a place (`file` or `file:line`) that belongs to no readable probe."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Excuse:
    """A run of words that the library may repeat at will."""

    phrase: str
    place: str


@dataclass(frozen=True, slots=True)
class Library:
    """What the files gave. `problems` are lines that gave no probe; `unreadable` are of files that gave none at all."""

    probes: tuple[Held, ...]
    problems: tuple[Remark, ...] = ()
    unreadable: tuple[Remark, ...] = ()
    excuses: tuple[Excuse, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """A probe file, and the phase that a set gives it."""

    path: Path
    phase: Any = None


def question(variant: Variant) -> str:
    """What a wording asks: the user's turns. Scripted answers and system turns are context, and may resemble others."""
    return "\n\n".join(message.content for message in variant.messages if message.role == "user")


def name_of(variant: Variant) -> str:
    """How problems name a wording: `the original`, `variant 2 (urgency)`."""
    return f"variant {variant.position} ({variant.kind})" if variant.position else "the original"


def read_library(paths: Iterable[Path], excused: Path | None = None) -> Library:
    """Read files, folders (all JSON and JSONL files below, sorted) and YAML files of sets; a file named twice counts
    once. Phrases are excused by the given file, else by those beside the probes.

    What is wrong with probe files stands in the result. Raises InputError where no probe file is named or found,
    and for sets or excuses that cannot be read.
    """
    paths = list(paths)
    given = [source for path in paths for source in _sources(path)]
    sources = list({source.path.resolve(): source for source in reversed(given)}.values())[::-1]
    if not sources:
        raise InputError(f"{', '.join(map(str, paths)) or 'no path'}: no probe file is named there")
    probes: list[Held] = []
    problems: list[Remark] = []
    unreadable: list[Remark] = []
    for source in sources:
        reading = read_probe_file(source.path)
        probes += [Held(one.probe, one.place, _phase(one.probe, source)) for one in reading.placed]
        remarks = map(partial(_remark, source.path), reading.problems)
        if reading.placed:
            problems += remarks
        else:
            unreadable += _first(source.path, list(remarks))
    files = [excused] if excused else _excuse_files(paths, sources)
    excuses = [excuse for file in files for excuse in _excuses(file)]
    return Library(tuple(probes), tuple(problems), tuple(unreadable), tuple(excuses))


def read_some(paths: Iterable[Path]) -> Library:
    """The same for those who only look: raises ProbeError when not one probe can be read."""
    library = read_library(paths)
    if not library.probes:
        raise ProbeError("\n".join(f"{remark.place}: {remark.text}" for remark in library.unreadable))
    return library


def _sources(path: Path) -> Iterator[_Source]:
    if is_so(path.is_dir):
        yield from _below(path)
    elif path.suffix.lower() in _SETS_SUFFIXES:
        yield from _sets(path)
    else:
        yield _Source(path)


def _below(folder: Path) -> list[_Source]:
    """Hidden files and folders are somebody's tools, not probes."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    shown = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not shown:
        raise InputError(f"{folder}: no *.jsonl or *.json in this folder or below; name the folder of the probes.")
    return [_Source(path) for path in shown]


def _sets(path: Path) -> Iterator[_Source]:
    """LEM's list of sets: `sets: {NAME: {phase, files}}`, the files relative to the list. A set may have no files."""
    sets = _yaml(path)
    if not isinstance(sets, dict) or not isinstance(sets.get("sets"), dict):
        raise InputError(f"{path}: no `sets:` with a name, a phase and files each; name probe files instead.")
    for name, one in sets["sets"].items():
        files = (one.get("files") or []) if isinstance(one, dict) else None
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise InputError(f"{path}: set {name!r}: `files` is not a list of file names.")
        yield from (_Source(path.parent / file, one.get("phase")) for file in files)


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: not YAML: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _phase(probe: Probe, source: _Source) -> str:
    """The probe's own field, else its set's phase, else the name of its file or of the folder that this lies in."""
    for stated in (probe.fields.get("phase"), source.phase):
        if stated is not None:
            numbered = _PHASE_VALUE.match(str(stated))
            return numbered.group(1) if numbered else _label(stated)
    names = (_PHASE_NAME.match(name) for name in (source.path.name, source.path.parent.name))
    return next((found.group(1) for found in names if found), UNSTATED)


def _label(value: Any) -> str:
    """A field as a label; of a list, its entries in sorted order."""
    parts = value if isinstance(value, list) else [value]
    return "+".join(sorted({str(part).strip() for part in parts if part is not None} - {""})) or UNSTATED


def _remark(path: Path, problem: str) -> Remark:
    """Part a reader's `file:line: what is wrong`; not every problem has a line."""
    rest = problem.removeprefix(str(path))
    line, separator, text = rest.partition(": ")
    return Remark(f"{path}{line}", text) if separator else Remark(str(path), problem)


def _first(path: Path, remarks: list[Remark]) -> list[Remark]:
    """Of a file that is something else altogether, the first problems tell the story."""
    more = len(remarks) - _PROBLEMS_SHOWN
    return remarks if more <= 0 else [*remarks[:_PROBLEMS_SHOWN], Remark(str(path), f"and {more} more problems")]


def _excuse_files(paths: Iterable[Path], sources: Iterable[_Source]) -> list[Path]:
    """In the folders that were named, and in those in which probe files lie."""
    folders = [*(path for path in paths if is_so(path.is_dir)), *(source.path.parent for source in sources)]
    beside = {(folder / EXCUSED_FILE).resolve(): folder / EXCUSED_FILE for folder in folders}
    return [path for path in beside.values() if path.is_file()]


def _excuses(path: Path) -> Iterator[Excuse]:
    for number, line in enumerate(_text(path).splitlines(), start=1):
        phrase = line.partition("#")[0].strip()
        if phrase:
            yield Excuse(phrase, f"{path}:{number}")
