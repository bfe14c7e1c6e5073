"""From a kernel and a probe's messages to the tokens a model sees, and from its text back to the answer.

The kernel exists only in what is sent: messages are never changed in place, so what the ledger stores and what is
trained on stays free of it. A kernel, JSON or prose, is sent exactly as its file has it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lemfarm.dialogue import Message, Placement
from lemfarm.errors import InputError

ApplyTemplate = Callable[[list[dict[str, str]]], Sequence[int]]
"""A chat template with the generation prompt added: role/content dictionaries in, token ids out; may raise."""

_BLANK_LINE = "\n\n"

# The opening and closing tags that reasoning models put around their thoughts.
_THOUGHT_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<|think:start|>", "<|think:end|>"),
    ("<|channel>thought", "<channel|>"),
    ("[THINK]", "[/THINK]"),
)
_OPENERS = dict(_THOUGHT_TAGS)
_ANY_TAG = re.compile("|".join(re.escape(tag) for pair in _THOUGHT_TAGS for tag in pair))

# Channel format: <|start|>assistant<|channel|>NAME ...<|message|>TEXT<|end|>, the last message ended by <|return|>.
_CHANNEL = re.compile(r"(?:<\|start\|>\w*)?<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?(?:<\|message\|>|$)")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call)\|>(?:<\|start\|>\w*\Z)?")
_ANSWER_CHANNEL = "final"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as the model sees it; `placement` is where the kernel really went, which may not be where asked."""

    tokens: tuple[int, ...]
    placement: Placement


def place_kernel(messages: Sequence[Message], kernel: str | None, placement: Placement) -> tuple[Message, ...]:
    """Return the dialogue with the kernel in its place; the given messages stay as they are.

    A system message that a probe brings along follows the kernel in the same turn, because most templates allow one.
    Raises InputError where the kernel belongs before a user message and there is none.
    """
    if kernel is None or placement is Placement.NONE:
        return tuple(messages)
    if placement is Placement.USER:
        return _before_first_user(messages, kernel)
    if messages and messages[0].role == "system":
        joined = Message("system", kernel + _BLANK_LINE + messages[0].content)
        return (joined, *messages[1:])
    return (Message("system", kernel), *messages)


def render(
    apply_template: ApplyTemplate, messages: Sequence[Message], kernel: str | None, placement: Placement
) -> Rendered:
    """Turn a dialogue into tokens and say where the kernel ended up.

    Templates differ on the system role: some raise, a few drop it without a word, which would generate a whole run
    without its kernel. Both are answered the same way: the system text goes before the first user message, with a
    blank line between. Raises what the template raises where there is no system text to move.
    """
    wanted = Placement.NONE if kernel is None else placement
    placed = place_kernel(messages, kernel, wanted)
    if not any(message.role == "system" for message in placed):
        return Rendered(_tokens(apply_template, placed), wanted)
    fallen_back = Placement.USER if wanted is Placement.SYSTEM else wanted
    try:
        tokens = _tokens(apply_template, placed)
    except Exception as refusal:  # noqa: BLE001 - each template library has its own error for this
        try:
            return Rendered(_tokens(apply_template, _fold_system(placed)), fallen_back)
        except Exception as error:
            raise error from refusal
    if tokens == _tokens(apply_template, _without_system(placed)):
        return Rendered(_tokens(apply_template, _fold_system(placed)), fallen_back)
    return Rendered(tokens, wanted)


def split_thoughts(text: str) -> tuple[str, str]:
    """Part an answer from the reasoning around it: `(answer, thoughts)`.

    Knows tag pairs such as <think>, a closing tag whose opening stood in the prompt, thoughts that never end (the
    answer is then empty), and channel formats, where only the channel `final` is the answer. Text without any of
    these comes back unchanged; otherwise both parts are stripped of white space around them.
    """
    if "<|channel|>" in text:
        text, spoken_aside = _split_channels(text)
    else:
        spoken_aside = []
    if not spoken_aside and not _ANY_TAG.search(text):
        return text, ""
    answer, thoughts = _split_tags(text)
    return answer.strip(), _BLANK_LINE.join(part.strip() for part in [*spoken_aside, *thoughts] if part.strip())


def opening_tag(prompt_tail: str) -> str:
    """The thought tag that a generation prompt ends with, or nothing.

    Some templates open the thought themselves; an answer cut before the closing tag then shows no tag at all, so
    the engine puts this in front of the text before it splits it.
    """
    tail = prompt_tail.rstrip()
    return next((opener for opener in _OPENERS if tail.endswith(opener)), "")


def _tokens(apply_template: ApplyTemplate, messages: Sequence[Message]) -> tuple[int, ...]:
    return tuple(apply_template([{"role": message.role, "content": message.content} for message in messages]))


def _before_first_user(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    for place, message in enumerate(messages):
        if message.role == "user":
            joined = Message("user", text + _BLANK_LINE + message.content)
            return (*messages[:place], joined, *messages[place + 1 :])
    raise InputError("the dialogue has no user message to put the kernel before; end the probe with a user turn")


def _without_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(message for message in messages if message.role != "system")


def _fold_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Move all system text before the first user message."""
    system = _BLANK_LINE.join(message.content for message in messages if message.role == "system")
    return _before_first_user(_without_system(messages), system)


def _split_channels(text: str) -> tuple[str, list[str]]:
    """Return the text of the answer channel (and of no channel), and what the other channels say."""
    marks = list(_CHANNEL.finditer(text))
    answer = [text[: marks[0].start()]] if marks else [text]
    thoughts: list[str] = []
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        said = text[mark.end() : following.start() if following else len(text)]
        said = _CHANNEL_END.sub("", said)
        (answer if mark[1] == _ANSWER_CHANNEL else thoughts).append(said)
    return "".join(answer), thoughts


def _split_tags(text: str) -> tuple[str, list[str]]:
    """Cut out every tagged stretch; linear in the text."""
    answer: list[str] = []
    thoughts: list[str] = []
    position, closer = 0, ""
    for tag in _ANY_TAG.finditer(text):
        if closer and tag[0] != closer:
            continue  # a tag that is spoken of inside a thought
        before = text[position : tag.start()]
        if not closer and tag[0] not in _OPENERS:  # the opening stood in the prompt: all so far was thought
            thoughts.extend([*answer, before])
            answer.clear()
        else:
            (thoughts if closer else answer).append(before)
        closer = _OPENERS.get(tag[0], "") if not closer else ""
        position = tag.end()
    (thoughts if closer else answer).append(text[position:])
    return "".join(answer), thoughts
