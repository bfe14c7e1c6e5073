"""What is stored of a sample that can make it again: the request, the answer, the batch, and who made it with what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection
from sqlmodel import Session, col, select

from lemfarm.config import RunConfig, config_from_data
from lemfarm.database import Database
from lemfarm.engines.base import Request
from lemfarm.errors import EngineFailure, InputError, ModelError
from lemfarm.identity import fingerprint
from lemfarm.records import Answer, Attempt, Model, Run, Sample, SampleState, Variant, Worker
from lemfarm.samples import read_sample
from lemfarm.work import Claim
from workers.library import Library
from workers.results import unpack_tokens


@dataclass(frozen=True, slots=True)
class Record:
    """A done sample with its answer as the engine wrote it. `content_hash` names the model's files, if known."""

    sample: Sample
    label: str
    config: RunConfig
    content_hash: str | None
    tokens: tuple[int, ...]
    text: str  #: what it thought and what it answered
    generation: Mapping[str, Any]
    machine: str  #: worker and host
    lemfarm: str

    @property
    def mates(self) -> list[str]:
        """Samples that were decoded beside it."""
        return list(self.generation.get("batch_mates", ()))

    @property
    def stays(self) -> list[tuple[int, int | None]]:
        """When each of them joined and left, see `Completion`; empty where that was not recorded."""
        return [(joined, left) for joined, left in self.generation.get("batch_steps", ())]

    @property
    def made_with(self) -> dict[str, str]:
        """Versions and chip."""
        return {**self.generation.get("versions", {}), "lemfarm": self.lemfarm}


@dataclass(frozen=True, slots=True)
class Guest:
    """A sequence of a batch that is made again: when it joins and leaves, in steps of the sample that is replayed."""

    request: Request
    joined: int = 0
    left: int | None = None


def read_record(database: Database, prefix: str) -> Record:
    """The record of the sample whose id begins so. Raises NotFound, and InputError where it cannot be made again."""
    shown = read_sample(database, prefix)
    if shown.state != SampleState.DONE:
        raise InputError(f"sample {shown.id} is {shown.state}: only a done sample has an answer to make again.")
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        sample = session.get_one(Sample, shown.id)
        run = session.get_one(Run, sample.run_id)
        answer = session.exec(select(Answer).where(Answer.sample_id == sample.id, Answer.revision == 0)).one()
        attempt, worker = session.exec(
            select(Attempt, Worker)
            .join(Worker, col(Worker.id) == Attempt.worker_id)
            .where(Attempt.sample_id == sample.id, Attempt.ending == "done")
        ).one()
        model = session.get(Model, run.model_key)
        _require_same_request(run, sample, session.get_one(Variant, sample.variant_id))
    return Record(
        sample=sample,
        label=shown.label,
        config=config_from_data(run.config),
        content_hash=model.content_hash if model else None,
        tokens=unpack_tokens(answer.token_ids) if answer.token_ids else (),
        text=answer.thoughts + answer.content,
        generation=attempt.generation,
        machine=f"{worker.name}@{worker.host}",
        lemfarm=worker.lemfarm_version,
    )


def request_of(library: Library, record: Record) -> Request:
    """What was asked. Raises ModelError when its adapter does not lie in this home."""
    try:
        return library.request(_claim(record.sample))
    except EngineFailure as error:
        raise ModelError(f"{error} The answer was made by {record.machine}: replay it there.") from error


def batch_of(database: Database, library: Library, record: Record) -> list[Guest]:
    """The sample with all that were decoded beside it, in the order in which they joined."""
    guests = [
        Guest(replace(_mate(database, library, mate), forced=_tokens_of(database, mate)), joined, left)
        for mate, (joined, left) in zip(record.mates, record.stays, strict=True)
    ]
    place = record.generation["batch_place"]
    guests.insert(place, Guest(request_of(library, record)))
    return [*_predecessor(record, guests), *guests] if place else guests


def _predecessor(record: Record, guests: Sequence[Guest]) -> Iterator[Guest]:
    """A row that stands for those which had left before: windows in the batch stay as deep as they made them.

    It writes what the others wrote, so that it neither ends nor is taken for a loop, and leaves when the sample joins.
    """
    own = next(guest for guest in guests if guest.request.sample_id == record.sample.id).request
    steps = record.generation["batch_depth"] - (record.generation["prompt_tokens"] - 1)
    if steps <= 0:
        return
    wrote = tuple(token for guest in guests for token in guest.request.forced or ())
    sampling = replace(own.sampling, max_tokens=steps + 2)
    yield Guest(
        replace(own, sample_id=f"before {own.sample_id}", forced=wrote[: steps + 2], sampling=sampling), -steps, 0
    )


def _require_same_request(run: Run, sample: Sample, variant: Variant) -> None:
    """A run may have got another model since; its old samples are superseded and say nothing of the new one."""
    asked = fingerprint(
        run.model_key, sample.adapter_id, sample.kernel_hash, sample.placement, variant.messages, sample.sampling
    )
    if asked != sample.fingerprint:
        raise InputError(
            f"sample {sample.id} was made with another model than {run.model_key}, which run {run.name} has now; "
            "give the run its old model again to replay it."
        )


def _mate(database: Database, library: Library, sample_id: str) -> Request:
    with database.read() as connection, Session(bind=connection) as session:
        sample = session.get_one(Sample, sample_id)
        session.expunge(sample)
    return library.request(_claim(sample))


def _tokens_of(database: Database, sample_id: str) -> tuple[int, ...] | None:
    """What a batch-mate wrote; none where it was taken out and never finished."""
    with database.read() as connection:
        packed = _packed(connection, sample_id)
    return unpack_tokens(packed) if packed else None


def _packed(connection: Connection, sample_id: str) -> bytes | None:
    query = select(Answer.token_ids).where(Answer.sample_id == sample_id, Answer.revision == 0)
    return connection.execute(query).scalar_one_or_none()


def _claim(sample: Sample) -> Claim:
    """The sample as a worker would be given it; no lease is taken."""
    named = {name: getattr(sample, name) for name in Claim.__dataclass_fields__ if name != "sample_id"}
    return Claim(sample_id=sample.id, **named)
