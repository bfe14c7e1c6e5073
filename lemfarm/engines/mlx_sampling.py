"""The sampler that one sequence carries through a batch."""

from collections.abc import Callable

import mlx.core as mx
from mlx_lm.sample_utils import apply_top_p

from lemfarm.engines.base import Sampling
from lemfarm.engines.sampling import draw_key

Sampler = Callable[[mx.array], mx.array]
"""Log probabilities of one row, shape [1, vocabulary], to one token, shape [1]."""


class SeededSampler:
    """Draws token t with a key made of the sample's seed and t; no global random state is touched.

    `top_p` is applied before the temperature, as mlx-lm does, so figures tuned with its tools carry over. Rows are
    always drawn in the shape [1, vocabulary]: MLX draws other values for the same key from a plain vector.
    """

    def __init__(self, seed: int, temperature: float, top_p: float) -> None:
        self._seed = seed
        self._sharpness = 1.0 / temperature
        self._top_p = top_p
        self._position = 0

    def __call__(self, logprobs: mx.array) -> mx.array:
        key = mx.random.key(draw_key(self._seed, self._position))
        self._position += 1
        if 0 < self._top_p < 1:
            logprobs = apply_top_p(logprobs, self._top_p)
        return mx.random.categorical(logprobs * self._sharpness, key=key)


def _greedy(logprobs: mx.array) -> mx.array:
    return mx.argmax(logprobs, axis=-1)


def make_sampler(seed: int, sampling: Sampling) -> Sampler:
    """Give a sequence its sampler. Greedy rows share one object, so that an all-greedy batch takes one argmax."""
    if sampling.temperature == 0:
        return _greedy
    return SeededSampler(seed, sampling.temperature, sampling.top_p)
