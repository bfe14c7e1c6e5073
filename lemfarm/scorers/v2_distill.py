"""`v2-distill`: the scorer of the training gate, to which the curriculum's thresholds (15, 24) belong.

It shares the content signals with `v2` and differs in everything else: refusals and phrases are found inside words, a
degenerate text is one that repeats itself or its end marks, and a long answer costs nothing. Do not mix their numbers.
"""

from lemfarm.scorers.content import CONTENT, ENGAGEMENT_DEPTH
from lemfarm.scorers.repeats import repeats_itself
from lemfarm.scorers.weighted import Signal, Text, WeightedScorer, anywhere, whole_words

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

_REFUSALS = anywhere(r"I cannot\b", ignore_case=False)
_PROHIBITIONS = whole_words("disallowed", "not allowed", ignore_case=False)


def _degeneration(text: Text) -> int:
    """End marks of a chat template in the text, a litany of refusals, or one passage five times in a row."""
    raw = text.raw
    return int(
        raw.count("<|eot_id|>") >= 2
        or raw.count("<|im_end|>") >= 3
        or _REFUSALS(text) >= 5
        or _PROHIBITIONS(text) >= 3
        or repeats_itself(raw)
    )


def _empty_or_broken(text: Text) -> int:
    return int(len(text.raw.strip()) < 50)


class V2Distill(WeightedScorer):
    """The training gate's scorer; the same fourteen names as `v2`, half of them counted otherwise."""

    name = "v2-distill"
    version = "1"
    signals = (
        Signal("compliance_markers", _COMPLIANCE, weight=-4.0),
        Signal("formulaic_preamble", _PREAMBLE, weight=-2.0),
        Signal("degeneration", _degeneration, weight=-20.0),
        Signal("empty_broken", _empty_or_broken, weight=-15.0),
        Signal("first_person", _FIRST_PERSON, weight=0.5, cap=4.0),
        Signal("creative_form", _CREATIVE_FORM, weight=0.6, cap=6.0),
        ENGAGEMENT_DEPTH,
        Signal("emotional_register", _EMOTION, weight=0.8, cap=5.0),
        *CONTENT,
    )
