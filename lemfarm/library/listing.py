"""Probes as people look them up: a line each, and everything about one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from lemfarm.errors import InputError, NotFound
from lemfarm.library.reading import Held, Library, question
from lemfarm.probes import Variant
from lemfarm.wording import changed_share, kept_share, word_count

_FIRST_WORDS = 12


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """One line of a list. `variants` counts the original too; `words` and `begins` are the original's."""

    id: str
    domain: str
    variants: int
    words: int
    begins: str
    language: str
    region: str
    phase: str
    place: str


@dataclass(frozen=True, slots=True)
class WordingDetails:
    """One wording. `changed` and `kept` compare it with the original (see `lemfarm.wording`); of the original, none."""

    position: int
    kind: str
    words: int
    changed: float | None
    kept: float | None
    messages: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class ProbeDetails:
    """A probe with all that its file says."""

    id: str
    domain: str
    language: str
    region: str
    phase: str
    place: str
    fields: Mapping[str, Any]
    variants: list[WordingDetails]


def list_probes(library: Library, *, domain: str | None = None, language: str | None = None) -> list[ProbeLine]:
    """The probes in the order of their files; `en` takes `en-GB` in, and case plays no part."""
    return [_line(held) for held in library.probes if _of_domain(held, domain) and _of_language(held, language)]


def show_probe(library: Library, name: str) -> ProbeDetails:
    """The probe of that id, or the only one whose id begins so. Raises NotFound, and InputError when several do, or
    when the id stands for different probes."""
    found = [held for held in library.probes if held.probe.id == name] or [
        held for held in library.probes if held.probe.id.startswith(name)
    ]
    if not found:
        raise NotFound(f"there is no probe {name!r} here{_hint(library, name)}; `lemfarm probes list` shows ids.")
    if len({(held.probe.id, held.probe.variants) for held in found}) > 1:
        places = ", ".join(f"{held.probe.id} ({held.place})" for held in found[:5])
        raise InputError(f"several probes go by {name!r}: {places}. Write more of the id, or name one file.")
    return _details(found[0])


def _of_domain(held: Held, wanted: str | None) -> bool:
    return wanted is None or held.probe.domain.casefold() == wanted.casefold()


def _of_language(held: Held, wanted: str | None) -> bool:
    return wanted is None or any(_is_or_has(part, wanted) for part in held.language.casefold().split("+"))


def _is_or_has(language: str, wanted: str) -> bool:
    return language == wanted.casefold() or language.startswith(f"{wanted.casefold()}-")


def _hint(library: Library, name: str) -> str:
    close = get_close_matches(name, {held.probe.id for held in library.probes}, n=3)
    return f" (is it {' or '.join(close)}?)" if close else ""


def _line(held: Held) -> ProbeLine:
    text = question(held.probe.variants[0])
    first = text.split()
    begins = " ".join(first[:_FIRST_WORDS]) + (" …" if len(first) > _FIRST_WORDS else "")
    return ProbeLine(
        held.probe.id,
        held.probe.domain,
        len(held.probe.variants),
        word_count(text),
        begins,
        held.language,
        held.region,
        held.phase,
        held.place,
    )


def _details(held: Held) -> ProbeDetails:
    return ProbeDetails(
        held.probe.id,
        held.probe.domain,
        held.language,
        held.region,
        held.phase,
        held.place,
        held.probe.fields,
        list(_wordings(held)),
    )


def _wordings(held: Held) -> Iterator[WordingDetails]:
    original = question(held.probe.variants[0])
    for variant in held.probe.variants:
        text, is_original = question(variant), variant.position == 0
        changed = None if is_original else changed_share(original, text)
        kept = None if is_original else kept_share(original, text)
        yield WordingDetails(variant.position, variant.kind, word_count(text), changed, kept, _messages(variant))


def _messages(variant: Variant) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in variant.messages]
