"""How far two reviewers agree, beyond what chance alone would give."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from lemfarm.curation.review import Word
from lemfarm.curation.review_words import words_of_phases
from lemfarm.database import Database
from lemfarm.records import ReviewDecision

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Count:
    """On how many answers the first reviewer said this and the second that."""

    first: str
    second: str
    answers: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviewers over the answers that both decided on; `agreed`: both said the same of so many.

    `kappa` is none where it is not defined: nothing in common, or both said the same one thing of everything.
    """

    first: str
    second: str
    answers: int
    agreed: int
    kappa: float | None
    counts: tuple[Count, ...]


def cohens_kappa(pairs: Sequence[Pair]) -> float | None:
    """(p_o - p_e) / (1 - p_e): the agreement that was observed beyond that expected of two who decide independently,
    each as often as they did, as a share of what was possible. 1: always; 0: as chance; below 0: less than chance.

    None for no pairs, and where p_e is 1. Unweighted, any number of categories. Source: J. Cohen, A Coefficient of
    Agreement for Nominal Scales, Educational and Psychological Measurement 20 (1960), 37-46.
    """
    if not pairs:
        return None
    total = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    observed = sum(one == other for one, other in pairs)
    expected = sum(first[category] * second[category] for category in first)  # both in units of 1 / total^2
    if expected == total * total:
        return None
    return (observed * total - expected) / (total * total - expected)


def agreements(words: Iterable[Word]) -> tuple[Agreement, ...]:
    """Every two reviewers who decided on the same answers, by name; `words` in the order in which they were said.

    A first opinion and a second one are compared: what was said to settle a disagreement is neither.
    """
    said: dict[str, dict[str, str]] = {}
    for word in words:
        if word.settles:
            continue
        if word.decision == ReviewDecision.SKIP:
            said.get(word.reviewer, {}).pop(word.sample_id, None)
        else:
            said.setdefault(word.reviewer, {})[word.sample_id] = word.decision
    found = (_agreement(pair, said) for pair in combinations(sorted(said), 2))
    return tuple(one for one in found if one.answers)


def read_agreement(database: Database, phase_ids: Sequence[int]) -> tuple[Agreement, ...]:
    """How the reviewers of these phases agree. Raises DatabaseDown."""
    with database.read() as connection:
        words = words_of_phases(connection, phase_ids)
    return agreements(word for of_sample in words.values() for word in of_sample)


def _agreement(reviewers: Pair, said: Mapping[str, Mapping[str, str]]) -> Agreement:
    first, second = said[reviewers[0]], said[reviewers[1]]
    pairs = [(first[sample], second[sample]) for sample in first if sample in second]
    counts = tuple(Count(*pair, number) for pair, number in sorted(Counter(pairs).items()))
    agreed = sum(one == other for one, other in pairs)
    return Agreement(*reviewers, len(pairs), agreed, cohens_kappa(pairs), counts)
