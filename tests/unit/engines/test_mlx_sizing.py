"""How many slots the engine takes: asked for, by memory, by the knee, by what was learnt the hard way."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemfarm.engine_record import EngineRecord, Knee
from lemfarm.engines import mlx_memory, mlx_sizing
from lemfarm.engines.mlx import MlxEngine
from lemfarm.engines.mlx_batch import DecodingBatch
from lemfarm.engines.mlx_knee import KneeSearch, library_version
from lemfarm.engines.mlx_model import LoadedModel
from lemfarm.engines.mlx_sizing import Wishes
from lemfarm.errors import ModelError
from lemfarm.home import Home
from tests.unit.engines.conftest import drive, finish
from tests.unit.engines.test_mlx import ask, completion, tokens_of

pytestmark = pytest.mark.mlx
PLAIN = Wishes(
    slots=None, at_most=None, chunk=64, tokens_per_sample=6144, prefix_bytes=None, canary=False, strict_batching=False
)


@pytest.fixture
def record(tmp_path: Path) -> EngineRecord:
    return EngineRecord.of(Home(tmp_path), "tiny")


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[KneeSearch]:
    """The searches that were made; each finds the knee at 8."""
    made: list[KneeSearch] = []

    def find(model: Any, tokens: Any, search: KneeSearch) -> Knee:
        made.append(search)
        return Knee(8, {1: 1.0, 8: 9.0, 16: 9.0}, search.most, True, search.length, library_version(), "today")

    monkeypatch.setattr(mlx_sizing, "find_knee", find)
    return made


Size = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def loaded(model_folder: Path) -> LoadedModel:
    return LoadedModel(model_folder)


@pytest.fixture
def sized(loaded: LoadedModel, model_folder: Path) -> Size:
    """Slots and details for an engine that is opened with these wishes."""

    def size(record: EngineRecord | None = None, **more: Any) -> tuple[int, dict[str, Any]]:
        sizing = mlx_sizing.size(loaded, model_folder, replace(PLAIN, **more), record, load_seconds=0.0)
        return sizing.slots, sizing.details

    return size


def test_no_more_slots_than_pay_and_the_knee_is_searched_once(
    sized: Size, record: EngineRecord, searches: list[KneeSearch]
) -> None:
    slots, details = sized(record, tokens_per_sample=5000)
    assert slots == details["slots_by_knee"] == 8 < details["slots_by_memory"]
    assert sized(record, tokens_per_sample=5000)[0] == 8
    assert [search.length for search in searches] == [2500]
    sized(record, tokens_per_sample=20_000)
    assert len(searches) == 2, "another length has another knee"


def test_slots_that_are_asked_for_need_no_knee(sized: Size, searches: list[KneeSearch]) -> None:
    slots, details = sized(slots=33)
    assert slots == 33
    assert "slots_by_knee" not in details
    assert searches == []


def test_what_was_learnt_to_be_too_much_bounds_them_all(sized: Size, searches: list[KneeSearch]) -> None:
    assert sized(at_most=4)[0] == 4
    assert sized(slots=33, at_most=4)[0] == 4
    assert [search.most for search in searches] == [4]


def test_a_search_that_did_not_arrive_leaves_the_usual_number(sized: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Knee(2, {1: 1.0, 2: 2.0}, 64, False, 500, library_version(), "today")
    monkeypatch.setattr(mlx_sizing, "find_knee", lambda *_: short)
    assert sized()[0] == 16
    assert sized(at_most=3)[0] == 3
    monkeypatch.setattr(mlx_sizing, "find_knee", lambda *_: replace(short, slots=32))
    assert sized()[0] == 32


def test_the_plan_of_memory_grows_with_the_slots_and_keeps_to_the_limit(sized: Size) -> None:
    few, many = (sized(slots=slots)[1] for slots in (2, 8))
    assert few["planned_bytes"] < many["planned_bytes"] < many["memory_limit"]


def test_a_model_that_is_larger_than_memory_is_refused(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlx_memory, "memory_limit", lambda: 1000)
    with pytest.raises(ModelError, match="choose a smaller or more quantised model"):
        MlxEngine(model_folder).load()


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (RuntimeError("[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum"), True),
        (RuntimeError("[malloc] Unable to allocate 12 bytes."), True),
        (RuntimeError("[METAL] Command buffer execution failed: Insufficient Memory (00000008)"), True),
        (MemoryError(), True),
        (RuntimeError("[broadcast_shapes] Shapes (1,2) and (3,4) cannot be broadcast."), False),
    ],
)
def test_a_shortage_is_known_by_what_mlx_says(error: Exception, short: bool) -> None:
    assert mlx_sizing.is_shortage(error) is short


def test_rows_begin_again_with_half_the_slots_when_mlx_runs_short(
    model_folder: Path, record: EngineRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [ask(f"s{number}", tokens=12, temperature=0.8, seed=number) for number in range(4)]
    engine = MlxEngine(model_folder, slots=4, canary=False, record=record)
    engine.load()
    undisturbed = tokens_of(drive(engine, requests))
    step = DecodingBatch.step

    def short(batch: DecodingBatch) -> Any:
        monkeypatch.setattr(DecodingBatch, "step", step)
        raise RuntimeError("[malloc] Unable to allocate 12 bytes.")

    for request in requests:
        engine.add(request)
    while len(engine._live) < 4:
        engine.step()
    monkeypatch.setattr(DecodingBatch, "step", short)

    ended = finish(engine, {request.sample_id for request in requests})

    assert tokens_of(ended) == undisturbed, "nobody failed, and seeds decide"
    assert all(len(completion(one).batch_mates) <= 3 for one in ended.values())
    assert engine.slots == 2
    shortage = record.read().shortage()
    assert shortage is not None
    assert "MLX could not allocate" in shortage.why
    engine.close()
