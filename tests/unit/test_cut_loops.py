"""How many answers were cut because they went in circles, and what that spared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.cut_loops import CutLoops, count_cut_loops
from lemfarm.engines.base import FinishReason
from lemfarm.status import read_status, with_cut_loops
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground

MOST, MADE = 64, 2
"""Tokens: the longest length of the run file, and what the answers of `Ground` have."""


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan(sampling__max_tokens=MOST)
    yield made
    made.database.close()


def test_what_was_left_to_a_cut_answer_is_spared(ground: Ground) -> None:
    ids = ground.ids()
    ground.finish(ids[:2], reason=FinishReason.REPETITION)
    ground.finish(ids[2:3], SHORT_ANSWER, FinishReason.REPETITION)
    ground.finish(ids[3:5])
    ground.finish(ids[5:6], reason=FinishReason.LENGTH)

    assert count_cut_loops(ground.database, 1) == CutLoops(3, 3 * MADE, 3 * (MOST - MADE))


def test_a_word_elsewhere_in_the_record_is_no_loop(ground: Ground) -> None:
    ground.finish(ground.ids()[:1])
    ground.execute("""UPDATE attempt SET generation = '{"finish_reason": "stop", "note": "repetition"}'""")

    assert count_cut_loops(ground.database, 1) == CutLoops()


def test_other_runs_count_for_themselves(ground: Ground) -> None:
    ground.plan(RUN_FILE.replace("run: tiny", "run: other"))
    ground.finish(ground.ids("run_id = 2")[:1], reason=FinishReason.REPETITION)

    assert count_cut_loops(ground.database, 1) == CutLoops()
    assert count_cut_loops(ground.database, 2).answers == 1


def test_a_status_has_it_where_it_is_asked_for(ground: Ground) -> None:
    ground.finish(ground.ids()[:1], reason=FinishReason.REPETITION)
    status = read_status(ground.database)

    assert status.cut_loops is None
    assert with_cut_loops(ground.database, status).cut_loops == CutLoops(1, MADE, MOST - MADE)
