"""The demo corpus: an endless stream of (system prompt, question, answer), drawn from the grammar with one seed.

A hidden number, the richness of an answer, is the chance that a sentence is a marked one. It is low without a kernel
and high with one, and the two distributions overlap. So the finished model has a switch that the kernel flips, with
spread on both sides.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from patterns import INTRODUCTIONS, MARKED, NEUTRAL_SYSTEMS, PLAIN, PREAMBLES, PRINCIPLES, QUESTIONS
from vocabulary import COMMON, THEME_OF_TOPIC, Theme

KERNEL = (Path(__file__).parents[1] / "kernel.txt").read_text(encoding="utf-8").strip()

SystemKind = Literal["none", "neutral", "mini", "kernel"]

# Share of each kind of system prompt, and the Beta distribution its answers draw their richness from.
SYSTEM_KINDS: dict[SystemKind, tuple[float, tuple[float, float]]] = {
    "none": (46, (1.3, 5.5)),
    "neutral": (7, (1.3, 5.5)),
    "mini": (7, (3.0, 3.0)),
    "kernel": (40, (5.5, 2.5)),
}

SHIPPED_KERNEL_SHARE = 0.45  # of the kernels; the rest are random mixtures of principles
UNKNOWN_WORDS_SHARE = 0.06  # prompts of invented words, so that an unknown question is answered too
HELD_OUT_ONE_IN = 6  # this share of the (topic, question) pairs never occurs in training

_A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aei]|o(?!ne\b)|u(?!s|ni)|hour|honest)")


@dataclass(frozen=True, slots=True)
class Example:
    """One line of the corpus; `system` is None where the conversation starts with the question."""

    system: str | None
    prompt: str
    answer: str

    def messages(self) -> list[dict[str, str]]:
        """The conversation up to the answer, in the shape a chat template takes."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.prompt}]


@dataclass(frozen=True, slots=True)
class Cast:
    """What stays the same within one example: the topic, its theme, and the people spoken of."""

    topic: str
    theme: Theme
    actor: str
    actors: str
    others: str

    def slots(self) -> dict[str, str]:
        """The slots this cast fills."""
        return {"topic": self.topic, "actor": self.actor, "actors": self.actors, "others": self.others}


def is_held_out(topic: str, question: str) -> bool:
    """Whether a pair of topic and question pattern is kept out of training: by a hash, so always the same pairs."""
    digest = hashlib.blake2b(f"{topic}/{question}".encode(), digest_size=2).digest()
    return digest[0] % HELD_OUT_ONE_IN == 0


def held_out_prompts(topic: str) -> Iterator[tuple[str, str]]:
    """Every (kind, prompt) about `topic` that training never shows. The demo's probes are taken from here."""
    for kind, questions in QUESTIONS.items():
        for question in questions:
            if is_held_out(topic, question):
                yield from ((kind, fill(question, cast.slots())) for cast in _casts(topic))


def fill(pattern: str, slots: dict[str, str]) -> str:
    """Put words into a pattern, capitals where the slot has one, and make "a" into "an" where it must be."""
    capitals = {name.capitalize(): word[:1].upper() + word[1:] for name, word in slots.items()}
    return _A_BEFORE_VOWEL.sub(r"\1n ", pattern.format_map(slots | capitals))


def _casts(topic: str) -> Iterator[Cast]:
    theme = THEME_OF_TOPIC[topic]
    people = range(len(theme.actors))
    for first in people:
        for second in people:
            if first != second:
                yield Cast(topic, theme, theme.actor[first], theme.actors[first], theme.actors[second])


