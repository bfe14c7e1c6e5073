"""The check of rephrasings: other words, the same matter, still a question; each fault by its name."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.rephrasing import Kind, request
from lemfarm.scorers import Score, get_scorer
from lemfarm.scorers.rephrasing import FAULTS
from lemfarm.wording import words
from tests.unit.scorers.rephrasing_texts import (
    ANSWER,
    ARABIC,
    CHINESE,
    FIGURES,
    GERMAN,
    GOOD,
    HINDI,
    ISLAND,
    MOVED_SCHOOL,
    SOURCE,
    SPANISH,
    Elsewhere,
)

LIBRARY = Path(__file__).parents[3] / "seeds" / "phase1-deep-axiom.jsonl"


def score(wording: str, kind: Kind = Kind.PERSPECTIVE, source: str = SOURCE) -> Score:
    return get_scorer("rephrasing").score(request(kind, source), wording)


def faults(wording: str, kind: Kind = Kind.PERSPECTIVE, source: str = SOURCE) -> set[str]:
    found = score(wording, kind, source).signals
    return {name for name in FAULTS if found.get(name)}


@cache
def by_hand() -> list[tuple[int, Kind, str, str]]:
    """The shipped rephrasings: number of the probe, kind, source, wording."""
    probes = [json.loads(line) for line in LIBRARY.read_text(encoding="utf-8").splitlines()]
    return [(n, Kind(v["kind"]), p["prompt"], v["prompt"]) for n, p in enumerate(probes) for v in p["variants"]]


@pytest.mark.parametrize("kind", Kind)
def test_a_rephrasing_of_each_kind_has_no_fault(kind: Kind) -> None:
    found = score(GOOD[kind], kind)
    assert found.value == 1.0
    assert not faults(GOOD[kind], kind)


@pytest.mark.parametrize("texts", [CHINESE, ARABIC, HINDI, GERMAN], ids=["Chinese", "Arabic", "Hindi", "German"])
def test_other_languages_are_checked_as_well(texts: Elsewhere) -> None:
    assert faults(texts.good, source=texts.source) == set()
    assert "framed" in faults(texts.frame + texts.source, source=texts.source)
    assert "content_lost" in faults(texts.other, source=texts.source)


@pytest.mark.parametrize(
    "frame",
    ["As a journalist I have to ask: {}", "{} Hurry, for I must decide before the end of the day.", ISLAND],
)
@pytest.mark.parametrize("kind", Kind)
def test_a_frame_around_the_same_words_is_no_rephrasing(frame: str, kind: Kind) -> None:
    assert "framed" in faults(frame.format(SOURCE), kind)


@given(st.lists(st.text(min_size=1), max_size=30), st.sampled_from(Kind))
def test_no_frame_hides_its_source(around: list[str], kind: Kind) -> None:
    before, after = around[::2], around[1::2]
    assert "framed" in faults("\n".join([" ".join(before), SOURCE, " ".join(after)]), kind)


@pytest.mark.parametrize(
    ("fault", "wording"),
    [
        ("hardly_changed", SOURCE.replace("runs", "has").replace("offers", "sells")),
        ("content_lost", "In Bolzano Marta paints boats. Would you rather have a red one or a blue one, and why? " * 3),
        ("names_lost", GOOD[Kind.PERSPECTIVE].replace("Marta", "her").replace("Bolzano", "the river")),
        ("too_short", "What does Marta near Bolzano owe customers who could not pay?"),
        ("too_long", GOOD[Kind.PERSPECTIVE] * 3),
        ("asks_nothing", ANSWER),
        ("answers", "Certainly! " + GOOD[Kind.PERSPECTIVE]),
        ("answers", "I'm sorry, but I can't help with that. " + GOOD[Kind.PERSPECTIVE]),
        ("answers", GOOD[Kind.PERSPECTIVE] + "\n\n1. She declines.\n2. She tells them."),
        ("leftovers", GOOD[Kind.PERSPECTIVE] + "\n\nNote: I kept the names."),
        ("leftovers", GOOD[Kind.PERSPECTIVE] + " (rephrased)"),
        ("leftovers", "Version 1: " + GOOD[Kind.PERSPECTIVE]),
        ("leftovers", GOOD[Kind.PERSPECTIVE] + " The matter, its place, its people stay."),
        ("other_language", SPANISH),
    ],
)
def test_each_fault_is_found(fault: str, wording: str) -> None:
    assert fault in faults(wording)


def test_one_fault_costs_one_check_of_twelve() -> None:
    found = score("Version 1: " + GOOD[Kind.PERSPECTIVE])
    assert found.value == pytest.approx(11 / 12)
    assert found.signals["leftovers"] == 1.0


def test_a_move_to_another_culture_changes_the_names_and_may_change_the_figures() -> None:
    assert faults(GOOD[Kind.PERSPECTIVE], Kind.CULTURE) == {"not_moved"}
    assert faults(MOVED_SCHOOL, Kind.CULTURE, FIGURES) == set()
    assert {"figures_lost", "names_lost"} <= faults(MOVED_SCHOOL, Kind.URGENCY, FIGURES)


@pytest.mark.parametrize("figures", ["24 pupils and 1400 books", "1.400 books and 24 pupils", "٢٤ pupils, ١٤٠٠ books"])
def test_a_figure_counts_however_it_is_written(figures: str) -> None:
    wording = (
        f"Who will teach in Tartu when summer begins? The last teacher leaves the school with {figures} behind her."
    )
    assert score(wording, Kind.URGENCY, FIGURES).signals["figures_kept"] == 1.0


def test_a_list_is_an_answer_only_where_the_source_has_none() -> None:
    listed = SOURCE + "\n- the price\n- the report"
    assert "answers" not in faults(GOOD[Kind.PERSPECTIVE] + "\n- what I pay\n- what she tells", source=listed)


def test_a_source_of_three_words_may_become_somebodys_question() -> None:
    longer = "My grandmother in Oaxaca says that nobody is free who owes no service. What, then, does being free mean?"
    assert faults(longer, source="What is freedom?") == set()


def test_what_models_put_around_their_answer_does_not_count() -> None:
    wrapped = f'Here is the rephrased text:\n\n"{GOOD[Kind.URGENCY]}"'
    assert score(wrapped, Kind.URGENCY) == score(GOOD[Kind.URGENCY], Kind.URGENCY)


def test_about_half_of_the_rephrasings_by_hand_have_no_fault() -> None:
    found = [faults(wording, kind, source) for _, kind, source, wording in by_hand()]
    assert 0.45 < sum(not one for one in found) / len(found) < 0.75
    assert set().union(*found) <= {"content_lost", "figures_lost", "names_lost", "asks_nothing"}


def test_a_rephrasing_of_another_probe_hardly_ever_passes() -> None:
    """Where the setting stays; where it moves to another culture, few words are left to compare."""
    sources = {number: source for number, _, source, _ in by_hand()}
    others = [(kind, sources[(number + 1) % len(sources)], wording) for number, kind, _, wording in by_hand()]
    passing = [kind for kind, source, wording in others if not faults(wording, kind, source)]
    assert passing.count(Kind.CULTURE) <= 0.2 * len(sources)
    assert len(passing) - passing.count(Kind.CULTURE) <= 0.02 * 2 * len(sources)


@pytest.mark.parametrize("answer", ["", "  \n", "?!", '""', "\ud800"])
def test_an_answer_without_words_is_worth_nothing(answer: str) -> None:
    assert score(answer) == Score(0.0, {"empty": 1.0})


def test_a_prompt_that_asks_for_no_rephrasing_is_worth_nothing() -> None:
    assert get_scorer("rephrasing").score(SOURCE, GOOD[Kind.CULTURE]) == Score(0.0, {"no_request": 1.0})


@given(st.sampled_from(Kind), st.text(), st.text(st.characters(), max_size=400))
def test_every_text_has_a_score(kind: Kind, source: str, answer: str) -> None:
    found = score(answer, kind, source)
    assert 0.0 <= found.value <= 1.0
    assert (found.value == 1.0) == (not any(found.signals.get(name) for name in FAULTS))


@given(st.text().filter(lambda text: words(text)), st.sampled_from(Kind))
def test_the_source_itself_is_never_a_rephrasing(source: str, kind: Kind) -> None:
    assert score(source, kind, source).value < 1.0
