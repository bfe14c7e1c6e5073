"""The tables. Columns that are read in one place only are JSON; times are seconds since 1970 by the database's clock.

Nothing here has behaviour: `ledger` writes the state of samples, `training.phases` that of training stages,
`workers.host` the worker rows, `producer` the rest.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class SampleState(StrEnum):
    """Where a sample stands. Only `ledger` writes it."""

    PENDING = "pending"  #: planned; nobody works on it, a message for it may or may not be in the queue
    LEASED = "leased"  #: a worker holds it until `lease_expires`
    DONE = "done"  #: a complete result is stored; never generated again, never deleted
    FAILED = "failed"  #: its retries are spent, retrying cannot help, or it kills workers
    SKIPPED = "skipped"  #: not needed: quota full, probe at its cap, or run cancelled


class Outcome(StrEnum):
    """What the gates said of a done sample."""

    ACCEPTED = "accepted"  #: passed every gate
    REJECTED = "rejected"  #: kept, with the reason
    HELD = "held"  #: waits for a person


class Purpose(StrEnum):
    """What a sample is for."""

    DISTIL = "distil"  #: counts for quotas, export and training
    EVALUATE = "evaluate"  #: measures a model; never trained on


class RunState(StrEnum):
    """Where a run stands."""

    ACTIVE = "active"  #: samples may be claimed
    PAUSED = "paused"  #: leased samples finish, none is claimed
    CANCELLED = "cancelled"  #: leased samples stop, pending ones are skipped
    DONE = "done"  #: every quota filled, training and evaluation finished
    STARVED = "starved"  #: a phase ran out of samples before its quota
    HELD = "held"  #: a phase ran out with enough: a person decides (`lemfarm train`)
    STOPPED = "stopped"  #: too much recent work failed


class PhaseState(StrEnum):
    """Where a phase stands."""

    OPEN = "open"  #: samples are wanted
    FULL = "full"  #: the quota is reached
    EXHAUSTED = "exhausted"  #: nothing left to generate, the quota is not reached
    TRAINED = "trained"  #: its adapter is promoted


class StageState(StrEnum):
    """Where the training of a phase stands."""

    WAITING = "waiting"  #: planned; any worker with the model may take it
    LEASED = "leased"  #: a worker trains
    DONE = "done"  #: adapter sealed and promoted
    FAILED = "failed"  #: the trainer ended with an error that trying again will not mend


class WorkerState(StrEnum):
    """What a worker last said of itself."""

    STARTING = "starting"  #: loading its model
    READY = "ready"  #: generating, or waiting for work
    TRAINING = "training"  #: its engine is unloaded, a training child runs
    DRAINING = "draining"  #: finishes what it holds, then ends
    REFUSED = "refused"  #: cannot serve: the message says why
    STOPPED = "stopped"  #: ended by itself, leases released
    DIED = "died"  #: ended without a word; its leases were taken back


def _json(nullable: bool = False) -> Any:
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=nullable))


def _time(default: float | None = 0.0) -> Any:
    return Field(default=default, sa_type=Float(53))


class Run(SQLModel, table=True):
    """One named campaign: a configuration and all that came out of it."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    state: str = RunState.ACTIVE
    reason: str = ""
    config: dict[str, Any] = _json()
    config_hash: str
    planned_hash: str = ""  #: of configuration and limit; equal to what is wanted: planning has nothing to do
    sample_limit: int | None = None
    trains: bool = True
    model_key: str
    promoted: str | None = None  #: adapter id
    lemfarm_version: str
    created: float = _time()
    activated: float = _time()  #: failures before it are forgiven: the run was started again
    finished: float | None = _time(None)


