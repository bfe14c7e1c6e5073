"""An engine without a model: real requests, real timing, made-up text.

Its answers are English-like, pass through the same scorers and gates as a model's, and depend on the seed alone, so
that campaigns can be rehearsed, planned and tested on any machine. Failures are a share of the seeds, so a sample
that fails will fail again; crashes are true chance, so that a second attempt may pass.
"""

import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter, sleep
from zlib import crc32

from lemfarm.dialogue import Placement
from lemfarm.engines.base import Completion, EngineFacts, Finished, FinishReason, Request
from lemfarm.engines.simulated_text import write
from lemfarm.errors import EngineFailure
from lemfarm.identity import content_hash

VERSIONS = {"simulated": "1"}
"""Grows with every change after which the same seed gives another text."""

CRASH_EXIT_CODE = 70
"""With what a simulated crash ends the process."""

_LONGEST_NAP = 0.02
_LONGEST_NAP_WHEN_FULL = 0.25  #: nothing can join before an answer ends: 64 workers would wake 3,200 times a second
# How much of what is missing to perfect an adapter makes up for, so that a rehearsed training shows an effect.
_ADAPTER_LIFT = 0.4
# Spread of the richness from answer to answer; widest at quality 0.5, none at 0 and 1, as is that between prompts.
_SAMPLE_SPREAD = 0.15
_LENGTH_SPREAD = 0.25
# Share of rich sentences at quality 1; it falls with the square of the quality. With answers of some 200 words a gate
# of 24 on v2-distill passes 0, 27, 54, 80 and 93 of 100 answers at quality 0, 0.35, 0.5, 0.65 and 0.8.
_RICHEST = 0.8
_VOCABULARY = 32768
_WORD = re.compile(r"\s*\S+")


@dataclass(slots=True, eq=False)
class _Row:
    request: Request
    words: list[str]
    total: int
    fails: bool
    crashes: bool
    cached: int
    started: float = 0.0
    mates: set[str] = field(default_factory=set)


