"""An engine whose answers a test decides: the double beside the real ones, driven by the same thread."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from lemfarm.config import PhaseConfig, config_from_data
from lemfarm.dialogue import Message
from lemfarm.engines.base import Completion, EngineFacts, Finished, FinishReason, Request, Sampling
from lemfarm.errors import EngineFailure


@dataclass
class EngineDouble:
    """Keeps every sequence alive until the test calls `answer`, `break_sample` or `explode`."""

    slots: int = 4
    peak_bytes: int = 0
    live: dict[str, Request] = field(default_factory=dict)
    seen_together: list[frozenset[str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    thread: int = 0
    _ready: dict[str, Finished] = field(default_factory=dict)
    _explosion: Exception | None = None
    _answer_all: bool = False

    def load(self) -> EngineFacts:
        self.calls.append("load")
        self.thread = threading.get_ident()
        return EngineFacts("double", self.slots)

    def unload(self) -> None:
        self.calls.append("unload")
        self.live.clear()

    def close(self) -> None:
        self.calls.append("close")

    def add(self, request: Request) -> None:
        self.live[request.sample_id] = request
        self.seen_together.append(frozenset(self.live))

    def remove(self, sample_id: str) -> None:
        self.live.pop(sample_id, None)

    def step(self) -> Sequence[Finished]:
        if self._explosion is not None:
            explosion, self._explosion = self._explosion, None
            raise explosion
        if self._answer_all:
            self._ready.update({sample_id: Finished(sample_id, completion()) for sample_id in self.live})
        ended = [self._ready.pop(sample_id) for sample_id in list(self._ready) if sample_id in self.live]
        for one in ended:
            del self.live[one.sample_id]
        return ended

    def answer(self, sample_id: str, text: str = "a good answer") -> None:
        """Let a sequence end with this text at the next step."""
        self._ready[sample_id] = Finished(sample_id, completion(text))

    def answer_everything(self) -> None:
        """Let every sequence end at its next step from now on."""
        self._answer_all = True

    def break_sample(self, sample_id: str, error: EngineFailure) -> None:
        """Let a sequence end with an error at the next step."""
        self._ready[sample_id] = Finished(sample_id, error=error)

    def explode(self, error: Exception) -> None:
        """Let the next step raise."""
        self._explosion = error


def completion(text: str = "a good answer") -> Completion:
    """A finished answer of as many tokens as words."""
    return Completion(text, FinishReason.STOP, token_ids=tuple(range(len(text.split()))))


def request(sample_id: str) -> Request:
    """A question with nothing special about it."""
    return Request(sample_id, (Message("user", "Why?"),), Sampling(), seed=1)


def one_phase(gates: list[dict[str, object]]) -> PhaseConfig:
    """A phase with these gates, as a worker reads it from the run's row."""
    phase = {"name": "first", "probes": ["p.jsonl"], "samples": 1, "gates": gates, "quota": {"accepted": 1}}
    model = {"engine": "simulated"}
    return config_from_data({"run": "tiny", "model": model, "phases": [phase]}).phases[0]
