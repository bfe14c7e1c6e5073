"""Put texts together: what is the same text, which wordings belong to one probe, what each probe is called.

Everything is keyed on the text. Ids only say which wordings belong together, and only as far as they can be trusted:
seed files use one id for hundreds of different texts.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lemfarm.identity import short
from lemfarm.importing.drafts import Draft, Wording

_ANY_DOMAIN = "*"


@dataclass(frozen=True, slots=True)
class Repeat:
    """An entry whose text stood before, in its file or in an earlier one; `file` counts from 0."""

    place: str
    of: str
    same_file: bool
    file: int


@dataclass(frozen=True, slots=True)
class Renamed:
    """A probe whose id another probe had already."""

    place: str
    given: str
    id: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """The probes, in the order in which their texts were first read, and the entries that only repeat one."""

    drafts: tuple[Draft, ...]
    repeats: tuple[Repeat, ...]


def gather(wordings: Iterable[Wording]) -> Gathered:
    """Sort wordings, given in reading order, into probes."""
    ordered = list(wordings)
    first: dict[str, Wording] = {}
    repeats = []
    for number, wording in enumerate(ordered):
        wording.order = number
        twin = first.setdefault(wording.key, wording)
        if twin is not wording:
            repeats.append(Repeat(wording.place, twin.place, twin.file == wording.file, wording.file))
    drafts = _Sorting(first).sort(ordered)
    return Gathered(tuple(sorted(drafts, key=lambda draft: draft.original.order)), tuple(repeats))


def name_probes(drafts: Iterable[Draft]) -> list[Renamed]:
    """Give every probe an id that no other has. The first to come keeps a shared one, the others get some digits of
    their text's hash behind it; without an id those digits are all. The same files in the same order give the same
    ids."""
    taken: set[str] = set()
    renamed = []
    for draft in drafts:
        given = draft.given_id
        draft.id = given if given and given not in taken else _free_name(given, draft.original.key, taken)
        taken.add(draft.id)
        if given and draft.id != given:
            renamed.append(Renamed(draft.original.place, given, draft.id))
    return renamed


def _free_name(given: str | None, key: str, taken: set[str]) -> str:
    digits = short(key)
    name = f"{given}~{digits[:6]}" if given else f"p-{digits}"
    while name in taken:
        name += "~"
    return name


class _Sorting:
    """Which probe each wording belongs to. The probes that an id can mean lie on shelves: by file, id and domain."""

    def __init__(self, first: dict[str, Wording]) -> None:
        self._first = first
        self._drafts: list[Draft] = []
        self._shelves: dict[tuple[int, str, str], list[Draft]] = {}
        self._by_id: dict[str, dict[Draft, str | None]] = {}
        self._placed: Counter[tuple[int, str, str, str]] = Counter()

    def sort(self, wordings: list[Wording]) -> list[Draft]:
        """Probes' own texts first: in voice files the original comes last."""
        for wording in wordings:
            if wording.own:
                self._place_own(wording)
        for wording in wordings:
            if not wording.own:
                self._place_variant(wording)
        return self._drafts

    def _place_own(self, wording: Wording) -> None:
        kept = self._first[wording.key]
        if kept is wording:
            self._found(wording, wording.id)
        elif kept.draft is not None:
            self._shelve(kept.draft, wording, wording.id)

    def _place_variant(self, wording: Wording) -> None:
        kept = self._first[wording.key]
        draft = self._first[wording.parent.key].draft if wording.parent else self._named(wording)
        if kept is not wording:
            if draft is None and kept.draft is not None:
                self._shelve(kept.draft, wording, wording.source)
        elif draft is None:
            made = "voice" if wording.voiced else "rephrase_type"
            wording.fields = {made: wording.kind, **wording.fields}
            self._found(wording, wording.source, stands_in=True)
        else:
            wording.draft = draft
            draft.variants.append(wording)

    def _found(self, wording: Wording, name: str | None, *, stands_in: bool = False) -> None:
        wording.draft = Draft(wording, stands_in=stands_in)
        self._drafts.append(wording.draft)
        self._shelve(wording.draft, wording, name)

    def _shelve(self, draft: Draft, wording: Wording, name: str | None) -> None:
        """Let later wordings of this file that name the id find the probe, and those of other files too."""
        if name is None:
            return
        for domain in {_ANY_DOMAIN, _comparable(wording.domain)}:
            shelf = self._shelves.setdefault((wording.file, name, domain), [])
            if not shelf or shelf[-1] is not draft:
                shelf.append(draft)
        self._by_id.setdefault(name, {}).setdefault(draft, wording.domain)

    def _named(self, wording: Wording) -> Draft | None:
        """The probe that a wording's source means: the n-th wording of a kind belongs to the n-th probe of that id in
        its file. One more rephrasing goes to the last; one more voice is of another seed, and founds a probe."""
        name = wording.source or ""
        domain = _comparable(wording.domain)
        if not wording.voiced and (wording.file, name, domain) not in self._shelves:
            domain = _ANY_DOMAIN
        shelf = self._shelves.get((wording.file, name, domain)) or self._borrowed(name, wording)
        count = (wording.file, name, domain, wording.kind)
        self._placed[count] += 1
        if self._placed[count] <= len(shelf):
            return shelf[self._placed[count] - 1]
        return None if wording.voiced or not shelf else shelf[-1]

    def _borrowed(self, name: str, wording: Wording) -> list[Draft]:
        """The one probe of all files that has this id, unless its domain speaks against it; from now on it counts as
        one of this file."""
        found = self._by_id.get(name, {})
        if len(found) != 1:
            return []
        draft, given = next(iter(found.items()))
        domains = {_comparable(given), _comparable(wording.domain)}
        if len(domains) > 1 and _ANY_DOMAIN not in domains:
            return []
        self._shelve(draft, wording, name)
        return [draft]


def _comparable(domain: str | None) -> str:
    return domain.casefold() if domain else _ANY_DOMAIN
