"""Answers go out in three formats; decisions come back as Label Studio, Prodigy or a person wrote them."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.curation.review_files import AnswerToReview, Format, read_decisions, written
from lemfarm.errors import InputError
from lemfarm.records import ReviewDecision

MESSAGES = ({"role": "user", "content": "Why does bread rise?"},)
ANSWERS = [
    AnswerToReview("s1", 7, "tiny", "first", "P1 v0 #0", MESSAGES, "Yeast breathes — “out”.\nSlowly.", {"v2": 2.5}),
    AnswerToReview("s2", 8, "tiny", "first", "P1 v0 #1", MESSAGES, "It just does.", {}),
]


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file.json"
    path.write_bytes(content)
    return path


def values(content: bytes, wanted: Format) -> list[dict[str, Any]]:
    if wanted == Format.LABEL_STUDIO:
        found: list[dict[str, Any]] = json.loads(content)
        return found
    return [json.loads(line) for line in content.decode().splitlines()]


def annotated(value: dict[str, Any], wanted: Format) -> dict[str, Any]:
    """As the tool would hand it back: rejected, with a note, by somebody who is known."""
    if wanted == Format.LABEL_STUDIO:
        choice = {"from_name": "decision", "type": "choices", "value": {"choices": ["reject"]}}
        note = {"from_name": "note", "type": "textarea", "value": {"text": ["dull"]}}
        return value | {"id": 1, "annotations": [{"completed_by": {"email": "ann@x"}, "result": [choice, note]}]}
    if wanted == Format.PRODIGY:
        return value | {"answer": "reject", "note": "dull", "_annotator_id": "ann@x", "_task_hash": 3}
    return value | {"decision": "rejected", "note": "dull", "reviewer": "ann@x"}


@pytest.mark.parametrize("wanted", list(Format))
def test_what_goes_out_comes_back_with_its_ids(tmp_path: Path, wanted: Format) -> None:
    # Given a file as the tool reads it
    out = values(b"".join(written(ANSWERS, wanted)), wanted)
    assert len(out) == 2
    # When the tool hands it back with decisions
    back = [annotated(value, wanted) for value in out]
    lines = json.dumps(back) if wanted == Format.LABEL_STUDIO else "\n".join(map(json.dumps, back))
    found, problems = read_decisions(write(tmp_path, lines.encode()))
    # Then each stands for its sample and text
    assert problems == []
    assert [(one.sample_id, one.text_id, one.decision, one.note) for one in found] == [
        ("s1", 7, ReviewDecision.REJECT, "dull"),
        ("s2", 8, ReviewDecision.REJECT, "dull"),
    ]
    assert {one.reviewer for one in found} == {"label-studio:ann@x" if wanted == Format.LABEL_STUDIO else "ann@x"}


@pytest.mark.parametrize("wanted", list(Format))
def test_what_nobody_has_decided_on_says_nothing(tmp_path: Path, wanted: Format) -> None:
    content = b"".join(written(ANSWERS, wanted))
    assert read_decisions(write(tmp_path, content)) == ([], [])


@pytest.mark.parametrize("wanted", list(Format))
def test_a_queue_without_answers_is_a_file_without_any(wanted: Format) -> None:
    assert values(b"".join(written([], wanted)), wanted) == []


def test_a_cancelled_annotation_and_an_ignored_task_are_skips(tmp_path: Path) -> None:
    task = {"data": {"sample_id": "s1"}, "annotations": [{"completed_by": 4, "was_cancelled": True, "result": []}]}
    (found,), _ = read_decisions(write(tmp_path, json.dumps([task]).encode()))
    assert (found.decision, found.reviewer) == (ReviewDecision.SKIP, "label-studio:4")
    (found,), _ = read_decisions(write(tmp_path, b'{"sample_id": "s1", "text": "t", "answer": "ignore"}'))
    assert found.decision == ReviewDecision.SKIP


def test_an_accepted_answer_that_was_rewritten_is_an_edit(tmp_path: Path) -> None:
    line = b'{"sample_id": "s1", "text": "t", "answer": "accept", "edited": "Better."}'
    (found,), _ = read_decisions(write(tmp_path, line))
    assert (found.decision, found.content) == (ReviewDecision.EDIT, "Better.")


PROBLEMS = [
    ('{"sample_id": "s1", "decision": "perhaps"}', "there is no decision 'perhaps'"),
    ('{"decision": "accept"}', "has no sample_id"),
    ('{"sample_id": "s1", "decision": "edit"}', "`edited` holds no text"),
    ('{"sample_id": "s1"}', "has neither annotations, nor an answer of Prodigy, nor a decision"),
    ("[1]", "should be an object, is a number"),
    ('{"sample_id": ', ""),
]


@pytest.mark.parametrize(("line", "said"), PROBLEMS)
def test_what_is_no_decision_is_named_with_its_place_and_costs_itself_only(
    tmp_path: Path, line: str, said: str
) -> None:
    good = "" if line.startswith("[") else '\n{"sample_id": "s2", "decision": "accept"}'
    path = write(tmp_path, (line + good).encode())
    found, problems = read_decisions(path)
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}:1") and said in problems[0]
    assert [one.sample_id for one in found] == (["s2"] if good else [])


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_decisions(tmp_path / "none.json")
