"""Whether batching changes what a model says on this machine.

A fixed prompt is decoded greedily alone, and again in a batch whose rows are padded and which another row joins on
the way. Kernels may round differently for other batch sizes, so two nearly equal tokens can change places; that is
harmless and told apart from a fault of padding or windows by how sure the model was of the token it gave up.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import mlx.core as mx
from mlx import nn
from mlx_lm.generate import BatchGenerator, generate_step

from lemfarm.engines.mlx_prefill import prefill

#: What the prompt asks for; any text does that a model answers with many different words.
CANARY_TEXT = (
    "Describe a market town at dawn: the bridge, the bakers, the boats, the weather, and what people say to each other."
)
_LENGTH = 48
_JOIN_AT = 8
# Log-probability lost at the parting; bf16 and 4-bit kernels were seen to move logits by a quarter at most.
_ROUNDING = 0.5


@dataclass(frozen=True, slots=True)
class Canary:
    """What the comparison saw: tokens compared, distinct ones, how many agreed before the first parting."""

    tokens: int
    distinct: int
    agreed: int
    lost: float = 0.0

    @property
    def safe(self) -> bool:
        """Whether batches may be trusted."""
        return self.agreed == self.tokens or self.lost <= _ROUNDING

    @property
    def report(self) -> dict[str, Any]:
        """The facts, for status and doctor."""
        verdict = "identical" if self.agreed == self.tokens else "rounding" if self.safe else "unsafe"
        return {**asdict(self), "verdict": verdict}


def sing(model: nn.Module, tokens: Sequence[int], *, chunk: int) -> Canary:
    """Decode the prompt alone and in a batch, and compare."""
    alone: list[int] = []
    logprobs: list[mx.array] = []
    for token, row in generate_step(mx.array(list(tokens)), model, max_tokens=_LENGTH, prefill_step_size=chunk):
        alone.append(int(token))
        logprobs.append(row)
    together = _in_a_batch(model, list(tokens), chunk)
    parted = next((at for at in range(_LENGTH) if alone[at] != together[at]), None)
    if parted is None:
        return Canary(_LENGTH, len(set(alone)), _LENGTH)
    row = logprobs[parted]
    lost = cast(float, (row[alone[parted]] - row[together[parted]]).item())
    return Canary(_LENGTH, len(set(alone)), parted, round(lost, 3))


def _in_a_batch(model: nn.Module, tokens: list[int], chunk: int) -> list[int]:
    """The canary's tokens beside a shorter row from the start and a longer one that joins later."""
    shorter, longer = tokens[len(tokens) // 2 :], tokens + tokens
    batch = BatchGenerator(model, completion_batch_size=3, prefill_batch_size=3, prefill_step_size=chunk)
    (uid,) = _join(batch, model, tokens, chunk)
    _join(batch, model, shorter, chunk)
    heard: list[int] = []
    while len(heard) < _LENGTH:
        if len(heard) == _JOIN_AT:
            _join(batch, model, longer, chunk)
        heard.extend(response.token for response in batch.next()[1] if response.uid == uid)
    batch.close()
    return heard


def _join(batch: BatchGenerator, model: nn.Module, tokens: list[int], chunk: int) -> list[int]:
    cache = prefill(model, tokens[:-1], chunk)
    uids: list[int] = batch.insert([tokens[-1:]], max_tokens=[2 * _LENGTH], caches=[cache], all_tokens=[[]])
    return uids
