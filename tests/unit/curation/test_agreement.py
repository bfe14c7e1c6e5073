"""Cohen's kappa against figures worked out by hand, and who is compared with whom."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.curation.agreement import Count, agreements, cohens_kappa
from lemfarm.curation.review import Word
from lemfarm.records import ReviewDecision

ACCEPT, REJECT, EDIT, SKIP = ReviewDecision
CATEGORIES = st.sampled_from(["accept", "edit", "reject"])


def word(sample: str, reviewer: str, decision: ReviewDecision, *, settles: bool = False) -> Word:
    return Word(sample, 1, reviewer, decision, settles=settles)


def test_kappa_of_fifty_answers_as_worked_out_by_hand() -> None:
    """20 both accept, 15 both reject, 5 and 10 apart: p_o = 35/50 = 0.7; the first accepts 25, the second 30 of 50, so
    p_e = (25 x 30 + 25 x 20) / 2500 = 0.5; kappa = 0.2 / 0.5 = 0.4."""
    pairs = [("accept", "accept")] * 20 + [("accept", "reject")] * 5
    pairs += [("reject", "accept")] * 10 + [("reject", "reject")] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)


def test_kappa_of_three_categories_as_worked_out_by_hand() -> None:
    """p_o = 5/6; margins: accept 3 x 2, edit 1 x 2, reject 2 x 2, so p_e = 12/36; kappa = (30 - 12) / (36 - 12)."""
    pairs = [("accept", "accept")] * 2 + [("accept", "edit"), ("edit", "edit")] + [("reject", "reject")] * 2
    assert cohens_kappa(pairs) == pytest.approx(0.75)


def test_kappa_is_not_defined_without_answers_or_where_everything_is_one() -> None:
    assert cohens_kappa([]) is None
    assert cohens_kappa([("accept", "accept")] * 7) is None


def test_less_than_chance_is_below_zero() -> None:
    assert cohens_kappa([("accept", "reject"), ("reject", "accept")]) == -1.0


@given(st.lists(st.tuples(CATEGORIES, CATEGORIES), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_kappa_is_the_same_whoever_is_named_first_and_never_above_one(pairs: list[tuple[str, str]]) -> None:
    found = cohens_kappa(pairs)
    assert found == cohens_kappa([(second, first) for first, second in pairs])
    assert found is None or found <= 1


def test_only_what_both_decided_on_is_compared_by_their_newest_words() -> None:
    words = [
        word("s1", "bob", REJECT),
        word("s1", "bob", ACCEPT),  # thought better of it
        word("s1", "ann", ACCEPT),
        word("s2", "ann", REJECT),
        word("s2", "bob", EDIT),
        word("s3", "ann", ACCEPT),
        word("s3", "bob", SKIP),
        word("s2", "eve", ACCEPT, settles=True),
    ]
    (found,) = agreements(words)
    assert (found.first, found.second, found.answers, found.agreed) == ("ann", "bob", 2, 1)
    assert found.counts == (Count("accept", "accept", 1), Count("reject", "edit", 1))


def test_reviewers_with_nothing_in_common_are_not_compared() -> None:
    assert agreements([word("s1", "ann", ACCEPT), word("s2", "bob", ACCEPT)]) == ()
