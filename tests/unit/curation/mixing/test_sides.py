"""On which side rows stand: whole questions, whole probes, whole pairs, and never out of a test into a training."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.curation.mixing.items import Item, read_item
from lemfarm.curation.mixing.sides import Families, choose_mix_sides, find_families, leave_out_leaks
from lemfarm.curation.sides import Side
from tests.recipes import pair, row

SIDES = st.sampled_from([None, *Side])


def item(question: str, answer: str = "", side: Side | None = None, probe: str = "") -> Item:
    more = {"probe": probe} if probe else {}
    return read_item(row(question, answer, **more), "sums", f"{question}:{answer}", side)


def sides_of(items: Sequence[Item], **shares: Any) -> dict[str, Side]:
    families = find_families(items, {})
    found = choose_mix_sides(items, families, **{"valid": 0.05, "test": 0.05, "seed": 42, **shares})
    return {one.place: found[families[one]] for one in items}


def many(count: int) -> list[Item]:
    return [item(f"{number}?") for number in range(count)]


# ---- families


def test_answers_to_one_question_stand_on_one_side() -> None:
    families = find_families([item("One?", "a"), item(" One?", "b"), item("Two?", "a")], {})
    assert len(set(families.of.values())) == 2


def test_wordings_of_one_probe_stand_on_one_side() -> None:
    families = find_families([item("One?", probe="P1"), item("Uno?", probe="P1"), item("Two?", probe="P2")], {})
    assert len(set(families.of.values())) == 2


def test_both_forms_of_a_pair_and_what_shares_a_question_with_one_stand_on_one_side() -> None:
    found = [read_item(pair(1), "pairs", "a"), item("pure 1?", "a"), item("explained 1?", "b")]
    assert len(set(find_families(found, {}).of.values())) == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=20), st.randoms())
@settings(max_examples=40)
def test_the_order_of_items_changes_no_family(found: list[tuple[int, int]], random: Any) -> None:
    items = [item(f"{question}?", str(place), probe=f"P{probe}") for place, (question, probe) in enumerate(found)]
    mixed = random.sample(items, len(items))
    assert find_families(items, {}).of == find_families(mixed, {}).of


# ---- leaks


def test_what_one_source_tests_with_does_not_train_by_way_of_another() -> None:
    # Given a question that one export has among its test rows, and another among its training rows
    tested, trained = item("One?", "a", Side.TEST), item("One?", "b", Side.TRAIN)
    free, other = item("One?", "c"), item("Two?", "d", Side.TRAIN)
    items = [tested, trained, free, other]
    families = find_families(items, {})
    # When leaks are left out
    kept, out = leave_out_leaks(items, families)
    # Then the training row is, and named, and the row without a side is tested with
    assert kept == [tested, free, other]
    assert [one.place for one in out] == [trained.place]
    assert "train" in out[0].reason and "test" in out[0].reason
    found = choose_mix_sides(kept, families, valid=0.0, test=0.0, seed=42)
    assert [found[families[one]] for one in kept] == [Side.TEST, Side.TEST, Side.TRAIN]


def test_a_probe_that_a_source_names_among_its_test_probes_is_tested_with() -> None:
    asked = item("One?", probe="P1")
    families = find_families([asked], {"P1": {Side.TEST}})
    assert families.fixed[families[asked]] == Side.TEST


@given(st.lists(st.tuples(st.integers(0, 5), SIDES, st.integers(0, 3)), max_size=25), st.integers(0, 9))
@settings(max_examples=80)
def test_no_kept_row_leaves_the_side_that_its_source_gave_it(
    found: list[tuple[int, Side | None, int]], seed: int
) -> None:
    items = [item(f"{question}?", str(place), side, f"P{probe}") for place, (question, side, probe) in enumerate(found)]
    families = find_families(items, {})
    kept, out = leave_out_leaks(items, families)
    sides = choose_mix_sides(kept, families, valid=0.2, test=0.2, seed=seed)
    assert len(kept) + len(out) == len(items)
    assert all(one.side in (None, sides[families[one]]) for one in kept)
    tested = {question for question, side, _ in found if side is Side.TEST}
    trained = {one.rows[0].prompt[0].content for one in kept if sides[families[one]] is Side.TRAIN}
    assert not {f"{question}?" for question in tested} & trained


# ---- rows without a side


def test_free_rows_are_parted_about_as_the_recipe_says() -> None:
    found = list(sides_of(many(2000), valid=0.1, test=0.2).values())
    assert 150 < found.count(Side.VALID) < 250
    assert 330 < found.count(Side.TEST) < 470


def test_a_question_stays_where_it_is_when_others_come() -> None:
    few, more = sides_of(many(200)), sides_of(many(400))
    assert all(more[place] == side for place, side in few.items())
    assert sides_of(many(200), seed=7) != few


def test_a_few_questions_have_a_side_for_validation_before_one_for_tests() -> None:
    assert [sorted(sides_of(many(count)).values()) for count in (1, 2, 3)] == [
        [Side.TRAIN],
        [Side.TRAIN, Side.VALID],
        [Side.TEST, Side.TRAIN, Side.VALID],
    ]


def test_a_share_of_none_leaves_a_side_out() -> None:
    assert set(sides_of(many(50), valid=0.0, test=0.0).values()) == {Side.TRAIN}


def test_no_family_is_no_trouble() -> None:
    assert choose_mix_sides([], Families({}, {}), valid=0.1, test=0.1, seed=1) == {}
