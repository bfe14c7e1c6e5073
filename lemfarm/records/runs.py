"""What a run is made of: its phases, probes, kernel and model, and what people were told of it."""

from typing import Any

from sqlalchemy import JSON, Column, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from lemfarm.records.columns import json_column, time_column
from lemfarm.records.states import PhaseState, RunState


class Run(SQLModel, table=True):
    """One named campaign: a configuration and all that came out of it."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    state: str = RunState.ACTIVE
    reason: str = ""
    config: dict[str, Any] = json_column()
    config_hash: str
    planned_hash: str = ""  #: of configuration and limit; equal to what is wanted: planning has nothing to do
    sample_limit: int | None = None
    trains: bool = True
    model_key: str
    promoted: str | None = None  #: adapter id
    lemfarm_version: str
    home_id: str = ""  #: the home in which `lemfarm run` was last typed: there its notices are told
    created: float = time_column()
    activated: float = time_column()  #: failures before it are forgiven: the run was started again
    finished: float | None = time_column(None)


class Phase(SQLModel, table=True):
    """One step of the curriculum, in one run."""

    __table_args__ = (UniqueConstraint("run_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    name: str
    position: int
    state: str = PhaseState.OPEN
    config: dict[str, Any] = json_column()
    gate_hash: str = ""
    generator: str | None = None  #: with `generate_with: promoted`: the adapter, empty: base model; none: not fixed yet
    retired: bool = False  #: no longer in the configuration


class Probe(SQLModel, table=True):
    """A prompt with its rephrasings, named by its content."""

    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    domain: str
    fields: dict[str, Any] = json_column()


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
    created: float = time_column()


class Notice(SQLModel, table=True):
    """Something that a person is told of once: written with the change itself, claimed before it is told."""

    __table_args__ = (UniqueConstraint("run_id", "kind", "subject", "activation"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    kind: str  #: of NoticeKind
    subject: str = ""  #: the phase, where it is about one
    activation: float = time_column()  #: the run's `activated` of then: a run that was started again may tell again
    text: str = Field(sa_column=Column(Text, nullable=False))
    created: float = time_column()
    told: float | None = time_column(None)  #: when somebody took it on; the command was started after that, or never
    outcome: str = ""  #: what became of the command; empty: nobody saw its end


class Turn(SQLModel, table=True):
    """A named lock with an expiry: lets one of several watchers act."""

    name: str = Field(primary_key=True)
    owner: str = ""
    expires: float = time_column()
