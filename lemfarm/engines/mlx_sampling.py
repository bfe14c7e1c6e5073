"""How tokens are drawn: all rows of a batch at once, each from its own stream of random numbers.

`top_p` is applied before the temperature, as mlx-lm does, so figures tuned with its tools carry over. mlx-lm finds the
nucleus by sorting the vocabulary. Here tokens are drawn first, from the whole vocabulary, and the first that lies in
the nucleus is taken, which is a draw from the nucleus: whether a token lies in it takes one sum, of what is more
probable. At a temperature of 1 or below no draw misses the nucleus more often than `1 - top_p`, so a few draws are
enough: that all of them miss is less probable than one step of the random numbers that they are made from. Where more
draws would be needed, the vocabulary is sorted.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

import mlx.core as mx
from mlx_lm.sample_utils import apply_top_p

from lemfarm.engines.base import Sampling
from lemfarm.engines.sampling import draw_key

# Draws from the whole vocabulary that are cheaper than one sort of it: the sort takes as long as 20 of them at 4,096
# tokens on the CPU; more than this would only serve a top_p below 0.875.
_MOST_TRIES = 8
# Uniform numbers have 24 bits: what is less probable than their step cannot be told from the impossible.
_BITS = 24
_HALF = 32


@dataclass(frozen=True, slots=True)
class Draw:
    """What one row draws with: the rule, its sample's seed, and how many tokens it drew before."""

    sampling: Sampling
    seed: int
    position: int

    @property
    def rule(self) -> tuple[float, float]:
        """Rows with the same one are drawn together."""
        return self.sampling.temperature, self.sampling.top_p


def draw(logits: mx.array, draws: Sequence[Draw]) -> mx.array:
    """One token for each row of the logits, shape [rows, vocabulary]; no global random state is touched."""
    places: defaultdict[tuple[float, float], list[int]] = defaultdict(list)
    for place, one in enumerate(draws):
        places[one.rule].append(place)
    if len(places) == 1:
        return _draw_together(logits, draws)
    tokens = [_draw_together(logits[mx.array(rows)], [draws[row] for row in rows]) for rows in places.values()]
    order = mx.argsort(mx.array([row for rows in places.values() for row in rows]))
    return mx.concatenate(tokens)[order]


def tries_for(temperature: float, top_p: float) -> int | None:
    """How many draws leave no doubt that one lies in the nucleus; none where sorting is cheaper."""
    if temperature > 1:
        return None
    tries = ceil(_BITS / -log2(1 - top_p))
    return tries if tries <= _MOST_TRIES else None


def in_nucleus(logits: mx.array, tokens: mx.array, top_p: float) -> mx.array:
    """Which of the tokens, shape [rows, any], mlx-lm's `apply_top_p` would keep.

    It keeps a token unless the tokens above it hold `top_p` of the mass; equal ones stay or go together. Sums are
    rounded, here and there, so a token at which they come within rounding of `top_p` may be judged either way.
    """
    scores = logits - mx.max(logits, axis=-1, keepdims=True)
    return _in_nucleus(scores, mx.exp(scores), tokens, top_p)


def _draw_together(logits: mx.array, draws: Sequence[Draw]) -> mx.array:
    """Rows of one rule."""
    temperature, top_p = draws[0].rule
    if temperature == 0:
        return mx.argmax(logits, axis=-1)
    logits = logits.astype(mx.float32)
    scores = logits - mx.max(logits, axis=-1, keepdims=True)
    keys = mx.array([_key(one) for one in draws], dtype=mx.uint32)
    if not 0 < top_p < 1:
        return _pick(scores / temperature, keys, 1)[:, 0]
    tries = tries_for(temperature, top_p)
    if tries is None:
        return _pick(apply_top_p(scores, top_p) / temperature, keys, 1)[:, 0]
    tokens = _pick(scores / temperature, keys, tries)
    kept = _in_nucleus(scores, mx.exp(scores), tokens, top_p)
    first = mx.take_along_axis(tokens, mx.argmax(kept, axis=-1, keepdims=True), axis=-1)[:, 0]
    return mx.where(mx.any(kept, axis=-1), first, mx.argmax(scores, axis=-1))


def _in_nucleus(scores: mx.array, masses: mx.array, tokens: mx.array, top_p: float) -> mx.array:
    bound = top_p * mx.sum(masses, axis=-1)
    levels = mx.take_along_axis(scores, tokens, axis=-1)
    # One pass for each: all at once would need the memory of as many batches of logits.
    above = [mx.sum((scores > levels[:, at : at + 1]) * masses, axis=-1) for at in range(tokens.shape[1])]
    return mx.stack(above, axis=-1) < bound[:, None]


def _pick(scores: mx.array, keys: mx.array, count: int) -> mx.array:
    """Tokens by the inverse of their summed weights, shape [rows, count], from one uniform number each."""
    sums = mx.cumsum(mx.exp(scores), axis=-1)
    uniform = mx.vmap(lambda key: mx.random.uniform(shape=(count,), key=key))(keys)
    marks = uniform * sums[:, -1:]
    tokens = mx.sum(sums[:, None, :] <= marks[:, :, None], axis=-1)
    return mx.minimum(tokens, sums.shape[1] - 1).astype(mx.uint32)


def _key(one: Draw) -> tuple[int, int]:
    """The two words that `mx.random.key` makes of a number."""
    return divmod(draw_key(one.seed, one.position), 1 << _HALF)
