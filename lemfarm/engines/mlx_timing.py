"""What a decoding step costs: how long rows wait for a prompt beside them, and how long drawing their tokens takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import mlx.core as mx
from mlx_lm.sample_utils import make_sampler

from lemfarm.engines.base import Request, Sampling
from lemfarm.engines.mlx import MlxEngine
from lemfarm.engines.mlx_sampling import Draw, draw
from lemfarm.errors import EngineFailure

_ROUNDS = 5
_CALM_STEPS = 12
# A row that joins makes the two steps after it longer: its caches are copied in, and then they are computed.
_STEPS_AFTER = 2


@dataclass(frozen=True, slots=True)
class Stall:
    """What rows that decode wait for prompts that are prefilled beside them, in decoding steps of so many
    `milliseconds`: a `question` on a cached kernel costs them so many in all, and while a new kernel comes in, a step
    is so many times as long."""

    question: float
    step_with_chunk: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """Milliseconds to draw one token for each row of a batch: here, and by mlx-lm's sampler for all rows at once and
    for each row by itself. Normalising the logits counts, since only mlx-lm needs it."""

    vocabulary: int
    here: float
    mlx_lm: float
    mlx_lm_row_by_row: float


def measure_stall(
    engine: MlxEngine, decoding: Sequence[Request], questions: Sequence[Request], on_a_new_kernel: Request
) -> Stall:
    """Let rows decode, then bring in questions on their kernel, one after the other, and at last a new kernel; medians
    count. One slot more than rows decode is needed, and answers that outlast all this."""
    for request in decoding:
        engine.add(request)
    while engine.decoding < len(decoding):
        engine.step()
    calm = median(_step(engine) for _ in range(_CALM_STEPS))
    waits = [_bring_in(engine, question) for question in questions]
    with_chunk = median(_bring_in(engine, on_a_new_kernel)) / calm
    for request in decoding:
        engine.remove(request.sample_id)
    lost = median(sum(wait) / calm - len(wait) for wait in waits)
    return Stall(round(lost, 2), round(with_chunk, 2), round(1e3 * calm, 2))


def time_drawing(rows: int, vocabulary: int, sampling: Sampling) -> Drawing:
    """Draw from random logits, the ways in turn; medians count."""
    logits = mx.random.normal((rows, vocabulary), key=mx.random.key(0)) * 3
    mx.eval(logits)
    sampler = make_sampler(sampling.temperature, sampling.top_p)
    ways: dict[str, Callable[[], Any]] = {
        "here": lambda: draw(logits, [Draw(sampling, row, 0) for row in range(rows)]),
        "mlx_lm": lambda: sampler(_normal(logits)),
        "mlx_lm_row_by_row": lambda: [sampler(_normal(logits)[row : row + 1]) for row in range(rows)],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(_ROUNDS):
        for way, make in ways.items():
            began = perf_counter()
            mx.eval(make())
            seconds[way].append(perf_counter() - began)
    return Drawing(vocabulary, **{way: round(1e3 * median(times), 3) for way, times in seconds.items()})


def _normal(logits: mx.array) -> mx.array:
    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _bring_in(engine: MlxEngine, request: Request) -> list[float]:
    """Seconds of each step until the request decodes, and of those that its coming in still slows; then it leaves."""
    engine.add(request)
    before, seconds = engine.decoding, list[float]()
    while engine.decoding <= before:
        seconds.append(_step(engine))
        if engine.decoding < before:
            raise EngineFailure(f"sample {request.sample_id}: rows ended before it came in; let answers be longer")
    seconds += [_step(engine) for _ in range(_STEPS_AFTER)]
    engine.remove(request.sample_id)
    engine.step()
    return seconds


def _step(engine: MlxEngine) -> float:
    began = perf_counter()
    engine.step()
    return perf_counter() - began
