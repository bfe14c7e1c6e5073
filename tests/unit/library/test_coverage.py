"""What a library covers, and where it is thin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.library.coverage import BY, Lengths, ThinSpot, coverage
from lemfarm.library.reading import Held
from tests.probe_library import held, library, prose


def test_probes_wordings_and_kinds_are_counted_by_domain_and_language() -> None:
    found = coverage(
        library(
            held("P1", language="en"),
            held("P2", prose(1), language="en"),
            held("P3", domain="Air"),
        )
    )
    assert (found.by, found.kinds) == (("domain", "language"), ("original", "kind1", "kind2"))
    assert [(cell.key, cell.probes, cell.texts, cell.kinds) for cell in found.cells] == [
        (("Air", "unstated"), 1, 3, {"original": 1, "kind1": 1, "kind2": 1}),
        (("Water", "en"), 2, 4, {"original": 2, "kind1": 1, "kind2": 1}),
    ]
    assert (found.total.probes, found.total.texts) == (3, 7)


def test_what_is_named_twice_is_counted_by_once() -> None:
    assert coverage(library(held("P1")), by=["domain", "domain"]) == coverage(library(held("P1")), by=["domain"])


def test_lengths_are_those_of_all_wordings() -> None:
    found = coverage(library(held("P1", prose(1, 30), prose(2, 50)), held("P2", prose(3, 90))))
    assert found.total.words == Lengths(30, 50, 90)


def test_combinations_that_are_missing_are_named() -> None:
    found = coverage(
        library(held("P1", language="en"), held("P2", domain="Air", language="sw"), held("P3", language="sw"))
    )
    assert (found.empty_cells, found.empty) == (1, (("Air", "en"),))


def test_it_can_be_counted_by_region_and_phase() -> None:
    found = coverage(library(held("P1", region="north"), held("P2", phase="2")), ["phase", "region"])
    assert [cell.key for cell in found.cells] == [("1", "north"), ("2", "unstated")]


@pytest.mark.parametrize("by", [["size"], ["domain", "Domain"], []])
def test_what_it_cannot_be_counted_by_names_what_it_can(by: list[str]) -> None:
    with pytest.raises(InputError, match="domain, language, region, phase"):
        coverage(library(held("P1")), by)


def of_domain(name: str, count: int, texts: int = 2) -> list[Held]:
    return [held(f"{name}{n}", *(prose((name, n, k)) for k in range(texts)), domain=name) for n in range(count)]


def test_a_cell_is_thin_below_half_the_median_of_the_cells() -> None:
    members = [*of_domain("a", 8), *of_domain("b", 8), *of_domain("c", 100), *of_domain("d", 4), *of_domain("e", 3)]
    assert coverage(library(*members), ["domain"]).thin == (ThinSpot(("e",), "", 6, 16),)


def test_a_kind_is_thin_in_a_cell_where_the_other_kinds_are_not() -> None:
    members = [*of_domain("a", 4, 4), *of_domain("b", 3, 3), *of_domain("b2", 0), *of_domain("c", 4, 4)]
    assert coverage(library(*members), ["domain"]).thin == (ThinSpot(("b",), "kind3", 0, 3),)


def test_a_kind_that_few_cells_have_is_not_missed_in_the_others() -> None:
    members = [*of_domain("a", 4, 4), *of_domain("b", 4, 3), *of_domain("c", 4, 3)]
    assert coverage(library(*members), ["domain"]).thin == ()


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["en", "sw"]), st.integers(1, 4)), min_size=1),
    st.lists(st.sampled_from(sorted(BY)), min_size=1, max_size=4, unique=True),
)
def test_every_probe_and_wording_is_counted_once(facts: list[tuple[str, str, int]], by: list[str]) -> None:
    members = [
        held(f"P{n}", *(f"text {n} {k}" for k in range(texts)), domain=domain, language=language)
        for n, (domain, language, texts) in enumerate(facts)
    ]
    found = coverage(library(*members), by)
    assert sum(cell.probes for cell in found.cells) == found.total.probes == len(facts)
    assert sum(cell.texts for cell in found.cells) == found.total.texts == sum(texts for _, _, texts in facts)
    assert all(sum(cell.kinds.values()) == cell.texts for cell in found.cells)
    assert found.empty_cells == len(found.empty)
