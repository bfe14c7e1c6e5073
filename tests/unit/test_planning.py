"""Waves, pass rates and forecasts."""

from collections import Counter
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.dialogue import Message
from lemfarm.planning import (
    TYPICAL_RATE,
    Cell,
    CellKey,
    Rates,
    attainable,
    expected_accepted,
    expected_generations,
    forecast,
    grid,
    next_wave,
    reachable,
)
from lemfarm.probes import Probe, Variant


def fresh(probes: int, variants: int = 4, samples: int = 10) -> list[Cell]:
    return [Cell(f"P{p}", v, samples) for p in range(probes) for v in range(variants)]


def per_cell(wave: list[tuple[CellKey, int]]) -> Counter[CellKey]:
    found: Counter[CellKey] = Counter()
    for key, count in wave:
        found[key] += count
    return found


def per_probe(wave: list[tuple[CellKey, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (probe, _), count in wave:
        found[probe] += count
    return found


SMALL = st.integers(0, 12)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["P1", "P2", "P3", "P4"]), st.integers(0, 3)),
    st.tuples(SMALL, SMALL, SMALL, SMALL, SMALL),
    max_size=16,
).map(lambda counts: [Cell(*key, *numbers) for key, numbers in counts.items()])
CAPS = st.none() | st.integers(0, 30)


@given(cells=CELLS, missing=st.integers(0, 200), depth=st.integers(0, 80), cap=CAPS, run=st.integers(1, 12))
def test_a_wave_keeps_to_what_is_pending_to_the_depth_and_to_the_caps(
    cells: list[Cell], missing: int, depth: int, cap: int | None, run: int
) -> None:
    wave = next_wave(cells, missing, depth=depth, at_most_per_probe=cap, run_length=run)
    given_out, known = per_cell(wave), {cell.key: cell for cell in cells}
    assert all(1 <= count <= run for _, count in wave)
    assert all(count <= known[key].pending for key, count in given_out.items())
    assert given_out.total() <= max(0, depth - sum(cell.in_flight for cell in cells))
    assert not wave or missing > 0
    if cap is not None:
        accepted = Counter({p: sum(c.accepted for c in cells if c.probe == p) for p in per_probe(wave)})
        assert all(count < cap for count in accepted.values())


@given(cells=CELLS, missing=st.integers(0, 60), depth=st.integers(1, 80), cap=CAPS)
def test_where_everything_passes_waves_fill_exactly_what_can_be_filled(
    cells: list[Cell], missing: int, depth: int, cap: int | None
) -> None:
    start = [Cell(*cell.key, cell.pending, accepted=cell.accepted) for cell in cells]
    most = Counter({cell.probe: 0 for cell in start})
    accepted_before = Counter({cell.key: cell.accepted for cell in start})
    for cell in start:
        most[cell.probe] += cell.pending
    for probe in most if cap is not None else ():
        before = sum(cell.accepted for cell in start if cell.probe == probe)
        most[probe] = min(most[probe], max(0, (cap or 0) - before))
    while wave := next_wave(start, missing - gained(start, accepted_before), depth=depth, at_most_per_probe=cap):
        start = [passed(cell, per_cell(wave)[cell.key]) for cell in start]
    target = min(missing, most.total())
    assert target <= gained(start, accepted_before)
    assert sum(min(count, most[probe]) for probe, count in gained_by_probe(start, accepted_before).items()) >= target


def passed(cell: Cell, count: int) -> Cell:
    return Cell(*cell.key, cell.pending - count, accepted=cell.accepted + count)


def gained(cells: list[Cell], before: Counter[CellKey]) -> int:
    return sum(cell.accepted - before[cell.key] for cell in cells)


def gained_by_probe(cells: list[Cell], before: Counter[CellKey]) -> Counter[str]:
    found: Counter[str] = Counter()
    for cell in cells:
        found[cell.probe] += cell.accepted - before[cell.key]
    return found


@given(cells=CELLS, depth=st.integers(1, 80), cap=CAPS)
def test_which_of_the_sent_samples_ended_first_does_not_change_who_is_next(
    cells: list[Cell], depth: int, cap: int | None
) -> None:
    """Short answers end first: an order that looks at what has ended would send more of them."""
    waiting = [Cell(*c.key, c.pending, in_flight=c.in_flight) for c in cells]
    ended = [Cell(*c.key, c.pending, other=c.in_flight) for c in cells]
    flight = sum(cell.in_flight for cell in cells)
    first = next_wave(waiting, 10_000, depth=depth + flight, at_most_per_probe=None)
    second = next_wave(ended, 10_000, depth=depth, at_most_per_probe=None)
    assert first == second


