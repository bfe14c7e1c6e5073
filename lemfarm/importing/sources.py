"""Which files an import reads: those named, those of a folder, those that a probe set names; each of them once."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemfarm.importing.entries import Left, refuse_unstorable
from lemfarm.importing.spellings import Refused
from lemfarm.text_files import decode_marking, is_so, printable
from lemfarm.yaml_places import read_yaml

JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
YAML_SUFFIXES = frozenset({".yaml", ".yml"})
MOST_YAML_BYTES = 4 << 20
"""Probe sets and lessons are small; the YAML reader is slow, and a large file is something else."""

_READ_SUFFIXES = JSON_SUFFIXES | YAML_SUFFIXES | {".txt"}
_SEED_FILE = re.compile(r"(?:lem-)?(?P<region>.+?)(?:-all)?-seeds", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read, and the probe set that names it, if any. `fields` hold for each of its entries that does not
    say otherwise."""

    path: Path
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    named_by: str = ""


@dataclass(slots=True)
class Sources:
    """What will be read, what cannot be, and which files of a folder are of another kind."""

    found: dict[str, Source] = field(default_factory=dict)
    unreadable: list[Left] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def add(self, source: Source) -> None:
        """Read this file; what a probe set says about it wins over the file alone, the first set over the others."""
        key = os.path.realpath(source.path)
        known = self.found.setdefault(key, source)
        if known is source or not source.named_by:
            return
        if known.named_by:
            self.ignored.append(f"{printable(source.path)} in set {source.named_by}: read for set {known.named_by}")
        else:
            self.found[key] = source


def find_sources(paths: Iterable[Path], *, root: Path | None, out: Path | None) -> Sources:
    """The files under the paths, folders in the order of their names. Files of probe sets lie under `root`, or beside
    the set. What stands at `out` is not read as a part of a folder: it is an earlier result."""
    sources = Sources()
    for path in paths:
        if is_so(path.is_dir):
            _add_folder(path, root, out, sources)
        else:
            _add_file(path, root, sources)
    return sources


def _add_folder(folder: Path, root: Path | None, out: Path | None, sources: Sources) -> None:
    def cannot(error: OSError) -> None:
        sources.unreadable.append(Left(printable(Path(error.filename)), f"cannot be read: {error.strerror}"))

    for parent, folders, files in os.walk(folder, onerror=cannot):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(parent, name)
            result = out is not None and os.path.realpath(path) == os.path.realpath(out)
            if path.suffix.lower() in _READ_SUFFIXES and is_so(path.is_file) and not result:
                _add_file(path, root, sources)
            else:
                sources.ignored.append(printable(path))


def _add_file(path: Path, root: Path | None, sources: Sources) -> None:
    sets = _probe_sets(path, sources) if path.suffix.lower() in YAML_SUFFIXES else None
    if sets is None:
        sources.add(Source(path, _region(path)))
        return
    for name, described in sets.items():
        _add_set(path, root or path.parent, str(name), described, sources)


def _probe_sets(path: Path, sources: Sources) -> dict[str, Any] | None:
    """The sets that a YAML file describes, or none where it is no file of sets (or cannot be read: told later)."""
    try:
        if path.stat().st_size > MOST_YAML_BYTES:
            return None
        located = read_yaml(decode_marking(path.read_bytes()))
    except OSError:
        return None
    sets = located.value.get("sets") if isinstance(located.value, dict) else None
    if not isinstance(sets, dict):
        return None
    sources.unreadable += [Left(f"{printable(path)}:{fault.place.line}", fault.text) for fault in located.faults]
    return sets


def _add_set(path: Path, root: Path, name: str, described: Any, sources: Sources) -> None:
    files = described.get("files") if isinstance(described, dict) else None
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        sources.unreadable.append(Left(f"{printable(path)}: sets.{name}", "files is not a list of file names"))
        return
    phase = described.get("phase")
    given = {"set": name, "phase": phase} if isinstance(phase, int | str) else {"set": name}
    try:
        refuse_unstorable(given)
    except Refused as refused:
        sources.unreadable.append(Left(f"{printable(path)}: sets.{name!a}", str(refused)))
        return
    for file in files:
        found = root / file
        if is_so(found.is_file):
            sources.add(Source(found, {**_region(found), **given}, name))
        else:
            hint = "there is no such file (--root names the folder that a set's files lie under)"
            sources.unreadable.append(Left(f"{printable(path)}: sets.{name}: {printable(found)}", hint))


def _region(path: Path) -> dict[str, Any]:
    """Seed files are named after their region; expansions are not."""
    named = _SEED_FILE.fullmatch(Path(printable(path)).stem)
    return {"region": named["region"]} if named and "expansion" not in named["region"].lower() else {}
