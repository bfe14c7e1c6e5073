"""The tables. Columns that are read in one place only are JSON; times are seconds since 1970 by the database's clock.

Nothing here has behaviour: `ledger` writes the state of samples, `training.phases` that of training stages,
`workers.host` the worker rows, `producer` the rest.
"""

from lemfarm.records.curation import Dataset, ExternalAnswer, Review, Signature, SignatureBand
from lemfarm.records.runs import Kernel, Model, Notice, Phase, Probe, Run, Turn, Variant
from lemfarm.records.samples import Answer, Attempt, Sample, Score, VerdictRecord
from lemfarm.records.states import (
    BLOCKED,
    UNTRAINED,
    WAITS_FOR_REVIEW,
    GateOutcome,
    NoticeKind,
    Outcome,
    PhaseState,
    Purpose,
    ReviewDecision,
    RunState,
    SampleState,
    StageState,
    WorkerState,
)
from lemfarm.records.training import Adapter, Evaluation, GateDecision, LossPoint, TrainingStage
from lemfarm.records.workers import Worker

__all__ = [
    "BLOCKED",
    "UNTRAINED",
    "WAITS_FOR_REVIEW",
    "Adapter",
    "Answer",
    "Attempt",
    "Dataset",
    "Evaluation",
    "ExternalAnswer",
    "GateDecision",
    "GateOutcome",
    "Kernel",
    "LossPoint",
    "Model",
    "Notice",
    "NoticeKind",
    "Outcome",
    "Phase",
    "PhaseState",
    "Probe",
    "Purpose",
    "Review",
    "ReviewDecision",
    "Run",
    "RunState",
    "Sample",
    "SampleState",
    "Score",
    "Signature",
    "SignatureBand",
    "StageState",
    "TrainingStage",
    "Turn",
    "Variant",
    "VerdictRecord",
    "Worker",
    "WorkerState",
]
