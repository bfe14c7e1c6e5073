"""What a line of a source says: the shapes that are known, and what is told of the others."""

from typing import Any

import pytest

from lemfarm.curation.mixing.items import Item, read_item
from lemfarm.importing.spellings import Refused

ASKED = [{"role": "user", "content": "One?"}]
ANSWERED = [*ASKED, {"role": "assistant", "content": "Two."}]
HALF = {"prompt": "One?", "completion": "Two."}


def item(value: Any) -> Item:
    return read_item(value, "sums", "a.jsonl:1")


def says(one: Item) -> list[tuple[list[str], str]]:
    return [([turn.content for turn in row.prompt], row.answer) for row in one.rows]


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "One?", "completion": "Two."},
        {"prompt": "One?", "response": "Two."},
        {"messages": ANSWERED},
        {"messages": ASKED, "completion": "Two."},
        {"type": "training", "training": {"messages": ANSWERED}, "meta": {"probe_id": "P1"}},
    ],
)
def test_every_shape_says_the_same(value: dict[str, Any]) -> None:
    assert says(item(value)) == [(["One?"], "Two.")]
    assert item(value).key == item(HALF).key


def test_dialogues_of_several_turns_and_with_a_system_turn_keep_all_of_them() -> None:
    turns = [{"role": "system", "content": "Be kind."}, *ANSWERED, {"role": "user", "content": "And then?"}]
    found = item({"messages": [*turns, {"role": "assistant", "content": "Three."}]})
    assert says(found) == [(["Be kind.", "One?", "Two.", "And then?"], "Three.")]


def test_a_system_turn_makes_another_row_of_the_same_question() -> None:
    bare = item(HALF).rows[0]
    framed = item({"messages": [{"role": "system", "content": "Be kind."}, *ANSWERED]}).rows[0]
    assert bare.question_key == framed.question_key
    assert bare.key != framed.key


def test_a_pair_has_two_forms_pure_first() -> None:
    found = item({"explained": {"prompt": "Why one?", "response": "Because."}, "pure": HALF, "probe": "P1"})
    assert found.is_pair and found.probe == "P1"
    assert [row.form for row in found.rows] == ["pure", "explained"]
    assert says(found) == [(["One?"], "Two."), (["Why one?"], "Because.")]


@pytest.mark.parametrize(("value", "probe"), [({"probe": "P1"}, "P1"), ({"meta": {"probe_id": "P2"}}, "P2"), ({}, "")])
def test_the_probe_is_known_where_a_line_names_it(value: dict[str, Any], probe: str) -> None:
    assert item(HALF | value).probe == probe


def test_half_a_surrogate_pair_can_be_written_again() -> None:
    assert item({"prompt": "One\ud800?", "completion": "Two."}).rows[0].prompt[0].content.encode()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "a row is a JSON object, this is a list"),
        ({"completion": "Two."}, "no prompt"),
        ({"prompt": "One?"}, "no answer"),
        ({"prompt": "One?", "completion": " "}, "no answer"),
        ({"prompt": "One?", "completion": 2}, "no answer"),
        ({"text": "<bos>One? Two."}, "no answer"),
        ({"messages": ASKED}, "no answer"),
        ({"messages": ANSWERED[1:]}, "its messages are no dialogue"),
        ({"pure": HALF}, "its `explained` is null"),
        ({"pure": HALF, "explained": {"prompt": "Why one?"}}, "`explained`: no answer"),
    ],
)
def test_what_is_no_row_is_told(value: Any, said: str) -> None:
    with pytest.raises(Refused, match=said):
        item(value)
