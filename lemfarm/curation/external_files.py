"""Answers from elsewhere as files bring them: what each line answers, its text, and where it comes from.

A line has any shape with one answer that `scoring.records` reads. What was asked is told by its prompt, or by a probe's
id and the position of a wording (`variant`, 0 where it says none).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.engines.base import FinishReason
from lemfarm.json_entries import Fault
from lemfarm.scoring.lines import check_inputs, read_chunks
from lemfarm.scoring.records import Answered, BadLine, Record, read_record
from lemfarm.text_files import printable, storable

_PROVENANCE = {
    "model": ("model",),
    "licence": ("licence", "license"),
    "date": ("date", "created_at", "created", "ts"),
    "url": ("url",),
}
_FINISHED = {reason.value: reason for reason in FinishReason if reason is not FinishReason.CANCELLED}


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """An answer that somebody else made. `place` is where it stands here, `source` what is stored of that: no folder;
    `turns` what was asked, where that is told, without a system prompt; `provenance` what is said of model, licence and
    date."""

    place: str
    source: str
    content: str
    probe: str = ""
    variant: int = 0
    turns: tuple[Message, ...] = ()
    finish_reason: FinishReason = FinishReason.STOP
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_answers(path: Path) -> Iterator[FoundAnswer | Fault]:
    """Every answer of a file in its order, or what is wrong with its line; lines that sum up others are left out.

    Raises InputError for a file that cannot be read.
    """
    check_inputs([str(path)])
    for chunk in read_chunks([str(path)]):
        for line in chunk.lines:
            place = f"{printable(path)}:{line.number}"
            try:
                if line.fault:
                    raise BadLine(line.fault)
                record = read_record(line.data)
                if not record.is_summary:
                    yield _answer(record, place, f"{printable(Path(path.name))}:{line.number}")
            except BadLine as error:
                yield Fault(place, str(error))


def _answer(record: Record, place: str, source: str) -> FoundAnswer:
    """Raises BadLine where there is not just one answer, or nothing in it."""
    if record.faults:
        raise BadLine("; ".join(record.faults))
    if len(record.answers) != 1 or record.answers[0].condition:
        raise BadLine("it has answers under several conditions: give each answer a line of its own")
    answered, facts = record.answers[0], _facts(record)
    content = storable(answered.text)
    if not content.strip():
        raise BadLine("the answer is empty")
    return FoundAnswer(
        place=place,
        source=source,
        content=content,
        probe=record.probe,
        variant=_variant(facts),
        turns=_asked(record, answered),
        finish_reason=_FINISHED.get(str(facts.get("finish_reason")), FinishReason.STOP),
        provenance=_provenance(facts),
    )


def _facts(record: Record) -> Mapping[str, Any]:
    """The record's own facts, then those in `meta`."""
    meta = record.data.get("meta")
    return {**(meta if isinstance(meta, dict) else {}), **record.data}


def _variant(facts: Mapping[str, Any]) -> int:
    value = facts.get("variant", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadLine(f"`variant` is the position of a wording, 0 for the original; not {value!r}")
    return value


def _asked(record: Record, answered: Answered) -> tuple[Message, ...]:
    """The turns before the answer, or the prompt alone."""
    turns = [turn for turn in _turns(record.data) if turn.role != "system"]
    while turns and turns[-1].role != "user":
        turns.pop()
    if turns:
        return tuple(turns)
    return (Message("user", answered.prompt),) if answered.prompt.strip() else ()


def _turns(data: Mapping[str, Any]) -> list[Message]:
    """What a dialogue asks: up to its last turn of an assistant, where that is the answer. None without a dialogue."""
    held = data.get("training")
    found = held.get("messages") if isinstance(held, dict) else data.get("messages")
    if not isinstance(found, list) or not all(isinstance(turn, dict) for turn in found):
        return []
    turns = [Message(str(turn.get("role")), str(turn.get("content"))) for turn in found]
    if not isinstance(held, dict) and isinstance(data.get("response"), str):
        return turns
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=len(turns))
    return turns[:last]


def _provenance(facts: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, keys in _PROVENANCE.items():
        value = next((facts[key] for key in keys if isinstance(facts.get(key), (str, int, float)) and facts[key]), None)
        if value is not None:
            found[name] = storable(value) if isinstance(value, str) else value
    return found
