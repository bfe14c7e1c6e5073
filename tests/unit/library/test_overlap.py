"""What is asked of a library as a whole."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.library import overlap
from lemfarm.library.reading import Excuse, Library, Remark, question
from lemfarm.wording import runs
from tests.probe_library import held, library, prose


def test_what_cannot_be_read_is_told() -> None:
    read = Library((), (Remark("a:3", "not JSON"),), (Remark("b", "no such file"),))
    assert [(found.place, found.text) for found in overlap.reading(read)] == [
        ("b", "no such file"),
        ("a:3", "not JSON"),
    ]


def test_an_id_stands_for_one_probe() -> None:
    read = library(held("P1"), held("P2"), held("P1", prose("other")), held("P2"))
    assert [(found.place, found.text) for found in overlap.ids(read)] == [
        ("probes.jsonl:3", "the id stands at probes.jsonl:1 too, with another text: give one of them another id"),
        ("probes.jsonl:4", "the id stands at probes.jsonl:2 too, with the same text: leave one out"),
    ]


def test_a_wording_stands_once_in_the_library() -> None:
    text = prose(1)
    read = library(held("P1", prose(0), text), held("P2", f" {text} "), held("P3", prose(3), text.upper()))
    twin = "as variant 1 (kind1) of P1 (probes.jsonl:1): leave one out"
    assert [(found.probe, found.text) for found in overlap.duplicates(read)] == [
        ("P2", f"the original has the same text {twin}"),
        ("P3", f"variant 1 (kind1) has the same words (case and punctuation apart) {twin}"),
    ]


def test_two_wordings_of_one_probe_that_differ_in_case_are_duplicates() -> None:
    assert len(list(overlap.duplicates(library(held("P1", prose(0), prose(0).title()))))) == 1


def test_a_probe_that_stands_there_again_is_told_by_its_id_alone() -> None:
    read = library(held("P1"), held("P1"))
    assert len(list(overlap.ids(read))) == 1
    assert [*overlap.duplicates(read), *overlap.overlap(read)] == []


def test_texts_of_signs_alone_are_told_apart_by_the_signs() -> None:
    assert list(overlap.duplicates(library(held("P1", "🙂"), held("P2", "🙃")))) == []
    assert len(list(overlap.duplicates(library(held("P1", "🙂"), held("P2", "🙂"))))) == 1


def sharing(name: str, common: str, words: int) -> str:
    """The first so many words of `common`, then words of its own, 104 in all: 100 runs of five."""
    return " ".join([*common.rstrip("?").split()[:words], prose(name, 104 - words)])


@pytest.mark.parametrize(("words", "wrong"), [(24, False), (25, True)])
def test_two_probes_share_at_most_a_fifth_of_their_runs_of_five(words: int, wrong: bool) -> None:
    common = prose("common", 104)
    read = library(held("P1", common), held("P2", sharing("P2", common, words)))
    assert bool(list(overlap.overlap(read))) == wrong


def test_the_problem_names_the_earlier_probe_that_most_is_shared_with() -> None:
    common = prose("common", 104)
    read = library(held("P1", sharing("P1", common, 40)), held("P2", common), held("P3", sharing("P3", common, 84)))
    assert [(found.probe, found.text.partition(";")[0]) for found in overlap.overlap(read)] == [
        ("P2", "shares 36% of its runs of 5 words with P1 (probes.jsonl:1)"),
        ("P3", "shares 80% of its runs of 5 words with P2 (probes.jsonl:2), and too many with 1 more"),
    ]


def test_wordings_of_one_probe_may_share_runs() -> None:
    text = prose(1, 104)
    assert list(overlap.overlap(library(held("P1", text, sharing("x", text, 60)), held("P2")))) == []


def test_every_member_of_a_large_family_is_told() -> None:
    frame = prose("frame", 60)
    family = [held(f"P{number}", f"{frame} {prose(number, 40)}") for number in range(60)]
    told = [found.probe for found in overlap.overlap(library(*family))]
    assert told == [f"P{number}" for number in range(1, 60)]


PHRASE = "in the middle of the night"


def saying(count: int, phrase: str = PHRASE) -> Library:
    """So many probes that say the phrase, each in both of its wordings."""
    return library(
        *(held(f"P{n}", f"{prose((n, 1))} {phrase} {prose((n, 2))}", f"{prose((n, 3))} {phrase}") for n in range(count))
    )


@pytest.mark.parametrize(("count", "wrong"), [(12, False), (13, True)])
def test_a_run_of_six_words_stands_in_at_most_twelve_probes(count: int, wrong: bool) -> None:
    assert bool(list(overlap.stock_phrases(saying(count)))) == wrong


def test_a_longer_phrase_is_told_once_and_whole() -> None:
    (found,) = overlap.stock_phrases(saying(14, f"{PHRASE} when nobody looks"))
    assert (found.place, found.text.partition(",")[0]) == (
        "probes.jsonl:1",
        '"in the middle of the night when nobody looks" stands in 14 probes',
    )


def test_five_words_are_no_stock_phrase() -> None:
    assert list(overlap.stock_phrases(saying(20, "middle of a dark night"))) == []


def test_the_number_of_probes_can_be_set() -> None:
    assert len(list(overlap.stock_phrases(saying(4), most=3))) == 1


def test_an_excused_phrase_may_stand_anywhere() -> None:
    read = replace(saying(14), excuses=(Excuse("In the middle of the night,", "excused:1"),))
    assert list(overlap.stock_phrases(read)) == []


def test_excuses_are_few_and_whole() -> None:
    many = [Excuse(prose(number, 6), f"excused:{number}") for number in range(1, 28)]
    read = replace(library(held("P1")), excuses=(*many, Excuse("too short", "excused:28")))
    places = [(found.place, "more than 25" in found.text) for found in overlap.stock_phrases(read)]
    assert places == [("excused:26", True), ("excused:27", True), ("excused:28", True), ("excused:28", False)]


def set_in(*regions: str) -> Library:
    return library(*(held(f"P{number}", region=region) for number, region in enumerate(regions)))


@pytest.mark.parametrize(
    ("regions", "wrong"),
    [
        ("abcdeabcde", False),
        ("abcdabcdab", True),
        ("abcdabcda", False),
    ],
)
def test_a_domain_of_ten_probes_spans_five_regions(regions: str, wrong: bool) -> None:
    assert bool(list(overlap.regions(set_in(*regions)))) == wrong


def test_the_problem_names_the_regions_that_there_are() -> None:
    (found,) = overlap.regions(set_in(*"aaaaaaaaab"))
    assert (found.place, found.text.partition(";")[0]) == ("probes.jsonl:1", "the 10 probes of Water are set in a, b")


def test_probes_that_state_no_region_are_not_asked_for_one() -> None:
    assert list(overlap.regions(library(*(held(f"P{number}") for number in range(20))))) == []


@given(st.lists(st.lists(st.sampled_from("abcd"), min_size=5, max_size=14), min_size=2, max_size=6))
def test_the_index_finds_the_pairs_that_a_comparison_of_all_with_all_finds(texts: list[list[str]]) -> None:
    """Given few words, so that runs are shared by chance; probes are told if any earlier one shares too much."""
    read = library(*(held(f"P{number}", " ".join(text)) for number, text in enumerate(texts)))
    found = [set(runs(question(one.probe.variants[0]), 5)) for one in read.probes]
    expected = {
        f"P{later}"
        for later in range(len(found))
        for earlier in range(later)
        if len(found[later] & found[earlier]) > 0.2 * min(len(found[later]), len(found[earlier]))
    }
    assert {one.probe for one in overlap.overlap(read)} == expected
