"""How far a quota will be filled, from counts alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.config import QuotaConfig
from lemfarm.planning import Cell
from producer.quota_outlook import outlook, starving
from producer.standing import Standing


def standing(*cells: Cell, leased: int = 0) -> Standing:
    return Standing(cells, leased, {cell.key: f"{cell.probe}v{cell.variant}" for cell in cells})


def quota(accepted: int, cap: int | None = None, *, stop_when_full: bool = True) -> QuotaConfig:
    return QuotaConfig(accepted=accepted, at_most_per_probe=cap, enough=1, stop_when_full=stop_when_full)


def test_a_full_quota_wants_nothing_of_what_is_left() -> None:
    found = outlook(standing(Cell("P0", 0, pending=5, accepted=3)), quota(3))
    assert (found.state, found.counted, found.short, found.left, found.expected) == ("full", 3, 0, 0, 0.0)


def test_a_quota_that_goes_on_when_full_generates_the_rest() -> None:
    found = outlook(standing(Cell("P0", 0, pending=5, accepted=3)), quota(3, stop_when_full=False))
    assert (found.state, found.short, found.left) == ("open", 0, 5)


def test_accepted_samples_above_a_cap_do_not_count_and_its_rest_is_not_left() -> None:
    cells = (Cell("P0", 0, pending=5, accepted=4), Cell("P1", 0, pending=2, accepted=1))
    found = outlook(standing(*cells), quota(10, cap=3))
    assert (found.state, found.counted, found.short, found.left) == ("open", 4, 6, 2)
    assert 0 < found.expected <= 2


def test_a_quota_with_nothing_left_is_exhausted() -> None:
    found = outlook(standing(Cell("P0", 0, pending=5, accepted=4)), quota(10, cap=3))
    assert (found.state, found.counted, found.left, found.expected) == ("exhausted", 3, 0, 0.0)


def test_samples_in_flight_are_left() -> None:
    found = outlook(standing(Cell("P0", 0, pending=0, in_flight=2), leased=2), quota(10))
    assert (found.state, found.left) == ("open", 2)


def test_a_probe_starves_when_its_share_is_out_of_reach_the_thinnest_first() -> None:
    """Nine accepted of three probes are three each."""
    cells = (Cell("P0", 0, pending=40), Cell("P1", 0, pending=1, accepted=1), Cell("P2", 0, pending=0, rejected=9))
    names = {"P0": "plenty", "P1": "short", "P2": "none"}
    found = starving(standing(*cells), quota(9), names)
    assert [(thin.probe, thin.accepted, thin.left, thin.share) for thin in found] == [
        ("none", 0, 0, 3),
        ("short", 1, 1, 3),
    ]


def test_no_share_is_larger_than_the_cap() -> None:
    cells = (Cell("P0", 0, pending=0, accepted=2), Cell("P1", 0, pending=0, accepted=1))
    assert [thin.probe for thin in starving(standing(*cells), quota(9, cap=2), {"P0": "P0", "P1": "P1"})] == ["P1"]


@pytest.mark.parametrize("cells", [(), (Cell("P0", 0, pending=0, accepted=9),)])
def test_nobody_starves_where_nothing_is_wanted(cells: tuple[Cell, ...]) -> None:
    assert starving(standing(*cells), quota(9), {"P0": "P0"}) == ()


counts = st.integers(0, 6)
grids = st.lists(st.builds(Cell, st.sampled_from("abc"), st.integers(0, 1), counts, counts, counts, counts), max_size=6)


@given(cells=grids, accepted=st.integers(1, 20), cap=st.none() | st.integers(1, 5))
def test_nothing_is_counted_twice_or_expected_of_nothing(cells: list[Cell], accepted: int, cap: int | None) -> None:
    unique = {cell.key: cell for cell in cells}.values()
    found = outlook(standing(*unique), quota(accepted, cap))
    assert found.short == max(0, accepted - found.counted)
    assert found.counted <= sum(cell.accepted for cell in unique)
    assert 0 <= found.expected <= found.left <= sum(cell.pending + cell.in_flight for cell in unique)
    assert (found.state == "full") == (found.short == 0)
