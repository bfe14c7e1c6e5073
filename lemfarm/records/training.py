"""What is trained and measured: adapters, their stages, loss curves, evaluations, decisions."""

from typing import Any

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from lemfarm.records.columns import json_column, time_column
from lemfarm.records.states import StageState


class Adapter(SQLModel, table=True):
    """LoRA weights of a phase, immutable, named by the hash of configuration and sorted tensors."""

    id: str = Field(primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int = Field(foreign_key="phase.id")
    parent_id: str | None = None
    home_id: str  #: the home in whose `adapters` folder it lies
    in_store: bool = False  #: the artifact store has it too: every worker can have it
    manifest: dict[str, Any] = json_column()
    created: float = time_column()


class TrainingStage(SQLModel, table=True):
    """One training of one phase: a leased row, as a sample is. A phase that is trained again has a further row."""

    __tablename__ = "training_stage"
    __table_args__ = (UniqueConstraint("phase_id", "attempt"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int = Field(foreign_key="phase.id")
    attempt: int = 1
    overrides: dict[str, Any] = json_column()  #: training keys that a person set for this attempt alone
    state: str = StageState.WAITING
    owner: str | None = None
    epoch: int = 0
    lease_expires: float = time_column()
    failures: int = 0
    error: str = Field(default="", sa_column=Column(Text, nullable=False))
    config: dict[str, Any] = json_column()
    dataset: dict[str, Any] = json_column()
    adapter_id: str | None = Field(default=None, foreign_key="adapter.id")
    sent: float = time_column()
    started: float | None = time_column(None)
    finished: float | None = time_column(None)


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
    details: dict[str, Any] = json_column()
    created: float = time_column()


class Evaluation(SQLModel, table=True):
    """The mean score of one model under one condition over held-out probes, trained ones, or all."""

    __table_args__ = (UniqueConstraint("run_id", "adapter_id", "condition", "split", "scorer"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    adapter_id: str = ""  #: empty: the base model
    condition: str
    split: str  #: of evaluation.measurement.Split
    scorer: str
    probes: int
    mean: float
    low: float | None = None  #: none where there is one probe only
    high: float | None = None
    details: dict[str, Any] = json_column()
    created: float = time_column()


class GateDecision(SQLModel, table=True):
    """What was decided of one adapter, by the gates or by a person. The newest counts; none is ever changed."""

    __tablename__ = "gate_decision"
    __table_args__ = (Index("ix_gate_decision_phase", "phase_id", "adapter_id"),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    phase_id: int = Field(foreign_key="phase.id")
    adapter_id: str = Field(foreign_key="adapter.id")
    outcome: str  #: of GateOutcome
    decided_by: str = ""  #: empty: the gates; else who said so
    note: str = Field(default="", sa_column=Column(Text, nullable=False))
    gates: dict[str, Any] = json_column()  #: every gate with what it measured, its bounds and its outcome
    created: float = time_column()
