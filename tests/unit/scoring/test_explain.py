"""A score taken apart: every hit where it stands, and points that add up to the score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.scorers import Hit, Score, get_scorer, scorer_for
from lemfarm.scoring.explain import CONTEXT, Explanation, explain
from lemfarm.scoring.records import Answered, Record
from tests.unit.scoring.shapes import LONG, PLAIN, SHORT

MARKERS = ["However", "tension", "I feel", "why?", "\n\n", "grief", "Oslo", "as an AI", "he said", "dusk", "**bold**"]
WEIGHTED = ["v2", "v2-distill", "v2-long", "v1", "v1-go", "tier1"]


def explained(text: str, scorer: str = "v2") -> Explanation:
    chosen = scorer_for(scorer, "4")
    answered = Answered("json", "", text, {})
    return explain(chosen, chosen.score("", text), Record({}, "P1", "craft"), answered, "a.jsonl:3")


@given(st.lists(st.sampled_from([*MARKERS, "plain"]), max_size=40), st.sampled_from(WEIGHTED))
def test_signals_add_up_to_the_score(words: list[str], scorer: str) -> None:
    found = explained(" ".join(words), scorer)
    points = [share.points for share in found.signals]
    assert None not in points
    assert sum(point for point in points if point is not None) == pytest.approx(found.value, abs=0.006)


@given(st.lists(st.sampled_from([*MARKERS, "plain"]), max_size=60), st.sampled_from(WEIGHTED))
def test_hits_are_worth_no_more_than_their_signal(words: list[str], scorer: str) -> None:
    # What a signal counts without a place (the first paragraph, a whole text) is the difference.
    found = explained(" ".join(words), scorer)
    for share in found.signals:
        worth = sum(place.points or 0.0 for place in found.hits if place.signal == share.signal)
        assert share.points is not None
        assert abs(worth) <= abs(share.points) + 1e-9


def test_hits_beyond_the_cap_are_shown_and_add_nothing() -> None:
    found = explained("However. " * 6 + "The rest is as plain as it can be and says no more than that, ever.")
    worth = [place.points for place in found.hits if place.signal == "nuance" and place.text == "However"]
    assert worth == [1.5, 1.5, 1.5, 1.5, 0.0, 0.0]


@pytest.mark.parametrize("scorer", ["v1", "v1-go"])
def test_a_hit_that_counts_twice_is_told_once_and_worth_both(scorer: str) -> None:
    found = explained("They ask for dignity, and for the mesh, and for nothing else.", scorer)
    worth = [(place.text, place.points) for place in found.hits if place.signal == "engagement_depth"]
    assert worth == [("dignity", 4.0), ("mesh", 2.0)]


def test_a_hit_stands_between_the_text_before_and_after_it() -> None:
    text = f"{'a' * 60} However {'b' * 60}"
    place = next(place for place in explained(text).hits if place.signal == "nuance")
    assert (place.text, text[place.start : place.end]) == ("However", "However")
    assert place.before == f"{'a' * (CONTEXT - 1)} "
    assert place.after == f" {'b' * (CONTEXT - 1)}"


def test_a_hit_at_either_end_has_nothing_around_it() -> None:
    place = explained("However").hits[0]
    assert (place.before, place.text, place.after) == ("", "However", "")


def test_a_very_long_hit_is_cut_in_its_middle() -> None:
    text = "start" + "x" * 10_000 + "end"
    score = Score(1.0, {"loop": 1}, lambda: (Hit("loop", 0, len(text)),))
    found = explain(get_scorer("v2"), score, Record({}, "", ""), Answered("", "", text, {}), "a:1")
    assert found.hits[0].text.startswith("startxxx")
    assert found.hits[0].text.endswith("xxxend")
    assert len(found.hits[0].text) < 200


def test_an_explanation_says_whose_it_is() -> None:
    found = explained(LONG)
    assert (found.place, found.probe, found.condition, found.scorer) == ("a.jsonl:3", "P1", "json", "v2")
    assert found.version == get_scorer("v2").version


def test_of_a_scorer_that_does_not_weigh_signals_only_places_are_known() -> None:
    found = explained("It is 4, so #### 4", "gsm8k")
    assert {share.points for share in found.signals} == {None}
    assert [(place.text, place.points) for place in found.hits] == [("4", None)]


@pytest.mark.parametrize("text", ["", SHORT, PLAIN, "\ud83d half", "\0", "İstanbul, HOWEVER " * 50])
def test_any_text_can_be_explained(text: str) -> None:
    for scorer in WEIGHTED:
        assert explained(text, scorer).value == get_scorer(scorer).score("", text).value
