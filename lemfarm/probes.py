"""Read probe files: our JSONL, and the JSON arrays of the LEM project.

One probe a line (design.md 8): `id`, `domain`, `prompt` or `messages`, `variants`, and free fields that are kept.
LEM's arrays carry `category` for or beside `domain`, and in the rephrased files each variant is an entry of its own
that names its `source_probe`; such entries become variants of that probe here, so that caps and splits by probe hold.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.errors import ProbeError
from lemfarm.identity import canonical_json, content_hash
from lemfarm.json_entries import Entry, entries_of, kind_of

ORIGINAL = "original"
REPHRASED = "rephrased"
NO_DOMAIN = "uncategorised"
_PROBLEMS_PER_FILE = 20
_PROBE_KEYS = frozenset({"id", "domain", "prompt", "messages", "variants"})
_VARIANT_KEYS = frozenset({"kind", "prompt", "messages"})


@dataclass(frozen=True, slots=True)
class Variant:
    """One wording of a probe. Position 0 is the original; `kind` says how the others were made."""

    position: int
    kind: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A question with its rephrasings. `fields` are the file's free fields, kept as they stand."""

    id: str
    domain: str
    variants: tuple[Variant, ...]
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


class _Refused(Exception):
    """One entry cannot be used; its text is the reason, without the place."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A probe and where it stands: `file:line`."""

    probe: Probe
    place: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file gave: every probe in its order, and every problem as `file:line: what is wrong`."""

    placed: tuple[Placed, ...]
    problems: tuple[str, ...]


def read_probes(paths: Iterable[Path | str]) -> tuple[Probe, ...]:
    """All probes of the files, in file order; a probe that stands there twice with the same text counts once.

    Raises ProbeError with every problem of every file, one `file:line: what is wrong` a line.
    """
    known: dict[str, Placed] = {}
    problems: list[str] = []
    for path in dict.fromkeys(Path(path) for path in paths):
        reading = read_probe_file(path)
        clashes = [_clash(known.setdefault(one.probe.id, one), one) for one in reading.placed]
        problems += _shortened(path, [*reading.problems, *filter(None, clashes)])
    if problems:
        raise ProbeError("\n".join(problems))
    if not known:
        raise ProbeError("no probe file was given: a phase needs at least one probe")
    return tuple(placed.probe for placed in known.values())


def read_probe_file(path: Path) -> Reading:
    """All that one file holds, with places: also what stands there twice, and what is good beside what is not."""
    problems: list[str] = []
    text = _read_text(path, problems)
    if text is None:
        return Reading((), tuple(problems))
    entries = list(entries_of(path, text, problems))
    if not entries and not problems:
        problems.append(f"{path}: no probes in this file")
    rephrased = _by_source(entries)
    own = [entry for entry in entries if not _is_rephrased(entry)]
    placed = [_placed(entry, rephrased.get(_name_in(entry, "id"), []), problems) for entry in own]
    sources = {_name_in(entry, "id") for entry in own}
    for name in [name for name in rephrased if name not in sources]:
        problems += [f"{e.place}: source_probe {name!r} is not a probe of this file" for e in rephrased[name]]
    return Reading(tuple(filter(None, placed)), tuple(problems))


def variant_hash(variant: Variant) -> str:
    """Name the wording by its turns alone, so that a changed `kind` or order makes no new work."""
    return content_hash([[message.role, message.content] for message in variant.messages])


def held_out_probes(probe_ids: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """The probes that are never trained on: `share` of them, by hash, so that every machine picks the same.

    With two or more probes and a share above zero at least one is held out and at least one is left to train on.
    Call it with the whole evaluation set, not with what a phase happens to have: the choice depends on the set.
    """
    ordered = in_hash_order(set(probe_ids), seed)
    if share <= 0.0 or len(ordered) < 2:
        return frozenset()
    wanted = round(share * len(ordered))
    return frozenset(ordered[: min(max(wanted, 1), len(ordered) - 1)])


def measured_probes(probe_ids: Iterable[str], held_out: frozenset[str], share: float, seed: int) -> frozenset[str]:
    """The probes of an evaluation set that are asked: the held-out ones and a share of the others, by hash."""
    known = set(probe_ids)
    others = in_hash_order(known - held_out, seed)
    return frozenset(known & held_out) | frozenset(others[: round(share * len(others))])


def in_hash_order(probe_ids: Iterable[str], seed: int) -> list[str]:
    """The ids in an order that depends on them and the seed only, the same on every machine."""
    return sorted(probe_ids, key=lambda probe: (content_hash(["probe order", seed, probe]), probe))


def _read_text(path: Path, problems: list[str]) -> str | None:
    """The file's text without a byte order mark, or none with the problem noted."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        problems.append(f"{path}: there is no such file")
        return None
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror or error}")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problems.append(f"{path}:{line}: not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8")
        return None


