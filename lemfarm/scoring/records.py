"""What the records of JSONL files hold: which answers, to what, and where in a record their scores belong.

Known are, in this order: A/B records (`conditions`, each with a `response`), phase-raw records (`training` with its
`messages`, facts in `meta`), records with a `response`, and plain `messages`. A line of `type: summary` has no answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lemfarm.json_entries import kind_of, parse
from lemfarm.probes import NO_DOMAIN
from lemfarm.scorers import EXPECTED_KEY

SCORES_KEY = "scores"
"""Where a record holds its scores: `{scorer: {value, version, signals}}`."""

_SUMMARY = "summary"
_NAMES = ("id", "probe_id", "seed_id")
_CATEGORIES = ("category", "domain", "benchmark")


class BadLine(Exception):
    """A line that no answer can be read from; its text is the reason, without the place."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, what was asked, and the object of the record (`holder`) that has its `response` and its scores."""

    condition: str
    prompt: str
    text: str
    holder: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One line: `data` as it stands, the answers in it, and what is wrong with those that cannot be scored."""

    data: dict[str, Any]
    probe: str
    category: str
    expected: str | None = None
    answers: tuple[Answered, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def is_summary(self) -> bool:
        """Whether it sums up others and holds no answer of its own."""
        return bool(self.data.get("type") == _SUMMARY)


def read_record(line: bytes) -> Record:
    """The record that a line holds. Raises BadLine, and nothing else whatever the line is."""
    data = _parsed(line)
    meta = _mapping(data.get("meta"))
    probe = _first_text(_NAMES, data, meta)
    category = " ".join(_first_text(_CATEGORIES, data, meta).split()) or NO_DOMAIN
    expected = _text_of(data.get(EXPECTED_KEY, meta.get(EXPECTED_KEY)))
    answers: list[Answered] = []
    faults: list[str] = []
    if data.get("type") != _SUMMARY:
        answers, faults = _answers(data)
        _refuse_foreign_scores(answers, faults)
    if faults and not answers:
        raise BadLine("; ".join(faults))
    return Record(data, probe, category, expected, tuple(answers), tuple(faults))


def add_scores(answered: Answered, scores: Mapping[str, Any]) -> None:
    """Put scores into the record, beside those it has of other scorers."""
    answered.holder[SCORES_KEY] = {**(answered.holder.get(SCORES_KEY) or {}), **scores}


def known_score(answered: Answered, scorer: str, version: str) -> float | None:
    """The value that the record has of this version of the scorer."""
    found = _mapping((answered.holder.get(SCORES_KEY) or {}).get(scorer))
    return number_of(found.get("value")) if found.get("version") == version else None


def written(record: Record) -> bytes:
    """The record as one line of JSON in UTF-8. Raises BadLine for what JSON cannot spell."""
    try:
        text = json.dumps(record.data, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"cannot be written as JSON: {error}") from error
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can spell it, UTF-8 cannot
        return json.dumps(record.data, allow_nan=False).encode() + b"\n"


def number_of(value: Any) -> float | None:
    """A JSON number as a float; None for anything else, and for what a float cannot hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if isfinite(found) else None


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = parse(line.decode())
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8 (byte 0x{line[error.start]:02x} at {error.start + 1})") from error
    except ValueError as error:
        raise BadLine(f"{error}{_hint(line)}") from error
    if not isinstance(value, dict):
        raise BadLine(f"a record is a JSON object, this is {kind_of(value)}")
    return value


def _hint(line: bytes) -> str:
    """What to do about a file that holds one big array: its first line begins so."""
    return (
        ". One record a line is wanted; `jq -c '.[]'` makes that of an array" if line.strip() in (b"[", b"[{") else ""
    )


def _answers(data: dict[str, Any]) -> tuple[list[Answered], list[str]]:
    prompt = _prompt(data)
    if isinstance(data.get("conditions"), dict):
        return _conditions(data["conditions"], prompt)
    if isinstance(data.get("training"), dict):
        return _dialogue(data["training"].get("messages"), data)
    if isinstance(data.get("response"), str):
        return [Answered("", prompt, data["response"], data)], []
    if "messages" in data:
        return _dialogue(data["messages"], data)
    if "response" in data:
        return [], [f"`response` is {kind_of(data['response'])}, not a text"]
    return [], ["no answer: a record has a `response`, `messages`, `conditions` or `training`"]


def _conditions(conditions: dict[str, Any], prompt: str) -> tuple[list[Answered], list[str]]:
    answers: list[Answered] = []
    faults = [] if conditions else ["`conditions` is empty"]
    for name, held in conditions.items():
        if isinstance(held, dict) and isinstance(held.get("response"), str):
            answers.append(Answered(name, prompt, held["response"], held))
        else:
            faults.append(f"condition {name!r} has no text `response`")
    return answers, faults


def _dialogue(turns: Any, holder: dict[str, Any]) -> tuple[list[Answered], list[str]]:
    """The last assistant turn, which answers the last user turn before it."""
    if not isinstance(turns, list):
        return [], [f"`messages` is {kind_of(turns)}, not a list of turns"]
    last = next((place for place in reversed(range(len(turns))) if _role(turns[place]) == "assistant"), None)
    if last is None:
        return [], ["`messages` has no assistant turn"]
    text = turns[last].get("content")
    if not isinstance(text, str):
        return [], [f"the `content` of its last assistant turn is {kind_of(text)}, not a text"]
    return [Answered("", _last_question(turns[:last]), text, holder)], []


def _prompt(data: dict[str, Any]) -> str:
    if isinstance(data.get("prompt"), str):
        return str(data["prompt"])
    turns = data.get("messages")
    return _last_question(turns) if isinstance(turns, list) else ""


def _last_question(turns: list[Any]) -> str:
    contents = (turn.get("content") for turn in reversed(turns) if _role(turn) == "user")
    found = next(contents, "")
    return found if isinstance(found, str) else ""


def _role(turn: Any) -> Any:
    return turn.get("role") if isinstance(turn, dict) else None


def _refuse_foreign_scores(answers: list[Answered], faults: list[str]) -> None:
    """An answer whose `scores` mean something else is left alone: ours would take their place."""
    for answered in list(answers):
        found = answered.holder.get(SCORES_KEY)
        if found is not None and not isinstance(found, dict):
            faults.append(f"`{SCORES_KEY}` is {kind_of(found)}, not an object by scorer: rename that key")
            answers.remove(answered)


def _first_text(keys: tuple[str, ...], *places: Mapping[str, Any]) -> str:
    found = (_text_of(place.get(key)) for place in places for key in keys)
    return next((text for text in found if text and not text.isspace()), "")


def _text_of(value: Any) -> str | None:
    """Texts as they are, numbers as text: ids and right answers come as either."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
