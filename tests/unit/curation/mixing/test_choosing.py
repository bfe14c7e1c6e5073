"""How many rows each category gives, and which: sums are exact, and the order of files and lines is nothing."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemfarm.curation.mixing.choosing import apportion, leave_out_twins, reachable_total, rows_to_be_had, take_rows
from lemfarm.curation.mixing.items import Item, read_item
from lemfarm.curation.mixing.recipe import ScaffoldConfig
from tests.recipes import pair, row

weights = st.lists(st.integers(1, 1000), min_size=1, max_size=8).map(
    lambda parts: {f"c{number}": Fraction(part, 1000) for number, part in enumerate(parts)}
)
totals = st.integers(0, 20_000)


def item(value: object, category: str = "sums", place: str = "a.jsonl:1") -> Item:
    return read_item(value, category, place)


def items(count: int, category: str = "sums") -> list[Item]:
    return [item(row(f"{category} {number}?"), category, f"{category}.jsonl:{number + 1}") for number in range(count)]


def pair_items(count: int) -> list[Item]:
    return [item(pair(number), "pairs", f"pairs.jsonl:{number + 1}") for number in range(count)]


# ---- how many


@given(totals, weights)
@settings(max_examples=60)
def test_parts_add_up_and_none_is_a_whole_row_from_its_share(total: int, weights: dict[str, Fraction]) -> None:
    counts, whole = apportion(total, weights), sum(weights.values())
    assert sum(counts.values()) == total
    assert all(abs(counts[name] - total * weight / whole) < 1 for name, weight in weights.items())


@given(totals, weights)
@settings(max_examples=60)
def test_a_larger_weight_never_gets_less(total: int, weights: dict[str, Fraction]) -> None:
    by_weight = sorted((weights[name], count) for name, count in apportion(total, weights).items())
    counts = [count for _, count in by_weight]
    assert counts == sorted(counts)


def test_the_largest_remainders_get_what_is_left() -> None:
    assert apportion(10, {"a": Fraction(26), "b": Fraction(35), "c": Fraction(39)}) == {"a": 3, "b": 3, "c": 4}
    assert apportion(2, {"a": Fraction(1), "b": Fraction(1), "c": Fraction(1)}) == {"a": 1, "b": 1, "c": 0}


@given(st.integers(1, 150), weights, st.data())
@settings(max_examples=40)
def test_the_reachable_total_is_the_largest_that_can_be_had(
    wanted: int, weights: dict[str, Fraction], data: st.DataObject
) -> None:
    found = {name: data.draw(st.integers(0, 60)) for name in weights}

    def had(total: int) -> bool:
        return all(count <= found[name] for name, count in apportion(total, weights).items())

    total = reachable_total(wanted, weights, found)
    assert had(total)
    assert not any(had(larger) for larger in range(total + 1, wanted + 1))


# ---- which


@given(st.permutations(range(12)), st.integers(0, 12), st.integers(0, 5))
@settings(max_examples=40)
def test_neither_the_order_of_rows_nor_their_places_matter(order: list[int], count: int, seed: int) -> None:
    first = items(12)
    moved = [item(row(f"sums {number}?"), place=f"other.jsonl:{place}") for place, number in enumerate(order)]
    assert [one.row for one in take_rows(first, count, None, seed)] == [
        one.row for one in take_rows(moved, count, None, seed)
    ]


def test_a_larger_mix_has_the_rows_of_the_smaller_one_and_another_seed_has_others() -> None:
    found = items(50)
    taken = [take_rows(found, count, None, 1) for count in (10, 20)]
    assert taken[0] == taken[1][:10]
    assert take_rows(found, 10, None, 2) != taken[0]


@pytest.mark.parametrize(("share", "pure"), [(0.0, 0), (0.4, 4), (0.6, 6), (1.0, 10), (0.25, 2), (0.33, 3)])
def test_so_many_pairs_are_taken_in_their_pure_form_one_form_of_each(share: float, pure: int) -> None:
    taken = take_rows(pair_items(20), 10, ScaffoldConfig(pure=share), 42)
    assert sum(one.row.form == "pure" for one in taken) == pure
    assert len({one.item.key for one in taken}) == len(taken) == 10


def test_the_pure_share_is_of_the_pairs_and_rows_without_a_second_form_are_not_counted() -> None:
    taken = take_rows([*pair_items(10), *items(10, "pairs")], 20, ScaffoldConfig(pure=0.5), 42)
    forms = [one.row.form for one in taken]
    assert (forms.count("pure"), forms.count("explained"), forms.count(None)) == (5, 5, 10)


def test_both_takes_two_rows_of_each_pair_and_the_pure_one_where_only_one_is_left() -> None:
    found = pair_items(6)
    assert (rows_to_be_had(found, "both"), rows_to_be_had(found, ScaffoldConfig(pure=0.5))) == (12, 6)
    taken = take_rows(found, 5, "both", 42)
    assert [one.row.form for one in taken] == ["pure", "explained", "pure", "explained", "pure"]
    assert len({one.item.key for one in taken}) == 3


# ---- twins


def test_a_row_that_stands_twice_is_kept_in_the_first_category_and_the_other_names_it() -> None:
    found = [item(row("One?"), "first", "a.jsonl:1"), item(row(" One?\n"), "second", "b.jsonl:7")]
    kept, out = leave_out_twins(found, 42, None)
    assert [one.place for one in kept] == ["a.jsonl:1"]
    assert [(one.kind, one.place) for one in out] == [("twin", "b.jsonl:7")]
    assert "a.jsonl:1 (first)" in out[0].reason


def test_the_same_question_with_another_answer_is_no_twin() -> None:
    kept, out = leave_out_twins([item(row("One?", "Yes")), item(row("One?", "No"))], 42, None)
    assert (len(kept), out) == (2, [])


def test_a_pair_that_shares_a_form_with_a_row_is_its_twin() -> None:
    kept, out = leave_out_twins([item(row("pure 1?"), "first"), item(pair(1), "second")], 42, None)
    assert ([one.category for one in kept], len(out)) == (["first"], 1)


def test_answers_that_are_nearly_the_same_are_left_out_only_where_the_recipe_asks_for_it() -> None:
    words = [f"word{number}" for number in range(60)]
    changed = " ".join([*words[:30], "other", *words[31:]])
    found = [item(row("One?", " ".join(words))), item(row("Two?", changed), place="a.jsonl:2"), item(row("Three?"))]
    assert len(leave_out_twins(found, 42, None)[0]) == 3
    kept, out = leave_out_twins(found, 42, 0.8)
    assert (len(kept), [one.kind for one in out]) == (2, ["near twin"])


def test_short_answers_are_twins_only_where_they_are_the_same() -> None:
    kept, _ = leave_out_twins([item(row("One?", "a b c d e f")), item(row("Two?", "a b c d e f"))], 42, 0.8)
    assert len(kept) == 2
