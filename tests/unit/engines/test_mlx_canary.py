"""The canary: what is decoded in a batch, beside what is decoded alone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from lemfarm.dialogue import Message
from lemfarm.engines import mlx_canary
from lemfarm.engines.base import Finished, Request, Sampling
from lemfarm.engines.mlx import MlxEngine
from lemfarm.engines.mlx_canary import CANARY_TEXT, ENOUGH_DISTINCT, Canary, sing
from lemfarm.engines.mlx_model import LoadedModel
from lemfarm.errors import BatchingUnsafe
from tests.unit.engines.conftest import Variant, drive

pytestmark = pytest.mark.mlx

CHUNK = 256
FIRST_STEPS = 20
PREFILLS_OF_A_PROMPT = 4
"""Alone, beside a longer row, the longer one, the shorter one."""
Fault = Callable[[Any], None]


class Spoilt:
    """A model whose batches go wrong after some steps; alone it is as it was."""

    def __init__(self, model: Any, fault: Fault, after: int = 0) -> None:
        self.model, self.fault, self.left = model, fault, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, tokens: mx.array, cache: Any = None, **more: Any) -> Any:
        if tokens.shape[0] == 1 or tokens.shape[1] > 1:
            return self.model(tokens, cache=cache, **more)
        self.left -= 1
        kept = [(layer, layer.left_padding, layer.offset) for layer in cache]
        if self.left < 0:
            for layer in cache:
                self.fault(layer)
        logits = self.model(tokens, cache=cache, **more)
        for layer, padding, offset in kept:
            layer.left_padding, layer.offset = padding, offset + 1
        return logits


def padding_is_one_too_long(layer: Any) -> None:
    layer.left_padding = layer.left_padding + 1


def padding_is_attended_to(layer: Any) -> None:
    layer.left_padding = mx.zeros_like(layer.left_padding)


def positions_are_one_too_far(layer: Any) -> None:
    layer.offset = layer.offset + 1


@pytest.fixture(scope="module")
def demo() -> Iterator[LoadedModel]:
    yield LoadedModel(Path(__file__).parents[3] / "demo" / "model")


@pytest.fixture(scope="module")
def tiny(model_folder: Path) -> LoadedModel:
    return LoadedModel(model_folder)


def prompt_of(loaded: LoadedModel) -> list[int]:
    return list(loaded.render(Request("canary", (Message("user", CANARY_TEXT),), Sampling(max_tokens=1), 0)).tokens)


def test_a_sound_batch_says_what_the_model_says_alone(demo: LoadedModel) -> None:
    canary = sing(demo.model, prompt_of(demo), chunk=CHUNK)

    assert canary.safe
    assert canary.agreed == canary.tokens >= 48
    assert canary.distinct >= ENOUGH_DISTINCT
    assert (canary.verdict, canary.says) == ("identical", "")


@pytest.mark.parametrize(
    ("fault", "after"),
    [(padding_is_one_too_long, 0), (padding_is_attended_to, FIRST_STEPS), (positions_are_one_too_far, 0)],
)
def test_a_fault_of_padding_or_positions_is_found_and_its_token_named(
    demo: LoadedModel, fault: Fault, after: int
) -> None:
    canary = sing(Spoilt(demo.model, fault, after), prompt_of(demo), chunk=CHUNK)

    assert not canary.safe
    assert canary.agreed >= after
    assert f"at token {canary.agreed + 1} of {canary.tokens}" in canary.says


def test_logits_that_are_no_numbers_are_a_fault(tiny: LoadedModel) -> None:
    class Broken(Spoilt):
        def __call__(self, tokens: mx.array, cache: Any = None, **more: Any) -> Any:
            logits = self.model(tokens, cache=cache, **more)
            return logits * float("nan") if tokens.shape[0] > 1 else logits

    canary = sing(Broken(tiny.model, positions_are_one_too_far), prompt_of(tiny), chunk=CHUNK)

    assert (canary.verdict, canary.agreed) == ("unsafe", 0)


class Babbler(Spoilt):
    """Says the same few tokens over and over, on the first of the canary's prompts or on all of them."""

    def __init__(self, model: Any, few: int, prompts: float = float("inf")) -> None:
        super().__init__(model, positions_are_one_too_far)
        self.few, self.prefills_left = few, PREFILLS_OF_A_PROMPT * prompts

    def __call__(self, tokens: mx.array, cache: Any = None, **more: Any) -> Any:
        self.prefills_left -= cache is not None and tokens.shape[1] > 1
        logits = self.model(tokens, cache=cache, **more)
        return mx.where(mx.arange(logits.shape[-1]) < self.few, logits, logits - 1e4) if self.babbles else logits

    @property
    def babbles(self) -> bool:
        return self.prefills_left >= 0


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons that cost little; the first figure is what it is."""
    monkeypatch.setattr(mlx_canary, "_LONGEST", 52)


@pytest.mark.usefixtures("short")
def test_a_model_that_says_the_same_few_words_passes_as_weak(tiny: LoadedModel) -> None:
    canary = sing(Babbler(tiny.model, few=12), prompt_of(tiny), chunk=CHUNK)

    assert canary.safe
    assert canary.verdict == "weak"
    assert (canary.tokens, canary.prompts) == (52, 3)
    assert f"no more than {canary.distinct} distinct tokens" in canary.says


@pytest.mark.usefixtures("short")
def test_another_prompt_may_draw_enough_from_it(tiny: LoadedModel) -> None:
    canary = sing(Babbler(tiny.model, few=12, prompts=1), prompt_of(tiny), chunk=CHUNK)

    assert canary.prompts == 2
    assert canary.distinct >= ENOUGH_DISTINCT
    assert canary.verdict == "identical"


def test_what_rounding_explains_is_no_fault_of_batching() -> None:
    seen = {"tokens": 48, "distinct": 40, "agreed": 10}

    assert Canary(**seen, drift=0.1).verdict == "rounding"
    assert Canary(**seen, drift=1.5, rounding=0.5).verdict == "rounding"
    assert Canary(**seen, drift=1.5, rounding=0.1).verdict == "unsafe"


def test_where_batches_are_wrong_the_engine_takes_one_slot_and_says_why(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, folder = mlx_canary.sing, variant()
    monkeypatch.setattr(
        mlx_canary,
        "sing",
        lambda model, tokens, chunk: real(Spoilt(model, positions_are_one_too_far, 5), tokens, chunk=chunk),
    )
    engine = MlxEngine(folder, slots=8)
    facts = engine.load()

    assert facts.slots == engine.slots == 1
    assert "token 6 of" in facts.details["one_slot_because"]
    asked = [Request(name, (Message("user", name),), Sampling(0.0, max_tokens=4), 0) for name in "ab"]
    assert all(isinstance(ended, Finished) and ended.completion for ended in drive(engine, asked).values())
    engine.close()
    with pytest.raises(BatchingUnsafe, match=r"token 6 of .* one slot"):
        MlxEngine(folder, slots=8, strict_batching=True).load()
