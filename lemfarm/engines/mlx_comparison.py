"""The engine against the other ways to make the same samples with mlx-lm, on any model, in one go.

Every way gets the same work: a kernel, questions on it, several samples of each, answers of equal length (stop tokens
are off everywhere). Ways take turns, and their ratios are taken within a turn, so that whatever else the machine does
slows all of them. Kernel and questions are new in each turn and their prefill counts; loading does not. On another
machine, and on a GPU above all, the ratios are others.
"""

import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import mlx.core as mx
import mlx_lm
from mlx_lm.generate import BatchGenerator
from mlx_lm.sample_utils import make_sampler

from lemfarm.dialogue import Message
from lemfarm.engine_record import LONG_SAMPLE, Knee
from lemfarm.engines.base import EngineFacts, Request, Sampling
from lemfarm.engines.mlx import PREFILL_STEP, MlxEngine
from lemfarm.engines.mlx_knee import KneeSearch, find_knee
from lemfarm.engines.mlx_model import LoadedModel, check_folder, context_tokens
from lemfarm.engines.mlx_prefill import Cache, feed, prefill
from lemfarm.engines.mlx_sizing import canary_tokens
from lemfarm.engines.mlx_timing import Drawing, Stall, measure_stall, time_drawing
from lemfarm.engines.simulated_text import write
from lemfarm.errors import ModelError

LOOP = "plain loop"
LOOP_IN_STEPS = f"plain loop, prefill_step_size={PREFILL_STEP}"
BATCHES = "batch_generate"
BATCHES_IN_STEPS = f"batch_generate, prefill_step_size={PREFILL_STEP}"
BY_HAND = "BatchGenerator by hand, with the same prefix caches"
ENGINE = "engine"

_RICHNESS = 0.3
_QUESTIONS = 5


@dataclass(frozen=True, slots=True)
class Work:
    """What is made: tokens of the kernel, of a question and of an answer, and the samples of each question."""

    kernel: int = 2000
    question: int = 60
    answer: int = 128
    samples: int = 10
    temperature: float = 0.8
    top_p: float = 0.95

    @property
    def sampling(self) -> Sampling:
        """For a request."""
        return Sampling(self.temperature, self.top_p, self.answer)

    @property
    def enduring(self) -> int:
        """Tokens of an answer that lasts while a kernel and some questions come in."""
        return 64 + self.kernel // PREFILL_STEP


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds for a sample, by way; and seconds of processor time, which neighbours on the machine hardly change.

    They say the same where MLX computes on the CPU of an idle machine, and nothing where it computes on a GPU.
    """

    seconds: Mapping[str, float]
    processor: Mapping[str, float]

    def ratio(self, way: str) -> float:
        """How many times as many samples a second the engine makes."""
        return self.seconds[way] / self.seconds[ENGINE]

    def processor_ratio(self, way: str) -> float:
        """The same by processor time."""
        return self.processor[way] / self.processor[ENGINE]


@dataclass(frozen=True, slots=True)
class Result:
    """All that was measured; `counts` are the engine's own over all its turns."""

    model: str
    slots: int
    work: Work
    versions: Mapping[str, str]
    turns: Sequence[Turn]
    stall: Stall
    drawing: Drawing
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def ways(self) -> list[str]:
        """Those that had a turn, the engine last."""
        return [way for way in self.turns[0].seconds if way != ENGINE] + [ENGINE]

    def per_second(self, way: str) -> float:
        """Samples a second, the median of its turns."""
        return 1 / median(turn.seconds[way] for turn in self.turns if way in turn.seconds)

    def ratio(self, way: str) -> float:
        """How many times as fast the engine is, the median of the turns."""
        return median(turn.ratio(way) for turn in self.turns if way in turn.seconds)

    def processor_ratio(self, way: str) -> float:
        """The same by processor time."""
        return median(turn.processor_ratio(way) for turn in self.turns if way in turn.seconds)


Say = Callable[[str], None]


