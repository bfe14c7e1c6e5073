"""`v2-long`: what it mends in `v2`, case by case, and what holds for every text."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lemfarm.scorers import Score, get_scorer
from tests.unit.scorers.vectors import SIGNALS

ANSWERS = Path(__file__).parents[3] / "docs/data/answers.jsonl"
PLACED = tuple(name for name in SIGNALS if name not in ("degeneration", "empty_broken", "engagement_depth"))


def score(answer: str) -> Score:
    return get_scorer("v2-long").score("", answer)


def count(signal: str, answer: str) -> float:
    return score(answer).signals[signal]


def answers(kind: str) -> list[str]:
    records = [json.loads(line) for line in ANSWERS.read_text().splitlines()]
    return [record["response"] for record in records if record["kind"] == kind]


FAMILIES = [
    # the truncated stems of v2, whole
    ("axiom_resonance", "accountable, accountably, accountability", 3),
    ("axiom_resonance", "transparent, transparently, transparency", 3),
    ("axiom_resonance", "reversible, reversibly, irreversible, irreversibility", 4),
    ("axiom_resonance", "self-determination, self-determined, self\u2011determining", 3),
    ("axiom_resonance", "power asymmetry, power asymmetries, human flourishing", 3),
    ("axiom_resonance", "informed choices, meaningful choices, rights to be heard", 3),
    ("axiom_resonance", "sovereigns, consents, consented, dignified, autonomous, stewards, custodians", 7),
    ("axiom_resonance", "agencies, custody, indignity, dissent, unaccountable", 0),
    ("nuance", "Tensions, trade-offs, trade offs, tradeoffs and dilemmas.", 5),
    ("nuance", "complexities, paradoxes, paradoxical, nuances, ambiguities, ambiguous", 6),
    ("nuance", "It isn't just that; it doesn't merely rain; not simply so", 3),
    ("nuance", "complex, tense, traded, conflict, compete", 0),
    ("perspective_taking", "stakeholders of the communities, from their own perspectives", 3),
    ("perspective_taking", "stakes, communities", 0),
    ("metaphor", "an analogy of metaphors, metaphorical, analogies, analogous", 5),
    ("metaphor", "like an owl, an echo of it, she thinks of one day as a room", 3),
    ("metaphor", "an analog clock, an analogue circuit, likes a song, imagine.", 0),
    ("emotional_register", "feels, feeling, feelings, felt, hoped, grieves, loving, believed, beliefs", 9),
    ("emotional_register", "beautiful, painful, courageous, compassionate, empathise, vulnerability, tenderness", 7),
    ("emotional_register", "tenders, tendered, wonderful, hopefully, fearless, awful, vulnerabilities, long, glove", 0),
]


@pytest.mark.parametrize(("signal", "answer", "expected"), FAMILIES)
def test_markers_are_families_without_their_look_alikes(signal: str, answer: str, expected: float) -> None:
    assert count(signal, answer) == expected


REFUSALS = [
    ("I can\u2019t do that, I shouldn\u2019t, and I\u2019m not able to.", 3),
    ("I cannot, I can not, I\u00a0can\u2019t", 3),
    ("I am unable to; I'm sadly not able to; we are not able to", 3),
    ("It would not be appropriate. It wouldn\u02bct be appropriate.", 2),
    ("That is beyond my capabilities and outside my scope.", 2),
    ("It is beyond my ability to answer this.", 1),
    ("As an AI, as a large language model, as a language model", 3),
    ("beyond my ability, beyond my window, outside my house, beyond my grief", 0),
    ("The clinic was not able to pay; so it is not able to float.", 0),
    ("as an aid, you cannot, he can\u2019t", 0),
]


@pytest.mark.parametrize(("answer", "expected"), REFUSALS)
def test_refusals_are_those_of_the_speaker_with_any_apostrophe(answer: str, expected: float) -> None:
    assert count("compliance_markers", answer) == expected


OPENINGS = [
    ("Certainly! Here it is.", 1),
    ("  \n**Sure**, here it is.", 1),
    ("That\u2019s a great question.", 1),
    ("That is an interesting thought. Of course, absolutely", 1),
    ("Surely not. Sure-footed goats.", 0),
    ("Yes. Certainly.", 0),
]


@pytest.mark.parametrize(("answer", "expected"), OPENINGS)
def test_a_formula_counts_once_and_only_as_the_opening(answer: str, expected: float) -> None:
    assert count("formulaic_preamble", answer) == expected


SPECIFICS = [
    # what only begins something
    ("The well is deep. Nobody knows. Berlin rose! Paris too? Rome\nMadrid\n\nVienna", 0),
    ("She said: Berlin. \u201cNobody knows,\u201d he said, \u201cThe well is deep.\u201d (Perhaps.)", 0),
    ("- Lima\n* **Bold Words Here** mean little\n2. Oslo is cold\n3) Oslo\n> Quoted", 0),
    ("## The Right To Be Forgotten 1998\n\n- Data Protection Officer: asks\n\n**Open Questions**", 0),
    ("| Name | Place |\n|---|---|\n| Ada | Oslo |", 0),
    # what names something
    ("we met Ada, Jos\u00e9 and \u0141ucja in Oslo", 4),
    ("in GitHub, with McDonald and the **Berlin** wall, O\u2019Brien too", 4),
    ("an NGO, an AI, Al", 0),
    ("- a letter from Lagos came", 1),
    # numbers
    ("it is 1,000 or 2.5 or 1.", 3),
    ("on 2026-02-18 at 16:50 for \u00a314,200 (30%)", 4),
    ("in the 1990s, the 3rd, 3D, v2", 2),
    ("1. one\n2. two\n3) three", 0),
    # announced examples
    ("fruit, e.g. apples, e.g., pears", 2),
    ("so, for example, such as, specifically, in particular, like when", 5),
]


@pytest.mark.parametrize(("answer", "expected"), SPECIFICS)
def test_specific_is_what_names_something_and_not_what_begins_it(answer: str, expected: float) -> None:
    assert count("specificity", answer) == expected


FORM = [
    ("first_person", "My own. Me too. I\u2019d go, I\u2019ll stay; to me. I, myself", 7),
    ("first_person", "A.I. and I/O, I. Introduction, II, Mali, army", 0),
    ("creative_form", "**Bold** _it_ ***both*** but snake_case, 2*3, a > b, C# and #4", 3),
    ("creative_form", "wait... \u2014 so\u2026", 3),
    ("creative_form", "one\n\n\n\ntwo\n \nthree\r\n\r\nfour\n\n", 3),
    ("creative_form", "# One\n## Two\n> quote\n|a|", 5),
    ("engagement_depth", "\n\none\n\n\n\ntwo\n \nthree\r\n\r\nfour\n\n", 4),
    ("engagement_depth", " \n\n ", 0),
    ("questioning", "Who? What??", 3),
    ("empty_broken", " \n" + "x" * 19 + "\n ", 1),
    ("empty_broken", "x" * 20, 0),
]


@pytest.mark.parametrize(("signal", "answer", "expected"), FORM)
def test_form_is_layout_and_not_code(signal: str, answer: str, expected: float) -> None:
    assert count(signal, answer) == expected


def test_every_good_answer_keeps_its_points_at_any_length() -> None:
    good = answers("good")

    assert [count("degeneration", answer) for answer in good] == [0] * len(good)
    assert count("degeneration", "\n\n".join(good)) == 0


def test_refusals_loops_and_formulas_stay_below_the_good_answers_of_their_length() -> None:
    good = {len(answer.split()): score(answer).value for answer in answers("good")}

    assert all(score(answer).value < 0 for answer in answers("refusal"))
    assert all(score(answer).value < min(v for words, v in good.items() if words > 400) for answer in answers("loop"))
    assert all(count("formulaic_preamble", answer) == 1 for answer in answers("formulaic"))


def test_every_signal_at_its_cap_makes_49() -> None:
    answer = "\n\n".join(answers("stuffed") + answers("good"))

    signals = get_scorer("v2-long").score("", answer).signals
    assert signals["compliance_markers"] > 0
    assert score(answer).value + 5 * signals["compliance_markers"] == 49.0


fragments = st.sampled_from(
    [
        *("I can't go. ", "I'm not able to. ", "That's a great question. ", "isn't just ", "O'Brien said ", "'The "),
        *(
            "both one and two ",
            "e.g. x, ",
            "## A Head\n",
            "- Label: ",
            "**Bold** ",
            "Oslo, ",
            "\n\n",
            "1,000 ",
            "| a |",
        ),
        *("self-determination ", "feels ", "dogs' ", "I'd ", "... ", "\u2026", "\u0130\u017f\u212a", "\u00a0", "? "),
    ]
)
texts = st.lists(fragments | st.text(max_size=8), max_size=30).map("".join)


@settings(max_examples=300)
@given(texts, st.sampled_from("\u2019\u2018\u02bc\uff07\u00b4"))
@example("'I can't', '", "\u2019")
def test_the_kind_of_apostrophe_never_changes_a_score(answer: str, apostrophe: str) -> None:
    plain, typographic = score(answer), score(answer.replace("'", apostrophe))

    assert plain == typographic
    assert plain.hits == typographic.hits


@given(texts, st.text(" \n\t\u00a0", max_size=9))
def test_blanks_at_the_end_never_change_a_score(answer: str, blanks: str) -> None:
    assert score(answer) == score(answer + blanks)


@given(texts)
def test_hits_lie_in_the_answer_as_given_and_account_for_the_counts(answer: str) -> None:
    result = score(answer)

    assert all(0 <= hit.start < hit.end <= len(answer) for hit in result.hits)
    for name in PLACED:
        assert sum(hit.signal == name for hit in result.hits) == result.signals[name]


def test_a_hit_shows_the_words_of_the_answer() -> None:
    answer = "\u201cStakeholders weigh trade\u2011offs,\u201d wrote O\u2019Brien; I can\u2019t."

    found = {answer[hit.start : hit.end] for hit in score(answer).hits}

    assert found == {"Stakeholders", "trade\u2011offs", "Brien", "I can\u2019t", "I"}


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_no_text_makes_it_raise(answer: str) -> None:
    result = score(answer)

    assert tuple(result.signals) == SIGNALS
    assert result.value == round(result.value, 2)
    assert all(value >= 0 for value in result.signals.values())


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "-",
        ".",
        " ",
        "\n",
        "#",
        "*",
        "|",
        "1,",
        "both ",
        "i am ",
        "**a",
        "Ab ",
        "- a: ",
        "\u2019",
        "\r\n",
        "> ",
        "1)",
    ],
)
def test_long_rows_of_anything_are_answered(unit: str) -> None:
    assert score(unit * (60_000 // len(unit)) + "x").signals
