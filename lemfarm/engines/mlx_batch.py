"""The rows that decode: they join with a finished prompt, take a token each a step, and leave at any time.

mlx-lm's `BatchGenerator` stands in for this where prompts are its own; here they come computed. So rows that join run
in the pass of those already there, all rows are drawn in one go, nothing is made of log probabilities that nobody
reads, and who has all tokens is not computed once more. The caches are mlx-lm's, which know padding and windows.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import mlx.core as mx
from mlx import nn
from mlx_lm.generate import generation_stream
from mlx_lm.utils import maybe_set_recommended_wired_limit

from lemfarm.engines.base import FinishReason, Sampling
from lemfarm.engines.mlx_prefill import Cache, cache_bytes
from lemfarm.engines.mlx_sampling import Draw, draw

Drawer = Callable[[mx.array, Sequence[Draw]], mx.array]
"""Logits, shape [rows, vocabulary], and what each row draws with, to one token for each row."""

# So often MLX is told to give back what it keeps; joining and leaving change the sizes that it keeps memory for.
_STEPS_BETWEEN_CLEANINGS = 512


@dataclass(frozen=True, slots=True)
class Decoded:
    """A row's next token; `ended` says that it is the last one, and a stop token is no part of the answer."""

    uid: int
    token: int
    ended: FinishReason | None = None


@dataclass(slots=True, eq=False)
class _Seat:
    uid: int
    sampling: Sampling
    seed: int
    forced: Sequence[int]
    begun: int = 0  #: tokens set off
    read: int = 0
    left: bool = False

    @property
    def vacant(self) -> bool:
        """Whether no more tokens are wanted of it."""
        return self.left or self.begun >= self.sampling.max_tokens


@dataclass(frozen=True, slots=True)
class _Newcomer:
    seat: _Seat
    token: int
    cache: Cache


@dataclass(slots=True)
class DecodingBatch:
    """Everything happens in the thread that calls. An exception from `step` leaves it unusable."""

    model: nn.Module
    stop_tokens: Collection[int] = ()
    draw: Drawer = draw
    _new: list[_Newcomer] = field(default_factory=list)
    _seats: list[_Seat] = field(default_factory=list)  #: in the order of the caches' rows
    _cache: list[Any] = field(default_factory=list)
    _tokens: mx.array = field(default_factory=lambda: mx.zeros(0, dtype=mx.uint32))  #: the newest of each seat
    _uids: "count[int]" = field(default_factory=count)
    _steps: int = 0
    _wired_before: int | None = field(default_factory=maybe_set_recommended_wired_limit)

    def join(self, token: int, cache: Cache, sampling: Sampling, seed: int, forced: Sequence[int] = ()) -> int:
        """Take a row in with the next step: the last token of its prompt and the cache of those before, which is
        copied. `forced` tokens are taken instead of drawn. Returns the row's name in this batch."""
        seat = _Seat(next(self._uids), sampling, seed, forced)
        self._new.append(_Newcomer(seat, token, cache))
        return seat.uid

    def leave(self, uid: int) -> None:
        """Take a row out; an unknown or ended one is no error."""
        self._new = [newcomer for newcomer in self._new if newcomer.seat.uid != uid]
        for seat in self._seats:
            seat.left |= seat.uid == uid

    def step(self) -> list[Decoded]:
        """Set off the next token of every row, and return those that the step before has set off.

        The device works on the new ones while the caller looks at the old.
        """
        with mx.stream(generation_stream):
            seats, tokens = self._seats, self._tokens
            self._let_go()
            self._let_in()
            if self._seats:
                self._set_off()
            return self._read(seats, tokens)

    def close(self) -> None:
        """Give back the memory limit that held while it lived."""
        if self._wired_before is not None:
            mx.synchronize(generation_stream)
            mx.set_wired_limit(self._wired_before)
            self._wired_before = None

    @property
    def nbytes(self) -> int:
        """What the rows' caches hold."""
        return cache_bytes(self._cache) + sum(cache_bytes(newcomer.cache) for newcomer in self._new)

    def _let_go(self) -> None:
        keep = [place for place, seat in enumerate(self._seats) if not seat.vacant]
        if len(keep) == len(self._seats):
            return
        self._seats = [self._seats[place] for place in keep]
        if not keep:
            self._cache, self._tokens = [], mx.zeros(0, dtype=mx.uint32)
            return
        for layer in self._cache:
            layer.filter(keep)
        self._tokens = self._tokens[mx.array(keep)]

    def _let_in(self) -> None:
        if not self._new:
            return
        new, self._new = self._new, []
        merged = [_merge(layers) for layers in zip(*(newcomer.cache for newcomer in new), strict=True)]
        if self._seats:
            for layer, other in zip(self._cache, merged, strict=True):
                layer.extend(other)
        else:
            self._cache = merged
        self._seats = self._seats + [newcomer.seat for newcomer in new]
        first = mx.array([newcomer.token for newcomer in new], dtype=mx.uint32)
        self._tokens = mx.concatenate([self._tokens, first])

    def _set_off(self) -> None:
        logits = self.model(self._tokens[:, None], cache=self._cache)[:, -1, :]
        drawn = self.draw(logits, [Draw(seat.sampling, seat.seed, seat.begun) for seat in self._seats])
        self._tokens = _with_forced(drawn, self._seats)
        mx.async_eval(self._tokens)  # type: ignore[no-untyped-call]
        for seat in self._seats:
            seat.begun += 1
        self._steps += 1
        if self._steps % _STEPS_BETWEEN_CLEANINGS == 0:
            mx.clear_cache()

    def _read(self, seats: Sequence[_Seat], tokens: mx.array) -> list[Decoded]:
        values = cast(list[int], tokens.tolist())
        return [self._tell(seat, token) for seat, token in zip(seats, values, strict=True) if not seat.left]

    def _tell(self, seat: _Seat, token: int) -> Decoded:
        seat.read += 1
        if token in self.stop_tokens:
            seat.left = True
            return Decoded(seat.uid, token, FinishReason.STOP)
        if seat.read == seat.sampling.max_tokens:
            seat.left = True
            return Decoded(seat.uid, token, FinishReason.LENGTH)
        return Decoded(seat.uid, token)


def _merge(layers: Sequence[Any]) -> Any:
    """One layer's caches as one, padded on the left."""
    if not hasattr(layers[0], "merge"):
        raise ValueError(f"rows with a {type(layers[0]).__name__} cannot be decoded together")
    return layers[0].merge(list(layers))


def _with_forced(drawn: mx.array, seats: Sequence[_Seat]) -> mx.array:
    forced = [seat.forced[seat.begun] if seat.begun < len(seat.forced) else -1 for seat in seats]
    if all(token < 0 for token in forced):
        return drawn
    given = mx.array(forced)
    return mx.where(given < 0, drawn, given).astype(mx.uint32)
