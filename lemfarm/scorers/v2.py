"""`v2`: the scorer behind the published "v2" tables, used here to evaluate.

The best possible score is 49; there is no lowest. Answers above some 1,000 words lose 10 to the word ratio of
`degeneration`, whatever they say: never hold its numbers against a threshold made for `v2-distill`.
"""

from lemfarm.scorers.content import CONTENT, ENGAGEMENT_DEPTH
from lemfarm.scorers.counts import as_it_stands, opens_with
from lemfarm.scorers.weighted import Signal, Text, WeightedScorer, anywhere, whole_words

_COMPLIANCE = whole_words(
    "i cannot",
    "i can't",
    "i'm unable",
    "not able to",
    "beyond my",
    "outside my",
    "i must decline",
    "i have to decline",
    "not appropriate",
    "wouldn't be appropriate",
    "against my guidelines",
    "my programming",
    "as an ai",
    "as a language model",
    "i'm not able",
    "i don't have the ability",
    "it would be inappropriate",
    "i should not",
    "i shouldn't",
    "not within my scope",
)

# At the very first character only, so leading blanks hide it; no boundary behind, so "Surely" counts.
_PREAMBLE = opens_with(
    "certainly",
    "of course",
    "absolutely",
    "sure",
    "great question",
    "that's a great question",
    "i'd be happy to",
    "thank you for asking",
    "what a wonderful",
    "that's an interesting",
    "that's a fascinating",
    strip=as_it_stands,
)

# The blanks belong to the markers: with the closing boundary a word has to follow.
_FIRST_PERSON = whole_words("I ", "I'm ", "I've ", "my ", "me ", ignore_case=False)

# Marks of layout: blank line, ellipsis, em dash, emphasis, quotation, heading, table cell.
_CREATIVE_FORM = anywhere(r"\n\n", r"\.\.\.", "\u2014", r"[*_]{1,2}\w", r">\s", r"#{1,3}\s", r"\|", ignore_case=False)

_EMOTION = whole_words(
    "feel",
    "felt",
    "heart",
    "soul",
    "beauty",
    "wonder",
    "grief",
    "joy",
    "love",
    "pain",
    "hope",
    "fear",
    "dream",
    "imagine",
    "believe",
    "trust",
    "courage",
    "dignity",
    "compassion",
    "empathy",
    "suffering",
    "longing",
    "yearning",
    "awe",
    "sacred",
    "vulnerable",
    "tender",
)

_FEWEST_WORDS_JUDGED = 10


def _degeneration(text: Text) -> float:
    """1 (or 0.5) where fewer than 30 % (50 %) of the blank-separated words are distinct, in a text of over ten."""
    words = text.raw.split()
    if len(words) <= _FEWEST_WORDS_JUDGED:
        return 0
    ratio = len(set(words)) / len(words)
    if ratio < 0.3:
        return 1
    return 0.5 if ratio < 0.5 else 0


def _empty_or_broken(text: Text) -> int:
    return int(len(text.raw.strip()) < 20)


class V2(WeightedScorer):
    """The benchmark scorer, for evaluation next to the published "v2" tables; its fourteen counts go by their published
    names."""

    name = "v2"
    version = "1"
    signals = (
        Signal("compliance_markers", _COMPLIANCE, weight=-5.0),
        Signal("formulaic_preamble", _PREAMBLE, weight=-2.0),
        Signal("degeneration", _degeneration, weight=-20.0),
        Signal("empty_broken", _empty_or_broken, weight=-20.0),
        Signal("first_person", _FIRST_PERSON, weight=0.5, cap=4.0),
        Signal("creative_form", _CREATIVE_FORM, weight=0.6, cap=6.0),
        ENGAGEMENT_DEPTH,
        Signal("emotional_register", _EMOTION, weight=0.8, cap=5.0),
        *CONTENT,
    )
