"""Import probes from whatever people and programs left them in, and say what became of every entry.

The steps: which files (`sources`), which entries are in them (`files`), what an entry says (`entries`, `spellings`),
which texts are the same and belong together (`grouping`), what is nearly the same (`near`), in which language
(`languages`); then the file (`output`) and the account of it all (`report`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from lemfarm.errors import InputError, NoSpace
from lemfarm.home import write_whole
from lemfarm.importing.drafts import Wording
from lemfarm.importing.entries import Left, wordings_of
from lemfarm.importing.files import NotReadable, TextUnit, read_file
from lemfarm.importing.grouping import gather, name_probes
from lemfarm.importing.near import near_duplicates
from lemfarm.importing.output import probe_file
from lemfarm.importing.report import FileCounts, Reading, Report, describe_texts, make_report
from lemfarm.importing.sources import Source, Sources, find_sources
from lemfarm.json_entries import Fault
from lemfarm.output_files import check_output
from lemfarm.similarity import DEFAULT_THRESHOLD
from lemfarm.text_files import printable

__all__ = ["Report", "TextUnit", "import_probes"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is, and how much there is."""

_Item = TypeVar("_Item")
_TELL_EVERY = 500


def import_probes(
    paths: Iterable[Path | str],
    out: Path | None = None,
    *,
    root: Path | None = None,
    unit: TextUnit = TextUnit.AUTO,
    threshold: float = DEFAULT_THRESHOLD,
    replace: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Read every file and folder, and write the probes in them to `out`, if named, whole or not at all.

    Files of probe sets lie under `root`, else beside the set. Texts whose runs of three words have a Jaccard similarity
    of at least `threshold` are reported as near-duplicates; nothing is removed but exact repeats. What cannot be read
    is in the report, not raised. Nothing is written when no probe was found. Raises InputError for an `out` that is one
    of the inputs, is no file, or holds something else and may not be replaced, and NoSpace if it cannot be written.
    """
    sources = find_sources(map(Path, paths), root=root, out=out)
    if out is not None:
        check_output(out, (source.path for source in sources.found.values()))
    tell = progress or _silent
    reading = _read_all(sources, unit, tell)
    gathered = gather(reading.wordings)
    drafts = gathered.drafts
    renamed = name_probes(drafts)
    texts = describe_texts(_told("languages", drafts, tell))
    near = near_duplicates(_told("near-duplicates", drafts, tell), threshold)
    written = printable(out) if out is not None and drafts else None
    report = make_report(reading, gathered, renamed, texts, near, threshold, written)
    if out is not None and drafts:
        _write(out, probe_file(drafts, texts.guesses), replace=replace)
    return report


def _read_all(sources: Sources, unit: TextUnit, tell: Progress) -> Reading:
    files: list[FileCounts] = []
    wordings: list[Wording] = []
    skipped: list[Left] = []
    unread: list[Left] = []
    unreadable = list(sources.unreadable)
    for number, source in enumerate(sources.found.values()):
        tell("reading", number, len(sources.found))
        files.append(FileCounts(printable(source.path), "unreadable"))
        try:
            for found in _read(source, unit, files[-1]):
                if isinstance(found, Wording):
                    found.file = number
                    wordings.append(found)
                elif isinstance(found, Fault):
                    unread.append(Left(found.place, found.reason))
                else:
                    skipped.append(found)
        except NotReadable as error:
            unreadable.append(Left(files[-1].path, str(error)))
    tell("reading", len(files), len(files))
    return Reading(
        tuple(files), tuple(wordings), tuple(skipped), tuple(unread), tuple(unreadable), tuple(sources.ignored)
    )


def _read(source: Source, unit: TextUnit, counts: FileCounts) -> Iterator[Wording | Left | Fault]:
    """What stands in one file, counted. Raises NotReadable, at the end too if nothing in it is a prompt."""
    content = read_file(source.path, unit)
    counts.shape = content.shape
    for entry in content.found:
        if isinstance(entry, Fault):
            counts.unread += 1
            yield entry
            continue
        for found in wordings_of(entry, source.fields):
            counts.entries += 1
            counts.skipped += isinstance(found, Left)
            yield found
    if counts.entries == counts.skipped:
        raise NotReadable("nothing in it can be taken for a prompt")


def _told(what: str, items: Sequence[_Item], tell: Progress) -> Iterator[_Item]:
    """The items, telling now and then how far it is."""
    for number, item in enumerate(items):
        if number % _TELL_EVERY == 0:
            tell(what, number, len(items))
        yield item
    tell(what, len(items), len(items))


def _silent(what: str, done: int, of: int) -> None:
    """For callers that need no progress."""


def _write(out: Path, data: bytes, *, replace: bool) -> None:
    try:
        if not replace and out.exists() and out.read_bytes() != data:
            raise InputError(f"{printable(out)} is there and holds something else: --replace writes over it")
        write_whole(out, data)
    except OSError as error:
        raise NoSpace(f"{printable(out)} cannot be written: {error.strerror or error}") from None
