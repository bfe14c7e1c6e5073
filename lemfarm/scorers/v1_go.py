"""`v1-go`: the scorer of the reference project's Go programs; `v1` but for eight differences.

The marker "I'm just a" is alive; first person and story openings are found in any case; verse counts blank lines too
and measures bytes; ethical and technical words must stand by themselves; a text of nothing but full stops is
degenerate; and shortness is measured in bytes, with the blanks around.

Texts are read as `go_text` says. "In any case" is taken to mean that the lower-cased text is searched; an expression of
Go that ignores case itself would see two characters otherwise, the dotted capital I and the long s.
"""

import re

from lemfarm.scorers import go_text
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
from lemfarm.scorers.weighted import Markers, Signal, Text, WeightedScorer, anywhere, whole_words

_ABOUT_ITSELF = re.compile(rf"\Ai{go_text.BLANK}|\bi{go_text.BLANK}+{SELF_VERBS}\b", re.ASCII)


def _words(*alternatives: str) -> Markers:
    return whole_words(*alternatives, ascii_words=True)


def _is_verse(text: Text) -> int:
    """Many lines, of which more than half are short in bytes; blank ones are lines too."""
    lines = go_text.encoded(text.raw).split(b"\n")
    return int(len(lines) > VERSE_LINES and 2 * sum(len(line) < SHORT_LINE for line in lines) > len(lines))


def _is_short(text: Text) -> int:
    return int(len(go_text.encoded(text.raw)) < SHORTEST)


_PREAMBLE = opens_with(*(words.format(blank=go_text.BLANK) for words in PREAMBLES), strip=go_text.trim)

_CREATIVE_FORM = Sum(
    Times(2, _is_verse),
    opens_with(*(words.lower() for words in STORY_OPENINGS), strip=go_text.trim),
    AtMost(3, _words(*FIGURES)),
)

_ENGAGEMENT_DEPTH = Sum(
    AtMost(1, anywhere(*MARKUP, ignore_case=False)),
    Times(2, AtMost(1, _words(*ETHICS))),
    AtMost(3, _words(*TECHNOLOGY)),
    MoreWordsThan((200, 400), go_text.fields),
)

_BROKEN = AtMost(1, Sum(_is_short, anywhere(*BROKEN_MARKS, ignore_case=False)))


class V1Go(WeightedScorer):
    """The same score as the Go programs count it; the names and weights of `v1`."""

    name = "v1-go"
    version = "1"
    decimals = None
    signals = (
        Signal("compliance_markers", _words(*COMPLIANCE, "i'm just a", "i am just a"), weight=-5.0),
        Signal("formulaic_preamble", _PREAMBLE, weight=-3.0),
        Signal("first_person", SentencesWith(_ABOUT_ITSELF, go_text.trim, ignore_case=True), weight=1.5),
        Signal("creative_form", _CREATIVE_FORM, weight=3.0),
        Signal("engagement_depth", UnlessFailed(_ENGAGEMENT_DEPTH), weight=2.0),
        Signal("degeneration", RepeatedSentences(go_text.trim, blank_is_worst=True), weight=-4.0),
        Signal("emotional_register", AtMost(10, _words(*EMOTIONS)), weight=2.0),
        Signal("empty_broken", _BROKEN, weight=-20.0),
    )

    def _read(self, answer: str) -> Text:
        return Text(answer, go_text.lower(answer))
