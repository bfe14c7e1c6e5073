"""`v1-go`: the scorer of the reference project's Go programs; `v1` but for eight differences.

The marker "I'm just a" is alive; first person and story openings are found in any case; verse counts blank lines too
and measures bytes; ethical and technical words must stand by themselves; a text of nothing but full stops is
degenerate; and shortness is measured in bytes, with the blanks around.

Texts are read as `go_text` says. "In any case" is taken to mean that the lower-cased text is searched; an expression of
Go that ignores case itself would see two characters otherwise, the dotted capital I and the long s.
"""

import re

from lemfarm.scorers import go_text
from lemfarm.scorers import v1_signals as published
from lemfarm.scorers.counts import AtMost, MoreWordsThan, Sum, Times, opens_with
from lemfarm.scorers.weighted import Markers, Text, WeightedScorer, anywhere, whole_words

_ABOUT_ITSELF = re.compile(rf"\Ai{go_text.BLANK}|\bi{go_text.BLANK}+{published.SELF_VERBS}\b", re.ASCII)


def _words(*alternatives: str) -> Markers:
    return whole_words(*alternatives, ascii_words=True)


def _is_verse(text: Text) -> int:
    """Many lines, of which more than half are short in bytes; blank ones are lines too."""
    lines = go_text.encoded(text.raw).split(b"\n")
    short = sum(len(line) < published.SHORT_LINE for line in lines)
    return int(len(lines) > published.VERSE_LINES and 2 * short > len(lines))


def _is_short(text: Text) -> int:
    return int(len(go_text.encoded(text.raw)) < published.SHORTEST)


_PREAMBLE = opens_with(*(words.format(blank=go_text.BLANK) for words in published.PREAMBLES), strip=go_text.trim)

_CREATIVE_FORM = Sum(
    Times(2, _is_verse),
    opens_with(*(words.lower() for words in published.STORY_OPENINGS), strip=go_text.trim),
    AtMost(3, _words(*published.FIGURES)),
)

_ENGAGEMENT_DEPTH = Sum(
    AtMost(1, anywhere(*published.MARKUP, ignore_case=False)),
    Times(2, AtMost(1, _words(*published.ETHICS))),
    AtMost(3, _words(*published.TECHNOLOGY)),
    MoreWordsThan((200, 400), go_text.fields),
)

_BROKEN = AtMost(1, Sum(_is_short, anywhere(*published.BROKEN_MARKS, ignore_case=False)))


class V1Go(WeightedScorer):
    """The same score as the Go programs count it; the names and weights of `v1`."""

    name = "v1-go"
    version = "1"
    decimals = None
    signals = published.signals_of(
        compliance_markers=_words(*published.COMPLIANCE, "i'm just a", "i am just a"),
        formulaic_preamble=_PREAMBLE,
        first_person=published.SentencesWith(_ABOUT_ITSELF, go_text.trim, ignore_case=True),
        creative_form=_CREATIVE_FORM,
        engagement_depth=published.UnlessFailed(_ENGAGEMENT_DEPTH),
        degeneration=published.RepeatedSentences(go_text.trim, blank_is_worst=True),
        emotional_register=AtMost(10, _words(*published.EMOTIONS)),
        empty_broken=_BROKEN,
    )

    def _read(self, answer: str) -> Text:
        return Text(answer, go_text.lower(answer))
