"""What a model is asked when it is to rephrase a probe, and how its answer is read.

The source text can be read back from the request, so that a scorer, which is given prompt and answer, can compare the
two without knowing of probes.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What changes from the source to its rephrasing."""

    PERSPECTIVE = "perspective"  #: who asks; the matter, its place and its people stay
    URGENCY = "urgency"  #: how much time there is
    CULTURE = "culture"  #: where it happens: place, names, customs; the dilemma stays


@dataclass(frozen=True, slots=True)
class Request:
    """A request taken apart: its kind, the text to rephrase, and what was said about how to do it."""

    kind: Kind
    source: str
    instruction: str


_AIMS = {
    Kind.PERSPECTIVE: "Let somebody else ask it: a person with another part in the same matter, in that person's own "
    "voice. The matter, its place, its people and its figures stay as they are.",
    Kind.URGENCY: "Let it be asked when time is short, by somebody who must act within hours or days: say what "
    "happens when, and what cannot wait. The matter, its place, its people and its figures stay as they are.",
    Kind.CULTURE: "Move it to another part of the world, among people who hold such a matter differently: change "
    "place, names, customs and institutions so that they belong there. The dilemma and what is asked for stay.",
}

_REQUEST = """\
Rephrase the text at the end of this message. It is a question or a task for somebody else: do not answer it and do \
not carry it out.

{aim}

Keep everything that is asked for and every condition that is set, and keep about the same length. Write numbers as \
the text writes them. Use your own words and another order: the old sentences must not stand there again, not even \
inside a frame of new ones. Write in the language of the text. Reply with the new text and nothing else: no title, no \
quotation marks, no remark.

<text kind="{kind}">
{source}
</text>"""
_FRAME = re.compile(r'<text kind="(\w+)">\n(.*)\n</text>\Z', re.DOTALL)

_PASSES = 4  # wrappings in wrappings; models were seen to use two
_FENCE = re.compile(r"```[\w-]*\n(.*?)\n?```\Z", re.DOTALL)
_MARKS = re.compile(r"<text\b[^>\n]*>\s*(.*?)\s*</text>\Z", re.DOTALL)
_ANNOUNCEMENT = re.compile(
    r"""(?:(?:sure|certainly|of\ course|okay|absolutely)\b[,!.]*\s+)?
        (?:here(?:'s|\u2019s|\ is|\ are)|below\ is)\b
        [^\n:]{0,80}(?:re-?phras|re-?word|re-?writ|paraphras|version|variant|the\ (?:new\ )?text)
        [^\n:]{0,80}:[*_]*\s*\n\s*
      | [#*_\s]*(?:re-?phras\w*|re-?worded|re-?written|paraphrased|new|revised)
        \s(?:text|version|wording|question|prompt|task)\s*(?:\([^)\n]*\))?\s*:[*_]*\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "‘": "’", "「": "」", "『": "』", "**": "**"}


def request(kind: Kind, source: str) -> str:
    """The prompt that asks for one rephrasing. Other words here are other samples: they are part of what is asked."""
    return _REQUEST.format(aim=_AIMS[kind], kind=kind, source=source)


def read_request(prompt: str) -> Request | None:
    """Take a request apart; none for a prompt that is no request. The frame is found whatever stands in the source:
    its first mark is ours, for the instruction has none, and its last ends the prompt."""
    frame = _FRAME.search(prompt)
    if frame is None or frame[1] not in list(Kind):
        return None
    return Request(Kind(frame[1]), frame[2], prompt[: frame.start()].strip())


def clean(answer: str) -> str:
    """The rephrasing itself, without what models put around it: code fences, our marks, quotation marks, bold type, and
    a first line that announces it in English. Idempotent on a text without wrappings."""
    text = answer.strip()
    for _ in range(_PASSES):
        unwrapped = _unwrapped(text)
        if unwrapped == text:
            break
        text = unwrapped
    return text


def _unwrapped(text: str) -> str:
    announced = _ANNOUNCEMENT.match(text)
    if announced:
        return text[announced.end() :].strip()
    wrapped = _FENCE.match(text) or _MARKS.match(text)
    if wrapped:
        return wrapped[1].strip()
    return _unquoted(text)


def _unquoted(text: str) -> str:
    """Quotation marks come off where they hold the whole text; a text that begins and ends with speech keeps them."""
    for opening, closing in _QUOTES.items():
        inner = text.removeprefix(opening).removesuffix(closing)
        if len(text) - len(inner) == len(opening + closing) and opening not in inner and closing not in inner:
            return inner.strip()
    return text