def _is_rephrased(entry: Entry) -> bool:
    return isinstance(entry.value, dict) and "source_probe" in entry.value


def _by_source(entries: list[Entry]) -> dict[str, list[Entry]]:
    """LEM's rephrasings, gathered under the probe they were made from."""
    found: dict[str, list[Entry]] = {}
    for entry in filter(_is_rephrased, entries):
        found.setdefault(_name_in(entry, "source_probe"), []).append(entry)
    return found


def _name_in(entry: Entry, key: str) -> str:
    return str(entry.value.get(key)) if isinstance(entry.value, dict) else ""


def _placed(entry: Entry, rephrased: list[Entry], problems: list[str]) -> Placed | None:
    """The entry's probe, or none with the problem noted."""
    try:
        return Placed(_probe(entry.value, rephrased), entry.place)
    except _Refused as refused:
        problems.append(f"{entry.place}: {refused}")
        return None


def _clash(first: Placed, other: Placed) -> str | None:
    """What is wrong when an id stands for two different texts."""
    name = other.probe.id
    if _texts(first.probe) == _texts(other.probe):
        return None
    return f"{other.place}: probe {name} stands at {first.place} with different text: give one of them another id"


def _texts(probe: Probe) -> list[tuple[Message, ...]]:
    return [variant.messages for variant in probe.variants]


def _probe(value: Any, rephrased: list[Entry]) -> Probe:
    if not isinstance(value, dict):
        raise _Refused(f"a probe is a JSON object, this is {kind_of(value)}")
    _refuse_unstorable(value)
    probe_id = _probe_id(value)
    wordings = [(ORIGINAL, _messages(value, f"probe {probe_id}"))]
    wordings += [_variant(given, f"probe {probe_id}, variant {n}") for n, given in enumerate(_given(value), start=1)]
    wordings += [_rephrased_variant(other) for other in rephrased]
    variants = tuple(Variant(position, kind, messages) for position, (kind, messages) in enumerate(wordings))
    _refuse_twins(probe_id, variants)
    return Probe(probe_id, _domain(value), variants, {k: v for k, v in value.items() if k not in _PROBE_KEYS})


def _probe_id(value: Mapping[str, Any]) -> str:
    """Numbers are taken as text: some seed files count their entries."""
    found = value.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str) or not found.strip():
        raise _Refused("no id: every probe needs an `id`, a text that no other probe has")
    if found != found.strip() or "\n" in found:
        raise _Refused(f"id {found!r} begins or ends with white space, or holds a line break")
    return found


def _domain(value: Mapping[str, Any]) -> str:
    found = value.get("domain", value.get("category"))
    if found is None:
        return NO_DOMAIN
    if not isinstance(found, str):
        raise _Refused(f"domain is {kind_of(found)}, not a text")
    return found.strip() or NO_DOMAIN


def _given(value: Mapping[str, Any]) -> list[Any]:
    variants = value.get("variants", [])
    if not isinstance(variants, list):
        raise _Refused(f"variants is {kind_of(variants)}, not a list")
    return variants


