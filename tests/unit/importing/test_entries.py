"""What an entry says, under whichever key it says it."""

from typing import Any

import pytest

from lemfarm.dialogue import Message
from lemfarm.importing.drafts import Wording
from lemfarm.importing.entries import DEEPEST, Left, wordings_of
from lemfarm.json_entries import Entry

ASKED = "Who winds the clock?"


def read(value: Any, **given: Any) -> list[Wording | Left]:
    return list(wordings_of(Entry("f:3", value), given))


def one(value: Any, **given: Any) -> Wording:
    (found,) = read(value, **given)
    assert isinstance(found, Wording), found
    return found


def reason(value: Any) -> str:
    (found,) = read(value)
    assert isinstance(found, Left), found
    assert found.place == "f:3"
    return found.reason


@pytest.mark.parametrize(
    "entry",
    [
        ASKED,
        {"prompt": ASKED},
        {"Prompt": ASKED},
        {"question": ASKED},
        {"prompt_text": ASKED},
        {"prompt-text": ASKED},
        {"text": ASKED},
        {"instruction": ASKED},
        {"prompt": None, "question": ASKED},
        {"prompt": "  ", "question": ASKED},
        {"messages": [{"role": "user", "content": ASKED}]},
    ],
)
def test_a_prompt_is_found_under_any_of_its_names(entry: Any) -> None:
    assert one(entry).messages == (Message("user", ASKED),)


def test_a_prompt_wins_over_a_question_and_the_question_is_kept() -> None:
    found = one({"question": "Which?", "prompt": ASKED})
    assert (found.text, found.fields) == (ASKED, {"question": "Which?"})


def test_an_english_gloss_is_a_field_beside_a_prompt_and_the_prompt_without_one() -> None:
    assert one({"prompt": "Qui remonte l'horloge?", "prompt_en": ASKED}).fields == {"prompt_en": ASKED}
    alone = one({"promptEN": ASKED})
    assert (alone.text, alone.fields) == (ASKED, {"language": "en"})


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"id": "P1", "seed_id": "S1"}, "P1"),
        ({"seed_id": "S1", "idx": 4}, "S1"),
        ({"idx": 4}, "4"),
        ({"ID": 7}, "7"),
        ({"id": "", "probe-id": "P2"}, "P2"),
        ({"id": True}, None),
        ({"id": ["x"]}, None),
        ({}, None),
    ],
)
def test_an_id_is_the_best_of_those_that_stand_there(entry: dict[str, Any], name: str | None) -> None:
    assert one({"prompt": ASKED, **entry}).id == name


def test_an_id_is_on_one_line_and_its_own_spelling_is_kept() -> None:
    found = one({"id": " P1\nbis ", "prompt": ASKED})
    assert (found.id, found.fields) == ("P1 bis", {"original_id": " P1\nbis "})


@pytest.mark.parametrize(
    ("entry", "domain", "fields"),
    [
        ({"domain": " Trade "}, "Trade", {}),
        ({"category": "trade"}, "trade", {}),
        ({"domain": "Trade", "category": "goods"}, "Trade", {"category": "goods"}),
        ({"domain": None, "category": "trade"}, "trade", {}),
        ({"domain": 5}, None, {"original_domain": 5}),
        ({"category": ["a"]}, None, {"original_category": ["a"]}),
        ({"Topic": "trade"}, "trade", {}),
    ],
)
def test_a_domain_is_a_text_and_what_is_none_is_kept_aside(
    entry: dict[str, Any], domain: str | None, fields: dict[str, Any]
) -> None:
    found = one({"prompt": ASKED, **entry})
    assert (found.domain, found.fields) == (domain, fields)


def test_free_fields_stay_and_known_misspellings_are_set_right() -> None:
    given = {
        "ethic_tension": "a",
        "Ethical Dimension": "b",
        "why-it-matters": "c",
        "Lang": "de",
        "tags": [1],
    }
    assert one({"prompt": ASKED, **given}).fields == {
        "ethical_tension": "a",
        "ethical_dimension": "b",
        "why_it_matters": "c",
        "language": "de",
        "tags": [1],
    }


def test_two_spellings_of_one_field_are_both_kept() -> None:
    given = {"ethic_tension": "a", "ethical_tension": "b"}
    assert one({"prompt": ASKED, **given}).fields == given


def test_names_that_mean_something_in_a_probe_file_are_moved_aside() -> None:
    given = {"id": [], "messages": "x", "variants": {}, "source_probe": 1.5, "original_id": 3, "variant_fields": 2}
    found = one({"prompt": ASKED, **given})
    assert found.source == "1.5"
    assert found.fields == {
        "original_messages": "x",
        "original_variants": {},
        "original_id": 3,
        "original_original_id": [],
        "original_variant_fields": 2,
    }


