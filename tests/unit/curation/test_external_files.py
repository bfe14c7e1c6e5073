"""Lines of answers from elsewhere, and which question of a phase each is to."""

import json
from pathlib import Path
from typing import Any

import pytest

from lemfarm.curation.external_files import FoundAnswer, read_answers
from lemfarm.curation.external_questions import Question, Questions
from lemfarm.dialogue import Message
from lemfarm.engines.base import FinishReason
from lemfarm.errors import InputError
from lemfarm.json_entries import Fault

SHAPES: list[dict[str, Any]] = [
    {"prompt": "Why?", "response": "Because."},
    {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]},
    {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "Because."},
        ]
    },
    {"messages": [{"role": "user", "content": "Why?"}], "response": "Because."},
    {
        "type": "training",
        "training": {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]},
        "meta": {"probe_id": "P0"},
    },
]


def read(folder: Path, *lines: object) -> list[FoundAnswer | Fault]:
    path = folder / "answers.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return list(read_answers(path))


def one(folder: Path, line: object) -> FoundAnswer:
    (found,) = read(folder, line)
    assert isinstance(found, FoundAnswer)
    return found


@pytest.mark.parametrize("line", SHAPES)
def test_every_shape_with_one_answer_gives_what_was_asked_and_answered(tmp_path: Path, line: dict[str, Any]) -> None:
    found = one(tmp_path, line)
    assert (found.content, found.turns) == ("Because.", (Message("user", "Why?"),))


def test_a_scripted_dialogue_keeps_its_turns(tmp_path: Path) -> None:
    turns = [{"role": role, "content": content} for role, content in (("user", "A"), ("assistant", "B"), ("user", "C"))]
    whole = [*turns, {"role": "assistant", "content": "D"}]
    for line in ({"messages": whole}, {"messages": turns, "response": "D"}):
        found = one(tmp_path, line)
        assert found.content == "D"
        assert [turn.content for turn in found.turns] == ["A", "B", "C"]


def test_what_the_source_says_of_itself_is_kept_and_the_place_has_no_folder(tmp_path: Path) -> None:
    line = {"id": "P0", "response": "So.", "model": "big-1", "license": "cc-by-4.0", "finish_reason": "length"}
    found = one(tmp_path, line | {"meta": {"ts": "2026-02-03", "model": "other"}, "variant": 2})
    assert found.provenance == {"model": "big-1", "licence": "cc-by-4.0", "date": "2026-02-03"}
    assert (found.probe, found.variant, found.finish_reason) == ("P0", 2, FinishReason.LENGTH)
    assert (found.source, found.place) == ("answers.jsonl:1", f"{tmp_path / 'answers.jsonl'}:1")


BAD = [
    ('{"prompt": ', "not JSON"),
    ("[1, 2]", "a record is a JSON object"),
    ({"prompt": "Why?"}, "no answer"),
    ({"prompt": "Why?", "response": "  "}, "the answer is empty"),
    ({"prompt": "Why?", "response": "So.", "variant": "first"}, "`variant` is the position of a wording"),
    ({"prompt": "Why?", "response": "So.", "variant": True}, "`variant` is the position of a wording"),
    ({"prompt": "Why?", "conditions": {"bare": {"response": "So."}}}, "give each answer a line of its own"),
]


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_a_bad_line_is_named_and_the_next_one_is_read(tmp_path: Path, line: object, reason: str) -> None:
    bad, good = read(tmp_path, line, {"id": "P0", "response": "So."})
    assert isinstance(bad, Fault) and isinstance(good, FoundAnswer)
    assert bad.place == f"{tmp_path / 'answers.jsonl'}:1"
    assert reason in bad.reason
    assert good.source == "answers.jsonl:2"


def test_lines_that_sum_up_others_and_blank_ones_are_no_answers(tmp_path: Path) -> None:
    assert read(tmp_path, {"type": "summary", "mean": 3}, "") == []


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl cannot be read"):
        list(read_answers(tmp_path / "nowhere.jsonl"))


def question(probe: str, position: int, *turns: str) -> Question:
    roles = ("user", "assistant")
    dialogue = tuple(Message(roles[number % 2], turn) for number, turn in enumerate(turns))
    return Question(f"{probe}v{position}", probe, probe, position, dialogue)


ASKED = Questions(
    [question("P0", 0, "Why?"), question("P0", 1, "How?"), question("P1", 0, "Why?"), question("P1", 1, "A", "B", "C")]
)


def answer(probe: str = "", variant: int = 0, *turns: str) -> FoundAnswer:
    return FoundAnswer("f:1", "f:1", "So.", probe, variant, question("", 0, *turns).turns)


def test_the_prompt_says_what_was_asked_whatever_the_id_is() -> None:
    assert ASKED.find(answer("Q-17", 0, "How?")).variant_id == "P0v1"
    assert ASKED.find(answer("P0", 0, " How?\n")).variant_id == "P0v1"
    assert ASKED.find(answer("", 0, "A", "B", "C")).variant_id == "P1v1"


def test_of_two_probes_with_the_same_prompt_the_id_chooses() -> None:
    assert ASKED.find(answer("P1", 0, "Why?")).variant_id == "P1v0"
    assert ASKED.find(answer("", 0, "Why?")).variant_id == "P0v0"


def test_without_a_prompt_the_id_and_the_position_say_it() -> None:
    assert ASKED.find(answer("P0")).variant_id == "P0v0"
    assert ASKED.find(answer("P0", 1)).variant_id == "P0v1"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (answer("P0", 0, "Whence?"), "its prompt is no wording that this phase asks"),
        (answer("P1", 0, "C"), "its prompt is no wording that this phase asks"),
        (answer("P7"), "this phase does not train on a probe 'P7'"),
        (answer("P0", 9), "probe P0 has no wording 9 here"),
        (answer(), "neither a prompt nor the `id` of a probe"),
    ],
)
def test_an_answer_to_nothing_that_is_asked_is_refused_with_the_reason(found: FoundAnswer, reason: str) -> None:
    assert not ASKED.has(found)
    with pytest.raises(InputError, match=reason):
        ASKED.find(found)
