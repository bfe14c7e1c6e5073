"""Where the kernel goes, what a template may refuse, and what of a model's text is the answer."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.dialogue import Message, Placement
from lemfarm.errors import InputError
from lemfarm.prompts import opening_tag, place_kernel, render, split_thoughts

KERNEL = '{"axioms": [ "listen first" ],\n "spacing": "kept"}\n'
QUESTION = Message("user", "Who owns the river?")
DIALOGUE = (QUESTION, Message("assistant", "Nobody."), Message("user", "And the bank?"))


class Template:
    """Letters for tokens; what it thinks of a system role is up to the test."""

    def __init__(self, system: str = "allowed") -> None:
        self.system = system

    def __call__(self, messages: list[dict[str, str]]) -> list[int]:
        if self.system == "refused" and any(message["role"] == "system" for message in messages):
            raise ValueError("System role not supported")
        shown = [m for m in messages if not (self.system == "dropped" and m["role"] == "system")]
        return [ord(letter) for m in shown for letter in f"<{m['role']}>{m['content']}"]


def text(tokens: Sequence[int]) -> str:
    return "".join(chr(token) for token in tokens)


def test_a_system_kernel_comes_first_and_word_for_word() -> None:
    assert place_kernel((QUESTION,), KERNEL, Placement.SYSTEM) == (Message("system", KERNEL), QUESTION)


def test_a_user_kernel_stands_before_the_first_user_message_with_a_blank_line() -> None:
    placed = place_kernel(DIALOGUE, "Listen.", Placement.USER)
    assert placed == (Message("user", "Listen.\n\nWho owns the river?"), *DIALOGUE[1:])


def test_a_probes_own_system_message_follows_the_kernel_in_one_turn() -> None:
    placed = place_kernel((Message("system", "Be brief."), QUESTION), "Listen.", Placement.SYSTEM)
    assert placed == (Message("system", "Listen.\n\nBe brief."), QUESTION)


@pytest.mark.parametrize(("kernel", "placement"), [(None, Placement.SYSTEM), ("Listen.", Placement.NONE)])
def test_without_kernel_or_place_the_dialogue_stays(kernel: str | None, placement: Placement) -> None:
    assert place_kernel(DIALOGUE, kernel, placement) == DIALOGUE


@pytest.mark.parametrize("placement", list(Placement))
def test_what_is_kept_never_contains_the_kernel(placement: Placement) -> None:
    kept = [Message(message.role, message.content) for message in DIALOGUE]
    place_kernel(kept, KERNEL, placement)
    render(Template("refused"), kept, KERNEL, placement)
    assert tuple(kept) == DIALOGUE


def test_a_dialogue_without_user_turn_is_refused() -> None:
    with pytest.raises(InputError, match="user turn"):
        place_kernel((Message("assistant", "Hello."),), "Listen.", Placement.USER)


def test_rendering_says_where_the_kernel_went() -> None:
    rendered = render(Template(), (QUESTION,), KERNEL, Placement.SYSTEM)
    assert rendered.placement is Placement.SYSTEM
    assert text(rendered.tokens) == f"<system>{KERNEL}<user>Who owns the river?"
    assert render(Template(), (QUESTION,), KERNEL, Placement.USER).placement is Placement.USER
    assert render(Template(), (QUESTION,), None, Placement.SYSTEM).placement is Placement.NONE


@pytest.mark.parametrize("system", ["refused", "dropped"])
def test_a_template_without_system_role_gets_the_kernel_before_the_question(system: str) -> None:
    rendered = render(Template(system), DIALOGUE, "Listen.", Placement.SYSTEM)
    assert rendered.placement is Placement.USER
    assert text(rendered.tokens).startswith("<user>Listen.\n\nWho owns the river?<assistant>")


def test_a_probes_own_system_message_falls_back_as_well() -> None:
    own = (Message("system", "Be brief."), QUESTION)
    rendered = render(Template("refused"), own, "Listen.", Placement.SYSTEM)
    assert text(rendered.tokens) == "<user>Listen.\n\nBe brief.\n\nWho owns the river?"
    without = render(Template("refused"), own, None, Placement.NONE)
    assert (text(without.tokens), without.placement) == ("<user>Be brief.\n\nWho owns the river?", Placement.NONE)


def test_a_template_that_refuses_everything_is_heard() -> None:
    def refuse(messages: list[dict[str, str]]) -> list[int]:
        raise ValueError("roles must alternate")

    with pytest.raises(ValueError, match="alternate"):
        render(refuse, DIALOGUE, "Listen.", Placement.SYSTEM)
    with pytest.raises(ValueError, match="alternate"):
        render(refuse, DIALOGUE, None, Placement.NONE)


@pytest.mark.parametrize(
    ("said", "answer", "thoughts"),
    [
        ("  plain text, untouched \n", "  plain text, untouched \n", ""),
        ("<think>hm</think>\n\nYes.", "Yes.", "hm"),
        ("<think>\n\n</think>\n\nYes.", "Yes.", ""),
        ("First. <thinking>wait</thinking> Then.", "First.  Then.", "wait"),
        ("<think>a</think>One.<think>b</think>", "One.", "a\n\nb"),
        ("<think>cut before the en", "", "cut before the en"),
        ("opened in the prompt</think>Yes.", "Yes.", "opened in the prompt"),
        ("<think>it says <think> and [THINK] twice</think>Yes.", "Yes.", "it says <think> and [THINK] twice"),
        ("[THINK]hm[/THINK]Yes.", "Yes.", "hm"),
        ("<|channel>thought\nhm<channel|>Yes.", "Yes.", "hm"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
            "Yes.",
            "hm",
        ),
        ("<|channel|>analysis<|message|>never ends", "", "never ends"),
        ("<|channel|>final<|message|>Yes.", "Yes.", ""),
        ("<|channel|>commentary to=x<|message|>aside<|end|><|channel|>final<|message|>Yes.<|end|>", "Yes.", "aside"),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", "{}", ""),
    ],
)
def test_thoughts_are_parted_from_the_answer(said: str, answer: str, thoughts: str) -> None:
    assert split_thoughts(said) == (answer, thoughts)


TAGS = st.sampled_from(["<think>", "</think>", "[THINK]", "[/THINK]", "<|channel>thought", "<channel|>", "ab ", "\n"])


@given(st.lists(TAGS, max_size=12).map("".join))
def test_an_answer_keeps_no_tag_of_any_arrangement(said: str) -> None:
    answer, _ = split_thoughts(said)
    assert not any(tag in answer for tag in ("<think>", "</think>", "[THINK]", "[/THINK]", "channel"))


def test_a_thought_that_the_prompt_opens_is_known_by_its_end() -> None:
    assert opening_tag("<|im_start|>assistant\n<think>\n") == "<think>"
    assert opening_tag("<start_of_turn>model\n") == ""
