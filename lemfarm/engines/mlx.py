"""The engine that runs a model with MLX: one continuous batch, every prompt prefilled once.

A step admits waiting requests whose prompt is ready, computes at most one chunk of a prompt that is not, and decodes
one token for every row. So a new prompt delays the rows by one chunk, never by a whole kernel.
"""

import gc
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator

from lemfarm.dialogue import Message
from lemfarm.engines import mlx_canary, mlx_memory
from lemfarm.engines.base import EngineFacts, Finished, FinishReason, Request, Sampling
from lemfarm.engines.mlx_model import LoadedModel, check_folder, versions, weights_on_disk
from lemfarm.engines.mlx_prefill import Prompt, PromptStore
from lemfarm.engines.mlx_row import Row
from lemfarm.engines.mlx_sampling import make_sampler
from lemfarm.errors import BatchingUnsafe, EngineFailure, ModelError, SampleError
from lemfarm.prompts import opening_tag

# Chunks of 256 prefill a 2,000-token kernel 3.2 times faster than mlx-lm's default of 2,048 on the CPU backend, and
# bound how long decoding rows wait.
PREFILL_STEP = 256
# Prompt and answer of a long sample of the curriculum: a 2,000-token kernel, a probe, 4,096 tokens of answer.
TOKENS_PER_SAMPLE = 6144
# Times the slots: so many rows may pass an older one that waits for another adapter, before the batch is drained.
_PATIENCE = 2
# Enough tokens to show how a generation prompt ends.
_TAIL = 8


