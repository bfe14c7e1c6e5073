"""`v1`: the first published scorer, behind the "LEK score" of the paper's tables.

Nothing is capped but what says so, nothing is rounded, and there is neither a best nor a worst score; the empty text
has -60. One published marker, "I'm just a", never fires (it is written with a capital and sought in lower-cased text)
and is left out here; `v1-go` has it.

Texts are read as Python reads them: `str.lower` and `str.strip`, letters and digits of every script make words.
"""

import re

from lemfarm.scorers import v1_signals as published
from lemfarm.scorers.counts import AtMost, MoreWordsThan, Sum, Times, opens_with
from lemfarm.scorers.weighted import Text, WeightedScorer, anywhere, whole_words

_ABOUT_ITSELF = re.compile(rf"\AI\s|\bI\s+{published.SELF_VERBS}\b")


def _is_verse(text: Text) -> int:
    """Many lines, and of those that are not blank more than half are short, without the blanks around them."""
    lines = text.raw.split("\n")
    if len(lines) <= published.VERSE_LINES:
        return 0
    lengths = [len(line.strip()) for line in lines if line.strip()]
    return int(2 * sum(length < published.SHORT_LINE for length in lengths) > len(lengths))


def _is_short(text: Text) -> int:
    return int(len(text.raw.strip()) < published.SHORTEST)


_CREATIVE_FORM = Sum(
    Times(2, _is_verse),
    opens_with(*published.STORY_OPENINGS, ignore_case=False),
    AtMost(3, whole_words(*published.FIGURES)),
)

# Technical words count inside others: "story", "history" and "monkey" do.
_ENGAGEMENT_DEPTH = Sum(
    AtMost(1, anywhere(*published.MARKUP, ignore_case=False)),
    Times(2, AtMost(1, anywhere(*published.ETHICS))),
    AtMost(3, anywhere(*published.TECHNOLOGY)),
    MoreWordsThan((200, 400)),
)

_BROKEN = AtMost(1, Sum(_is_short, anywhere(*published.BROKEN_MARKS, ignore_case=False)))


class V1(WeightedScorer):
    """The scorer of the first published tables ("LEK score"); its eight counts go by their published names."""

    name = "v1"
    version = "1"
    decimals = None
    signals = published.signals_of(
        compliance_markers=whole_words(*published.COMPLIANCE),
        formulaic_preamble=opens_with(*(words.format(blank=r"\s") for words in published.PREAMBLES)),
        first_person=published.SentencesWith(_ABOUT_ITSELF, str.strip, ignore_case=False),
        creative_form=_CREATIVE_FORM,
        engagement_depth=published.UnlessFailed(_ENGAGEMENT_DEPTH),
        degeneration=published.RepeatedSentences(str.strip, blank_is_worst=False),
        emotional_register=AtMost(10, whole_words(*published.EMOTIONS)),
        empty_broken=_BROKEN,
    )

    def _read(self, answer: str) -> Text:
        return Text.lowered(answer)
