"""Generating a stored sample again from its record: the same answer, or where it parts and why that is to be expected.

Nothing is written and no lease is taken. Alone, the sample has an engine for itself. Strict, its batch-mates join and
leave at the steps that were recorded and write what they wrote then, and one row stands for all that had left before:
so at each of its steps the batch has the same rows of the same lengths, in windows of the same depth. After that the
batch is compared with the recorded one, so that one which could not be made again is told apart from one that was.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lemfarm import __version__
from lemfarm.config import MlxModel, SimulatedModel
from lemfarm.database import Database
from lemfarm.engines import open_engine
from lemfarm.engines.base import Completion, Engine, Finished
from lemfarm.errors import InputError, ModelError
from lemfarm.home import Home
from lemfarm.models import FoundModel, find_model, verify_model
from lemfarm.text_files import storable
from lemfarm.training.adapters import verify as verify_adapter
from workers.library import Library
from workers.replay_record import Guest, Record, batch_of, read_record, request_of

_SHOWN = 60

OnStep = Callable[[int, int], None]
"""Told how many steps are made, and how many there will be if the answer is the same."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it was when the sample was made."""

    what: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of it. `parts_at` is the first token that differs, from 0; texts are what follows from there."""

    sample: str
    label: str
    adapter: str | None
    strict: bool
    identical: bool
    tokens: int
    parts_at: int | None
    stored: str
    replayed: str
    made_by: str
    differences: tuple[Difference, ...]

    @property
    def expected(self) -> bool:
        """Whether something that is known to change an answer is not as it was."""
        return bool(self.differences)


@dataclass
class Replayer:
    """A loaded engine and what it is to do; `play` is the work."""

    record: Record
    engine: Engine
    guests: Sequence[Guest]
    strict: bool
    _steps: int = field(default=0)

    def play(self, on_step: OnStep = lambda _done, _total: None) -> Replay:
        """Generate and compare. Raises the SampleError with which the engine gives up."""
        if len(self.guests) > 1:
            self._warm()
        completion = self._generate(on_step)
        record, parts_at = self.record, _first_difference(self.record.tokens, completion.token_ids)
        stored, replayed = _from_the_parting(record.text, storable(completion.thoughts + completion.text))
        reason = record.generation.get("finish_reason")
        same = parts_at is None and not stored and not replayed and reason == completion.finish_reason
        return Replay(
            sample=record.sample.id,
            label=record.label,
            adapter=record.sample.adapter_id,
            strict=self.strict,
            identical=same,
            tokens=len(record.tokens),
            parts_at=parts_at,
            stored=stored or f"(ended: {reason})",
            replayed=replayed or f"(ended: {completion.finish_reason})",
            made_by=record.machine,
            differences=tuple(_differences(record, completion, self.strict)),
        )

    def _warm(self) -> None:
        """Compute every prompt first, so that none of them is late for the batch."""
        for guest in self.guests:
            once = replace(guest.request.sampling, max_tokens=1)
            self.engine.add(replace(guest.request, sampling=once, forced=None))
            while not self.engine.step():
                pass

    def _generate(self, on_step: OnStep) -> Completion:
        step = first = min(guest.joined for guest in self.guests)
        while True:
            for guest in self.guests:
                if guest.joined == step:
                    self.engine.add(guest.request)
            for finished in self.engine.step():
                if finished.sample_id == self.record.sample.id:
                    return _completion(finished)
            step += 1
            for guest in self.guests:
                if guest.left == step:
                    self.engine.remove(guest.request.sample_id)
            on_step(step - first, len(self.record.tokens) - first)


@contextmanager
def open_replay(
    database: Database, home: Home, prefix: str, *, strict: bool = False, models: Mapping[str, Path] | None = None
) -> Iterator[Replayer]:
    """Read the record of the sample whose id begins so and load its model.

    Raises NotFound; InputError where it cannot be made again; ModelError where model or adapter are not here, or are
    not those it was made with.
    """
    record = read_record(database, prefix)
    if record.config.model.engine == "openai":
        raise InputError(
            f"sample {record.sample.id} was answered by an endpoint, which keeps no promise to answer the same again: "
            "what is stored is the record."
        )
    library = Library(database, home)
    found = _find(record, home, models or {})
    guests = _guests(database, library, record, strict)
    _verify_adapters(guests)
    engine = _open(record, found, guests)
    try:
        engine.load()
        yield Replayer(record, engine, guests, strict)
    finally:
        engine.close()


def _find(record: Record, home: Home, models: Mapping[str, Path]) -> FoundModel | None:
    """The model on this machine, checked against the one that the farm knows."""
    model = record.config.model
    if not isinstance(model, MlxModel):
        return None
    try:
        found = find_model(model.path, mapping=models, revision=model.revision, home=home)
        if record.content_hash is not None:
            verify_model(found, record.content_hash)
    except ModelError as error:
        raise ModelError(f"{error} The answer was made by {record.machine}: it can be replayed there.") from error
    return found


def _guests(database: Database, library: Library, record: Record, strict: bool) -> list[Guest]:
    """The simulated engine looks at the seed alone: there is no batch to make again."""
    if not strict or not record.mates or isinstance(record.config.model, SimulatedModel):
        return [Guest(request_of(library, record))]
    if not record.stays:
        raise InputError(
            f"sample {record.sample.id}: lemfarm {record.lemfarm} did not record when its batch-mates joined and "
            "left, so the batch cannot be made again; leave --strict out."
        )
    return batch_of(database, library, record)


def _verify_adapters(guests: Sequence[Guest]) -> None:
    for folder in {guest.request.adapter for guest in guests} - {None}:
        assert folder is not None
        verify_adapter(folder)


def _open(record: Record, found: FoundModel | None, guests: Sequence[Guest]) -> Engine:
    model = record.config.model
    if isinstance(model, SimulatedModel):
        model = model.model_copy(update={"tokens_per_second": 0.0, "failure_rate": 0.0, "crash_rate": 0.0})
    if sys.platform == "linux":
        os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # as workers do: fused kernels round in another way
    return open_engine(model, folder=found.folder if found else None, slots=_most_at_once(guests))


def _most_at_once(guests: Sequence[Guest]) -> int:
    return max(sum(one.joined <= at.joined and not _gone(one, at.joined) for one in guests) for at in guests)


def _gone(guest: Guest, step: int) -> bool:
    return guest.left is not None and guest.left <= step


def _completion(finished: Finished) -> Completion:
    if finished.error is not None:
        raise finished.error
    assert finished.completion is not None
    return finished.completion


def _first_difference(stored: Sequence[object], replayed: Sequence[object]) -> int | None:
    for place, (then, now) in enumerate(zip(stored, replayed, strict=False)):
        if then != now:
            return place
    return None if len(stored) == len(replayed) else min(len(stored), len(replayed))


def _from_the_parting(stored: str, replayed: str) -> tuple[str, str]:
    """How two texts go on from where they part; both empty where they do not."""
    place = _first_difference(stored, replayed)
    if place is None:
        return "", ""
    return stored[place : place + _SHOWN], replayed[place : place + _SHOWN]


def _differences(record: Record, completion: Completion, strict: bool) -> Iterator[Difference]:
    then, now = record.made_with, {**completion.versions, "lemfarm": __version__}
    for what in sorted({*then, *now}):
        if then.get(what) != now.get(what):
            yield Difference(what, then.get(what, "not recorded"), now.get(what, "not there"))
    asked = record.generation.get("prompt_tokens")
    if asked != completion.prompt_tokens:
        yield Difference("prompt", f"{asked} tokens", f"{completion.prompt_tokens} tokens")
    if isinstance(record.config.model, SimulatedModel) or not record.mates:
        return
    if not strict:
        yield Difference("batch", f"{len(record.mates)} batch-mates", "alone")
    elif not _same_batch(record, completion):
        yield Difference("batch", "as recorded", "not the same again: some joined or left at other steps")


def _same_batch(record: Record, completion: Completion) -> bool:
    made = record.generation
    there = (record.mates, record.stays, made["batch_place"], made["batch_depth"])
    again = (list(completion.batch_mates), list(completion.batch_steps), completion.batch_place, completion.batch_depth)
    return there == again
