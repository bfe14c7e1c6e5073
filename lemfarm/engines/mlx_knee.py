"""The knee: the batch size beyond which a model on this machine makes no more tokens per second.

Decoding reads every weight once a step, whatever the batch, so rows come nearly for nothing until the arithmetic, the
caches or the sampling set the pace. Where that is depends on the model, the chip and the length of the sequences, and
is measured: short bursts of real decoding at growing sizes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from time import perf_counter
from typing import Any

import mlx.core as mx
from mlx import nn

from lemfarm.engine_record import Knee
from lemfarm.engines.base import Sampling
from lemfarm.engines.mlx_batch import DecodingBatch
from lemfarm.engines.mlx_prefill import Cache, prefill

# A smaller batch within this share of the best rate is preferred: it ends each answer sooner and takes less memory.
_AS_GOOD = 0.95
# So many sizes in a row without growth end the search: one alone may have met another program's burst.
_PATIENCE = 2
_ROUNDS = 3
# Bursts of one size on an idle machine differed by a few hundredths; beyond this something else was at work.
_ALIKE = 1.25
_BURST_STEPS = 3
_BURST_SECONDS = 0.05
_ENDLESS = 1 << 30


@dataclass(frozen=True, slots=True)
class KneeSearch:
    """What to measure: rows that hold `length` tokens each, batches of up to `most` rows, for about so many seconds.

    `chunk` is how many tokens are prefilled at once.
    """

    length: int
    most: int
    seconds: float
    chunk: int = 256


def find_knee(model: nn.Module, tokens: Sequence[int], search: KneeSearch) -> Knee:
    """Measure tokens per second at 1, 2, 4, ... rows, and decide. `tokens` is any prompt, repeated to fill the rows.

    Larger sizes are tried until growth stops; then all are gone through again in turn, and medians count, so that a
    passing disturbance hits no size alone. No burst is begun that would end too late, going by what the one before it
    took; the first two sizes are always measured. Where time was too short to measure all of them twice, or they
    differ too much from one time to the next, the knee is not sure.
    """
    ends = perf_counter() + search.seconds
    context = _context(model, tokens, search)
    bursts: dict[int, list[_Burst]] = {}
    ended, took = False, 0.0
    for size in sizes(search.most):
        if ended or (len(bursts) > 1 and perf_counter() + 2 * took > ends):
            break
        bursts[size] = [_burst(model, context, tokens[-1], size)]
        took = bursts[size][0].took
        ended = size == search.most or has_flattened(_medians(bursts))
    for size in list(bursts) * (_ROUNDS - 1):
        if perf_counter() + bursts[size][0].took <= ends:
            bursts[size].append(_burst(model, context, tokens[-1], size))
    mx.clear_cache()
    rates = _medians(bursts)
    return Knee(
        slots=knee_of(rates),
        rates=rates,
        most=search.most,
        sure=ended and _is_calm(bursts),
        tokens=search.length,
        version=library_version(),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def sizes(most: int) -> Iterator[int]:
    """Powers of two up to `most`, and `most` itself."""
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most


def knee_of(rates: Mapping[int, float]) -> int:
    """The smallest batch whose rate is within a twentieth of the best."""
    best = max(rates.values())
    return min(size for size, rate in rates.items() if rate >= _AS_GOOD * best)


def has_flattened(rates: Mapping[int, float]) -> bool:
    """Whether the last sizes brought nothing over the best of those before."""
    in_order = [rates[size] for size in sorted(rates)]
    before, last = in_order[:-_PATIENCE], in_order[-_PATIENCE:]
    return bool(before) and max(last) < max(before) / _AS_GOOD


def is_stale(knee: Knee, most: int) -> bool:
    """Whether it is worth another search: a new library, nothing sure yet, or memory for more rows than were tried
    while the rate still grew."""
    grew_to_the_end = knee.slots == max(knee.rates) and most > knee.most
    return knee.version != library_version() or not knee.sure or grew_to_the_end


def library_version() -> str:
    """What a knee depends on beside model and machine."""
    return f"mlx {version('mlx')}, mlx-lm {version('mlx-lm')}"


def _context(model: nn.Module, tokens: Sequence[int], search: KneeSearch) -> Cache:
    """A row's cache. One chunk is computed and repeated: what the numbers are is of no matter to speed."""
    filler = (list(tokens) * (search.chunk // len(tokens) + 1))[: min(search.chunk, search.length)]
    cache = prefill(model, filler, search.chunk)
    for layer in cache:
        _stretch(layer, search.length)
    mx.eval([layer.state for layer in cache])
    return cache


def _stretch(layer: Any, length: int) -> None:
    if getattr(layer, "keys", None) is None:
        return  # a state of fixed size
    held = min(layer.offset, layer.keys.shape[2])
    keys, values = layer.keys[..., :held, :], layer.values[..., :held, :]
    while (missing := length - layer.offset) > 0:
        layer.update_and_fetch(keys[..., :missing, :], values[..., :missing, :])


@dataclass(frozen=True, slots=True)
class _Burst:
    """Tokens per second, and the seconds that it took to find out."""

    rate: float
    took: float


def _is_calm(bursts: Mapping[int, Sequence[_Burst]]) -> bool:
    """Whether every size was measured twice at least, and each time about alike."""
    rates = [[burst.rate for burst in seen] for seen in bursts.values()]
    return all(len(seen) > 1 and max(seen) <= _ALIKE * min(seen) for seen in rates)


def _medians(bursts: Mapping[int, Sequence[_Burst]]) -> dict[int, float]:
    return {size: round(median(burst.rate for burst in seen), 1) for size, seen in bursts.items()}


def _burst(model: nn.Module, context: Cache, token: int, size: int) -> _Burst:
    """Let so many rows decode; the steps that merge their caches do not count."""
    entered = perf_counter()
    batch = DecodingBatch(model)
    for seed in range(size):
        batch.join(token, context, Sampling(max_tokens=_ENDLESS), seed)
    while len(batch.step()) < size:
        pass
    steps, began = 0, perf_counter()
    while steps < _BURST_STEPS or perf_counter() - began < _BURST_SECONDS:
        batch.step()
        steps += 1
    ended = perf_counter()
    batch.close()
    return _Burst(size * steps / (ended - began), ended - entered)
