"""Verb or noun? "build", "check", "commit", "file", "run" and "test" are both, and their neighbours decide.

Every sign in favour of one reading adds its weight. The shares of the two sums then say how far the word counts as
each. Words are decided from left to right, so that a word decided as a certain verb is a sign for those behind it.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from lemfarm.scorers.grammar.english import AUXILIARIES, CLAUSE_BREAKERS, DETERMINERS
from lemfarm.scorers.grammar.tokens import Kind, Token

# The weights of the published scorer.
_DETERMINER_BEFORE = 0.35
_AUXILIARY_BEFORE = 0.25
_CLASS_BEHIND = 0.15
_FIRST_IN_TEXT = 0.10
_VERB_IN_CLAUSE = 0.10
_INFLECTED_ELSEWHERE = 0.03
_VERB_BY_DEFAULT = 0.02

_LEAST_EVIDENCE = 0.10  # with less, the shares are the two below
_LIKELIER, _OTHER = 0.55, 0.45

_NOTHING = Token("", Kind.UNKNOWN)  # behind the last token


class _Evidence(NamedTuple):
    """What speaks for either reading."""

    verb: float
    noun: float


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a word's reading depends on beyond its neighbours, gathered once for a text."""

    clause_of: list[int]
    clauses_with_verb: set[int]
    bases_of_verbs: set[str]
    bases_of_nouns: set[str]

    @classmethod
    def of(cls, tokens: list[Token]) -> "_Surroundings":
        """Before any word is decided. The base forms of the six are ambiguous themselves, so that a verb or noun of
        such a base is an inflected one."""
        clause_of = _clauses(tokens)
        return cls(
            clause_of,
            clauses_with_verb={clause_of[index] for index, token in enumerate(tokens) if _is_sure_verb(token)},
            bases_of_verbs={token.verb.base for token in tokens if token.verb and token.kind is Kind.VERB},
            bases_of_nouns={token.noun.base for token in tokens if token.noun and token.kind is Kind.NOUN},
        )


def resolve(tokens: list[Token]) -> list[Token]:
    """The same tokens with each ambiguous one decided: its kind, and its shares as verb and as noun."""
    ambiguous = [index for index, token in enumerate(tokens) if token.kind is Kind.AMBIGUOUS]
    if not ambiguous:
        return tokens
    resolved, surroundings = list(tokens), _Surroundings.of(tokens)
    for index in ambiguous:
        resolved[index] = _decided(tokens[index], _weigh(tokens, index, surroundings))
        if _is_sure_verb(resolved[index]):
            surroundings.clauses_with_verb.add(surroundings.clause_of[index])
    return resolved


def _weigh(tokens: list[Token], index: int, surroundings: _Surroundings) -> _Evidence:
    word, clause = tokens[index].text, surroundings.clause_of[index]
    before = tokens[index - 1].text if index else ""
    behind = tokens[index + 1] if index + 1 < len(tokens) else _NOTHING
    return _Evidence(
        verb=_sum_of_true(
            (_AUXILIARY_BEFORE, before in AUXILIARIES),
            (_CLASS_BEHIND, _opens_noun_phrase(behind)),
            (_FIRST_IN_TEXT, index == 0),
            (_INFLECTED_ELSEWHERE, word in surroundings.bases_of_nouns),
            (_VERB_BY_DEFAULT, True),
        ),
        noun=_sum_of_true(
            (_DETERMINER_BEFORE, before in DETERMINERS),
            (_CLASS_BEHIND, behind.kind is Kind.VERB),
            (_VERB_IN_CLAUSE, clause in surroundings.clauses_with_verb),
            (_INFLECTED_ELSEWHERE, word in surroundings.bases_of_verbs),
        ),
    )


def _sum_of_true(*signs: tuple[float, bool]) -> float:
    return sum(weight for weight, holds in signs if holds)


def _decided(token: Token, evidence: _Evidence) -> Token:
    """Ties go to the verb."""
    is_verb = evidence.verb >= evidence.noun
    total = sum(evidence)
    if total >= _LEAST_EVIDENCE:
        verb_share, noun_share = evidence.verb / total, evidence.noun / total
    else:
        verb_share, noun_share = (_LIKELIER, _OTHER) if is_verb else (_OTHER, _LIKELIER)
    kind = Kind.VERB if is_verb else Kind.NOUN
    return replace(token, kind=kind, verb_share=verb_share, noun_share=noun_share)


def _clauses(tokens: list[Token]) -> list[int]:
    """The number of the clause that each token stands in; what parts two clauses is counted with the second."""
    clause_of, clause = [], 0
    for token in tokens:
        clause += token.kind is Kind.MARK or token.text in CLAUSE_BREAKERS
        clause_of.append(clause)
    return clause_of


def _is_sure_verb(token: Token) -> bool:
    return token.kind is Kind.VERB and token.verb_share >= 1


def _opens_noun_phrase(token: Token) -> bool:
    return token.kind in (Kind.ARTICLE, Kind.NOUN) or token.text in DETERMINERS
