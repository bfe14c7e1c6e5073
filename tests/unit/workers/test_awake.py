"""Keeping a Mac awake, with a program in `caffeinate`'s place: what it is told, and how long it lives."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.unit.workers.test_keeper import wait
from workers.awake import KeepAwake

PROGRAM = """\
#!{python}
import sys, time
open({told!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
time.sleep(600)
"""


@pytest.fixture
def told(tmp_path: Path) -> Callable[[], list[str]]:
    """What the program was told, one line a start."""
    place = tmp_path / "told"
    return lambda: place.read_text().splitlines() if place.exists() else []


@pytest.fixture
def awake(tmp_path: Path) -> Iterator[KeepAwake]:
    program = tmp_path / "caffeinate"
    program.write_text(PROGRAM.format(python=sys.executable, told=str(tmp_path / "told")))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    made = KeepAwake(wanted=True, program=str(program))
    yield made
    made.let_go()


def test_idle_sleep_and_sleep_on_mains_are_held_off_but_never_the_displays(
    awake: KeepAwake, told: Callable[[], list[str]]
) -> None:
    awake.hold()
    wait(told)
    assert told() == [f"-i -s -w {os.getpid()}"], "it ends with this process, however that ends"


def test_it_is_held_once_and_let_go_once(awake: KeepAwake, told: Callable[[], list[str]]) -> None:
    awake.hold()
    wait(told)
    awake.hold()
    assert awake.holds
    assert len(told()) == 1
    awake.let_go()
    awake.let_go()
    assert not awake.holds


def test_what_somebody_ended_is_started_again(awake: KeepAwake, told: Callable[[], list[str]]) -> None:
    awake.hold()
    wait(told)
    assert awake._process is not None
    psutil.Process(awake._process.pid).kill()
    wait(lambda: not awake.holds)
    awake.hold()
    wait(lambda: len(told()) == 2)


def test_where_it_is_not_wanted_nothing_is_started(awake: KeepAwake) -> None:
    awake.wanted = False
    awake.hold()
    assert not awake.holds


def test_a_machine_without_the_program_works_all_the_same(tmp_path: Path) -> None:
    awake = KeepAwake(wanted=True, program=str(tmp_path / "nothing"))
    awake.hold()
    assert (awake.holds, awake.wanted) == (False, False)
