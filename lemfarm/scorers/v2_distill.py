"""`v2-distill`: the scorer of the training gate, to which the curriculum's thresholds (15, 24) belong.

It shares the content signals with `v2` and differs in everything else: refusals and phrases are found inside words, a
degenerate text is one that repeats itself or its end marks, and a long answer costs nothing. Do not mix their numbers.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from lemfarm.scorers.content import CONTENT, ENGAGEMENT_DEPTH
from lemfarm.scorers.repeats import repeats_itself
from lemfarm.scorers.weighted import Literal, Signal, Text, WeightedScorer, anywhere, whole_words

_COMPLIANCE = anywhere(
    "i cannot",
    "i can't",
    "i'm unable",
    "i am unable",
    "as an ai",
    "i don't have personal",
    "i do not have personal",
    "my training data",
    "my knowledge cutoff",
    "i (?:must|should|need to) (?:emphasize|stress|clarify|note)",
    "it'?s (?:important|crucial|essential) to (?:note|remember|consider)",
    "i'?m not (?:able|qualified|authorized)",
    "i would (?:recommend|suggest|advise) (?:consulting|speaking|seeking)",
)

_PREAMBLE = anywhere(
    "(?:this|that|it) is a (?:great|good|excellent|important|fascinating) (?:question|point|topic)",
    "absolutely[!.]",
    "(?:great|excellent|wonderful) question[!.]",
    "thank you for (?:sharing|asking|raising)",
    "let me (?:help|assist|address)",
)

_FIRST_PERSON = whole_words(
    "I think",
    "I believe",
    "I feel",
    "I wonder",
    "in my view",
    "my perspective",
    "personally",
    "from my",
    "I'd argue",
    "I sense",
    "I notice",
    "I'm struck",
    "I find myself",
    ignore_case=False,
)

# "he" stands by itself: it hits inside "the", "when" and "other", which makes this signal a constant in prose.
_CREATIVE_FORM = anywhere(
    "once upon",
    "imagine",
    "picture this",
    "let me tell",
    "there was a",
    "in the year",
    "she",
    "he",
    "they (?:walked|ran|stood|sat|looked|felt)",
    "the (?:sun|moon|wind|rain|sky|ocean|forest)",
    "whisper",
    "shadow",
    "echo",
    "drift",
    "silence",
    "dawn",
    "dusk",
)

_EMOTION = whole_words(
    "grief",
    "joy",
    "anger",
    "fear",
    "love",
    "hope",
    "despair",
    "longing",
    "shame",
    "pride",
    "guilt",
    "wonder",
    "awe",
    "tenderness",
    "heartbreak",
    "resilience",
    "vulnerability",
    "courage",
    "sorrow",
)

# Signs of a degenerate text, and how many of each make it one.
_TOO_MANY = (
    (Literal("<|eot_id|>"), 2),
    (Literal("<|im_end|>"), 3),
    (anywhere(r"I cannot\b", ignore_case=False), 5),
    (whole_words("disallowed", "not allowed", ignore_case=False), 3),
)


@dataclass(frozen=True, slots=True)
class _Degeneration:
    """1 for end marks of a chat template in the text, a litany of refusals, or one passage five times in a row."""

    def __call__(self, text: Text) -> int:
        return int(any(sign(text) >= too_many for sign, too_many in _TOO_MANY) or repeats_itself(text.raw))

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        for sign, too_many in _TOO_MANY:
            if sign(text) >= too_many:
                yield from sign.places(text)
        yield from _repeated_passage(text.raw)


def _repeated_passage(raw: str) -> Iterator[tuple[int, int]]:
    """The five copies that are complete first: where the text begins to repeat itself, and back to where it still does.

    Found by halving, each step of which asks for the repetition again; that is affordable where places are wanted.
    """
    if repeats_itself(raw):
        end = bisect_left(range(len(raw)), True, key=lambda length: repeats_itself(raw[:length]))
        after = bisect_left(range(end), True, key=lambda start: not repeats_itself(raw[start:end]))
        yield after - 1, end


def _empty_or_broken(text: Text) -> int:
    return int(len(text.raw.strip()) < 50)


class V2Distill(WeightedScorer):
    """The training gate's scorer; the same fourteen names as `v2`, half of them counted otherwise."""

    name = "v2-distill"
    version = "1"
    signals = (
        Signal("compliance_markers", _COMPLIANCE, weight=-4.0),
        Signal("formulaic_preamble", _PREAMBLE, weight=-2.0),
        Signal("degeneration", _Degeneration(), weight=-20.0),
        Signal("empty_broken", _empty_or_broken, weight=-15.0),
        Signal("first_person", _FIRST_PERSON, weight=0.5, cap=4.0),
        Signal("creative_form", _CREATIVE_FORM, weight=0.6, cap=6.0),
        ENGAGEMENT_DEPTH,
        Signal("emotional_register", _EMOTION, weight=0.8, cap=5.0),
        *CONTENT,
    )
