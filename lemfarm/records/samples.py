"""Samples, and all that is kept of them: texts, attempts, scores, verdicts."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from lemfarm.records.columns import json_column, time_column
from lemfarm.records.states import Purpose, SampleState


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
    sampling: dict[str, Any] = json_column()
    seed: int = Field(sa_type=BigInteger)
    superseded: bool = False  #: its fingerprint left the configuration
    state: str = SampleState.PENDING
    outcome: str | None = None
    reason: str = ""  #: why it was skipped, failed, or what the gates said
    error_class: str | None = None
    owner: str | None = None
    epoch: int = 0
    lease_expires: float = time_column()
    not_before: float = time_column()  #: a retry waits until then
    failures: int = 0  #: retries spent
    deaths: int = 0  #: workers that died with it in flight, on machines that did not reboot
    wave: int | None = None  #: the wave whose message for it was sent and is not known to be lost
    finished: float | None = time_column(None)


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
    created: float = time_column()


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
    started: float = time_column()
    ended: float | None = time_column(None)
    ending: str = ""  #: done, dropped, failed, released, reaped, died; empty: in flight
    error: str = Field(default="", sa_column=Column(Text, nullable=False))
    generation: dict[str, Any] = json_column()


class Score(SQLModel, table=True):
    """One scorer's number for one text, with its signals."""

    __table_args__ = (UniqueConstraint("text_id", "scorer", "version"),)

    id: int | None = Field(default=None, primary_key=True)
    text_id: int = Field(foreign_key="text.id")
    scorer: str
    version: str
    value: float
    signals: dict[str, float] = json_column()
    created: float = time_column()


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
    created: float = time_column()
