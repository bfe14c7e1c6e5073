"""How many sequences a machine can decode at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx import nn

from lemfarm.engine_record import MOST_SLOTS
from lemfarm.engines.mlx_prefill import prefill
from lemfarm.machine import memory

# Part of the memory limit that is used: the rest is for the system and for what MLX keeps between steps.
_USABLE = 0.8
# Joining and leaving sequences copy the batch's caches; measured between 1.3 and 2 times the bytes of a sample.
_COPIES = 1.5
_PREFIX_SHARE = 16
_MOST_PREFIX_BYTES = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Footprint:
    """Measured bytes: of one sample at its longest, and of the work of one prefill chunk."""

    per_sample: int
    prefill_peak: int


def memory_limit() -> int:
    """Bytes that a model may use: what Metal recommends, else the memory of the machine or its container."""
    recommended = mx.device_info().get("max_recommended_working_set_size")
    return int(recommended) if recommended else memory()[0]


def prefix_bytes(limit: int) -> int:
    """How much of the memory limit prefilled prompts may keep."""
    return min(_MOST_PREFIX_BYTES, limit // _PREFIX_SHARE)


def measure(model: nn.Module, tokens: Sequence[int], *, chunk: int, tokens_per_sample: int) -> Footprint:
    """Prefill one chunk and see what it takes; `tokens_per_sample` is prompt and answer together."""
    filler = (list(tokens) * (chunk // len(tokens) + 1))[:chunk]
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    cache = prefill(model, filler, chunk)
    peak = max(0, int(mx.get_peak_memory() - before))
    return Footprint(sum(_layer_bytes(layer, tokens_per_sample) for layer in cache), peak)


def slots_for(limit: int, weights: int, prefixes: int, footprint: Footprint) -> int:
    """Slots that fit into the limit, at least one: (usable - weights - prefixes - prefill) / (copies x sample)."""
    free = _USABLE * limit - weights - prefixes - footprint.prefill_peak
    fitting = int(free // (_COPIES * max(1, footprint.per_sample)))
    return max(1, min(fitting, MOST_SLOTS))


def planned_bytes(slots: int, weights: int, prefixes: int, footprint: Footprint) -> int:
    """What the engine is expected to hold at most, with all slots at their longest and all prompts kept."""
    return weights + prefixes + footprint.prefill_peak + int(_COPIES * slots * footprint.per_sample)


def _layer_bytes(layer: Any, tokens: int) -> int:
    """Bytes of one layer's cache at a length: windowed layers stop growing at their window."""
    if getattr(layer, "keys", None) is None:
        return int(layer.nbytes)  # a state of fixed size
    held = int(layer.keys.shape[2])
    window = getattr(layer, "max_size", None) or tokens
    return int(layer.nbytes) // held * min(tokens, window)