class Comparison:
    """A loaded engine and the ways that it is compared with. `close` it at the end."""

    def __init__(self, folder: Path, *, slots: int | None = None, work: Work | None = None) -> None:
        """Load the model. Raises ModelError, also where its context is too short for the work."""
        self.work = work or Work()
        self.folder = folder
        self._require_context()
        self.engine = MlxEngine(folder, slots=slots, ignore_stops=True)
        self.facts: EngineFacts = self.engine.load()
        self._tokenizer.eos_token_ids = ()

    def _require_context(self) -> None:
        check_folder(self.folder)
        context = context_tokens(json.loads((self.folder / "config.json").read_text()))
        needed = self.work.kernel + 2 * self.work.question + max(self.work.answer, self.work.enduring)
        if context is not None and context < needed:
            raise ModelError(
                f"{self.folder}: its context of {context} tokens is too short for a kernel of {self.work.kernel}: "
                f"{needed} are needed; choose a shorter kernel or another model"
            )

    def close(self) -> None:
        """Free the model."""
        self.engine.close()

    def run(self, *, turns: int = 3, waves: int = 2, slow_turns: int = 1, say: Say = lambda _line: None) -> Result:
        """Measure. The engine and the way by hand make `waves` times the slots in each turn, a loop one sample;
        `batch_generate`, which takes longest, one full batch in the first `slow_turns`."""
        self._warm()
        done = []
        for number in range(turns):
            done.append(self._turn(number, waves, with_batches=number < slow_turns, say=say))
        counts = self.engine.counts
        say("prompts beside decoding rows")
        stall = self._stall(turns)
        say("drawing tokens")
        vocabulary = int(self._model(mx.array([[0]])).shape[-1])
        return Result(
            model=self.folder.name,
            slots=self.engine.slots,
            work=self.work,
            versions=self.facts.versions,
            turns=done,
            stall=stall,
            drawing=time_drawing(self.engine.slots, vocabulary, self.work.sampling),
            counts=counts,
        )

    def _stall(self, number: int) -> Stall:
        rows, samples = max(1, self.engine.slots - 1), self.work.samples
        fresh = -(-rows // samples) * samples
        asked = self.requests(number, fresh + _QUESTIONS * samples)
        enduring = replace(self.work.sampling, max_tokens=self.work.enduring)
        decoding = [replace(request, sampling=enduring) for request in asked[:rows]]
        return measure_stall(self.engine, decoding, asked[fresh::samples], self.requests(number + 1, 1)[0])

    def find_knee(self, seconds: float) -> Knee:
        """Search for the number of slots that pay, for the longest samples of a curriculum, as a worker does when it
        loads a model; here with time."""
        longest = min(LONG_SAMPLE, self.facts.context_tokens or LONG_SAMPLE)
        search = KneeSearch(max(1, longest // 2), self.facts.details["slots_by_memory"], seconds)
        return find_knee(self._model, canary_tokens(self._loaded), search)

    @property
    def _loaded(self) -> LoadedModel:
        return self.engine.loaded

    @property
    def _model(self) -> Any:
        return self._loaded.model

    @property
    def _tokenizer(self) -> Any:
        return self._loaded.tokenizer

    def _turn(self, number: int, waves: int, *, with_batches: bool, say: Say) -> Turn:
        requests = self.requests(number, waves * self.engine.slots)
        ways: dict[str, Callable[[], float]] = {
            LOOP: lambda: self._loop(requests[0]),
            LOOP_IN_STEPS: lambda: self._loop(requests[0], prefill_step_size=PREFILL_STEP),
        }
        if with_batches:
            ways[BATCHES] = lambda: self._batches(requests)
            ways[BATCHES_IN_STEPS] = lambda: self._batches(requests, prefill_step_size=PREFILL_STEP)
        pair: dict[str, Callable[[], float]] = {
            BY_HAND: lambda: self.by_hand(requests),
            ENGINE: lambda: self._engine(requests),
        }
        ways |= pair if number % 2 == 0 else dict(reversed(pair.items()))
        seconds, processor = {}, {}
        for way, measure in ways.items():
            began, used = perf_counter(), process_time()
            seconds[way] = measure()
            processor[way] = seconds[way] * (process_time() - used) / (perf_counter() - began)
            say(f"turn {number + 1}, {way}: {seconds[way]:.3f} s a sample, {processor[way]:.3f} s of processor time")
        return Turn(seconds, processor)

    def requests(self, number: int, count: int) -> list[Request]:
        """The samples of a turn; every turn has a kernel and questions of its own."""
        kernel = self._cut(f"kernel {number}", self.work.kernel)
        return [
            Request(
                f"{number}-{sample}",
                (Message("user", self._cut(f"{number}-{sample // self.work.samples}", self.work.question)),),
                self.work.sampling,
                seed=1000 * number + sample,
                kernel=kernel,
            )
            for sample in range(count)
        ]

    def _cut(self, seed: str, tokens: int) -> str:
        """Made-up prose of so many tokens."""
        text = write(random.Random(seed), _RICHNESS, 2 * tokens)
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return str(self._tokenizer.decode(encoded[:tokens]))

    def _warm(self) -> None:
        """First calls are slower: kernels are compiled, memory is fetched."""
        text = (Message("user", self._cut("warm", self.work.question)),)
        self._engine([Request("warm", text, Sampling(self.work.temperature, self.work.top_p, 2), seed=0)])

    def _prompt(self, request: Request) -> list[int]:
        return list(self._loaded.render(request).tokens)

    def _loop(self, request: Request, **options: Any) -> float:
        """What a script does: one sample after the other."""
        prompt, sampler = self._prompt(request), make_sampler(self.work.temperature, self.work.top_p)
        began = perf_counter()
        mlx_lm.generate(self._model, self._tokenizer, prompt, max_tokens=self.work.answer, sampler=sampler, **options)
        return perf_counter() - began

    def _batches(self, requests: Sequence[Request], **options: Any) -> float:
        """As many samples at once as the engine has slots, each with its whole prompt."""
        slots = self.engine.slots
        prompts = [self._prompt(request) for request in requests[:slots]]
        began = perf_counter()
        mlx_lm.batch_generate(
            self._model,
            self._tokenizer,
            prompts,
            max_tokens=self.work.answer,
            sampler=make_sampler(self.work.temperature, self.work.top_p),
            completion_batch_size=slots,
            **options,
        )
        return (perf_counter() - began) / len(prompts)

    def by_hand(self, requests: Sequence[Request]) -> float:
        """Seconds for a sample, made in the best way that a script has with mlx-lm's own parts: prefixes once, all
        slots full, one sampler for all rows."""
        slots = self.engine.slots
        prompts = [self._prompt(request) for request in requests]
        head = self._loaded.shared_head(requests[0], prompts[0])
        began = perf_counter()
        caches = self._caches_by_hand(prompts, head)
        batch = BatchGenerator(
            self._model,
            completion_batch_size=slots,
            prefill_batch_size=slots,
            prefill_step_size=PREFILL_STEP,
            sampler=make_sampler(self.work.temperature, self.work.top_p),
        )
        said: dict[int, list[int]] = {}
        for prompt, cache in zip(prompts, caches, strict=True):
            (uid,) = batch.insert([prompt[-1:]], max_tokens=[self.work.answer], caches=[cache], all_tokens=[[]])
            said[uid] = []
        while said:
            for one in batch.next()[1]:
                said[one.uid].append(one.token)
                if one.finish_reason:
                    self._loaded.text_of(said.pop(one.uid))
        batch.close()
        return (perf_counter() - began) / len(requests)

    def _caches_by_hand(self, prompts: Sequence[Sequence[int]], head: int) -> list[Cache]:
        kernel = prefill(self._model, prompts[0][:head], PREFILL_STEP)
        known: dict[tuple[int, ...], Cache] = {}
        for prompt in map(tuple, prompts):
            if prompt in known:
                continue
            known[prompt] = copy.deepcopy(kernel)
            for start in range(head, len(prompt) - 1, PREFILL_STEP):
                feed(self._model, known[prompt], prompt[start : min(start + PREFILL_STEP, len(prompt) - 1)])
        return [known[tuple(prompt)] for prompt in prompts]

    def _engine(self, requests: Sequence[Request]) -> float:
        began = perf_counter()
        for request in requests:
            self.engine.add(request)
        left = len(requests)
        while left:
            for finished in self.engine.step():
                left -= 1
                if finished.error is not None:
                    raise finished.error
        return (perf_counter() - began) / len(requests)
