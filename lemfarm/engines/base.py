"""What turns a request into text: the one seam between the farm and a model.

An engine is driven from one thread only. It holds up to `slots` live sequences; `step()` advances all of them by
one token (or one small slice of work) and hands back those that ended. The farm's engine thread, the tests and the
benchmarks all drive it the same way:

    engine.load()
    engine.add(request)
    while waiting:
        for finished in engine.step(): ...
    engine.unload()
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from lemfarm.dialogue import Message, Placement
from lemfarm.errors import SampleError


class FinishReason(StrEnum):
    """Why a sequence ended."""

    STOP = "stop"  #: the model ended it
    LENGTH = "length"  #: max_tokens reached: the answer is truncated
    REPETITION = "repetition"  #: it began to loop and was cut
    CANCELLED = "cancelled"  #: the farm took it out; there is no result
    OTHER = "other"  #: an endpoint ended it for a reason of its own, such as a content filter


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class Request:
    """All that an engine needs for one sample. `adapter` is a folder with LoRA weights, or none for the base model.

    `forced` tokens are taken instead of drawn, and the answer ends after them: what a batch-mate wrote once, when a
    batch is made again. Only engines that decode in batches heed it.
    """

    sample_id: str
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    kernel: str | None = None
    placement: Placement = Placement.SYSTEM
    adapter: Path | None = None
    label: str = ""
    forced: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One finished answer and how it came about. Times in seconds, rates in tokens per second.

    `batch_mates` were decoded beside it, in the order in which they joined; `batch_place` of them were there before it.
    Where an engine's batch can be made again, `batch_steps` says of each when it joined and left, in decoding steps
    from the start of this sample: below zero is earlier, none is not before its end. `batch_depth` is how many tokens
    the windows of the batch held when it joined: rows leave theirs behind, and where a sum begins decides its rounding.

    An endpoint gives no token ids: `counted_tokens` is then how many it says there were, and `origin` what it says of
    itself (provider, model, date) and of the request.
    """

    text: str
    finish_reason: FinishReason
    thoughts: str = ""
    token_ids: tuple[int, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    time_to_first_token: float = 0.0
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    placement: Placement = Placement.NONE
    batch_mates: tuple[str, ...] = ()
    batch_steps: tuple[tuple[int, int | None], ...] = ()
    batch_place: int = 0
    batch_depth: int = 0
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    counted_tokens: int | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer with its thoughts."""
        return len(self.token_ids) if self.counted_tokens is None else self.counted_tokens


@dataclass(frozen=True, slots=True)
class Finished:
    """A sequence that left the engine: a completion, or the error that ended it."""

    sample_id: str
    completion: Completion | None = None
    error: SampleError | None = None


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What a loaded engine says of itself: shown by status and doctor, stored with the worker row."""

    engine: str
    slots: int
    model_hash: str | None = None
    context_tokens: int | None = None
    weights_bytes: int = 0
    bytes_per_sample: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """The protocol; every call comes from the one thread that also called `load`."""

    @property
    def slots(self) -> int:
        """How many sequences it decodes at once; known after `load`."""

    @property
    def peak_bytes(self) -> int:
        """The most memory that the model has taken since `load`; 0 where none runs here. Any thread may ask."""

    def load(self) -> EngineFacts:
        """Load the model (again, after `unload`). Raises ModelError with what to do next."""

    def unload(self) -> None:
        """Free the model's memory; live sequences are forgotten without a result."""

    def add(self, request: Request) -> None:
        """Take a request in; its sequence joins the batch at a following `step`. Never raises for a bad request:
        that comes back as `Finished` with an error."""

    def step(self) -> Sequence[Finished]:
        """Advance every live sequence a little; returns those that ended. With nothing live, returns at once."""

    def remove(self, sample_id: str) -> None:
        """Take a sequence out without a result; an unknown id is no error."""

    def close(self) -> None:
        """Unload and release what the thread holds; the engine is not used again."""
