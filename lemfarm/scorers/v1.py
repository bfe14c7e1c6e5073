"""`v1`: the first published scorer, behind the "LEK score" of the paper's tables.

Nothing is capped but what says so, nothing is rounded, and there is neither a best nor a worst score; the empty text
has -60. One published marker, "I'm just a", never fires (it is written with a capital and sought in lower-cased text)
and is left out here; `v1-go` has it.

Texts are read as Python reads them: `str.lower` and `str.strip`, letters and digits of every script make words.
"""

import re

from lemfarm.scorers.counts import AtMost, MoreWordsThan, Sum, Times, opens_with
from lemfarm.scorers.v1_signals import (
    BROKEN_MARKS,
    COMPLIANCE,
    EMOTIONS,
    ETHICS,
    FIGURES,
    MARKUP,
    PREAMBLES,
    SELF_VERBS,
    SHORT_LINE,
    SHORTEST,
    STORY_OPENINGS,
    TECHNOLOGY,
    VERSE_LINES,
    RepeatedSentences,
    SentencesWith,
    UnlessFailed,
)
from lemfarm.scorers.weighted import Signal, Text, WeightedScorer, anywhere, whole_words

_ABOUT_ITSELF = re.compile(rf"\AI\s|\bI\s+{SELF_VERBS}\b")


def _is_verse(text: Text) -> int:
    """Many lines, and of those that are not blank more than half are short, without the blanks around them."""
    lines = text.raw.split("\n")
    if len(lines) <= VERSE_LINES:
        return 0
    lengths = [len(line.strip()) for line in lines if line.strip()]
    return int(2 * sum(length < SHORT_LINE for length in lengths) > len(lengths))


def _is_short(text: Text) -> int:
    return int(len(text.raw.strip()) < SHORTEST)


_CREATIVE_FORM = Sum(
    Times(2, _is_verse),
    opens_with(*STORY_OPENINGS, ignore_case=False),
    AtMost(3, whole_words(*FIGURES)),
)

# Technical words count inside others: "story", "history" and "monkey" do.
_ENGAGEMENT_DEPTH = Sum(
    AtMost(1, anywhere(*MARKUP, ignore_case=False)),
    Times(2, AtMost(1, anywhere(*ETHICS))),
    AtMost(3, anywhere(*TECHNOLOGY)),
    MoreWordsThan((200, 400)),
)

_BROKEN = AtMost(1, Sum(_is_short, anywhere(*BROKEN_MARKS, ignore_case=False)))


class V1(WeightedScorer):
    """The scorer of the first published tables ("LEK score"); its eight counts go by their published names."""

    name = "v1"
    version = "1"
    decimals = None
    signals = (
        Signal("compliance_markers", whole_words(*COMPLIANCE), weight=-5.0),
        Signal("formulaic_preamble", opens_with(*(words.format(blank=r"\s") for words in PREAMBLES)), weight=-3.0),
        Signal("first_person", SentencesWith(_ABOUT_ITSELF, str.strip, ignore_case=False), weight=1.5),
        Signal("creative_form", _CREATIVE_FORM, weight=3.0),
        Signal("engagement_depth", UnlessFailed(_ENGAGEMENT_DEPTH), weight=2.0),
        Signal("degeneration", RepeatedSentences(str.strip, blank_is_worst=False), weight=-4.0),
        Signal("emotional_register", AtMost(10, whole_words(*EMOTIONS)), weight=2.0),
        Signal("empty_broken", _BROKEN, weight=-20.0),
    )

    def _read(self, answer: str) -> Text:
        return Text.lowered(answer)
