"""A probe stands on one side, in all phases, whatever answers come in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.curation.sides import FEWEST_FOR_TEST, Side, choose_sides, fill_sides
from lemfarm.errors import InputError

PROBES = st.sets(st.integers(0, 30).map(lambda n: f"P{n:02}"), min_size=1, max_size=30)
COURSES = st.lists(PROBES, min_size=1, max_size=5)


def probes(count: int, start: int = 0) -> set[str]:
    return {f"P{n:02}" for n in range(start, start + count)}


def on(side: Side, sides: dict[str, Side]) -> set[str]:
    return {probe for probe, own in sides.items() if own == side}


@given(COURSES, st.integers(0, 9), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_every_probe_has_one_side_and_every_phase_something_to_train_on(
    course: list[set[str]], seed: int, dice: object
) -> None:
    sides = choose_sides(course, {}, seed)
    assert sides.keys() == set().union(*course)
    assert all(on(Side.TRAIN, sides) & phase for phase in course)
    shuffled = list(course)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose_sides(shuffled, {}, seed) == sides


@given(COURSES, COURSES, st.integers(0, 9))
@settings(max_examples=100)
def test_what_was_trained_with_stays_where_it_was_when_probes_and_phases_are_added(
    course: list[set[str]], more: list[set[str]], seed: int
) -> None:
    before = choose_sides(course, {}, seed)
    after = choose_sides([*course, *more], before, seed)
    assert {probe: after[probe] for probe in before} == before


def test_of_a_phase_with_many_probes_five_in_a_hundred_validate_and_five_test() -> None:
    sides = choose_sides([probes(100)], {}, 7)
    assert [len(on(side, sides)) for side in Side] == [90, 5, 5]


def test_phases_that_share_probes_share_those_that_validate() -> None:
    small, large = probes(5), probes(40)
    sides = choose_sides([large, small], {}, 3)
    assert len(on(Side.VALID, sides) & small) == len(on(Side.TEST, sides) & small) == 1
    assert [len(on(side, sides)) for side in (Side.VALID, Side.TEST)] == [2, 2]


@pytest.mark.parametrize(("count", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (4, [3, 1, 0]), (5, [3, 1, 1])])
def test_few_probes_train_first_then_validate_then_test(count: int, expected: list[int]) -> None:
    sides = choose_sides([probes(count)], {}, 0)
    assert [len(on(side, sides)) for side in Side] == expected


def test_another_seed_validates_on_other_probes() -> None:
    assert len({frozenset(on(Side.VALID, choose_sides([probes(30)], {}, seed))) for seed in range(8)}) > 3


@given(st.lists(st.integers(1, 12), min_size=2, max_size=12), st.integers(1, 6), st.integers(0, 5))
@settings(max_examples=100)
def test_both_sides_of_a_training_have_a_batch_or_it_is_said_what_is_missing(
    counts: list[int], batch: int, seed: int
) -> None:
    rows = {f"P{n:02}": count for n, count in enumerate(counts)}
    try:
        sides = fill_sides(choose_sides([rows], {}, seed), rows, {}, batch_size=batch, seed=seed)
    except InputError as error:
        assert "rows" in str(error)
        assert len(rows) < FEWEST_FOR_TEST or max(counts) > batch or sum(counts) < 3 * batch
        return
    for side in (Side.TRAIN, Side.VALID):
        assert sum(rows[probe] for probe in on(side, sides)) >= batch


def test_more_answers_move_no_probe_where_sides_have_their_batch() -> None:
    chosen = choose_sides([probes(20)], {}, 1)
    few = fill_sides(chosen, dict.fromkeys(probes(20), 4), {}, batch_size=2, seed=1)
    many = fill_sides(chosen, {probe: 4 + int(probe[1:]) for probe in probes(20)}, {}, batch_size=2, seed=1)
    assert few == many == chosen


def test_a_later_phase_with_few_answers_borrows_test_probes_to_validate_and_none_that_trained() -> None:
    fixed = choose_sides([probes(10)], {}, 0)
    (valid,), (test,) = on(Side.VALID, fixed), on(Side.TEST, fixed)
    rows = dict.fromkeys(probes(10), 5) | {valid: 1}
    sides = fill_sides(fixed, rows, fixed, batch_size=4, seed=0)
    assert on(Side.VALID, sides) == {valid, test}
    assert on(Side.TRAIN, sides) == on(Side.TRAIN, fixed)


def test_validation_has_batches_in_reserve_where_probes_can_be_had() -> None:
    rows = dict.fromkeys(probes(10), 4)
    sides = fill_sides(choose_sides([rows], {}, 0), rows, {}, batch_size=4, seed=0)
    assert [len(on(side, sides)) for side in Side] == [7, 2, 1]


def test_what_is_missing_is_named() -> None:
    def refusal(rows: dict[str, int], fixed: dict[str, Side] | None = None) -> str:
        with pytest.raises(InputError) as error:
            fill_sides(choose_sides([rows], fixed or {}, 0), rows, fixed or {}, batch_size=4, seed=0)
        return str(error.value)

    assert "none has any" in refusal({})
    assert "at least 2 probes; only P00 has any" in refusal({"P00": 9})
    assert "batch of 4 rows each, 8 in all; there are 6" in refusal({"P00": 3, "P01": 3})
    assert "no choice of whole probes leaves a batch of 4" in refusal({"P00": 7, "P01": 1})
    stay = refusal(dict.fromkeys(probes(3), 8), dict.fromkeys(probes(3), Side.TRAIN))
    assert "3 stay where an earlier training had them" in stay
