"""What stands between accepted samples and a training: duplicates, answers from elsewhere, reviews, frozen datasets."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from lemfarm.records.columns import json_column, time_column


class ExternalAnswer(SQLModel, table=True):
    """An answer that no worker of this farm made, to a probe of a phase, with where it came from."""

    __tablename__ = "external_answer"
    __table_args__ = (UniqueConstraint("phase_id", "variant_id", "content_hash"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int = Field(foreign_key="phase.id")
    probe_id: str = Field(foreign_key="probe.id")
    variant_id: str = Field(foreign_key="variant.id")
    source: str  #: file and line, or the run that made it
    content: str = Field(sa_column=Column(Text, nullable=False))
    content_hash: str
    provenance: dict[str, Any] = json_column()  #: model, date, licence: whatever its source says
    scores: dict[str, Any] = json_column()  #: scorer -> {version, value, signals}
    gate_hash: str = ""
    outcome: str | None = None  #: of Outcome, by the same gates as samples
    reason: str = ""
    created: float = time_column()


class Signature(SQLModel, table=True):
    """What duplicates of one text are found by: the hash of its normalised form, and its MinHash."""

    __table_args__ = (
        UniqueConstraint("text_id", "algorithm"),
        UniqueConstraint("external_id", "algorithm"),
    )

    id: int | None = Field(default=None, primary_key=True)
    text_id: int | None = Field(default=None, foreign_key="text.id")
    external_id: int | None = Field(default=None, foreign_key="external_answer.id")
    algorithm: str  #: version, seed, shingle size, permutations, bands: signatures of two algorithms never compare
    exact: str
    minhash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SignatureBand(SQLModel, table=True):
    """One band of one signature: texts that share a band are compared in full."""

    __tablename__ = "signature_band"

    key: int = Field(sa_type=BigInteger, primary_key=True)
    signature_id: int = Field(foreign_key="signature.id", primary_key=True)


class Review(SQLModel, table=True):
    """What one reviewer said of one text. A reviewer's newest word counts; taken back, it stays with `undone`."""

    __table_args__ = (Index("ix_review_sample", "sample_id", "reviewer"),)

    id: int | None = Field(default=None, primary_key=True)
    sample_id: str = Field(foreign_key="sample.id")
    text_id: int = Field(foreign_key="text.id")  #: what was looked at
    reviewer: str
    decision: str  #: of ReviewDecision
    note: str = Field(default="", sa_column=Column(Text, nullable=False))
    settles: bool = False  #: said to settle what others disagree on: it counts alone
    edited_text_id: int | None = Field(default=None, foreign_key="text.id")
    source: str = ""  #: the file it was imported from; empty: said in the terminal
    undone: float | None = time_column(None)
    created: float = time_column()


class Dataset(SQLModel, table=True):
    """A frozen dataset, named by its content: what a training read, or an export wrote."""

    hash: str = Field(primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int | None = Field(default=None, foreign_key="phase.id")
    home_id: str  #: the home in whose `datasets` folder it was written
    manifest: dict[str, Any] = json_column()  #: its rows by id, sides, recipe
    card: dict[str, Any] = json_column()  #: what its data card says
    created: float = time_column()
