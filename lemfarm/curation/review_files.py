"""Answers for review as Label Studio, Prodigy or any tool reads them, and decisions as they come back from those.

Every format carries the sample's id and that of the text that is shown, and needs nothing else to be read back.
Label Studio: tasks as an array of `{"data": {...}}`; back comes its JSON export, with `annotations`. Prodigy: one task
a line, with `text` and `meta`; back comes its database's dump, with `answer: accept | reject | ignore`. JSONL: one
answer a line, with an empty `decision` to be filled in.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lemfarm.errors import InputError
from lemfarm.json_entries import Entry, entries_of, kind_of
from lemfarm.records import ReviewDecision
from lemfarm.text_files import decode, printable


class Format(StrEnum):
    """What a file of answers is written for."""

    LABEL_STUDIO = "label-studio"
    PRODIGY = "prodigy"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class AnswerToReview:
    """One answer as it goes out; `prompt` is the last turn of `messages`."""

    sample_id: str
    text_id: int
    run: str
    phase: str
    label: str
    messages: tuple[Mapping[str, str], ...]
    answer: str
    scores: Mapping[str, float]

    @property
    def prompt(self) -> str:
        """What was asked last."""
        return self.messages[-1]["content"]


@dataclass(frozen=True, slots=True)
class FoundDecision:
    """A decision as a file has it. `place` is file:line; `text_id` and `reviewer` where it says so; `content`: the
    answer as it was rewritten."""

    place: str
    sample_id: str
    decision: ReviewDecision
    text_id: int | None = None
    reviewer: str = ""
    note: str = ""
    content: str | None = None


_WORDS = {
    **{str(one): one for one in ReviewDecision},
    "accepted": ReviewDecision.ACCEPT,
    "rejected": ReviewDecision.REJECT,
    "edited": ReviewDecision.EDIT,
    "ignore": ReviewDecision.SKIP,
}


def written(answers: Iterable[AnswerToReview], wanted: Format) -> Iterator[bytes]:
    """The bytes of a file of this format, piece by piece."""
    if wanted == Format.LABEL_STUDIO:
        before = b"[\n"
        for answer in answers:
            yield before + _json(_label_studio(answer))
            before = b",\n"
        yield b"\n]\n" if before != b"[\n" else b"[]\n"
        return
    shape = _prodigy if wanted == Format.PRODIGY else _plain
    for answer in answers:
        yield _json(shape(answer)) + b"\n"


def read_decisions(path: Path) -> tuple[list[FoundDecision], list[str]]:
    """The decisions of a file of any of the formats, and what in it is none, as `file:line: why`. An entry that nobody
    has decided on yet is neither. Raises InputError for a file that cannot be read."""
    try:
        text = decode(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{printable(path)} cannot be read: {reason}") from error
    problems: list[str] = []
    found = [decision for entry in entries_of(path, text, problems) for decision in _decisions(entry, problems)]
    return found, problems


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _ids(answer: AnswerToReview) -> dict[str, Any]:
    return {"sample_id": answer.sample_id, "text_id": answer.text_id}


def _label_studio(answer: AnswerToReview) -> dict[str, Any]:
    shown = {"prompt": answer.prompt, "answer": answer.answer, "phase": answer.phase, "label": answer.label}
    return {"data": {**_ids(answer), **shown, "scores": dict(answer.scores)}}


def _prodigy(answer: AnswerToReview) -> dict[str, Any]:
    meta = {"phase": answer.phase, "label": answer.label, **answer.scores}
    return {**_ids(answer), "text": answer.answer, "prompt": answer.prompt, "meta": meta}


def _plain(answer: AnswerToReview) -> dict[str, Any]:
    about = {"run": answer.run, "phase": answer.phase, "label": answer.label, "messages": list(answer.messages)}
    empty = {"decision": "", "note": "", "reviewer": "", "edited": ""}
    return {**_ids(answer), **about, "answer": answer.answer, "scores": dict(answer.scores), **empty}


def _decisions(entry: Entry, problems: list[str]) -> Iterator[FoundDecision]:
    try:
        yield from _read(entry)
    except ValueError as error:
        problems.append(f"{entry.place}: {error}")


def _read(entry: Entry) -> Iterator[FoundDecision]:
    value = entry.value
    if not isinstance(value, dict):
        raise ValueError(f"should be an object, is {kind_of(value)}")
    if isinstance(value.get("data"), dict):
        yield from _from_label_studio(entry.place, value)
    elif value.get("answer") in ("accept", "reject", "ignore") and "decision" not in value:
        yield _found(entry.place, value, value["answer"], str(value.get("_annotator_id") or ""), value)
    elif value.get("decision"):
        yield _found(entry.place, value, value["decision"], str(value.get("reviewer") or ""), value)
    elif "decision" not in value and "text" not in value:
        raise ValueError("has neither annotations, nor an answer of Prodigy, nor a decision")


def _from_label_studio(place: str, task: Mapping[str, Any]) -> Iterator[FoundDecision]:
    """Each annotation is a reviewer's word; one that was cancelled is a skip, one without a choice says nothing."""
    for annotation in task.get("annotations") or ():
        fields = dict(_results(annotation.get("result") or ()))
        decision = "skip" if annotation.get("was_cancelled") else fields.get("decision")
        if decision:
            yield _found(place, task["data"], decision, _annotator(annotation.get("completed_by")), fields)


def _results(results: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What was chosen or written, by the name of its control: choices are the decision, whatever they are called."""
    for result in results:
        value = result.get("value") or {}
        if value.get("choices"):
            yield "decision", str(value["choices"][0])
        elif value.get("text"):
            words = value["text"]
            yield str(result.get("from_name", "")), str(words[0] if isinstance(words, list) else words)


def _annotator(completed_by: Any) -> str:
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "" if completed_by is None else f"label-studio:{completed_by}"


def _found(
    place: str, ids: Mapping[str, Any], decision: object, reviewer: str, fields: Mapping[str, Any]
) -> FoundDecision:
    """Raises ValueError for a decision that is none of ours, and without the id of a sample."""
    known = _WORDS.get(str(decision).strip().lower())
    if known is None:
        raise ValueError(f"there is no decision {decision!r}; one of {', '.join(map(str, ReviewDecision))}")
    sample = ids.get("sample_id")
    if not isinstance(sample, str):
        raise ValueError("has no sample_id: only what `lemfarm review export` wrote can be read back")
    text_id = ids.get("text_id")
    content = str(fields.get("edited") or "")
    edits = known == ReviewDecision.EDIT or (known == ReviewDecision.ACCEPT and content)
    if known == ReviewDecision.EDIT and not content.strip():
        raise ValueError(f"sample {sample} is edited, and `edited` holds no text")
    return FoundDecision(
        place=place,
        sample_id=sample,
        decision=ReviewDecision.EDIT if edits else known,
        text_id=text_id if isinstance(text_id, int) else None,
        reviewer=reviewer,
        note=str(fields.get("note") or ""),
        content=content if edits else None,
    )