class SimulatedEngine:
    """Fulfils `Engine`. Rates are shares from 0 to 1; `tokens_per_second` is that of one answer, 0 for no waiting."""

    def __init__(
        self,
        *,
        tokens_per_second: float = 200.0,
        first_token_seconds: float = 0.0,
        mean_tokens: int = 200,
        quality: float = 0.5,
        prompt_spread: float = 0.1,
        failure_rate: float = 0.0,
        crash_rate: float = 0.0,
        abort_above: int | None = None,
        slots: int = 8,
    ) -> None:
        self._tokens_per_second = tokens_per_second
        self._first_token_seconds = first_token_seconds
        self._mean_tokens = mean_tokens
        self._quality = quality
        self._prompt_spread = prompt_spread
        self._failure_rate = failure_rate
        self._crash_rate = crash_rate
        self._abort_above = abort_above
        self._slots = slots
        self._waiting: list[_Row] = []
        self._live: list[_Row] = []
        self._kernels: set[str] = set()

    @property
    def slots(self) -> int:
        """How many answers are in the making at once."""
        return self._slots

    @property
    def peak_bytes(self) -> int:
        """There is no model."""
        return 0

    def load(self) -> EngineFacts:
        """Nothing to load; begins anew."""
        self.unload()
        return EngineFacts(engine="simulated", slots=self._slots, versions=VERSIONS)

    def unload(self) -> None:
        """Forget all requests without a result."""
        self._waiting, self._live = [], []
        self._kernels.clear()

    def close(self) -> None:
        """Nothing is held beyond the requests."""
        self.unload()

    def add(self, request: Request) -> None:
        """Take a request in; what becomes of it is decided here, and told by `step` in its time."""
        dice = random.Random(request.seed)
        fails = dice.random() < self._failure_rate
        total = max(1, round(dice.gauss(1, _LENGTH_SPREAD) * self._mean_tokens))
        text = write(dice, _RICHEST * max(0.0, self._richness(dice, request)) ** 2, total)
        words = _WORD.findall(text)[: request.sampling.max_tokens]
        cached = _count(request.kernel) if request.kernel in self._kernels else 0
        if request.kernel is not None:
            self._kernels.add(request.kernel)
        self._waiting.append(_Row(request, words, total, fails, _chance(self._crash_rate), cached))

    def step(self) -> Sequence[Finished]:
        """Let some time pass; returns the answers that are complete by then, and the failures."""
        self._admit()
        if not self._live:
            return []
        self._nap()
        now = perf_counter()
        for row in self._live:
            if row.crashes and self._progress(row, now) >= _end_of(row):
                os._exit(CRASH_EXIT_CODE)
        ended = [row for row in self._live if self._progress(row, now) >= _end_of(row)]
        self._live = [row for row in self._live if row not in ended]
        return [_failed(row) if row.fails else self._finished(row, now) for row in ended]

    def remove(self, sample_id: str) -> None:
        """Take an answer out without a result; an unknown id is no error."""
        self._waiting = [row for row in self._waiting if row.request.sample_id != sample_id]
        self._live = [row for row in self._live if row.request.sample_id != sample_id]

    def _richness(self, dice: random.Random, request: Request) -> float:
        quality = self._quality
        if request.adapter is not None:
            quality += (1 - quality) * _ADAPTER_LIFT
        prompt = "\n".join(message.content for message in request.messages)
        of_prompt = random.Random(content_hash(prompt)).gauss(0, self._prompt_spread)
        spread = 4 * quality * (1 - quality)
        return quality + spread * (of_prompt + dice.gauss(0, _SAMPLE_SPREAD))

    def _admit(self) -> None:
        free = self._slots - len(self._live)
        for row in self._waiting[:free]:
            row.started = perf_counter()
            for mate in self._live:
                mate.mates.add(row.request.sample_id)
                row.mates.add(mate.request.sample_id)
            self._live.append(row)
        del self._waiting[:free]
        if self._abort_above is not None and len(self._live) > self._abort_above:
            os.abort()  # as Metal does where memory runs short

    def _nap(self) -> None:
        """Sleep until the next answer is due, but not long, so that the caller can look at other things."""
        due = min(row.started + self._duration(row) * _end_of(row) for row in self._live)
        longest = _LONGEST_NAP if len(self._live) < self._slots else _LONGEST_NAP_WHEN_FULL
        sleep(max(0.0, min(longest, due - perf_counter())))

    def _duration(self, row: _Row) -> float:
        if self._tokens_per_second == 0:
            return 0.0
        return self._first_token_seconds + len(row.words) / self._tokens_per_second

    def _progress(self, row: _Row, now: float) -> float:
        duration = self._duration(row)
        return 1.0 if duration == 0 else (now - row.started) / duration

    def _finished(self, row: _Row, now: float) -> Finished:
        request = row.request
        return Finished(
            request.sample_id,
            Completion(
                text="".join(row.words),
                finish_reason=FinishReason.LENGTH if row.total > len(row.words) else FinishReason.STOP,
                token_ids=tuple(crc32(word.encode()) % _VOCABULARY for word in row.words),
                prompt_tokens=_count(request.kernel) + sum(_count(message.content) for message in request.messages),
                cached_tokens=row.cached,
                time_to_first_token=self._first_token_seconds if self._tokens_per_second else 0.0,
                seconds=now - row.started,
                tokens_per_second=self._tokens_per_second,
                placement=Placement.NONE if request.kernel is None else request.placement,
                batch_mates=tuple(sorted(row.mates)),
                seed=request.seed,
                versions=VERSIONS,
            ),
        )


def _end_of(row: _Row) -> float:
    """How far it comes, as a part of its time."""
    return 0.5 if row.fails or row.crashes else 1.0


def _failed(row: _Row) -> Finished:
    sample = row.request.sample_id
    return Finished(
        sample, error=EngineFailure(f"sample {sample}: a simulated failure, as model.failure_rate asks for")
    )


def _count(text: str | None) -> int:
    return len(text.split()) if text else 0


def _chance(rate: float) -> bool:
    """A throw that no seed decides: the same sample may pass when it is tried again."""
    return int.from_bytes(os.urandom(4), "big") < rate * 2**32