class MlxEngine:
    """Fulfils `Engine`. Everything happens in the thread that calls, and only one thread may.

    `slots` none: as many as memory allows. `strict_batching` makes a failed canary an error instead of one slot.
    """

    def __init__(
        self,
        folder: Path,
        *,
        slots: int | None = None,
        prefill_step: int = PREFILL_STEP,
        tokens_per_sample: int = TOKENS_PER_SAMPLE,
        prefix_bytes: int | None = None,
        canary: bool = True,
        strict_batching: bool = False,
    ) -> None:
        self._folder = folder
        self._asked_slots = slots
        self._slots = slots or 1
        self._prefill_step = prefill_step
        self._tokens_per_sample = tokens_per_sample
        self._prefix_bytes = prefix_bytes
        self._canary = canary
        self._strict_batching = strict_batching
        self._model: LoadedModel | None = None
        self._versions: dict[str, str] = {}
        self._waiting: list[Row] = []
        self._live: dict[int, Row] = {}
        self._ended: list[Finished] = []
        self._passed_over = 0

    @property
    def slots(self) -> int:
        """How many sequences it decodes at once; known after `load`."""
        return self._slots

    @property
    def counts(self) -> dict[str, int]:
        """Prompts kept and how often they served, for benchmarks and logs."""
        if self._model is None:
            return {}
        kept = self._prompts.counts
        return {"hits": kept.hits, "misses": kept.misses, "evicted": kept.evicted, "bytes": kept.bytes}

    def load(self) -> EngineFacts:
        """Load the model, size the batch, listen to the canary. Raises ModelError (BatchingUnsafe if strict)."""
        self.unload()
        check_folder(self._folder)
        limit = mlx_memory.memory_limit()
        self._refuse_too_large(limit)
        loaded = LoadedModel(self._folder)
        self._versions = versions()
        kept = mlx_memory.prefix_bytes(limit) if self._prefix_bytes is None else self._prefix_bytes
        facts = self._size(loaded, limit, kept)
        self._prompts = PromptStore(loaded.model, max_bytes=kept, chunk=self._prefill_step)
        self._batch = self._new_batch(loaded)
        self._model = loaded
        return facts

    def unload(self) -> None:
        """Free the model's memory; live sequences are forgotten without a result."""
        self._waiting, self._live, self._ended = [], {}, []
        self._passed_over = 0
        if self._model is None:
            return
        self._batch.close()
        del self._batch, self._prompts
        self._model = None
        gc.collect()
        mx.clear_cache()

    def close(self) -> None:
        """Unload, and release the thread's streams: without that, a process whose engine thread was not the main
        one ends with SIGABRT. MLX is of no use in that thread afterwards, so the main thread keeps its own."""
        self.unload()
        if threading.current_thread() is not threading.main_thread():
            mx.clear_streams()

    def add(self, request: Request) -> None:
        """Take a request in; whatever is wrong with it comes back from the next `step`."""
        try:
            self._waiting.append(self._prepare(request))
        except SampleError as error:
            self._ended.append(Finished(request.sample_id, error=error))
        except Exception as error:  # noqa: BLE001 - templates raise what they like
            failure = EngineFailure(f"sample {request.sample_id}: its prompt cannot be made: {error}")
            self._ended.append(Finished(request.sample_id, error=failure))

    def step(self) -> Sequence[Finished]:
        """Admit, prefill a chunk, decode a token; returns the sequences that ended."""
        if self._waiting:
            self._turn_to_waiting_adapter()
            self._admit()
            if self._prefill_a_chunk():
                self._admit()
        self._decode()
        ended, self._ended = self._ended, []
        return ended

    def remove(self, sample_id: str) -> None:
        """Take a sequence out without a result; an unknown id is no error."""
        self._waiting = [row for row in self._waiting if row.id != sample_id]
        self._ended = [finished for finished in self._ended if finished.sample_id != sample_id]
        for row in [live for live in self._live.values() if live.id == sample_id]:
            self._leave(row)

    def _loaded(self) -> LoadedModel:
        if self._model is None:
            raise ModelError(f"{self._folder}: the engine has no model; call load() first")
        return self._model

    def _refuse_too_large(self, limit: int) -> None:
        weights = weights_on_disk(self._folder)
        if weights > limit:
            raise ModelError(
                f"{self._folder}: its weights take {weights / 2**30:.1f} GiB and this machine offers "
                f"{limit / 2**30:.1f} GiB; choose a smaller or more quantised model"
            )

    def _size(self, loaded: LoadedModel, limit: int, kept: int) -> EngineFacts:
        """Decide on the slots and say what they rest on."""
        prompt = loaded.render(Request("canary", (Message("user", mlx_canary.CANARY_TEXT),), Sampling(max_tokens=1), 0))
        longest = min(self._tokens_per_sample, loaded.context_tokens or self._tokens_per_sample)
        footprint = mlx_memory.measure(loaded.model, prompt.tokens, chunk=self._prefill_step, tokens_per_sample=longest)
        fitting = mlx_memory.slots_for(limit, loaded.weights_bytes, kept, footprint)
        self._slots = self._asked_slots or fitting
        details: dict[str, Any] = {
            "memory_limit": limit,
            "prefix_bytes": kept,
            "prefill_peak_bytes": footprint.prefill_peak,
            "slots_by_memory": fitting,
        }
        if self._canary and self._slots > 1:
            details |= self._listen(loaded, prompt.tokens)
        return EngineFacts(
            engine="mlx",
            slots=self._slots,
            context_tokens=loaded.context_tokens,
            weights_bytes=loaded.weights_bytes,
            bytes_per_sample=footprint.per_sample,
            versions=self._versions,
            details=details,
        )

    def _listen(self, loaded: LoadedModel, tokens: Sequence[int]) -> dict[str, Any]:
        canary = mlx_canary.sing(loaded.model, tokens, chunk=self._prefill_step)
        if canary.safe:
            return {"canary": canary.report}
        why = (
            f"batched output parts from output alone at token {canary.agreed} of {canary.tokens}, giving up "
            f"{canary.lost} of log-probability"
        )
        if self._strict_batching:
            raise BatchingUnsafe(f"{self._folder}: {why}; run it with one slot, or update mlx and mlx-lm")
        self._slots = 1
        return {"canary": canary.report, "one_slot_because": why}

    def _new_batch(self, loaded: LoadedModel) -> BatchGenerator:
        return BatchGenerator(
            loaded.model,
            completion_batch_size=self._slots,
            prefill_batch_size=self._slots,
            prefill_step_size=self._prefill_step,
            stop_tokens=loaded.stop_tokens,
        )

    def _prepare(self, request: Request) -> Row:
        loaded = self._loaded()
        if request.sampling.max_tokens < 1:
            raise EngineFailure(f"sample {request.sample_id}: max_tokens must be at least 1")
        rendered = loaded.render(request)
        prompt = Prompt(rendered.tokens, loaded.shared_head(request, rendered.tokens), request.adapter)
        tail = loaded.tokenizer.decode(list(rendered.tokens[-_TAIL:]))
        return Row(request, prompt, rendered.placement, opening_tag(tail))

    def _turn_to_waiting_adapter(self) -> None:
        """Switch when the batch is drained and the oldest request, or all of them, wait for another adapter."""
        if self._live:
            return
        loaded = self._loaded()
        wanted = self._waiting[0].prompt.adapter
        if wanted == loaded.adapter or (self._fitting() and not self._drains()):
            return
        self._passed_over = 0
        try:
            loaded.use_adapter(wanted)
        except SampleError as error:
            self._give_up([row for row in self._waiting if row.prompt.adapter == wanted], error)

    def _fitting(self) -> list[Row]:
        """The waiting rows for the adapter that is on."""
        adapter = self._loaded().adapter
        return [row for row in self._waiting if row.prompt.adapter == adapter]

    def _drains(self) -> bool:
        """Whether the oldest row waits for another adapter and has let enough others go before it."""
        if not self._waiting or self._waiting[0].prompt.adapter == self._loaded().adapter:
            self._passed_over = 0  # nobody was passed over, or whoever it was has been taken out
        return self._passed_over >= _PATIENCE * self._slots

    def _admit(self) -> None:
        """Move rows whose prompt is ready into free places, the oldest first."""
        for row in self._fitting():
            if len(self._live) >= self._slots or self._drains():
                return
            if self._prompts.ready(row.prompt):
                self._passed_over += 1  # forgotten where the oldest is no other's
                self._join(row)

    def _join(self, row: Row) -> None:
        cache = self._prompts.take(row.prompt)
        if row.cached_tokens is None:
            row.cached_tokens = len(row.prompt.body)
        (uid,) = self._batch.insert(
            [list(row.prompt.tokens[-1:])],
            max_tokens=[row.request.sampling.max_tokens],
            caches=[cache],
            all_tokens=[[]],  # a list of its own: mlx-lm appends to it
            samplers=[make_sampler(row.request.seed, row.request.sampling)],
        )
        row.start(uid)
        self._waiting.remove(row)
        for mate in self._live.values():
            mate.mates.add(row.id)
            row.mates.add(mate.id)
        self._live[uid] = row

    def _prefill_a_chunk(self) -> bool:
        """Go on with the oldest prompt that is not ready, unless the places are full and another row is ready.

        Returns whether a prompt has become ready.
        """
        if self._drains():
            return False
        here = self._fitting()
        unready = [row for row in here if not self._prompts.ready(row.prompt)]
        if not unready or (len(self._live) >= self._slots and len(unready) < len(here)):
            return False
        row, began = unready[0], perf_counter()
        try:
            reused = self._prompts.advance(row.prompt)
        except Exception as error:  # noqa: BLE001 - one bad prompt must not stop the others
            self._prompts.clear()
            self._give_up([row], EngineFailure(f"sample {row.id}: its prompt failed: {error!r}"))
            return False
        row.prefill_seconds += perf_counter() - began
        if reused is not None:
            row.cached_tokens = reused
        return reused is not None

    def _decode(self) -> None:
        if not self._live:
            return
        try:
            responses = self._batch.next()[1]
        except Exception as error:  # noqa: BLE001 - whatever it was, the engine lives on
            self._start_over(error)
            return
        for response in responses:
            row = self._live.get(response.uid)
            if row is None:
                continue
            reason = row.take(response.token, response.finish_reason)
            if reason is not None:
                self._finish(row, reason)

    def _finish(self, row: Row, reason: FinishReason) -> None:
        self._leave(row)
        try:
            text = self._loaded().text_of(row.tokens)
        except Exception as error:  # noqa: BLE001 - a padded vocabulary has ids without text
            failure = EngineFailure(f"sample {row.id}: its tokens cannot be turned into text: {error!r}")
            self._ended.append(Finished(row.id, error=failure))
            return
        self._ended.append(Finished(row.id, row.complete(text, reason, self._versions)))

    def _leave(self, row: Row) -> None:
        del self._live[row.uid]
        self._batch.remove([row.uid])  # no-op for a row that ended by itself

    def _give_up(self, rows: list[Row], error: SampleError) -> None:
        self._waiting = [row for row in self._waiting if row not in rows]
        self._ended.extend(Finished(row.id, error=error) for row in rows)

    def _start_over(self, error: Exception) -> None:
        """Fail the live sequences and begin a new batch: after an error mlx-lm's generator has lost its rows."""
        for row in self._live.values():
            failure = EngineFailure(f"sample {row.id}: the engine failed while decoding: {error!r}")
            self._ended.append(Finished(row.id, error=failure))
        self._live.clear()
        with suppress(RuntimeError):  # closing waits for the stream, which may refuse after the error that it caused
            self._batch.close()
        self._prompts.clear()
        mx.clear_cache()
        self._batch = self._new_batch(self._loaded())
