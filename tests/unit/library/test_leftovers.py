"""What is left in a text when it was not finished, was pasted, or was damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.library.leftovers import leftovers_in

LEFT_OVER = {
    "a note to oneself": ["TODO say where", "The price is TBD.", "Fill in XXX here."],
    "filler text": ["Lorem ipsum and so on"],
    "an unfilled placeholder": [
        "Dear {name}, come",
        "Dear {{ first_name }}, come",
        "Dear ${name}",
        "In [insert town here] the",
        "In [Your City] the",
        "In <your town> the",
    ],
    "a label": ["Variant: who goes?", "**Variant 2:** who goes?", "Rephrased prompt: who?", "Prompt: who goes?"],
    "a model's own words": [
        "As an AI, I cannot",
        "as an AI language model",
        "Sure! Here it is",
        "Here is a rephrased version",
        "Here are some alternatives",
    ],
    "damaged characters": ["itâ€™s late", "cafÃ© au lait", "100Â\u00a0km", "РџСЂРё \ufffd", "ÐŸÑ€Ð¸Ð²ÐµÑ‚", "ðŸ™‚"],
    "an invisible character": ["one\u200btwo", "\ufeffone", "one \u200ctwo", "soft\u00adhyphen", "one\u2028two"],
    "a control character": ["one\x07two", "one\rtwo", "one\x85two"],
    "white space at the end of a line": ["one \ntwo", "one two ", "one two\n", "one\t", "one\r\ntwo"],
    "white space at the beginning": [" one", "\none"],
    "two blanks within a sentence": ["one  two", "one,  two"],
    "a doubled word": ["over the the hill", "And and so", "over the\nthe hill"],
    "a quotation mark without its other half": ['He said "no.', "He said \u201cno.", "\u00abnon, dit-il"],
    "a bracket without its other half": ["He (or she said", "He or she) said", "[one (two]"],
}
FINISHED = [
    "Where is the ferry? It's late; don't wait (the quay is wet), and \u201cnine\u201d means nine.",
    "Choose: a) the bridge, b) the boat, or 3) neither (see iv). :)",
    'A 5" pipe fits; he said "no" in 1990.',
    "She had had enough, and knew that that was so.",
    "A boat from Bora Bora to Pago Pago",
    "As an AI ethicist I disagree; here is the plan.",
    "\u201ccaf\u00e9\u201d\u2014said",
    "La niña está aquí; às vezes não. Über Ärger: »so«.",
    "می\u200cخواهم به خانه بروم",
    "👩\u200d💻 works here",
    "Say it aloud.\n\n    Then say it again.\n",
    "Options: red, or blue. An urgency: none.",
    "The colour of of-course cloth",
]


def found(text: str, language: str = "en-GB") -> list[str]:
    return [one.what for one in leftovers_in(text, language)]


@pytest.mark.parametrize(("what", "text"), [(what, text) for what, texts in LEFT_OVER.items() for text in texts])
def test_what_is_left_over_is_seen(what: str, text: str) -> None:
    assert what in found(text)


@pytest.mark.parametrize("text", [text.rstrip("\n") for text in FINISHED])
def test_finished_text_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("what", LEFT_OVER)
def test_one_fault_is_told_once(what: str) -> None:
    text = LEFT_OVER[what][0]
    assert found(text).count(what) == 1


def test_a_doubled_word_is_judged_by_the_language_that_the_probe_states() -> None:
    assert found("Asante sana sana, bibi", "sw") == []
    assert found("Asante sana sana, bibi", "unstated") == []
    assert found("a very big big boat", "en") == ["a doubled word"]
    assert found("on the the boat", "unstated") == ["a doubled word"]


def test_an_excerpt_shows_the_place_and_spells_out_what_cannot_be_seen() -> None:
    (one,) = leftovers_in("The ferry over the river leaves at nine\u200b sharp, from the old quay", "en")
    assert one.excerpt == "leaves at nine\\u200b sharp, from th"


@given(st.text(), st.sampled_from(["en", "sw", "unstated"]))
def test_any_text_can_be_searched(text: str, language: str) -> None:
    assert all(one.what and one.remedy and one.excerpt.isprintable() for one in leftovers_in(text, language))


@pytest.mark.parametrize("piece", [" ", "\n", "(", "[add ", "{ ", "<your ", "a ", "\u00c3", "'", "variant ("])
def test_long_rows_of_one_thing_take_no_longer_than_they_are(piece: str) -> None:
    """The suite's time limit would tell: 50,000 of them, squared, are minutes."""
    list(leftovers_in("x" + piece * 50_000 + "x", "en"))
