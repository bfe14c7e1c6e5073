"""How many slots a loaded model gets on this machine, and what the number rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.engine_record import EngineRecord
from lemfarm.engines import mlx_canary, mlx_memory
from lemfarm.engines.base import Request, Sampling
from lemfarm.engines.mlx_knee import KneeSearch, find_knee, is_stale
from lemfarm.engines.mlx_model import LoadedModel, weights_on_disk
from lemfarm.errors import BatchingUnsafe, ModelError

# The search may take as long as loading did, within these bounds.
_SEARCH_SECONDS = (1.5, 8.0)
# Where nothing sure was found: on every machine that was measured the knee lay at 8 or above.
_USUAL_SLOTS = 16
# What stands in MLX's RuntimeErrors when an allocation fails, or when Metal says so before it ends the process.
_NO_MEMORY = ("malloc]", "Unable to allocate", "Insufficient Memory")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the engine was opened with. `slots` none: as many as pay; `at_most` bounds either, after a shortage."""

    slots: int | None
    at_most: int | None
    chunk: int
    tokens_per_sample: int
    prefix_bytes: int | None
    canary: bool
    strict_batching: bool


@dataclass(frozen=True, slots=True)
class Sizing:
    """The decision, in slots and bytes; `details` says what led to it, for status and doctor."""

    slots: int
    prefix_bytes: int
    bytes_per_sample: int
    details: dict[str, Any]


def refuse_too_large(folder: Path) -> None:
    """Say so before gigabytes are read. Raises ModelError."""
    weights, limit = weights_on_disk(folder), mlx_memory.memory_limit()
    if weights > limit:
        raise ModelError(
            f"{folder}: its weights take {weights / 2**30:.1f} GiB and this machine offers "
            f"{limit / 2**30:.1f} GiB; choose a smaller or more quantised model"
        )


def size(
    loaded: LoadedModel, folder: Path, wishes: Wishes, record: EngineRecord | None, *, load_seconds: float
) -> Sizing:
    """Decide: what is asked for, else what memory allows and pays; never more than was learnt to be too much.

    `load_seconds` bounds the search for the knee. Raises BatchingUnsafe where the canary fails and batching is strict.
    """
    limit = mlx_memory.memory_limit()
    kept = mlx_memory.prefix_bytes(limit) if wishes.prefix_bytes is None else wishes.prefix_bytes
    tokens = canary_tokens(loaded)
    longest = min(wishes.tokens_per_sample, loaded.context_tokens or wishes.tokens_per_sample)
    footprint = mlx_memory.measure(loaded.model, tokens, chunk=wishes.chunk, tokens_per_sample=longest)
    fitting = mlx_memory.slots_for(limit, loaded.weights_bytes, kept, footprint)
    most = wishes.slots or fitting
    if wishes.at_most is not None:
        most = min(most, wishes.at_most)
    details: dict[str, Any] = {"slots_by_memory": fitting}
    slots = most
    if wishes.canary and most > 1:
        details |= listen(loaded, folder, tokens, wishes)
        slots = 1 if "one_slot_because" in details else most
    if wishes.slots is None and slots > 1:
        # Half of the longest is what a row holds on its way.
        search = KneeSearch(max(1, longest // 2), most, _search_seconds(load_seconds), wishes.chunk)
        knee = _knee(loaded, tokens, search, record)
        slots = min(slots, knee)
        details["slots_by_knee"] = knee
    planned = mlx_memory.planned_bytes(slots, loaded.weights_bytes, kept, footprint)
    details |= {"memory_limit": limit, "planned_bytes": planned, "prefix_bytes": kept}
    details |= {"prefill_peak_bytes": footprint.prefill_peak}
    return Sizing(slots, kept, footprint.per_sample, details)


def listen(loaded: LoadedModel, folder: Path, tokens: Sequence[int], wishes: Wishes) -> dict[str, Any]:
    """What the canary says; `one_slot_because` is among it where batches must not be trusted."""
    canary = mlx_canary.sing(loaded.model, tokens, chunk=wishes.chunk)
    if canary.safe:
        return {"canary": canary.report}
    if wishes.strict_batching:
        raise BatchingUnsafe(f"{folder}: {canary.says}; run it with one slot, or update mlx and mlx-lm")
    return {"canary": canary.report, "one_slot_because": canary.says}


def canary_tokens(loaded: LoadedModel) -> Sequence[int]:
    """A prompt of ordinary words, for whatever is measured before there is a real one."""
    text = Message("user", mlx_canary.CANARY_TEXT)
    return loaded.render(Request("canary", (text,), Sampling(max_tokens=1), 0)).tokens


def _search_seconds(load_seconds: float) -> float:
    least, most = _SEARCH_SECONDS
    return min(max(least, load_seconds), most)


def _knee(loaded: LoadedModel, tokens: Sequence[int], search: KneeSearch, record: EngineRecord | None) -> int:
    """The knee as it is known, else as it is measured now."""
    knee = record.read().knee(search.length) if record else None
    if knee is None or is_stale(knee, search.most):
        knee = find_knee(loaded.model, tokens, search)
        if record:
            record.note_knee(knee)
    return knee.slots if knee.sure else max(knee.slots, _USUAL_SLOTS)


def is_shortage(error: Exception) -> bool:
    """Whether MLX says that it could not get memory. Where Metal runs short inside a step, the process ends instead."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)
