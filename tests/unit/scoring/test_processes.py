"""Results come in the order of the items, whoever worked on them, and nobody is left behind."""

import multiprocessing
import os
from collections.abc import Iterator

import pytest

from lemfarm.errors import InputError, Unavailable
from lemfarm.scoring.processes import FEW, map_in_order

MANY = 40


def whose(item: int) -> tuple[int, int]:
    return item, os.getpid()


def refuse_ten(item: int) -> int:
    if item == 10:
        raise InputError("ten is not wanted")
    return item


def die_at_ten(item: int) -> int:
    if item == 10:
        os._exit(9)
    return item


@pytest.mark.parametrize(("items", "processes"), [(MANY, 1), (FEW - 1, 4), (0, 4)])
def test_little_work_is_done_right_here(items: int, processes: int) -> None:
    assert list(map_in_order(whose, range(items), processes)) == [(item, os.getpid()) for item in range(items)]


def test_much_work_is_shared_and_keeps_its_order() -> None:
    found = list(map_in_order(whose, range(MANY), 2))
    assert [item for item, _ in found] == list(range(MANY))
    assert os.getpid() not in {process for _, process in found}
    assert multiprocessing.active_children() == []


def test_items_are_taken_only_as_they_can_be_worked_on() -> None:
    # Given endless items, when the first result is there, then few more have been taken than can be in flight.
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = map_in_order(whose, endless(), 2)
    next(results)
    assert taken <= FEW
    results.close()
    assert multiprocessing.active_children() == []


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(InputError, match="ten is not wanted"):
        list(map_in_order(refuse_ten, range(MANY), 2))
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_is_told_and_not_waited_for() -> None:
    with pytest.raises(Unavailable, match="--jobs"):
        list(map_in_order(die_at_ten, range(MANY), 2))
