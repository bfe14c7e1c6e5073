"""Where the values of a configuration come from: a file, over it the environment, over that the flags.

Whatever is found wrong later is reported at its source: `file:line:column`, the name of an environment variable, or
the flag.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemfarm import yaml_places
from lemfarm.errors import ConfigError
from lemfarm.yaml_places import Located, Place

ENVIRONMENT_PREFIX = "LEMFARM__"
FLAG = "--set"
_SEPARATOR = "__"
_ELSEWHERE = Place(1 << 30, 1)  # sorts what the environment and the flags say behind what the file says


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a path; `at_key` points to the key instead of the value. `where` when the place is known."""

    path: yaml_places.Path
    text: str
    at_key: bool = False
    where: Place | str | None = None


@dataclass(slots=True)
class Source:
    """One run file with its overrides. All sources are equal: where a value stood is no part of what it says."""

    file: str = field(default="", compare=False)
    located: Located = field(default_factory=Located, compare=False)
    origins: dict[yaml_places.Path, str] = field(default_factory=dict, compare=False)
    problems: list[Problem] = field(default_factory=list, compare=False)

    @property
    def folder(self) -> Path:
        """The folder of the file; relative paths start here."""
        return Path(self.file).absolute().parent

    @property
    def data(self) -> dict[str, Any]:
        """The values as they stand after all overrides."""
        value = self.located.value
        return value if isinstance(value, dict) else {}

    def tell(self, problem: Problem) -> str:
        """The problem with its place: `file:line:column: path: what is wrong`."""
        found = self._where(problem)
        where = f"{self.file}:{found.line}:{found.column}" if isinstance(found, Place) else found
        return ": ".join(part for part in (where, dotted(problem.path), problem.text) if part)

    def order(self, problem: Problem) -> Place:
        """Sorts problems as they stand in the file, overrides last."""
        found = self._where(problem)
        return found if isinstance(found, Place) else _ELSEWHERE

    def _where(self, problem: Problem) -> Place | str:
        """The place of the nearest thing on the path that was written somewhere; the bare file when nothing was."""
        if problem.where is not None:
            return problem.where
        path, at_key = problem.path, problem.at_key
        while True:
            if path in self.origins:
                return self.origins[path]
            place = self.located.keys.get(path) if at_key else None
            place = place or self.located.values.get(path)
            if place is not None:
                return place
            if not path:
                return self.file
            path, at_key = path[:-1], True  # something is missing: show the key of what should hold it

    def override(self, path: yaml_places.Path, value: object, origin: str) -> str | None:
        """Put a value in place of what stands there; says what is wrong when nothing can stand there."""
        holder: Any = self.located.value
        for depth, part in enumerate(path):
            here = path[:depth]
            if isinstance(holder, list):
                index = _index(part, holder)
                if index is None:
                    return f"{dotted(here)} has no entry {part}; it has {len(holder)}, numbered from 0"
                part, path = index, (*here, index, *path[depth + 1 :])
            elif not isinstance(holder, dict):
                return f"{dotted(here)} is a single value and holds no keys"
            if depth == len(path) - 1:
                self._forget(path)
                self.origins[path] = origin
                holder[part] = value
                return None
            if isinstance(holder, dict) and holder.get(part) is None:
                holder[part] = {}
                self.origins[path[: depth + 1]] = origin
            holder = holder[part]
        return "names no key"

    def _forget(self, path: yaml_places.Path) -> None:
        """Drop the places of what is replaced."""
        for places in (self.located.keys, self.located.values, self.origins):
            for old in [old for old in places if old[: len(path)] == path]:
                del places[old]


def read_source(
    file: Path, environ: Mapping[str, str], overrides: Mapping[str, object], kind: str = "a run file"
) -> Source:
    """Read a run file, or another `kind` of file, and lay the environment and the flags over it.

    Raises ConfigError when the file cannot be read or is no YAML mapping; lesser problems are kept in the source.
    """
    source = Source(str(file), yaml_places.read_yaml(_text(file)))
    source.problems += [Problem(fault.path, fault.text, where=fault.place) for fault in source.located.faults]
    if not isinstance(source.located.value, dict):
        nothing = Problem(yaml_places.ROOT, f"{kind} is a mapping of keys; see configs/ for examples")
        raise ConfigError([source.tell(problem) for problem in source.problems or [nothing]])
    _lay_over(source, environ, overrides)
    return source


def dotted(path: Iterable[str | int]) -> str:
    """A path as a person writes it: phases.0.quota.accepted."""
    return ".".join(str(part) for part in path)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError([f"{file}:{line}:1: not UTF-8 text"]) from error


def _lay_over(source: Source, environ: Mapping[str, str], overrides: Mapping[str, object]) -> None:
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX):
            path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split(_SEPARATOR)
            _override(source, tuple(path), environ[name], name)
    for key, value in overrides.items():
        _override(source, tuple(key.split(".")), value, f"{FLAG} {key}")


def _override(source: Source, path: yaml_places.Path, value: object, origin: str) -> None:
    """Text is read as YAML, so that numbers, null and whole sections can be given; the rest is taken as it is."""
    if isinstance(value, str):
        located = yaml_places.read_yaml(value)
        source.problems += [Problem(path, fault.text, where=origin) for fault in located.faults]
        if located.faults:
            return
        value = located.value
    wrong = source.override(path, value, origin)
    if wrong:
        source.problems.append(Problem(yaml_places.ROOT, wrong, where=origin))


def _index(part: str | int, holder: list[Any]) -> int | None:
    text = str(part)
    return int(text) if text.isdecimal() and int(text) < len(holder) else None