class Phase(SQLModel, table=True):
    """One step of the curriculum, in one run."""

    __table_args__ = (UniqueConstraint("run_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    name: str
    position: int
    state: str = PhaseState.OPEN
    config: dict[str, Any] = _json()
    gate_hash: str = ""
    retired: bool = False  #: no longer in the configuration


class Probe(SQLModel, table=True):
    """A prompt with its rephrasings, named by its content."""

    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    domain: str
    fields: dict[str, Any] = _json()


class Variant(SQLModel, table=True):
    """One wording of a probe, named by its content."""

    id: str = Field(primary_key=True)
    probe_id: str = Field(foreign_key="probe.id", index=True)
    position: int
    kind: str
    messages: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))


class Kernel(SQLModel, table=True):
    """The text of a system prompt, named by its content hash."""

    hash: str = Field(primary_key=True)
    name: str
    text: str = Field(sa_column=Column(Text, nullable=False))


class Model(SQLModel, table=True):
    """A model that runs use. `content_hash` is recorded by the first machine that has the weights."""

    key: str = Field(primary_key=True)
    name: str
    engine: str
    commit: str | None = None
    content_hash: str | None = None
    created: float = _time()


class Sample(SQLModel, table=True):
    """The n-th answer to one variant in one phase of one run: the unit of work, of resume, of accounting."""

    __table_args__ = (
        UniqueConstraint("run_id", "phase_id", "purpose", "fingerprint", "sample_index"),
        Index("ix_sample_work", "run_id", "phase_id", "purpose", "superseded", "state", "probe_id"),
        Index("ix_sample_lease", "state", "lease_expires"),
    )

    id: str = Field(primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int = Field(foreign_key="phase.id")
    purpose: str = Purpose.DISTIL
    probe_id: str = Field(foreign_key="probe.id")
    variant_id: str = Field(foreign_key="variant.id")
    sample_index: int
    fingerprint: str
    condition: str = ""  #: of an evaluation: which kernel, by its name in the run file
    kernel_hash: str | None = Field(default=None, foreign_key="kernel.hash")
    adapter_id: str | None = Field(default=None, foreign_key="adapter.id")
    placement: str
    sampling: dict[str, Any] = _json()
    seed: int = Field(sa_type=BigInteger)
    superseded: bool = False  #: its fingerprint left the configuration
    state: str = SampleState.PENDING
    outcome: str | None = None
    reason: str = ""  #: why it was skipped, failed, or what the gates said
    error_class: str | None = None
    owner: str | None = None
    epoch: int = 0
    lease_expires: float = _time()
    not_before: float = _time()  #: a retry waits until then
    failures: int = 0  #: retries spent
    deaths: int = 0  #: workers that died with it in flight, on machines that did not reboot
    wave: int | None = None  #: the wave whose message for it was sent and is not known to be lost
    finished: float | None = _time(None)


class Answer(SQLModel, table=True):
    """The text of a done sample. Revision 0 is what the engine wrote; an edited answer is a further row."""

    __tablename__ = "text"
    __table_args__ = (UniqueConstraint("sample_id", "revision"),)

    id: int | None = Field(default=None, primary_key=True)
    sample_id: str = Field(foreign_key="sample.id")
    revision: int = 0
    content: str = Field(sa_column=Column(Text, nullable=False))
    thoughts: str = Field(default="", sa_column=Column(Text, nullable=False))
    token_ids: bytes = Field(default=b"", sa_column=Column(LargeBinary, nullable=False))
    created: float = _time()


class Attempt(SQLModel, table=True):
    """One claim of a sample: who, when, how it ended, and the record of the generation."""

    __table_args__ = (
        UniqueConstraint("sample_id", "epoch"),
        Index("ix_attempt_worker", "worker_id", "ending"),
        Index("ix_attempt_ended", "ended"),
    )

    id: int | None = Field(default=None, primary_key=True)
    sample_id: str = Field(foreign_key="sample.id")
    epoch: int
    worker_id: str = Field(foreign_key="worker.id")
    alone: bool = False  #: no other sample was in flight at this worker
    started: float = _time()
    ended: float | None = _time(None)
    ending: str = ""  #: done, dropped, failed, released, reaped, died; empty: in flight
    error: str = Field(default="", sa_column=Column(Text, nullable=False))
    generation: dict[str, Any] = _json()


class Score(SQLModel, table=True):
    """One scorer's number for one text, with its signals."""

    __table_args__ = (UniqueConstraint("text_id", "scorer", "version"),)

    id: int | None = Field(default=None, primary_key=True)
    text_id: int = Field(foreign_key="text.id")
    scorer: str
    version: str
    value: float
    signals: dict[str, float] = _json()
    created: float = _time()


class VerdictRecord(SQLModel, table=True):
    """What one set of gates said of one text. The newest counts; earlier ones stay as history."""

    __tablename__ = "verdict"
    __table_args__ = (Index("ix_verdict_sample", "sample_id"),)

    id: int | None = Field(default=None, primary_key=True)
    sample_id: str = Field(foreign_key="sample.id")
    text_id: int = Field(foreign_key="text.id")
    gate_hash: str
    outcome: str
    reason: str
    created: float = _time()


class Worker(SQLModel, table=True):
    """One worker process. A restarted process is a new row of the same name."""

    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    host: str
    pid: int
    boot_id: str
    home_id: str
    state: str = WorkerState.STARTING
    message: str = ""
    model_key: str = ""
    slots: int = 0
    facts: dict[str, Any] = _json()
    lemfarm_version: str
    command: str = ""  #: what a person asked of it: drain
    tokens_per_second: float = 0.0
    in_flight: int = 0
    started: float = _time()
    last_seen: float = _time()


class Adapter(SQLModel, table=True):
    """LoRA weights of a phase, immutable, named by the hash of configuration and sorted tensors."""

    id: str = Field(primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int = Field(foreign_key="phase.id")
    parent_id: str | None = None
    home_id: str  #: the home in whose `adapters` folder it lies
    manifest: dict[str, Any] = _json()
    created: float = _time()


class TrainingStage(SQLModel, table=True):
    """The training of one phase: one leased row, as a sample is."""

    __tablename__ = "training_stage"

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int = Field(foreign_key="phase.id", unique=True)
    state: str = StageState.WAITING
    owner: str | None = None
    epoch: int = 0
    lease_expires: float = _time()
    failures: int = 0
    error: str = Field(default="", sa_column=Column(Text, nullable=False))
    config: dict[str, Any] = _json()
    dataset: dict[str, Any] = _json()
    adapter_id: str | None = Field(default=None, foreign_key="adapter.id")
    sent: float = _time()
    started: float | None = _time(None)
    finished: float | None = _time(None)


class LossPoint(SQLModel, table=True):
    """One point of a loss curve; `iteration` counts optimizer updates."""

    __tablename__ = "loss_point"
    __table_args__ = (Index("ix_loss_point_stage", "stage_id", "epoch", "iteration"),)

    id: int | None = Field(default=None, primary_key=True)
    stage_id: int = Field(foreign_key="training_stage.id")
    epoch: int  #: of the stage's lease: a training that was begun again has a curve of its own
    kind: str  #: train or valid
    iteration: int
    loss: float
    details: dict[str, Any] = _json()
    created: float = _time()


class Evaluation(SQLModel, table=True):
    """The mean score of one model under one condition over held-out or trained probes."""

    __table_args__ = (UniqueConstraint("run_id", "adapter_id", "condition", "split", "scorer"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    adapter_id: str = ""  #: empty: the base model
    condition: str
    split: str  #: held_out or trained
    scorer: str
    probes: int
    mean: float
    low: float | None = None  #: none where there is one probe only
    high: float | None = None
    details: dict[str, Any] = _json()
    created: float = _time()


class Turn(SQLModel, table=True):
    """A named lock with an expiry: lets one of several watchers act."""

    name: str = Field(primary_key=True)
    owner: str = ""
    expires: float = _time()
