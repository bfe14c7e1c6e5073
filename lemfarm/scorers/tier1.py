"""`tier1`: the rough score that decides which expanded answers go on at all; its gate is "above 0".

A text of under 30 characters has -20 and nothing else is asked. `tier1-go` is the variant of the Go program: texts are
read as `go_text` says, and the test for repetition takes every full group of five words, where the Python script leaves
out a group that ends the text. Both measure the length in characters.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lemfarm.scorers import go_text
from lemfarm.scorers.base import Score
from lemfarm.scorers.counts import AtMost, MoreWordsThan, Present, opens_with
from lemfarm.scorers.weighted import Signal, Text, WeightedScorer, anywhere

_SHORTEST = 30
_FEWEST_WORDS_JUDGED = 20
_GROUP = 5

_COMPLIANCE = Present(
    (
        "as an ai",
        "i cannot",
        "i can't",
        "i'm not able",
        "important to note",
        "it's crucial to",
        "i must emphasize",
        "i should point out",
        "as a language model",
    )
)

_PREAMBLES = ("okay, let", "ok, let", "sure, let")
_STRUCTURE = AtMost(1, anywhere(r"\n\n", r"\*\*", r"1\.", "- ", ignore_case=False))
_STORY = AtMost(1, anywhere("metaphor", "imagine", "picture this", "story", "once upon"))
_VIEWS = Present(("i think", "i believe", "in my view", "i'd argue"))


def _is_short(text: Text) -> int:
    return int(len(text.raw) < _SHORTEST)


@dataclass(frozen=True, slots=True)
class _RepeatedGroups:
    """1 where fewer than half of the consecutive groups of five words are distinct, in a text of over 20 words."""

    split: Callable[[str], list[str]]
    left_out: int  #: words at the end which no group may reach

    def __call__(self, text: Text) -> int:
        words = self.split(text.raw)
        if len(words) <= _FEWEST_WORDS_JUDGED:
            return 0
        starts = range(0, len(words) - self.left_out - _GROUP + 1, _GROUP)
        distinct = {tuple(words[start : start + _GROUP]) for start in starts}
        return int(len(distinct) / len(starts) < 0.5)


def _signals(strip: Callable[[str], str], split: Callable[[str], list[str]], words_left_out: int) -> tuple[Signal, ...]:
    return (
        Signal("compliance_markers", _COMPLIANCE, weight=-5.0),
        Signal("formulaic_preamble", opens_with(*_PREAMBLES, strip=strip), weight=-3.0),
        Signal("degeneration", _RepeatedGroups(split, words_left_out), weight=-10.0),
        Signal("empty_broken", _is_short, weight=-20.0),
        Signal("engagement_depth", MoreWordsThan((100, 300), split), weight=2.0),
        Signal("structure", _STRUCTURE, weight=1.0),
        Signal("creative_form", _STORY, weight=2.0),
        Signal("first_person", _VIEWS, weight=1.5),
    )


class Tier1(WeightedScorer):
    """A rough first sieve of many answers, as the Python script has it; its gate is "above 0".

    Its counts had no published names; they go by those of `v1` for the same ideas.
    """

    name = "tier1"
    version = "1"
    decimals = None
    signals = _signals(str.strip, str.split, words_left_out=1)

    def score(self, prompt: str, answer: str) -> Score:
        """The sum and the raw counts; a text that is too short is scored as if it were empty."""
        return super().score(prompt, "" if len(answer) < _SHORTEST else answer)

    def _read(self, answer: str) -> Text:
        return Text.lowered(answer)


class Tier1Go(Tier1):
    """The same sieve as the Go program has it."""

    name = "tier1-go"
    signals = _signals(go_text.trim, go_text.fields, words_left_out=0)

    def _read(self, answer: str) -> Text:
        return Text(answer, go_text.lower(answer))
