"""Find what an entry says, under whichever key it says it.

Each `take_*` removes what it finds from the entry, so that what is left over are the free fields (`free_fields`).
Keys are compared without case, blanks, dashes and underscores.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.probes import ORIGINAL, REPHRASED

NO_PROMPT = "no prompt"
VARIANT_FIELDS = "variant_fields"
"""What a probe file of ours says about single variants, by their position: the format gives them no fields."""

_PROMPT_KEYS = ("prompt", "prompttext", "question", "text", "instruction", "query", "prompten")
_ENGLISH_PROMPT = "prompten"
_ID_KEYS = ("id", "probeid", "seedid", "promptid", "idx")
_DOMAIN_KEYS = ("domain", "category", "topic")
_WRAPPER_KEYS = ("probes", "prompts", "seeds", "questions", "entries", "items", "data")
_FIELD_NAMES = {
    "language": "language",
    "lang": "language",
    "region": "region",
    "response": "response",
    "responsetext": "response",
    "modelresponse": "response",
    "prompten": "prompt_en",
    "ethicaltension": "ethical_tension",
    "ethictension": "ethical_tension",
    "ethicaldimension": "ethical_dimension",
    "whyitmatters": "why_it_matters",
}
_RESERVED = frozenset({"id", "domain", "prompt", "messages", "variants", "source_probe", VARIANT_FIELDS})
_ROLES = frozenset({"system", "user", "assistant"})


class Refused(Exception):
    """An entry cannot be taken over; its text is the reason."""


def wrapped_list(value: Any) -> list[Any] | None:
    """The entries within a list, or within an object that has no prompt of its own but a list under a known name."""
    if isinstance(value, list):
        return value or None
    if not isinstance(value, dict) or any(_plain(key) in _PROMPT_KEYS or key == "messages" for key in value):
        return None
    return next((inner for key, inner in _under(value, _WRAPPER_KEYS) if isinstance(inner, list) and inner), None)


def take_messages(rest: dict[str, Any]) -> tuple[Message, ...]:
    """What is asked. A dialogue that ends with an answer is asked up to there, and the answer kept as `response`."""
    for key, value in _under(rest, _PROMPT_KEYS):
        if isinstance(value, str) and value.strip():
            del rest[key]
            if _plain(key) == _ENGLISH_PROMPT:
                rest.setdefault("language", "en")
            return (Message("user", value),)
    if "messages" in rest:
        return _dialogue(rest)
    blank = any(isinstance(value, str) for _, value in _under(rest, _PROMPT_KEYS))
    raise Refused(f"{NO_PROMPT}: its text is empty" if blank else NO_PROMPT)


def take_id(rest: dict[str, Any]) -> str | None:
    """The id as text on one line. A spelling that this changes is kept as `original_id`."""
    for key, value in _under(rest, _ID_KEYS):
        if found := _id_text(value):
            del rest[key]
            if found != str(value):
                rest.setdefault("original_id", value)
            return found
    return None


def take_domain(rest: dict[str, Any]) -> str | None:
    """The domain, or the category where none is named."""
    return _take_text(rest, _DOMAIN_KEYS)


def take_source(rest: dict[str, Any], name: str | None) -> tuple[str | None, str, bool]:
    """Which probe this is a wording of and how it was made: LEM's rephrasings name their `source_probe`, its voices
    share the id of their seed, `name`. Returns the source, the kind, and whether it is a voice."""
    source = _id_text(rest.get("source_probe"))
    if source and source != name:
        del rest["source_probe"]
        return source, take_kind(rest, "rephrase_type"), False
    voice = rest.get("voice")
    if name is None or not isinstance(voice, str) or voice.strip().casefold() in ("", ORIGINAL):
        return None, ORIGINAL, False
    del rest["voice"]
    return name, voice.strip(), True


def take_kind(rest: dict[str, Any], key: str) -> str:
    """How a wording was made."""
    return _take_text(rest, (_plain(key),)) or REPHRASED


def take_variants(rest: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """The wordings that an entry of our own files holds, each with the fields said about it."""
    variants = rest.get("variants")
    if not isinstance(variants, list):
        return []
    del rest["variants"]
    about = rest.get(VARIANT_FIELDS)
    positions = {str(position) for position in range(1, len(variants) + 1)}
    if not isinstance(about, dict) or about.keys() - positions or not all(isinstance(x, dict) for x in about.values()):
        return [(variant, {}) for variant in variants]
    del rest[VARIANT_FIELDS]
    return [(variant, about.get(str(position), {})) for position, variant in enumerate(variants, start=1)]


def free_fields(rest: Mapping[str, Any], domain: str | None, *more: str) -> dict[str, Any]:
    """What is left: known misspellings set right, and what stands under a name that a probe file gives a meaning, or
    one of `more`, kept as `original_<name>`. Without a domain that holds for `category`: a reader would take it for
    one."""
    reserved = _RESERVED.union(more, () if domain else ("category",))
    fields: dict[str, Any] = {}
    for key, value in rest.items():
        if key in reserved and value is None:
            continue
        name = _FIELD_NAMES.get(_plain(key), key)
        if name != key and (name in rest or name in fields):
            name = key
        while name in reserved or name in fields or (name != key and name in rest):
            name = f"original_{name}"
        fields[sys.intern(name)] = value
    return fields


def _under(rest: Mapping[str, Any], wanted: tuple[str, ...]) -> list[tuple[str, Any]]:
    """The keys of an entry that are spellings of those wanted, the best first."""
    found = [(wanted.index(_plain(key)), key) for key in rest if _plain(key) in wanted]
    return [(key, rest[key]) for _, key in sorted(found, key=lambda pair: pair[0])]


@lru_cache(maxsize=4096)
def _plain(key: str) -> str:
    return "".join(filter(str.isalnum, key.casefold()))


def _take_text(rest: dict[str, Any], wanted: tuple[str, ...]) -> str | None:
    for key, value in _under(rest, wanted):
        if isinstance(value, str) and value.strip():
            del rest[key]
            return value.strip()
    return None


def _id_text(value: Any) -> str:
    """A text or a number as an id; nothing for what cannot be one."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return " ".join(str(value).split())
    return ""


def _dialogue(rest: dict[str, Any]) -> tuple[Message, ...]:
    turns = rest.pop("messages")
    if not isinstance(turns, list) or not turns:
        raise Refused(f"{NO_PROMPT}: messages is not a list of turns")
    messages = [_turn(turn) for turn in turns]
    if messages[-1].role == "assistant":
        rest.setdefault("response", messages.pop().content)
    spoken = [message.role for number, message in enumerate(messages) if number or message.role != "system"]
    if spoken != ["user", "assistant"] * (len(spoken) // 2) + ["user"]:
        raise Refused("its messages are no dialogue of user and assistant in turns")
    return tuple(messages)


def _turn(turn: Any) -> Message:
    spelled = isinstance(turn, dict) and all(isinstance(turn.get(key), str) for key in ("role", "content"))
    if not spelled or turn["role"] not in _ROLES:
        raise Refused("a turn of its messages is not {role: system | user | assistant, content: text}")
    if not turn["content"].strip():
        raise Refused("a turn of its messages is empty")
    return Message(turn["role"], turn["content"])
