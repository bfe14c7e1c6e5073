"""What is read from a record, and that no line whatever can do more than be refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.scoring.records import BadLine, Record, add_scores, known_score, number_of, read_record, written
from tests.unit.scoring.shapes import ab_record, answered, condition, dialogue, line, phase_raw, summary

texts = st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
turns = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "x"]), "content": values}))
records = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["probe", "training", "summary"]) | values,
        "id": values,
        "category": values,
        "prompt": values,
        "response": texts | values,
        "messages": turns | values,
        "training": st.fixed_dictionaries({"messages": turns | values}) | values,
        "conditions": st.dictionaries(texts, st.fixed_dictionaries({"response": texts | values}), max_size=3) | values,
        "meta": st.fixed_dictionaries({}, optional={"probe_id": values, "category": values}) | values,
        "scores": st.fixed_dictionaries({}, optional={"v2": values}) | values,
        "correct_answer": values,
    },
)


def record_of(value: object) -> Record:
    return read_record(line(value))


def fault_of(value: object) -> str:
    with pytest.raises(BadLine) as refused:
        read_record(value if isinstance(value, bytes) else line(value))
    return str(refused.value)


def only(value: object) -> tuple[str, str, str]:
    """Condition, prompt and answer of a record with one answer."""
    (answer,) = record_of(value).answers
    return answer.condition, answer.prompt, answer.text


def test_a_response_is_an_answer_to_the_prompt() -> None:
    assert only(answered("So.")) == ("", "Who asked?", "So.")


def test_of_messages_the_last_answer_counts_with_the_question_before_it() -> None:
    turns = (
        ("system", "S"),
        ("user", "one?"),
        ("assistant", "1"),
        ("user", "two?"),
        ("assistant", "2"),
        ("user", "3?"),
    )
    assert only(dialogue(*turns)) == ("", "two?", "2")


def test_a_response_beside_messages_answers_the_last_question() -> None:
    assert only(dialogue(("user", "why?"), response="So.")) == ("", "why?", "So.")


def test_a_phase_raw_record_has_its_answer_in_training_and_its_facts_in_meta() -> None:
    record = record_of(phase_raw("So.", category="craft", domain="work"))
    assert (record.probe, record.category) == ("P1", "craft")
    assert record.answers[0].text == "So."
    assert record.answers[0].holder is record.data, "scores stand beside `training` and `meta`"


def test_an_ab_record_has_an_answer_for_each_condition() -> None:
    record = record_of(ab_record("P1", {"baseline": condition("a"), "json": condition("b")}))
    assert [(answer.condition, answer.text) for answer in record.answers] == [("baseline", "a"), ("json", "b")]
    assert record.answers[1].holder is record.data["conditions"]["json"]


def test_an_ab_record_keeps_its_good_conditions_when_one_is_bad() -> None:
    record = record_of(ab_record("P1", {"baseline": condition("a"), "json": {"error": "out of memory"}}))
    assert [answer.condition for answer in record.answers] == ["baseline"]
    assert record.faults == ("condition 'json' has no text `response`",)


def test_a_summary_line_has_no_answer_and_nothing_wrong() -> None:
    record = record_of(summary({"name": "baseline"}))
    assert (record.is_summary, record.answers, record.faults) == (True, (), ())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"category": "craft", "domain": "work"}, "craft"),
        ({"domain": "work"}, "work"),
        ({"benchmark": "gsm8k"}, "gsm8k"),
        ({"category": "  ", "domain": "work"}, "work"),
        ({"category": None}, "uncategorised"),
        ({"category": " two\n words "}, "two words"),
    ],
)
def test_category_wins_over_domain(labels: dict[str, Any], expected: str) -> None:
    assert record_of({"response": "So.", **labels}).category == expected


@pytest.mark.parametrize(("given_", "expected"), [("18", "18"), (18, "18"), (2.5, "2.5"), (None, None), (True, None)])
def test_a_right_answer_may_be_a_number(given_: object, expected: str | None) -> None:
    assert record_of(answered(correct_answer=given_)).expected == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"{'response': 1}", "not JSON"),
        (b'{"response": NaN}', "NaN is not a JSON value"),
        (b'{"response": "\xff"}', "not UTF-8 (byte 0xff at 15)"),
        (b"[" * 100_000, "not JSON"),
        (b'{"response": "a", "n": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b"[\n", "`jq -c '.[]'`"),
        ([1], "a JSON object, this is a list"),
        ("text", "this is a text"),
        ({"id": "P1"}, "no answer"),
        ({"response": None}, "`response` is null"),
        (dialogue(("user", "why?")), "no assistant turn"),
        (dialogue(("assistant", [{"type": "text"}])), "last assistant turn is a list"),
        ({"messages": {}}, "`messages` is an object"),
        ({"training": {}}, "`messages` is null"),
        ({"conditions": {}}, "`conditions` is empty"),
        (answered(scores=[3]), "`scores` is a list"),
    ],
)
def test_what_no_answer_can_be_read_from_is_refused_with_the_reason(value: object, said: str) -> None:
    assert said in fault_of(value)


def test_scores_stand_beside_those_of_other_scorers() -> None:
    record = record_of(answered(scores={"other": {"value": 1}, "v2": {"value": 2}}))
    add_scores(record.answers[0], {"v2": {"value": 3}})
    assert record.data["scores"] == {"other": {"value": 1}, "v2": {"value": 3}}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({"value": 2, "version": "1"}, 2.0),
        ({"value": 2.5, "version": "0"}, None),
        ({"value": "2", "version": "1"}, None),
        ({"value": 10**400, "version": "1"}, None),
        ([2, "1"], None),
    ],
)
def test_a_score_is_known_if_it_is_a_number_of_the_same_version(held: object, expected: float | None) -> None:
    record = record_of(answered(scores={"v2": held}))
    assert known_score(record.answers[0], "v2", "1") == expected


def test_half_of_a_surrogate_pair_is_written_as_it_was_read() -> None:
    record = read_record(rb'{"response": "cut \ud83d off"}')
    assert json.loads(written(record)) == {"response": "cut \ud83d off"}


def test_letters_of_any_script_stay_letters() -> None:
    assert "Grüße 你好 \u2028".encode() in written(record_of(answered("Grüße 你好 \u2028")))


def test_a_number_beyond_a_float_is_refused_when_written() -> None:
    with pytest.raises(BadLine, match="cannot be written"):
        written(read_record(b'{"response": "a", "n": 1e999}'))


@given(values)
def test_number_of_gives_finite_floats_or_nothing(value: object) -> None:
    found = number_of(value)
    assert found is None or abs(found) < float("inf")


@given(st.binary(max_size=60) | values.map(line) | records.map(line))
def test_no_line_does_more_than_be_refused(data: bytes) -> None:
    try:
        record = read_record(data)
        written(record)
    except BadLine as refused:
        assert str(refused)


@given(records)
def test_a_record_with_scores_is_the_record_and_its_scores(value: dict[str, Any]) -> None:
    # Given any record, when it is read, scored and written, then only `scores` of its answers have changed.
    try:
        record = read_record(line(value))
        before = json.loads(line(value))
        for answer in record.answers:
            add_scores(answer, {"new": {"value": 1.0}})
        after = json.loads(written(record))
    except BadLine:
        return
    holders = [after] if "scores" in after else []
    if isinstance(after.get("conditions"), dict):
        holders += [held for held in after["conditions"].values() if isinstance(held, dict)]
    taken = sum(_take_new(holder) for holder in holders)
    assert taken == len(record.answers)
    assert _without_empty_scores(after) == _without_empty_scores(before)
    assert [key for key in after if key in before] == list(before), "keys keep their order"


def _take_new(holder: dict[str, Any]) -> int:
    scores = holder.get("scores")
    return int(isinstance(scores, dict) and scores.pop("new", None) is not None)


def _without_empty_scores(value: dict[str, Any]) -> dict[str, Any]:
    held = {key: inner for key, inner in value.items() if key != "scores" or inner}
    if isinstance(held.get("conditions"), dict):
        held["conditions"] = {
            name: {key: inner for key, inner in of.items() if key != "scores" or inner} if isinstance(of, dict) else of
            for name, of in held["conditions"].items()
        }
    return held
