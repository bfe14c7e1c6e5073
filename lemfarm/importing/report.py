"""What an import says about itself: what was read, what became of every entry, what the texts are like."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from lemfarm.errors import LemfarmError
from lemfarm.importing.drafts import Draft, Wording
from lemfarm.importing.entries import Left
from lemfarm.importing.grouping import Gathered, Renamed, Repeat
from lemfarm.importing.languages import UNKNOWN, guess_language, scripts_of
from lemfarm.importing.near import NearGroup
from lemfarm.importing.spellings import NO_PROMPT


@dataclass(slots=True)
class FileCounts:
    """One file: its shape, how many entries it has, and what became of them. `unread` counts stretches that are no
    entry, such as a line that is not JSON."""

    path: str
    shape: str
    entries: int = 0
    kept: int = 0
    repeats: int = 0
    skipped: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files held: wordings in their order, and all that is none."""

    files: tuple[FileCounts, ...]
    wordings: tuple[Wording, ...]
    skipped: tuple[Left, ...]
    unread: tuple[Left, ...]
    unreadable: tuple[Left, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Characters of the distinct texts; `p95` is the 95th percentile by nearest rank."""

    shortest: int
    median: float
    p95: int
    longest: int


@dataclass(frozen=True, slots=True)
class Texts:
    """The distinct texts: how many in which language and script, and how long. `guesses` are the languages that no
    entry named, by the key of the text."""

    languages: dict[str, int]
    scripts: dict[str, int]
    lengths: Lengths | None
    guesses: dict[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """An import in figures and lists. Always: entries = distinct + repeats + skipped, distinct = probes + variants."""

    written: str | None
    entries: int
    distinct: int
    probes: int
    variants: int
    repeats_inside: int
    repeats_across: int
    without_prompt: int
    without_domain: int
    without_id: int
    without_original: int
    with_response: int
    reused_ids: int
    domains: int
    threshold: float
    languages: dict[str, int]
    guessed_languages: int
    scripts: dict[str, int]
    lengths: Lengths | None
    files: tuple[FileCounts, ...]
    near: tuple[NearGroup, ...]
    renamed: tuple[Renamed, ...]
    repeats: tuple[Repeat, ...]
    skipped: tuple[Left, ...]
    unread: tuple[Left, ...]
    unreadable: tuple[Left, ...]
    ignored: tuple[str, ...]


def describe_texts(drafts: Iterable[Draft]) -> Texts:
    """Look at every distinct text once. A wording is in the language that it names, else in the one that its probe
    names, else in the one guessed."""
    languages: Counter[str] = Counter()
    scripts: Counter[str] = Counter()
    lengths: list[int] = []
    guesses: dict[str, str] = {}
    for draft in drafts:
        named = draft.original.fields.get("language")
        for wording in draft.wordings:
            language = wording.fields.get("language", named)
            if language is None:
                language = guesses[wording.key] = guess_language(wording.text)
            languages[language if isinstance(language, str) else UNKNOWN] += 1
            scripts[scripts_of(wording.text)] += 1
            lengths.append(sum(len(message.content) for message in wording.messages))
    return Texts(_ranked(languages), _ranked(scripts), measured(lengths), guesses)


def measured(lengths: Sequence[int]) -> Lengths | None:
    """The distribution of some lengths; none of none."""
    if not lengths:
        return None
    ordered = sorted(lengths)
    return Lengths(ordered[0], median(ordered), ordered[-(-len(ordered) * 95 // 100) - 1], ordered[-1])


def make_report(
    reading: Reading,
    gathered: Gathered,
    renamed: Sequence[Renamed],
    texts: Texts,
    near: tuple[NearGroup, ...],
    threshold: float,
    written: str | None,
) -> Report:
    """Count, and check the sum. Raises LemfarmError where an entry got lost, which would be a mistake in lemfarm."""
    drafts = gathered.drafts
    probes, variants = len(drafts), sum(len(draft.variants) for draft in drafts)
    _count_files(reading, gathered)
    _check_sums(reading, probes + variants, len(gathered.repeats))
    kept = [wording for draft in drafts for wording in draft.wordings]
    return Report(
        written=written,
        entries=sum(file.entries for file in reading.files),
        distinct=len(kept),
        probes=probes,
        variants=variants,
        repeats_inside=sum(repeat.same_file for repeat in gathered.repeats),
        repeats_across=sum(not repeat.same_file for repeat in gathered.repeats),
        without_prompt=sum(left.reason.startswith(NO_PROMPT) for left in reading.skipped),
        without_domain=sum(draft.original.domain is None for draft in drafts),
        without_id=sum(draft.given_id is None for draft in drafts),
        without_original=sum(draft.stands_in for draft in drafts),
        with_response=sum(bool(wording.fields.get("response")) for wording in kept),
        reused_ids=len({one.given for one in renamed}),
        domains=len({draft.original.domain for draft in drafts if draft.original.domain}),
        threshold=threshold,
        languages=texts.languages,
        guessed_languages=len(texts.guesses),
        scripts=texts.scripts,
        lengths=texts.lengths,
        files=reading.files,
        near=near,
        renamed=tuple(renamed),
        repeats=gathered.repeats,
        skipped=reading.skipped,
        unread=reading.unread,
        unreadable=reading.unreadable,
        ignored=reading.ignored,
    )


def _count_files(reading: Reading, gathered: Gathered) -> None:
    for draft in gathered.drafts:
        for wording in draft.wordings:
            reading.files[wording.file].kept += 1
    for repeat in gathered.repeats:
        reading.files[repeat.file].repeats += 1


def _check_sums(reading: Reading, distinct: int, repeats: int) -> None:
    for file in reading.files:
        if file.entries != file.kept + file.repeats + file.skipped:
            raise LemfarmError(
                f"{file.path}: {file.entries} entries, but {file.kept} kept, {file.repeats} repeats and {file.skipped} "
                "skipped: lemfarm lost count. Nothing was written; please report this with the file"
            )
    if len(reading.wordings) != distinct + repeats:
        raise LemfarmError(f"{len(reading.wordings)} texts became {distinct} and {repeats} repeats: please report this")


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
