"""From a JSON value to wordings: one text each, with what its entry says about it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.identity import content_hash
from lemfarm.importing import spellings
from lemfarm.importing.drafts import Wording
from lemfarm.importing.spellings import Refused
from lemfarm.json_entries import Entry, kind_of
from lemfarm.text_files import stray_bytes
from lemfarm.wording import same_text

DEEPEST = 64
"""Levels of lists and objects within an entry: what is read must also be hashed and written."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something that was found and not taken over, and why."""

    place: str
    reason: str


def wordings_of(entry: Entry, given: Mapping[str, Any]) -> Iterator[Wording | Left]:
    """The wordings of one entry: its own text, then its `variants`. `given` are fields that hold for the whole file,
    where the entry does not say otherwise. A list, or an object that only wraps one, is taken apart."""
    inner = spellings.wrapped_list(entry.value)
    if inner is None:
        yield from _of_one(entry, given)
        return
    for number, value in enumerate(inner, start=1):
        yield from _of_one(Entry(f"{entry.place} ({number})", value), given)


def _of_one(entry: Entry, given: Mapping[str, Any]) -> Iterator[Wording | Left]:
    try:
        refuse_unstorable(entry.value)
        rest = _fields_of(entry.value)
        variants = spellings.take_variants(rest)
        own = _own_wording(entry.place, rest, given)
    except Refused as refused:
        yield Left(entry.place, f"{refused}{_with_variants(entry.value)}")
        return
    yield own
    for number, (value, said) in enumerate(variants, start=1):
        place = f"{entry.place} variant {number}"
        try:
            yield _inner_wording(place, {**said, **_fields_of(value)}, own)
        except Refused as refused:
            yield Left(place, str(refused))


def _with_variants(value: Any) -> str:
    variants = value.get("variants") if isinstance(value, dict) else None
    return f"; its {len(variants)} variants are left out with it" if isinstance(variants, list) and variants else ""


def _fields_of(value: Any) -> dict[str, Any]:
    """The entry as an object of its own, free to be taken apart; a bare text is a prompt."""
    if isinstance(value, str):
        return {"prompt": value}
    if not isinstance(value, dict):
        raise Refused(f"{kind_of(value)}, not an object or a text")
    return dict(value)


def _own_wording(place: str, rest: dict[str, Any], given: Mapping[str, Any]) -> Wording:
    messages = spellings.take_messages(rest)
    name, domain = spellings.take_id(rest), spellings.take_domain(rest)
    source, kind, voiced = spellings.take_source(rest, name)
    fields = {**given, **spellings.free_fields(rest, domain)}
    return Wording(place, messages, _key(messages), name, domain, fields, kind, source, voiced)


def _inner_wording(place: str, rest: dict[str, Any], own: Wording) -> Wording:
    messages = spellings.take_messages(rest)
    name, domain, kind = spellings.take_id(rest), spellings.take_domain(rest), spellings.take_kind(rest, "kind")
    fields = spellings.free_fields(rest, domain, "kind")
    return Wording(place, messages, _key(messages), name, domain, fields, kind, parent=own)


def _key(messages: tuple[Message, ...]) -> str:
    return content_hash("\0".join(f"{message.role}\0{same_text(message.content)}" for message in messages))


def refuse_unstorable(value: Any) -> None:
    """JSON can spell what no probe file may hold: half surrogates, numbers without end, U+0000, endless nesting.
    Raises Refused."""
    waiting = [(value, 0)]
    while waiting:
        found, depth = waiting.pop()
        if depth > DEEPEST:
            raise Refused(f"nested more than {DEEPEST} levels deep")
        if isinstance(found, str):
            _refuse_unstorable_text(found)
        elif isinstance(found, float) and not math.isfinite(found):
            raise Refused("a number is too large")
        elif isinstance(found, dict):
            waiting += [(inner, depth + 1) for pair in found.items() for inner in pair]
        elif isinstance(found, list):
            waiting += [(inner, depth + 1) for inner in found]


def _refuse_unstorable_text(text: str) -> None:
    if "\0" in text:
        raise Refused("a text holds the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        if stray := stray_bytes(text):
            raise Refused(f"byte 0x{stray[0]:02x} is no text in the file's encoding: save it as UTF-8") from None
        raise Refused("a text holds half of a surrogate pair (a cut emoji?)") from None
