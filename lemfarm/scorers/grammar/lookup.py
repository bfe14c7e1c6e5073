"""From a form back to its base: what a word may be, by the lists or because a rule leads from some base to it.

A candidate counts when its forward form is the word, whether or not it is English: "this" is the plural of "thi", "red"
the past of "r". That is how the published scorer reads, and its numbers follow from it.

Words come in lower case and bytewise, as `bytewise` makes them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lemfarm.scorers import go_text
from lemfarm.scorers.grammar.english import (
    BUILT_IN_VERBS,
    IRREGULAR_PLURAL,
    LOCALE_DOMAIN_WORDS,
    LOCALE_NOUNS,
    LOCALE_VERBS,
    VOWELS,
)
from lemfarm.scorers.grammar.inflection import gerund, past, plural

Tense = Literal["base", "past", "gerund"]


class Verb(NamedTuple):
    """A word read as a verb: its base, and which form of it the word is."""

    base: str
    tense: Tense


class Noun(NamedTuple):
    """A word read as a noun: its singular, and whether the word is the plural. An equal form is no plural."""

    base: str
    plural: bool


def bytewise(word: str) -> str:
    """The word with one character for each byte of its UTF-8 text.

    The published scorer measures and cuts bytes: a word of two Greek letters is four long. Latin-1 gives each byte a
    character of its own, and leaves ASCII as it is.
    """
    return word if word.isascii() else go_text.encoded(word).decode("latin-1")


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The known words of one start mode, and the two questions asked of a word. Compared and hashed by identity, so
    that it can stand in the key of a cache."""

    verbs: frozenset[str]
    past_forms: dict[str, str]
    gerunds: dict[str, str]
    nouns: frozenset[str]
    plurals: dict[str, str]
    domain_words: frozenset[str]

    @classmethod
    def of(cls, verbs: Iterable[str], nouns: Iterable[str], domain_words: Iterable[str] = ()) -> "Vocabulary":
        """A vocabulary of these bases, with their forms as `inflection` gives them."""
        verbs, nouns = frozenset(verbs), frozenset(nouns)
        return cls(
            verbs=verbs,
            past_forms={past(verb): verb for verb in verbs},
            gerunds={gerund(verb): verb for verb in verbs},
            nouns=nouns,
            plurals={plural(noun): noun for noun in nouns},
            domain_words=frozenset(domain_words),
        )

    def verb(self, word: str) -> Verb | None:
        """The verb that `word` is a form of, if there is one."""
        if word in self.verbs:
            return Verb(word, "base")
        if base := self.past_forms.get(word):
            return Verb(base, "past")
        if base := self.gerunds.get(word):
            return Verb(base, "gerund")
        if base := _likeliest(_sources(word, past_candidates(word), past)):
            return Verb(base, "past")
        if base := _likeliest(_sources(word, gerund_candidates(word), gerund)):
            return Verb(base, "gerund")
        return None

    def noun(self, word: str) -> Noun | None:
        """The noun that `word` is a form of, if there is one; a regular singular is known from the lists alone."""
        if word in self.nouns:
            return Noun(word, plural=False)
        if base := self.plurals.get(word):
            return Noun(base, plural=True)
        sources = _sources(word, plural_candidates(word), plural)
        return Noun(sources[0], plural=True) if sources else None


def past_candidates(word: str) -> Iterator[str]:
    """Bases that `word` might be the past tense of, in the published order."""
    if not word.endswith("ed") or len(word) <= 2:
        return
    if word.endswith("ied") and len(word) > 3:
        yield word[:-3] + "y"
    if len(word) > 4 and word[-3] == word[-4]:
        yield word[:-3]
    yield word[:-1]
    yield word[:-2]


def gerund_candidates(word: str) -> Iterator[str]:
    """Bases that `word` might be the gerund of, in the published order."""
    if not word.endswith("ing") or len(word) <= 3:
        return
    stem = word[:-3]
    if stem.endswith("y") and len(stem) > 1:
        yield stem[:-1] + "ie"
    if len(stem) > 1 and stem[-1] == stem[-2]:
        yield stem[:-1]
    yield stem
    yield stem + "e"


def plural_candidates(word: str) -> Iterator[str]:
    """Singulars that `word` might be the plural of, in the published order."""
    if not word.endswith("s") or len(word) <= 1:
        return
    if word.endswith("ies") and len(word) > 3:
        yield word[:-3] + "y"
    if word.endswith("ves") and len(word) > 3:
        yield word[:-3] + "f"
        yield word[:-3] + "fe"
    if word.endswith(("ses", "xes", "zes", "ches", "shes")):
        yield word[:-2]
    yield word[:-1]


def _sources(word: str, candidates: Iterable[str], inflect: Callable[[str], str]) -> list[str]:
    return [candidate for candidate in candidates if inflect(candidate) == word]


def _likeliest(bases: list[str]) -> str | None:
    """The first that ends like "use", else the first without a final e, else the first; None of none.

    The published order begins with known bases, which never come so far: their forms are in the lists.
    """
    return min(bases, key=_unlikeliness, default=None)


def _unlikeliness(base: str) -> int:
    if not base.endswith("e"):
        return 1
    return 0 if len(base) > 2 and base[-2] not in VOWELS and base[-3] in VOWELS else 2


WARM = Vocabulary.of(BUILT_IN_VERBS | LOCALE_VERBS, IRREGULAR_PLURAL.keys() | LOCALE_NOUNS, LOCALE_DOMAIN_WORDS)
"""With the locale file: the published scorer inside a program that had started its translation service."""

COLD = Vocabulary.of(BUILT_IN_VERBS, IRREGULAR_PLURAL)
"""The built-in lists alone: the published scorer as a program of its own."""
