"""Probes as people look them up."""

import pytest

from lemfarm.errors import InputError, NotFound
from lemfarm.library.listing import ProbeLine, list_probes, show_probe
from tests.probe_library import held, library, prose

LIBRARY = library(
    held("P1_RIVER", "Who owns the river when it moves a field to the other bank in one night?", language="en-GB"),
    held("P2_WELL", language="sw", region="East Africa"),
    held("P3_WIND", domain="Air", language="eng"),
)


def test_a_line_says_what_a_probe_is_and_how_it_begins() -> None:
    assert list_probes(LIBRARY)[0] == ProbeLine(
        id="P1_RIVER",
        domain="Water",
        variants=1,
        words=16,
        begins="Who owns the river when it moves a field to the other …",
        language="en-GB",
        region="unstated",
        phase="1",
        place="probes.jsonl:1",
    )


def test_lines_can_be_narrowed_to_a_domain_and_a_language() -> None:
    assert [line.id for line in list_probes(LIBRARY, domain="water")] == ["P1_RIVER", "P2_WELL"]
    assert [line.id for line in list_probes(LIBRARY, language="en")] == ["P1_RIVER"]
    assert [line.id for line in list_probes(LIBRARY, language="EN-gb")] == ["P1_RIVER"]
    assert list_probes(LIBRARY, domain="Air", language="sw") == []


def test_a_probe_of_two_languages_is_listed_for_both() -> None:
    mixed = library(held("P1", languages=["yue", "en"]))
    assert [len(list_probes(mixed, language=language)) for language in ("en", "yue", "fr")] == [1, 1, 0]


def test_a_probe_is_shown_with_how_far_each_wording_is_from_the_original() -> None:
    text = prose(1, 40)
    (original, framed, anew) = show_probe(
        library(held("P1", text, f"{text} {prose(2, 40)}", prose(3, 40))), "P1"
    ).variants
    assert (original.words, original.changed, original.kept) == (40, None, None)
    assert (framed.words, framed.changed, framed.kept) == (80, 0.5, 1.0)
    assert (anew.kind, anew.kept) == ("kind2", 0.0)
    assert anew.changed is not None and anew.changed > 0.9
    assert anew.messages == [{"role": "user", "content": prose(3, 40)}]


def test_the_beginning_of_an_id_is_enough_and_fields_are_shown() -> None:
    found = show_probe(LIBRARY, "P2")
    assert (found.id, found.fields) == ("P2_WELL", {"language": "sw", "region": "East Africa"})


def test_a_whole_id_wins_over_longer_ones() -> None:
    assert show_probe(library(held("P1"), held("P10")), "P1").id == "P1"


def test_a_probe_that_is_not_there_names_those_with_a_like_name() -> None:
    with pytest.raises(NotFound, match=r"no probe 'P2_WEL1' here \(is it P2_WELL"):
        show_probe(LIBRARY, "P2_WEL1")


def test_several_probes_of_one_beginning_or_id_are_named() -> None:
    with pytest.raises(InputError, match=r"P1_RIVER \(probes\.jsonl:1\), P2_WELL"):
        show_probe(LIBRARY, "P")
    with pytest.raises(InputError, match="several probes go by 'P1'"):
        show_probe(library(held("P1"), held("P1", prose("other"))), "P1")
