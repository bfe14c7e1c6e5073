"""What an exported dialogue is framed with: the kernel it was made under, a signature, the words of a chat template.

Rows are bare by default, as training reads them. Framed ones put the kernel back in front of the first question, for
those who want a model to know it as part of what it is asked.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from lemfarm.curation.formats import Dialogue, Render
from lemfarm.dialogue import Message, Placement
from lemfarm.errors import InputError
from lemfarm.prompts import place_kernel

_BLANK_LINE = "\n\n"
_GEMMA_NAMES = {"assistant": "model"}


class Sign(StrEnum):
    """What an exported prompt is framed with."""

    NONE = "none"
    KERNEL = "kernel"  #: the kernel, a blank line, the prompt
    SANDWICH = "sandwich"  #: the kernel, a blank line, the prompt, a blank line, the signature


def frame(prompt: Dialogue, sign: Sign, kernel: str, signature: str) -> Dialogue:
    """The prompt with the kernel before its first question and, in a sandwich, the signature after its last."""
    if sign is Sign.NONE:
        return prompt
    signed = place_kernel(prompt, kernel, Placement.USER)
    return signed if sign is Sign.KERNEL else _after_last_question(signed, signature)


def read_signature(path: Path) -> str:
    """The text of a signature file, without the white space around it. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a signature: {error}. Name a UTF-8 text file.") from error
    if not text:
        raise InputError(f"{path}: this signature is empty.")
    return text


def gemma_text(dialogue: Dialogue) -> str:
    """A dialogue in Gemma's words, its texts as they are: Gemma has no system turn, so that goes before the first
    question."""
    turns = [
        f"<start_of_turn>{_GEMMA_NAMES.get(turn.role, turn.role)}\n{turn.content}<end_of_turn>\n"
        for turn in fold_system(dialogue)
    ]
    return "<bos>" + "".join(turns)


def model_text(folder: Path) -> Render:
    """A dialogue as the chat template of the model in the folder has it, which may trim texts. Raises InputError."""
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: its tokenizer cannot be read: {error}") from error
    if not tokenizer.chat_template:
        raise InputError(f"{folder}: this model has no chat template, so it has no words for a dialogue.")

    def render(dialogue: Dialogue) -> str:
        try:
            return _apply(tokenizer, dialogue)
        except Exception:  # noqa: BLE001 - a template that knows no system turn raises what it likes
            return _apply(tokenizer, fold_system(dialogue))

    return render


def fold_system(dialogue: Dialogue) -> Sequence[Message]:
    """The dialogue with its system text before the first question."""
    system = [turn.content for turn in dialogue if turn.role == "system"]
    if not system:
        return dialogue
    rest = [turn for turn in dialogue if turn.role != "system"]
    return place_kernel(rest, _BLANK_LINE.join(system), Placement.USER)


def _apply(tokenizer: Any, dialogue: Dialogue) -> str:
    messages = [{"role": turn.role, "content": turn.content} for turn in dialogue]
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def _after_last_question(prompt: Dialogue, text: str) -> Dialogue:
    place = max(number for number, turn in enumerate(prompt) if turn.role == "user")
    joined = Message("user", prompt[place].content + _BLANK_LINE + text)
    return (*prompt[:place], joined, *prompt[place + 1 :])
