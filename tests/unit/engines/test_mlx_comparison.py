"""Every way of the comparison makes the same work; what it costs is for benchmarks to say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.engines.mlx_comparison import BATCHES, BY_HAND, ENGINE, LOOP, Comparison, Turn, Work
from lemfarm.engines.mlx_timing import time_drawing
from lemfarm.errors import ModelError
from tests.unit.engines.conftest import Variant

pytestmark = pytest.mark.mlx

WORK = Work(kernel=96, question=12, answer=6, samples=2)


@pytest.fixture(scope="module")
def comparison(model_folder: Path) -> Iterator[Comparison]:
    one = Comparison(model_folder, slots=3, work=WORK)
    yield one
    one.close()


def test_all_ways_have_their_turns(comparison: Comparison) -> None:
    said: list[str] = []
    result = comparison.run(turns=2, waves=2, slow_turns=1, say=said.append)
    assert [set(turn.seconds) for turn in result.turns] == [set(result.ways), set(result.ways) - slow()]
    assert result.ways[-1] == ENGINE
    assert all(result.per_second(way) > 0 for way in result.ways)
    assert result.ratio(ENGINE) == 1
    assert any(BATCHES in line for line in said)
    assert result.slots == 3
    assert result.stall.milliseconds > 0
    assert result.drawing.vocabulary > 256


def slow() -> set[str]:
    return {BATCHES, f"{BATCHES}, prefill_step_size=256"}


def test_the_engine_computes_kernel_and_questions_of_a_turn_once(comparison: Comparison) -> None:
    before = comparison.engine.counts
    comparison.run(turns=1, waves=2, slow_turns=0)
    computed = comparison.engine.counts["computed"] - before["computed"]
    rows = 2 * 3 + 2 + 5 + 1 + 1  # the turn's, those that decode while questions and a new kernel come in, a warm one
    kernels, questions = 3, 3 + 1 + 5 + 1 + 1
    assert computed < kernels * (WORK.kernel + 30) + questions * (WORK.question + 30) + rows


def test_ratios_are_those_of_the_same_turn() -> None:
    turn = Turn({LOOP: 8.0, BY_HAND: 1.2, ENGINE: 1.0}, {LOOP: 6.0, BY_HAND: 0.9, ENGINE: 0.5})
    assert (turn.ratio(LOOP), turn.ratio(BY_HAND)) == (8.0, 1.2)
    assert (turn.processor_ratio(LOOP), turn.processor_ratio(BY_HAND)) == (12.0, 1.8)


def test_a_context_that_is_too_short_is_refused(variant: Variant) -> None:
    with pytest.raises(ModelError, match="too short for a kernel of 96"):
        Comparison(variant(max_position_embeddings=128), slots=2, work=WORK)


def test_the_knee_is_searched_for(comparison: Comparison) -> None:
    knee = comparison.find_knee(0.1)
    assert knee.slots in knee.rates


def test_drawing_is_timed_in_all_three_ways() -> None:
    drawing = time_drawing(2, 64, WORK.sampling)
    assert min(drawing.here, drawing.mlx_lm, drawing.mlx_lm_row_by_row) > 0
