"""Prompts on their way into caches: each is computed once, a chunk at a time, and serves all its samples."""

import copy
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_lm.generate import generation_stream
from mlx_lm.models.cache import make_prompt_cache

from lemfarm.engines.prefixes import PrefixCache, PrefixCounts

# A shared start shorter than this is not worth an entry of its own: a turn's opening, without any kernel.
_SHORTEST_HEAD = 32

Cache = list[Any]
"""One mlx-lm cache object per layer."""


class Prompt:
    """The tokens of a prompt, how many of them its kernel shares with other prompts, and the adapter they are for.

    `body` is all but the last token, which the batch takes to start decoding; `key` is under what its cache is kept.
    Both are made once: a prompt is asked for at every step while its row waits.
    """

    def __init__(self, tokens: Sequence[int], head: int = 0, adapter: Path | None = None) -> None:
        self.tokens = tuple(tokens)
        self.body = self.tokens[:-1]
        self.head = head
        self.adapter = adapter
        self.key = _key(adapter, self.body)

    @property
    def head_key(self) -> bytes | None:
        """Under what the cache of the shared start is kept; none where sharing it would not pay."""
        if not _SHORTEST_HEAD <= self.head < len(self.body):
            return None
        return _key(self.adapter, self.tokens[: self.head])


@dataclass(slots=True)
class _Work:
    prompt: Prompt
    cache: Cache
    done: int
    reused: int


class PromptStore:
    """Caches of prompts and of the kernels that they begin with, in a bounded number of bytes.

    `advance` computes one chunk at most, so that rows which are decoding wait for no more than that.
    """

    def __init__(self, model: nn.Module, *, max_bytes: int, chunk: int) -> None:
        self._model = model
        self._chunk = chunk
        self._kept: PrefixCache[Cache] = PrefixCache(max_bytes)
        self._work: _Work | None = None
        self.computed = 0  #: tokens that went through the model, also for prompts that were given up

    def ready(self, prompt: Prompt) -> bool:
        """Whether `take` would find the prompt now."""
        return prompt.key in self._kept

    def take(self, prompt: Prompt) -> Cache | None:
        """The cache of a prompt's body. A batch merges it by copying, so one object serves many samples."""
        return self._kept.get(prompt.key)

    def advance(self, prompt: Prompt) -> int | None:
        """Compute the next chunk of a prompt; when all is there, return how many tokens needed no computing.

        Work on another prompt that was under way is given up, except for its kernel once that is complete.
        """
        if self._work is None or self._work.prompt.key != prompt.key:
            self._work = self._begin(prompt)
        work = self._work
        if work.done < len(prompt.body):
            self._compute_chunk(work)
        if work.done < len(prompt.body):
            return None
        self._keep(prompt.key, work.cache)
        self._work = None
        return work.reused

    def clear(self) -> None:
        """Forget everything, finished or not."""
        self._kept.clear()
        self._work = None

    @property
    def counts(self) -> PrefixCounts:
        """How the store has served; a hit is a sample or a prompt that was spared a prefill."""
        return self._kept.counts

    def _begin(self, prompt: Prompt) -> _Work:
        head = None if prompt.head_key is None else self._kept.get(prompt.head_key)
        if head is None:
            return _Work(prompt, make_prompt_cache(self._model), 0, 0)
        return _Work(prompt, copy.deepcopy(head), prompt.head, prompt.head)

    def _compute_chunk(self, work: _Work) -> None:
        prompt, head_key = work.prompt, work.prompt.head_key
        in_head = head_key is not None and work.done < prompt.head
        end = min(work.done + self._chunk, prompt.head if in_head else len(prompt.body))
        feed(self._model, work.cache, prompt.body[work.done : end])
        self.computed += end - work.done
        work.done = end
        if in_head and end == prompt.head:
            self._keep(head_key, copy.deepcopy(work.cache))

    def _keep(self, key: bytes | None, cache: Cache) -> None:
        self._kept.put(key, cache, cache_bytes(cache))


def feed(model: nn.Module, cache: Cache, tokens: Sequence[int]) -> None:
    """Run tokens through the model into the cache; no logits are computed."""
    with mx.stream(generation_stream):
        model(mx.array([list(tokens)]), cache=cache)
        mx.eval([layer.state for layer in cache])
        mx.clear_cache()


def prefill(model: nn.Module, tokens: Sequence[int], chunk: int) -> Cache:
    """A fresh cache of a whole prompt, in one go."""
    cache: Cache = make_prompt_cache(model)
    for start in range(0, len(tokens), chunk):
        feed(model, cache, tokens[start : start + chunk])
    return cache


def window(model: nn.Module) -> int:
    """The most tokens that a layer with a sliding window keeps; 0 where no layer has one."""
    return max(int(getattr(layer, "max_size", 0)) for layer in make_prompt_cache(model))


def cache_bytes(cache: Cache) -> int:
    """What a cache holds in memory."""
    return sum(int(layer.nbytes) for layer in cache)


def _key(adapter: Path | None, tokens: Sequence[int]) -> bytes:
    return blake2b(array("q", tokens).tobytes() + str(adapter).encode(), digest_size=16).digest()
