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

import mlx.core as mx

from lemfarm.engine_record import LONG_SAMPLE, EngineRecord
from lemfarm.engines import mlx_sizing
from lemfarm.engines.base import EngineFacts, Finished, FinishReason, Request
from lemfarm.engines.mlx_batch import DecodingBatch
from lemfarm.engines.mlx_model import LoadedModel, check_folder, versions
from lemfarm.engines.mlx_prefill import Prompt, PromptStore, window
from lemfarm.engines.mlx_row import Row
from lemfarm.errors import EngineFailure, ModelError, SampleError
from lemfarm.prompts import opening_tag

# Chunks of 256 prefill a 2,000-token kernel 3.2 times faster than mlx-lm's default of 2,048 on the CPU backend, and
# bound how long decoding rows wait.
PREFILL_STEP = 256
# Times the slots: so many rows may pass an older one that waits for another adapter, before the batch is drained.
_PATIENCE = 2
# Enough tokens to show how a generation prompt ends.
_TAIL = 8


class MlxEngine:
    """Fulfils `Engine`. Everything happens in the thread that calls, and only one thread may.

    `slots` none: as many as memory allows and pay, by the knee in `record`, where it is kept once it was measured.
    `at_most` bounds either, after a shortage of memory. `strict_batching` makes a failed canary an error instead of one
    slot. `ignore_stops` lets every answer run to its full length, for benchmarks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        slots: int | None = None,
        prefill_step: int = PREFILL_STEP,
        tokens_per_sample: int | None = None,
        prefix_bytes: int | None = None,
        canary: bool = True,
        strict_batching: bool = False,
        at_most: int | None = None,
        record: EngineRecord | None = None,
        ignore_stops: bool = False,
    ) -> None:
        self._folder = folder
        self._ignore_stops = ignore_stops
        self._wishes = mlx_sizing.Wishes(
            slots, at_most, prefill_step, tokens_per_sample or LONG_SAMPLE, prefix_bytes, canary, strict_batching
        )
        self._record = record
        self._slots = slots or 1
        self._model: LoadedModel | None = None
        self._versions: dict[str, str] = {}
        self._waiting: list[Row] = []
        self._live: dict[int, Row] = {}
        self._ended: list[Finished] = []
        self._passed_over = 0
        self._decodes = 0  #: decoding steps made
        self._depth = self._window = 0
        self._joined = self._cached = self._decoded = 0

    @property
    def slots(self) -> int:
        """How many sequences it decodes at once; known after `load`."""
        return self._slots

    @property
    def counts(self) -> dict[str, int]:
        """Since `load`: how often kept prompts served, and tokens by where they came from. For benchmarks and logs.

        Of the prompt tokens of all rows some were `computed` (each kernel and prompt once, and the last token of every
        row), the others came from `cached` prompts; `decoded` ones were made.
        """
        if self._model is None:
            return {}
        kept = self._prompts.counts
        return {
            "hits": kept.hits,
            "misses": kept.misses,
            "evicted": kept.evicted,
            "bytes": kept.bytes,
            "computed": self._prompts.computed + self._joined,
            "cached": self._cached,
            "decoded": self._decoded,
        }

    @property
    def decoding(self) -> int:
        """Sequences in the batch now."""
        return len(self._live)

    @property
    def loaded(self) -> LoadedModel:
        """The model in memory, for benchmarks that let other ways use it too. Raises ModelError before `load`."""
        if self._model is None:
            raise ModelError(f"{self._folder}: the engine has no model; call load() first")
        return self._model

    @property
    def peak_bytes(self) -> int:
        """The most that MLX has held since `load`; any thread may ask."""
        return int(mx.get_peak_memory())

    def load(self) -> EngineFacts:
        """Load the model, size the batch, listen to the canary. Raises ModelError (BatchingUnsafe if strict)."""
        self.unload()
        check_folder(self._folder)
        mlx_sizing.refuse_too_large(self._folder)
        began = perf_counter()
        loaded = LoadedModel(self._folder)
        sizing = mlx_sizing.size(loaded, self._folder, self._wishes, self._record, load_seconds=perf_counter() - began)
        self._versions = versions()
        self._slots = sizing.slots
        self._window = window(loaded.model)
        self._prompts = PromptStore(loaded.model, max_bytes=sizing.prefix_bytes, chunk=self._wishes.chunk)
        self._batch = self._new_batch(loaded)
        self._model = loaded
        mx.reset_peak_memory()
        return EngineFacts(
            engine="mlx",
            slots=sizing.slots,
            context_tokens=loaded.context_tokens,
            weights_bytes=loaded.weights_bytes,
            bytes_per_sample=sizing.bytes_per_sample,
            versions=self._versions,
            details=sizing.details,
        )

    def unload(self) -> None:
        """Free the model's memory; live sequences are forgotten without a result."""
        self._waiting, self._live, self._ended = [], {}, []
        self._passed_over = self._joined = self._cached = self._decoded = 0
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

    def _new_batch(self, loaded: LoadedModel) -> DecodingBatch:
        return DecodingBatch(loaded.model, () if self._ignore_stops else loaded.stop_tokens)

    def _prepare(self, request: Request) -> Row:
        loaded = self.loaded
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
        loaded = self.loaded
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
        adapter = self.loaded.adapter
        return [row for row in self._waiting if row.prompt.adapter == adapter]

    def _drains(self) -> bool:
        """Whether the oldest row waits for another adapter and has let enough others go before it."""
        if not self._waiting or self._waiting[0].prompt.adapter == self.loaded.adapter:
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
        assert cache is not None
        if row.cached_tokens is None:
            row.cached_tokens = len(row.prompt.body)
        self._cached += row.cached_tokens
        self._joined += 1
        request = row.request
        row.start(self._batch.join(row.prompt.tokens[-1], cache, request.sampling, request.seed, self._forced(request)))
        self._depth = max(self._depth if self._live else 0, len(row.prompt.body))
        row.began, row.place, row.depth = self._decodes, len(self._live), min(self._depth, self._window)
        self._waiting.remove(row)
        for mate in self._live.values():
            mate.meet(row)
            row.meet(mate)
        self._live[row.uid] = row

    def _forced(self, request: Request) -> Sequence[int]:
        return () if request.forced is None else (*request.forced, *sorted(self.loaded.stop_tokens)[:1])

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
            self._decodes += 1
            self._depth += 1
            decoded = self._batch.step()
        except Exception as error:  # noqa: BLE001 - whatever it was, the engine lives on
            self._start_over(error)
            return
        self._decoded += len(decoded)
        for one in decoded:
            row = self._live[one.uid]
            reason = row.take(one.token, one.ended)
            if reason is not None:
                self._finish(row, reason)

    def _finish(self, row: Row, reason: FinishReason) -> None:
        self._leave(row)
        try:
            text = self.loaded.text_of(row.tokens)
        except Exception as error:  # noqa: BLE001 - a padded vocabulary has ids without text
            failure = EngineFailure(f"sample {row.id}: its tokens cannot be turned into text: {error!r}")
            self._ended.append(Finished(row.id, error=failure))
            return
        self._ended.append(Finished(row.id, row.complete(text, reason, self._versions, self._decodes)))

    def _leave(self, row: Row) -> None:
        del self._live[row.uid]
        for mate in self._live.values():
            mate.part(row, self._decodes)
        self._batch.leave(row.uid)  # no-op for a row that ended by itself

    def _give_up(self, rows: list[Row], error: SampleError) -> None:
        self._waiting = [row for row in self._waiting if row not in rows]
        self._ended.extend(Finished(row.id, error=error) for row in rows)

    def _start_over(self, error: Exception) -> None:
        """Begin a new batch: an error has cost the old one its rows. They fail, unless memory ran short
        for so many of them: then fewer are decoded at once from now on, and they begin again."""
        rows, self._live = list(self._live.values()), {}
        if mlx_sizing.is_shortage(error) and len(rows) > 1:
            self._slots = self._remember_shortage(len(rows), error)
            self._waiting = [self._prepare(row.request) for row in rows] + self._waiting
        else:
            for row in rows:
                failure = EngineFailure(f"sample {row.id}: the engine failed while decoding: {error!r}")
                self._ended.append(Finished(row.id, error=failure))
        with suppress(RuntimeError):  # closing waits for the stream, which may refuse after the error that it caused
            self._batch.close()
        self._prompts.clear()
        mx.clear_cache()
        self._batch = self._new_batch(self.loaded)

    def _remember_shortage(self, rows: int, error: Exception) -> int:
        """Note that so many rows were too many; returns how many are left."""
        if self._record is None:
            return rows // 2
        return self._record.note_shortage(rows, f"MLX could not allocate memory ({error})").left