def _variant(value: Any, name: str) -> tuple[str, tuple[Message, ...]]:
    if not isinstance(value, dict):
        raise _Refused(f"{name} is {kind_of(value)}, not an object with `kind` and `prompt` or `messages`")
    unknown = sorted(value.keys() - _VARIANT_KEYS)
    if unknown:
        raise _Refused(f"{name} has unknown keys ({', '.join(unknown)}): it may have kind and prompt, or messages")
    return _kind(value.get("kind", REPHRASED), name), _messages(value, name)


def _rephrased_variant(entry: Entry) -> tuple[str, tuple[Message, ...]]:
    """One entry of LEM's rephrased files; its own id, domain and category repeat those of its source."""
    _refuse_unstorable(entry.value)
    name = f"variant {entry.value.get('id')!r} of {entry.value['source_probe']} ({entry.place})"
    return _kind(entry.value.get("rephrase_type", REPHRASED), name), _messages(entry.value, name)


def _kind(kind: Any, name: str) -> str:
    if not isinstance(kind, str) or not kind.strip():
        raise _Refused(f"{name}: kind is {kind_of(kind)}, not a text")
    return kind


def _messages(value: Mapping[str, Any], name: str) -> tuple[Message, ...]:
    if "messages" in value and "prompt" in value:
        raise _Refused(f"{name} has both prompt and messages: keep one")
    if "messages" in value:
        return _dialogue(value["messages"], name)
    if value.get("prompt") is None:
        raise _Refused(f"{name} has no prompt")
    return (Message("user", _text(value["prompt"], f"{name}: prompt")),)


def _dialogue(turns: Any, name: str) -> tuple[Message, ...]:
    """A scripted dialogue: an optional system turn, then user and assistant in turns, as chat templates demand."""
    if not isinstance(turns, list) or not turns:
        raise _Refused(f"{name}: messages is not a list of turns")
    messages = tuple(_turn(turn, f"{name}: turn {n}") for n, turn in enumerate(turns, start=1))
    spoken = [message.role for message in messages if message.role != "system"]
    if any(message.role == "system" for message in messages[1:]):
        raise _Refused(f"{name}: a system turn can only be the first")
    if spoken != ["user", "assistant"] * (len(spoken) // 2) + ["user"]:
        raise _Refused(f"{name}: a dialogue begins and ends with a user turn, and user and assistant take turns")
    return messages


def _turn(turn: Any, name: str) -> Message:
    if not isinstance(turn, dict) or turn.get("role") not in ("system", "user", "assistant"):
        raise _Refused(f"{name} is not {{role: system | user | assistant, content: text}}")
    return Message(turn["role"], _text(turn.get("content"), f"{name}: content"))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _Refused(f"{name} is {kind_of(value)}, not a text")
    if not value.strip():
        raise _Refused(f"{name} is empty")
    return value


def _refuse_twins(probe_id: str, variants: tuple[Variant, ...]) -> None:
    """Two equal wordings would be generated twice for nothing; white space does not make them different."""
    seen: dict[str, int] = {}
    for variant in variants:
        text = canonical_json([[m.role, " ".join(m.content.split())] for m in variant.messages])
        if text in seen:
            raise _Refused(f"probe {probe_id}: variants {seen[text]} and {variant.position} have the same text")
        seen[text] = variant.position


def _refuse_unstorable(value: Mapping[str, Any]) -> None:
    """JSON can spell what no hash and no PostgreSQL text column can hold: half surrogates, 1e999, U+0000."""
    try:
        content_hash(value)
        if any("\0" in text for text in _all_texts(value)):
            raise _Refused("a text holds the character U+0000")
    except UnicodeEncodeError:
        raise _Refused("a text holds half of a surrogate pair (a cut emoji?); write the whole character") from None
    except RecursionError:
        raise _Refused("it is nested too deeply") from None
    except ValueError:
        raise _Refused("a number is too large") from None


def _all_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _all_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _all_texts(inner)


def _shortened(path: Path, problems: list[str]) -> list[str]:
    """A wrong file has the same problem on every line: the first twenty tell the story."""
    more = len(problems) - _PROBLEMS_PER_FILE
    return problems if more <= 0 else [*problems[:_PROBLEMS_PER_FILE], f"{path}: and {more} more problems"]
