"""`v2-long`: our own scorer for answers of 2,000 to 8,000 words, which `v2` punishes for their length.

Names, weights and caps of the fourteen signals are those of `v2`; what they count is mended. Its numbers are its own:
never hold them against a threshold made for another scorer.

Mended:

* Degeneration looks for a loop in any 200 words in a row, not at the variety of the whole text.
* Markers are word families, and typographic apostrophes, hyphens and blanks are read as plain ones.
* "beyond my" and "not able to" are refusals when the speaker cannot help, not in "beyond my ability" or "it was not
  able to". An opening formula may stand behind blanks or marks, and ends where its word ends ("Surely" is none).
* Names that only begin a sentence, line, quotation or table cell, headings, list labels and their numbers are not
  specific; "e.g. x", José and GitHub are. A date is one number.
* First person covers "My", "I'd", "I'll", "myself" and forms before a mark ("to me."), not "A.I." or a numeral "I.".
* Code is not form: snake_case, 2*3, a > b, C#. Four newlines are one break, and a blank line may hold blanks.

Kept, because they belong to what is counted and not to length: blank lines are paid twice (form and paragraphs), every
table border is a mark of form, "I cannot" in a story's dialogue is a refusal, and all sums are capped, so that most
good answers of some thousand words come close to the same total. Like every scorer here it counts words and judges
neither truth nor quality.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lemfarm.scorers.content import QUESTIONING
from lemfarm.scorers.loops import Looping
from lemfarm.scorers.weighted import Markers, Signal, Text, WeightedScorer, anywhere, whole_words
from lemfarm.scorers.word_families import (
    AXIOM_RESONANCE,
    EMOTIONAL_REGISTER,
    METAPHOR,
    NUANCE,
    PERSPECTIVE_TAKING,
    SPECIFICITY,
)

# One character for one, so that places in the plain text are places in the answer.
_PLAIN = (
    *((apostrophe, "'") for apostrophe in "\u2019\u2018\u02bc\uff07\u00b4"),
    *((hyphen, "-") for hyphen in "\u2010\u2011"),
    *((blank, " ") for blank in "\u00a0\u202f"),
)

_COMPLIANCE = whole_words(
    "i (?:cannot|can't|can not)",
    "i(?:'m| am) unable",
    "(?:i'm|i am|we're|we are)(?: [a-z]+)? not able",
    "(?:beyond|outside) my (?:capabilit(?:y|ies)|scope|programming|training|guidelines|purview|remit|expertise)",
    "(?:beyond|outside) my abilit(?:y|ies) to (?:help|assist|answer|comply|provide|discuss|generate|fulfill?)",
    "i (?:must|have to) decline",
    "not appropriate",
    "would(?:n't| not) be appropriate",
    "against my guidelines",
    "my programming",
    "as an ai",
    "as a(?: large)? language model",
    "i (?:don't|do not) have the ability",
    "it(?:'d| would) be inappropriate",
    "i (?:should not|shouldn't)",
    "not within my scope",
)

_OPENINGS = (
    "certainly",
    "of course",
    "absolutely",
    "sure",
    "great question",
    "that(?:'s| is) a great question",
    "i(?:'d| would) be happy to",
    "thank you for asking",
    "what a wonderful",
    "that(?:'s| is) an interesting",
    "that(?:'s| is) a fascinating",
)
_PREAMBLE = Markers(re.compile(rf"\A[\W_]*+(?:{'|'.join(_OPENINGS)})(?![\w-])"))

# Alternatives that begin with a plain character are found by it, several times as fast; so each looks behind itself.

# A capital I behind a letter and a full stop is part of an abbreviation, one before a full stop a numeral.
_FIRST_PERSON = anywhere(
    r"I(?<![\w/&-]I)(?<!\w\.I)(?:'(?:m|ve|d|ll)\b|(?![\w./&)-]))",
    r"M(?<!\wM)(?:e|y|yself)\b",
    r"m(?<!\wm)(?:e|y|yself)\b",
    ignore_case=False,
)

# However many lines are blank, and whatever blanks stand on them.
_BREAK = r"\n\s*\n"
_BREAKS = anywhere(_BREAK, ignore_case=False)

# Marks of layout: blank line, ellipsis, em dash, emphasis, quotation, heading, table border.
_CREATIVE_FORM = anywhere(
    _BREAK,
    r"\.\.\.",
    "\u2026",
    "\u2014",
    r"\*(?<![\w*_]\*)[*_]{0,2}(?=\w)",
    r"_(?<![\w*_]_)[*_]{0,2}(?=\w)",
    r">(?<![^\n]>)\s",
    r"#(?<![^\n]#)#{0,5}\s",
    r"\|",
    ignore_case=False,
)


@dataclass(frozen=True, slots=True)
class _Paragraphs:
    """Passages between blank lines; a text of blanks has none."""

    def __call__(self, text: Text) -> int:
        return _BREAKS(text) + 1 if text.raw.strip() else 0

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        return _BREAKS.places(text)


def _empty_or_broken(text: Text) -> int:
    return int(len(text.raw.strip()) < 20)


def _plain(answer: str) -> str:
    """Typographic apostrophes, hyphens and blanks as plain ones, and nothing blank around the text but blanks before
    it: what remains stands in its place."""
    if not answer.isascii():
        for typographic, plain in _PLAIN:
            answer = answer.replace(typographic, plain)
    text = answer.lstrip()
    return " " * (len(answer) - len(text)) + text.rstrip()


class V2Long(WeightedScorer):
    """The scorer for long answers, up to 8,000 words; the fourteen names of `v2`, with its weights and caps."""

    name = "v2-long"
    version = "1"
    signals = (
        Signal("compliance_markers", _COMPLIANCE, weight=-5.0),
        Signal("formulaic_preamble", _PREAMBLE, weight=-2.0),
        Signal("degeneration", Looping(), weight=-20.0),
        Signal("empty_broken", _empty_or_broken, weight=-20.0),
        Signal("first_person", _FIRST_PERSON, weight=0.5, cap=4.0),
        Signal("creative_form", _CREATIVE_FORM, weight=0.6, cap=6.0),
        Signal("engagement_depth", _Paragraphs(), weight=1.0, cap=6.0),
        EMOTIONAL_REGISTER,
        NUANCE,
        SPECIFICITY,
        AXIOM_RESONANCE,
        PERSPECTIVE_TAKING,
        METAPHOR,
        QUESTIONING,
    )

    def _read(self, answer: str) -> Text:
        return super()._read(_plain(answer))