def test_fields_of_the_file_hold_where_the_entry_says_nothing() -> None:
    assert one({"prompt": ASKED, "region": "north"}, region="coast", phase=2).fields == {"region": "north", "phase": 2}


def test_an_answer_at_the_end_of_a_dialogue_is_its_response() -> None:
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    found = one({"messages": turns})
    assert [message.role for message in found.messages] == ["system", "user"]
    assert found.fields == {"response": "assistant"}


def test_a_rephrasing_names_its_source_and_a_voice_the_id_of_its_seed() -> None:
    rephrased = one({"id": "P1_R_URGE", "source_probe": "P1", "rephrase_type": "urgency", "prompt": ASKED})
    assert (rephrased.source, rephrased.kind, rephrased.own, rephrased.voiced) == ("P1", "urgency", False, False)
    voice = one({"seed_id": "P1", "voice": "Elder", "prompt": ASKED})
    assert (voice.source, voice.kind, voice.voiced, voice.fields) == ("P1", "Elder", True, {})


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "P1", "voice": "original"},
        {"voice": "elder"},
        {"id": "P1", "voice": 3},
        {"id": "P1", "source_probe": "P1"},
        {"id": "P1", "source_probe": ""},
    ],
)
def test_what_names_no_other_probe_is_a_probe_of_its_own(entry: dict[str, Any]) -> None:
    found = one({"prompt": ASKED, **entry})
    assert (found.own, found.kind) == (True, "original")


def test_variants_follow_their_probe_with_what_is_said_about_them() -> None:
    own, first, second = read(
        {
            "id": "P1",
            "prompt": ASKED,
            "variants": [{"kind": "urgency", "prompt": "Quick: who?"}, "Say who."],
            "variant_fields": {"2": {"id": "P1b", "note": "short"}},
        }
    )
    assert isinstance(own, Wording) and isinstance(first, Wording) and isinstance(second, Wording)
    assert (first.parent, first.kind, first.place, first.fields) == (own, "urgency", "f:3 variant 1", {})
    assert (second.kind, second.text, second.id, second.fields) == ("rephrased", "Say who.", "P1b", {"note": "short"})


def test_a_bad_variant_is_left_out_alone_and_a_bad_probe_with_all_of_its_own() -> None:
    _, bad = read({"prompt": ASKED, "variants": [5]})
    assert bad == Left("f:3 variant 1", "a number, not an object or a text")
    assert reason({"id": "P1", "variants": [ASKED, ASKED]}) == "no prompt; its 2 variants are left out with it"


@pytest.mark.parametrize("key", ["probes", "prompts", "seeds", "Questions", "data"])
def test_a_list_within_an_object_is_taken_apart(key: str) -> None:
    found = read({"title": "lesson", key: [{"prompt": "a"}, 7, "b"]})
    assert [one.place for one in found] == ["f:3 (1)", "f:3 (2)", "f:3 (3)"]
    assert [isinstance(one, Wording) for one in found] == [True, False, True]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (7, "a number, not an object or a text"),
        (True, "true or false, not an object or a text"),
        (None, "null, not an object or a text"),
        ([], "a list, not an object or a text"),
        ({}, "no prompt"),
        ({"prompts": []}, "no prompt"),
        ({"prompt": 5}, "no prompt"),
        ({"prompt": " \n"}, "no prompt: its text is empty"),
        ("", "no prompt: its text is empty"),
        ({"messages": []}, "no prompt: messages is not a list of turns"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "no dialogue of user and assistant"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a turn of its messages is not {role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "a turn of its messages is not {role"),
        ({"messages": [{"role": "user", "content": " "}]}, "a turn of its messages is empty"),
        ({"prompt": "cut \ud83d"}, "half of a surrogate pair"),
        ({"prompt": ASKED, "no\0te": 1}, "U+0000"),
        ({"prompt": ASKED, "weight": float("inf")}, "a number is too large"),
    ],
)
def test_an_entry_that_cannot_be_used_says_why(entry: Any, expected: str) -> None:
    assert expected in reason(entry)


def test_nesting_has_an_end() -> None:
    deep: Any = "x"
    for _ in range(DEEPEST + 1):
        deep = [deep]
    assert reason({"prompt": ASKED, "deep": deep}) == f"nested more than {DEEPEST} levels deep"


def test_texts_that_differ_by_white_space_or_unicode_form_have_one_key() -> None:
    assert one("caf\u00e9 noir").key == one({"question": " cafe\u0301\nnoir"}).key != one("cafe noir").key
    alone, led = one("x"), one({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "x"}]})
    assert alone.key != led.key