def test_probes_take_turns_in_short_runs_of_one_variant() -> None:
    wave = next_wave(fresh(3), 100, depth=24, run_length=4)
    assert wave == [(("P0", 0), 4), (("P1", 0), 4), (("P2", 0), 4), (("P0", 1), 4), (("P1", 1), 4), (("P2", 1), 4)]


def test_who_was_sent_least_is_next() -> None:
    cells = [Cell("P0", 0, 10, in_flight=4), Cell("P1", 0, 10, rejected=8), Cell("P2", 0, 10)]
    assert [key[0] for key, _ in next_wave(cells, 100, depth=16, run_length=4)] == ["P2", "P0", "P2"]


def test_what_is_in_flight_counts_towards_depth_and_need() -> None:
    cells = [Cell("P0", 0, 20, in_flight=10)]
    assert next_wave(cells, 100, depth=10) == []
    assert per_cell(next_wave(cells, 100, depth=12)).total() == 2
    assert next_wave([Cell("P0", 0, 20, in_flight=30)], 3, depth=100) == []
    assert next_wave([Cell("P0", 0, 0, in_flight=30), Cell("P1", 0, 20)], 3, depth=100) == []


def test_a_small_need_sends_what_the_pass_rate_calls_for_not_the_depth() -> None:
    sure = [Cell("P0", 0, 100, accepted=96, rejected=4)]
    unsure = [Cell("P0", 0, 100, accepted=10, rejected=90)]
    assert per_cell(next_wave(sure, 5, depth=64)).total() == 6
    assert 40 <= per_cell(next_wave(unsure, 5, depth=64)).total() <= 50


def test_while_other_probes_can_use_the_slots_no_probe_is_sent_more_than_its_cap_has_room_for() -> None:
    wave = next_wave(fresh(20), 100, depth=40, at_most_per_probe=5)
    assert set(per_probe(wave).values()) <= {1, 4}
    assert max(per_probe(next_wave(fresh(20), 100, depth=100, at_most_per_probe=5)).values()) == 5


def test_idle_slots_are_filled_beyond_the_room_by_pass_rate() -> None:
    wave = next_wave(fresh(1), 5, depth=64, at_most_per_probe=5)
    assert per_probe(wave)["P0"] == 15  # ceil(5 / 0.35)
    more = next_wave([Cell("P0", 0, 30, in_flight=10)], 100, depth=64, at_most_per_probe=5)
    assert per_probe(more)["P0"] == 5


def test_a_probe_at_its_cap_and_one_that_is_given_up_get_nothing() -> None:
    cells = [Cell("P0", 0, 10, accepted=5), Cell("P1", 0, 10), Cell("P2", 0, 10)]
    wave = next_wave(cells, 100, depth=64, at_most_per_probe=5, at_once={"P1": 0})
    assert set(per_probe(wave)) == {"P2"}


@given(cells=CELLS, missing=st.integers(0, 200), depth=st.integers(0, 80), most=st.integers(0, 8))
def test_no_more_of_a_probe_are_in_flight_than_may_be_at_once(
    cells: list[Cell], missing: int, depth: int, most: int
) -> None:
    at_once = dict.fromkeys({cell.probe for cell in cells}, most)
    sent = per_probe(next_wave(cells, missing, depth=depth, at_once=at_once))
    in_flight = Counter({p: sum(c.in_flight for c in cells if c.probe == p) for p in sent})
    assert all(in_flight[probe] + count <= most for probe, count in sent.items())


def test_a_pass_rate_begins_at_the_typical_one_and_follows_what_is_judged() -> None:
    assert Rates(fresh(3)).of_cell(fresh(3)[0]).mean == pytest.approx(TYPICAL_RATE)
    cells = [
        Cell("P0", 0, 10, accepted=9, rejected=1),
        Cell("P0", 1, 10),
        Cell("P1", 0, 10, rejected=10),
        Cell("P1", 1, 10),
        Cell("P2", 0, 10),
    ]
    rates = Rates(cells)
    own, sibling, other, _, unseen = (rates.of_cell(cell).mean for cell in cells)
    assert own >= sibling > unseen > other
    assert rates.of_probe("P0").mean > rates.of_probe("P2").mean > rates.of_probe("P1").mean


def test_a_wave_reckons_with_the_rate_of_each_cell() -> None:
    """Five more of one probe: few are sent of a wording that passes, many of one that does not."""
    passing = Cell("P0", 0, 90, accepted=90, rejected=10)
    failing = Cell("P0", 0, 90, accepted=10, rejected=90)
    other = Cell("P0", 1, 0, accepted=50, rejected=50)
    few, many = (per_cell(next_wave([cell, other], 5, depth=90)).total() for cell in (passing, failing))
    assert few < 10 < 30 < many


