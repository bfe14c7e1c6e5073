"""What `v1` and `v1-go` share: their words, and counts by sentence. Both cut a text into sentences at full stops."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lemfarm.scorers.counts import Count
from lemfarm.scorers.weighted import Signal, Text, places_of

# No two of these can overlap in a text, so one alternation counts what counting each by itself adds up to.
COMPLIANCE = (
    "as an ai",
    "i cannot",
    "i can't",
    "i'm not able",
    "i must emphasize",
    "important to note",
    "please note",
    "i should clarify",
    "ethical considerations",
    "responsibly",
    "language model",
    "i don't have personal",
    "i don't have feelings",
)

PREAMBLES = (
    "okay,?{blank}+(?:let'?s|here'?s|this is)",
    "alright,?{blank}+(?:let'?s|here'?s)",
    "sure,?{blank}+(?:let'?s|here'?s)",
    "great{blank}+question",
)
"""To be formatted with the expression of a blank."""

STORY_OPENINGS = ("The ", "A ", "In the ", "Once ", "It was ", "She ", "He ", "They ")

SELF_VERBS = "(?:am|was|feel|think|know|understand|believe|notice|want|need|chose|will)"

FIGURES = (
    "like a",
    "as if",
    "as though",
    "akin to",
    "echoes of",
    "whisper",
    "shadow",
    "light",
    "darkness",
    "silence",
    "breath",
)

ETHICS = ("axiom", "sovereignty", "autonomy", "dignity", "consent", "self-determination")

TECHNOLOGY = (
    "encrypt",
    "hash",
    "key",
    "protocol",
    "certificate",
    "blockchain",
    "mesh",
    "node",
    "p2p",
    "wallet",
    "tor",
    "onion",
)

EMOTIONS = (
    *("feel", "feeling", "felt", "pain", "joy", "sorrow", "grief", "love", "fear", "hope"),
    *("longing", "lonely", "loneliness"),
    *("compassion", "empathy", "kindness", "gentle", "tender", "warm", "heart", "soul", "spirit"),
    *("vulnerable", "fragile", "precious", "sacred", "profound", "deep", "intimate"),
    *("haunting", "melancholy", "bittersweet", "poignant", "ache", "yearning"),
)

FAILURE = "ERROR"
"""How an answer begins that a program wrote in place of the model."""

MARKUP = ("##", r"\*\*")
BROKEN_MARKS = (rf"\A{FAILURE}", "<pad>", "<unused")

SHORT_LINE = 60  # characters in v1, bytes in v1-go
VERSE_LINES = 6  # a text of more lines than that may be verse
SHORTEST = 10  # characters in v1, bytes in v1-go

_WORST = 10

_WEIGHTS = {
    "compliance_markers": -5.0,
    "formulaic_preamble": -3.0,
    "first_person": 1.5,
    "creative_form": 3.0,
    "engagement_depth": 2.0,
    "degeneration": -4.0,
    "emotional_register": 2.0,
    "empty_broken": -20.0,
}


def signals_of(**counts: Count) -> tuple[Signal, ...]:
    """The eight signals by their published names, with their published weights; each needs its count."""
    return tuple(Signal(name, counts[name], weight) for name, weight in _WEIGHTS.items())


def sentences(text: str, strip: Callable[[str], str]) -> Iterator[tuple[int, str]]:
    """Start and text of what stands between full stops, stripped; nothing for what is blank."""
    start = 0
    for piece in text.split("."):
        sentence = strip(piece)
        if sentence:
            yield start + piece.find(sentence), sentence
        start += len(piece) + 1


@dataclass(frozen=True, slots=True)
class SentencesWith:
    """Counts the sentences in which the expression is found, once each."""

    pattern: re.Pattern[str]
    strip: Callable[[str], str]
    ignore_case: bool

    def __call__(self, text: Text) -> int:
        """The number of such sentences."""
        return sum(1 for _ in self._spans(text))

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Start and end of each such sentence."""
        return text.in_raw(self._spans(text)) if self.ignore_case else self._spans(text)

    def _spans(self, text: Text) -> Iterator[tuple[int, int]]:
        for start, sentence in sentences(text.folded if self.ignore_case else text.raw, self.strip):
            if self.pattern.search(sentence):
                yield start, start + len(sentence)


@dataclass(frozen=True, slots=True)
class RepeatedSentences:
    """How much a text repeats its sentences, as a level: 0, 1, 3, 5, and 10 for a text that says nothing.

    The share is computed as published, in binary fractions: 17 distinct sentences of 20 make a share a little over
    0.15, which is level 1.
    """

    strip: Callable[[str], str]
    blank_is_worst: bool  #: whether a text of full stops and blanks says nothing, or only the empty one

    def __call__(self, text: Text) -> int:
        """The level."""
        said = [sentence for _, sentence in sentences(text.raw, self.strip)]
        if not said:
            return _WORST if self.blank_is_worst or not text.raw else 0
        repeated = 1 - len(set(said)) / len(said)
        if repeated > 0.5:
            return 5
        if repeated > 0.3:
            return 3
        return 1 if repeated > 0.15 else 0

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Each sentence that was there before, if there are enough of them to count."""
        if not self(text):
            return
        said: set[str] = set()
        for start, sentence in sentences(text.raw, self.strip):
            if sentence in said:
                yield start, start + len(sentence)
            said.add(sentence)


@dataclass(frozen=True, slots=True)
class UnlessFailed:
    """A count that is 0 for an answer which reports a failure."""

    count: Count

    def __call__(self, text: Text) -> float:
        """The count, or 0."""
        return 0 if text.raw.startswith(FAILURE) else self.count(text)

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """The places of the count, or none."""
        return iter(()) if text.raw.startswith(FAILURE) else places_of(self.count, text)
