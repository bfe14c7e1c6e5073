"""The imprint of a text: the shares of its verbs, tenses, nouns, articles and marks; and how two imprints compare.

An imprint is what the published scorer calls the grammar of a text. It holds no order and no meaning.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from operator import attrgetter

from lemfarm.scorers.grammar.tokens import Kind, Token

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Imprint:
    """How often each thing occurs, as shares that sum to 1 (an empty mapping where there is none of a kind).

    `verbs` and `nouns` go by their base. A word that could be both stands in both, with a share that may be 0.
    """

    tokens: int
    domain_words: int
    verbs: Shares
    tenses: Shares
    nouns: Shares
    articles: Shares
    marks: Shares

    @classmethod
    def of(cls, tokens: list[Token]) -> "Imprint":
        """Count the tokens; none of them may be ambiguous still."""
        verbs, tenses, nouns, articles, marks = (defaultdict[str, float](float) for _ in range(5))
        domain_words = 0
        for token in tokens:
            if token.verb:
                verbs[token.verb.base] += token.verb_share
                tenses[token.verb.tense] += token.verb_share
            if token.noun:
                nouns[token.noun.base] += token.noun_share
            if token.kind is Kind.ARTICLE:
                articles[token.label] += 1
            elif token.kind is Kind.MARK:
                marks[token.label] += 1
            elif token.kind is Kind.DOMAIN:
                domain_words += 1
        return cls(len(tokens), domain_words, *map(_shares, (verbs, tenses, nouns, articles, marks)))


# How much each part of two imprints counts in their similarity.
_WEIGHTS: tuple[tuple[float, Callable[[Imprint], Shares]], ...] = (
    (0.30, attrgetter("verbs")),
    (0.20, attrgetter("tenses")),
    (0.25, attrgetter("nouns")),
    (0.15, attrgetter("articles")),
    (0.10, attrgetter("marks")),
)


def similarity(one: Imprint, other: Imprint) -> float:
    """From 0 (nothing in common) to 1 (the same shares): the weighted mean of the parts that at least one text has.

    Two texts without any of them, such as two empty ones, are taken for the same. The last bit may exceed 1.
    """
    parts = [(weight, part(one), part(other)) for weight, part in _WEIGHTS if part(one) or part(other)]
    if not parts:
        return 1.0
    return sum(weight * _cosine(left, right) for weight, left, right in parts) / sum(weight for weight, *_ in parts)


def _shares(counts: Shares) -> Shares:
    total = sum(counts.values())
    return {key: count / total for key, count in counts.items()} if total else dict(counts)


def _cosine(one: Shares, other: Shares) -> float:
    lengths = _length(one) * _length(other)
    if not lengths:
        return 0.0
    return sum(share * other[key] for key, share in one.items() if key in other) / lengths


def _length(shares: Shares) -> float:
    return sqrt(sum(share * share for share in shares.values()))