def test_the_mean_of_a_phase_is_not_that_of_the_probes_that_go_on_longest() -> None:
    """Five probes stopped at their share after six samples; the sixth, a hard one, went on for forty."""
    easy = [Cell(f"P{n}", 0, 34, accepted=5, rejected=1) for n in range(5)]
    cells = [*easy, Cell("hard", 0, 0, rejected=40), Cell("new", 0, 40)]
    over_samples = 25 / 70
    assert Rates(cells).of_probe("new").mean > over_samples + 0.1


@given(cells=CELLS)
def test_pass_rates_are_probabilities(cells: list[Cell]) -> None:
    rates = Rates(cells)
    assert all(0 < rates.of_cell(cell).mean < 1 and 0 < rates.of_probe(cell.probe).mean < 1 for cell in cells)


def test_expected_accepted_stops_at_the_cap() -> None:
    cells = [Cell("P0", 0, 10, in_flight=10, accepted=3, rejected=1)]
    assert expected_accepted(cells) == pytest.approx(20 * (7 * TYPICAL_RATE + 3) / 11)
    assert expected_accepted(cells, at_most_per_probe=5) == 2
    assert expected_accepted([], at_most_per_probe=5) == 0


def test_a_grid_has_every_variant_of_every_probe() -> None:
    message = (Message("user", "x"),)
    probes = [Probe("P1", "d", (Variant(0, "original", message), Variant(1, "urgency", message)))]
    assert grid(probes, 8) == (Cell("P1", 0, 8), Cell("P1", 1, 8))


def test_what_a_grid_can_give_is_the_binomial_expectation_under_the_cap() -> None:
    cells = fresh(3, variants=1, samples=4)
    exact = 3 * sum(min(2, k) * comb(4, k) * 0.35**k * 0.65 ** (4 - k) for k in range(5))
    assert attainable(cells, 0.35, 2) == pytest.approx(exact)
    assert attainable(cells, 0.35) == pytest.approx(3 * 4 * 0.35)
    assert reachable(cells, 2) == attainable(cells, 1.0, 2) == 6
    assert reachable(cells, None) == 12
    assert attainable(cells, 0.0, 2) == attainable(cells, 0.35, 0) == attainable([], 0.35, 3) == 0


@pytest.mark.parametrize(("concentration", "simulated"), [(2, (969, 992)), (5, (1107, 1116)), (20, (1247, 1252))])
def test_uneven_probes_give_what_a_simulation_of_them_gave(concentration: float, simulated: tuple[int, int]) -> None:
    """101 probes x 40 samples, mean rate 35 %, at most 15 of a probe: 30 simulated runs at each concentration."""
    assert simulated[0] - 2 <= attainable(fresh(101), 0.35, 15, spread=concentration) <= simulated[1] + 2


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    rate=st.floats(0.05, 1.0),
    cap=st.none() | st.integers(1, 12),
    spread=st.none() | st.floats(1, 50),
)
def test_generations_lie_between_the_quota_and_the_grid(
    sizes: list[int], rate: float, cap: int | None, spread: float | None
) -> None:
    cells = [Cell(f"P{n}", 0, size) for n, size in enumerate(sizes)]
    within = attainable(cells, rate, cap, spread=spread)
    assert 0 <= within <= reachable(cells, cap) + 1e-9
    assert within <= rate * sum(sizes) + 1e-9
    quota = int(within)
    needed = expected_generations(cells, quota, rate, cap, spread=spread) if quota else 0.0
    assert needed is not None
    assert quota - 1e-6 <= needed <= sum(sizes) + 1e-6
    assert expected_generations(cells, int(within) + 1, rate, cap, spread=spread) is None


def test_generations_to_fill_a_quota_without_a_cap_are_quota_over_rate() -> None:
    assert expected_generations(fresh(101), 1000, 0.5) == pytest.approx(2000)
    assert expected_generations(fresh(101), 4041, 1.0) is None


def test_a_forecast_shows_three_rates_and_says_where_the_quota_stays_open() -> None:
    low, middle, high = forecast(fresh(101), 1500, 24)
    assert [line.rate for line in (low, middle, high)] == [0.20, 0.35, 0.50]
    assert low.generations is None
    assert high.generations == pytest.approx(3000, rel=0.001)
    assert low.accepted < middle.accepted < high.accepted
    assert high.accepted_if_uneven < high.accepted
