"""What follows from the words of reviewers: who counts, what the majority says, and what the gates keep out anyway."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.config import ReviewConfig
from lemfarm.curation.review import Consensus, Word, consensus, in_sample, standing_words, with_review
from lemfarm.gates import Outcome, Verdict
from lemfarm.records import ReviewDecision

ACCEPT, REJECT, EDIT, SKIP = ReviewDecision
PASSED = Verdict(Outcome.ACCEPTED, "passed every gate")
ALL_FIRST = ReviewConfig(share=1.0, before_training=True)
ALL_LATER = ReviewConfig(share=1.0)
WORDS = st.builds(
    Word,
    sample_id=st.just("s"),
    text_id=st.just(1),
    reviewer=st.sampled_from("abc"),
    decision=st.sampled_from(ReviewDecision),
    settles=st.booleans(),
)


def said(reviewer: str, decision: ReviewDecision, note: str = "", *, settles: bool = False) -> Word:
    return Word("s", 1, reviewer, decision, note, settles)


# ---- who is looked at


def test_the_share_is_met_and_a_larger_one_keeps_those_of_a_smaller() -> None:
    ids = [f"sample-{number}" for number in range(4000)]
    tenth = {one for one in ids if in_sample(one, 0.1)}
    assert 320 < len(tenth) < 480
    assert tenth == {one for one in ids if in_sample(one, 0.1)} < {one for one in ids if in_sample(one, 0.3)}


def test_a_share_of_nothing_and_of_everything() -> None:
    ids = [f"sample-{number}" for number in range(200)]
    assert not any(in_sample(one, 0.0) for one in ids)
    assert all(in_sample(one, 1.0) for one in ids)


# ---- whose word counts

CONSENSUS: list[tuple[list[Word], Consensus]] = [
    ([], Consensus.UNSEEN),
    ([said("a", SKIP)], Consensus.UNSEEN),
    ([said("a", ACCEPT)], Consensus.KEEP),
    ([said("a", EDIT), said("b", ACCEPT)], Consensus.KEEP),
    ([said("a", REJECT)], Consensus.DROP),
    ([said("a", ACCEPT), said("b", REJECT)], Consensus.SPLIT),
    ([said("a", ACCEPT), said("b", REJECT), said("c", REJECT)], Consensus.DROP),
    ([said("a", ACCEPT), said("b", REJECT), said("c", SKIP)], Consensus.SPLIT),
    ([said("a", ACCEPT), said("a", REJECT)], Consensus.DROP),
    ([said("a", REJECT), said("b", REJECT), said("c", ACCEPT, settles=True)], Consensus.KEEP),
    ([said("a", ACCEPT, settles=True), said("b", REJECT, settles=True)], Consensus.DROP),
]


@pytest.mark.parametrize(("words", "expected"), CONSENSUS)
def test_the_majority_of_newest_words_decides(words: list[Word], expected: Consensus) -> None:
    assert consensus(words) == expected


@given(st.lists(WORDS, max_size=8))
@settings(max_examples=60, deadline=None)
def test_each_reviewer_counts_once_and_a_word_that_settles_alone(words: list[Word]) -> None:
    counting = standing_words(words)
    assert len({word.reviewer for word in counting}) == len(counting)
    assert all(word.decision != SKIP for word in counting)
    assert len(counting) == 1 or not any(word.settles for word in counting)


# ---- what follows for the answer


def test_an_answer_in_the_sample_is_held_only_where_review_comes_before_training() -> None:
    assert with_review(PASSED, "s", ALL_FIRST) == Verdict(Outcome.HELD, "waits for review")
    assert with_review(PASSED, "s", ALL_LATER) == PASSED


def test_reviewers_let_an_answer_through_or_keep_it_out_with_their_reason() -> None:
    kept = with_review(PASSED, "s", ALL_FIRST, [said("ann", EDIT)])
    dropped = with_review(PASSED, "s", ALL_LATER, [said("ann", REJECT, "dull")])
    assert kept == Verdict(Outcome.ACCEPTED, "reviewed: ann edited")
    assert dropped == Verdict(Outcome.REJECTED, "rejected by ann: dull")


def test_two_who_disagree_hold_an_answer_also_where_it_counted_at_once() -> None:
    found = with_review(PASSED, "s", ALL_LATER, [said("ann", ACCEPT), said("bob", REJECT)])
    assert found.outcome == Outcome.HELD
    assert found.reason == "waits for review: reviewers disagree (ann accepted, bob rejected)"


@given(st.lists(WORDS, max_size=6), st.sampled_from([ALL_FIRST, ALL_LATER]))
@settings(max_examples=60, deadline=None)
def test_nobody_lets_in_what_a_gate_rejects(words: list[Word], config: ReviewConfig) -> None:
    by_gates = Verdict(Outcome.REJECTED, "truncated")
    assert with_review(by_gates, "s", config, words) == by_gates


def test_an_answer_without_its_score_stays_held_and_a_rejection_counts_before() -> None:
    unscored = Verdict(Outcome.HELD, "no score by v2")
    assert with_review(unscored, "s", ALL_FIRST, [said("ann", ACCEPT)]) == unscored
    assert with_review(unscored, "s", ALL_FIRST, [said("ann", REJECT)]).outcome == Outcome.REJECTED