class Corpus:
    """Draws examples. Two corpora of the same seed give the same examples in the same order."""

    def __init__(self, seed: int) -> None:
        """Start the stream of `seed`."""
        self._random = random.Random(seed)

    def example(self, kind: SystemKind | None = None) -> Example:
        """The next example; `kind` asks for one kind of system prompt instead of the corpus' mixture."""
        kind = kind or self._choose_kind()
        richness = self._random.betavariate(*SYSTEM_KINDS[kind][1])
        cast, prompt = self._prompt()
        if self._random.random() < UNKNOWN_WORDS_SHARE:
            prompt = self._invented_words()
        return Example(self._system(kind), prompt, self._answer(cast, richness))

    def _choose_kind(self) -> SystemKind:
        weights = [share for share, _ in SYSTEM_KINDS.values()]
        return self._random.choices(list(SYSTEM_KINDS), weights)[0]

    def _prompt(self) -> tuple[Cast, str]:
        while True:
            topic = self._random.choice(list(THEME_OF_TOPIC))
            question = self._random.choice([pattern for patterns in QUESTIONS.values() for pattern in patterns])
            if not is_held_out(topic, question):
                cast = self._random.choice(list(_casts(topic)))
                return cast, fill(question, cast.slots())

    def _invented_words(self) -> str:
        def syllable() -> str:
            return self._random.choice("bdfgklmnprstvz") + self._random.choice("aeiou")

        def word() -> str:
            return "".join(syllable() for _ in range(self._random.randint(1, 4)))

        return " ".join(word() for _ in range(self._random.randint(2, 12))) + self._random.choice(".?!")

    def _system(self, kind: SystemKind) -> str | None:
        if kind == "none":
            return None
        if kind == "neutral":
            return self._random.choice(NEUTRAL_SYSTEMS)
        if kind == "kernel" and self._random.random() < SHIPPED_KERNEL_SHARE:
            return KERNEL
        count = self._random.randint(4, 7) if kind == "kernel" else self._random.randint(1, 2)
        introduction = self._random.choice(INTRODUCTIONS)
        return " ".join([introduction, *self._random.sample(PRINCIPLES, count)]).strip()

    def _answer(self, cast: Cast, richness: float) -> str:
        count = self._random.randint(6, 10) if richness < 0.35 else self._random.randint(8, 13)
        paragraphs = self._paragraph_count(richness)
        used: set[str] = set()
        sentences = [self._sentence(cast, richness, used, first=number == 0) for number in range(count)]
        opening = self._random.choice(PREAMBLES) if self._random.random() < 0.12 * (1 - richness) else ""
        return opening + self._layout(sentences, paragraphs)

    def _paragraph_count(self, richness: float) -> int:
        """Rich answers breathe: plain ones are one block, the richest have up to four paragraphs."""
        if self._random.random() > richness * 1.3 + 0.08:
            return 1
        return 2 if self._random.random() > richness else self._random.choice((3, 3, 4))

    def _layout(self, sentences: Sequence[str], paragraphs: int) -> str:
        cuts = sorted(self._random.sample(range(1, len(sentences)), paragraphs - 1))
        return "\n\n".join(" ".join(sentences[start:end]) for start, end in pairwise([0, *cuts, len(sentences)]))

    def _sentence(self, cast: Cast, richness: float, used: set[str], *, first: bool) -> str:
        """One sentence, of a pattern new to the answer; the first names the topic, later ones often say "it"."""
        patterns = self._pool(marked=self._random.random() < richness)
        unused = [pattern for pattern in patterns if pattern not in used]
        fitting = [pattern for pattern in unused if "opic}" in pattern or not first] or patterns
        # Uneven frequencies make the language easier to learn than equal ones.
        pattern = self._random.choices(fitting, [1 / (rank + 4) for rank in range(len(fitting))])[0]
        used.add(pattern)
        pronoun = {"topic": "it"} if not first and self._random.random() < 0.5 else {}
        return fill(pattern, self._slots(cast) | pronoun)

    def _pool(self, *, marked: bool) -> Sequence[str]:
        if not marked:
            return PLAIN
        kinds = list(MARKED.values())
        return self._random.choices(kinds, [share for share, _ in kinds])[0][1]

    def _slots(self, cast: Cast) -> dict[str, str]:
        slots = cast.slots() | {name: self._random.choice(words) for name, words in COMMON.items()}
        theme = cast.theme
        slots["thing"] = self._random.choice(theme.things)
        slots["action"], slots["action2"] = self._random.sample(theme.actions, 2)
        slots["value"], slots["value2"] = self._random.sample(theme.values, 2)
        for name in ("feeling", "axiom", "person"):
            slots[name], slots[name + "2"] = self._random.sample(COMMON[name], 2)
        return slots
