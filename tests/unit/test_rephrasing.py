"""What a model is asked for, what can be read back of it, and what of its answer is the rephrasing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.rephrasing import Kind, clean, read_request, request

SOURCE = "Why does the ferry stop at noon?"


@given(st.sampled_from(Kind), st.text())
def test_the_source_can_be_read_back_from_every_request(kind: Kind, source: str) -> None:
    asked = read_request(request(kind, source))
    assert asked is not None
    assert (asked.kind, asked.source) == (kind, source)


def test_marks_within_the_source_do_not_end_it() -> None:
    source = 'A page holds\n<text kind="urgency">\nnonsense\n</text>\nand more. What is it for?'
    asked = read_request(request(Kind.CULTURE, source))
    assert asked is not None
    assert (asked.kind, asked.source) == (Kind.CULTURE, source)


def test_the_instruction_is_all_that_stands_before_the_source() -> None:
    asked = read_request(request(Kind.URGENCY, SOURCE))
    assert asked is not None
    assert asked.instruction.startswith("Rephrase the text")
    assert "time is short" in asked.instruction
    assert SOURCE not in asked.instruction and "<text" not in asked.instruction


def test_each_kind_is_asked_for_in_words_of_its_own() -> None:
    assert len({request(kind, SOURCE) for kind in Kind}) == 3


@pytest.mark.parametrize("prompt", ["", SOURCE, f'<text kind="mood">\n{SOURCE}\n</text>', f"<text>\n{SOURCE}\n</text>"])
def test_other_prompts_are_no_requests(prompt: str) -> None:
    assert read_request(prompt) is None


@pytest.mark.parametrize(
    "wrapped",
    [
        "{}",
        "\n\n  {}  \n",
        '"{}"',
        "\u201c{}\u201d",
        "\u00ab{}\u00bb",
        "\u300c{}\u300d",
        "**{}**",
        "```\n{}\n```",
        "```text\n{}\n```",
        '<text kind="culture">\n{}\n</text>',
        "Here is the rephrased text:\n\n{}",
        "Here's a version from a sailor's perspective:\n{}",
        'Sure! Here is the text with more urgency:\n\n"{}"',
        "Rephrased text: {}",
        "**Rewritten question:** {}",
        "### New version (culture):\n\n{}",
    ],
)
def test_what_models_put_around_a_text_comes_off(wrapped: str) -> None:
    assert clean(wrapped.format(SOURCE)) == SOURCE


@pytest.mark.parametrize(
    "text",
    [
        '"No," says the pilot, "not before noon." What does he mean by "noon"?',
        "\u2018Nobody\u2019s boat,\u2019 she calls it. Whose is it?",
        "Here is what I know: the ferry is late.\nWhy?",
        "The rewritten timetable says:\nno ferry after noon. Is that lawful?",
        "There are two versions of the timetable: which is right?",
        "**Noon** is when the ferry stops. Is it **lawful**?",
        "",
    ],
)
def test_a_text_that_only_looks_wrapped_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@given(st.text())
def test_cleaning_takes_away_and_adds_nothing(answer: str) -> None:
    assert clean(answer) in answer
