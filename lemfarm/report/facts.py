"""What a report rests on: plain values, read once, so that a page can be made of them again and comes out the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lemfarm.curation.agreement import Agreement
from lemfarm.decisions import Decision
from lemfarm.evaluation.statistics import Interval
from lemfarm.status import PhaseStatus, RunStatus

BASE = ""
"""The untrained model, where adapters are named."""

Curve = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class ScoreSpread:
    """The scores of a phase's judged samples by the scorer of its gate, those that were accepted apart."""

    scorer: str
    threshold: float
    accepted: tuple[float, ...]
    others: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Training:
    """One attempt to train a phase. Curves are (updates done, loss); `used` is the update whose weights were kept.

    `overrides` are settings of this attempt alone, `dataset` as the stage stored it, `record` as the adapter did.
    """

    attempt: int
    state: str
    train: Curve = ()
    valid: Curve = ()
    used: int | None = None
    adapter: str | None = None
    parent: str | None = None
    error: str = ""
    seconds: float | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """One phase: how it stands, what it asked for, its trainings in order, and every decision about them.

    `duplicates` are rejected samples that repeat another; `reviewed` has answers by what reviewers said of them, and
    `external` answers from elsewhere by what the gates said.
    """

    status: PhaseStatus
    config: Mapping[str, Any]
    gate_hash: str = ""
    spread: ScoreSpread | None = None
    trainings: tuple[Training, ...] = ()
    decisions: tuple[Decision, ...] = ()
    duplicates: int = 0
    reviewed: Mapping[str, int] = field(default_factory=dict)
    external: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.status.name


@dataclass(frozen=True, slots=True)
class Measurement:
    """A model under a condition over one split; `details` as `evaluation.measurement.details_of` gives them."""

    adapter: str
    condition: str
    split: str
    scorer: str
    interval: Interval
    details: Mapping[str, Any]

    @property
    def by_probe(self) -> Mapping[str, float]:
        """Mean score of each probe."""
        found: Mapping[str, float] = self.details["by_probe"]
        return found


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was measured: a label that no other has, and what became of it."""

    adapter: str
    label: str
    standing: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an answer; `signal` names what a scorer counted there, empty: nothing."""

    text: str
    signal: str = ""


@dataclass(frozen=True, slots=True)
class SignalShare:
    """One signal of a score: its raw count, and its points after weight and cap where the scorer has such."""

    name: str
    count: float
    points: float | None


@dataclass(frozen=True, slots=True)
class NamedAnswer:
    """One of the worst or best answers of an evaluation, cut to a readable length: `left_out` characters are not here.

    `mean` is over the answers to its probe, `before` the same of the untrained model: none where that was not measured,
    or is this one.
    """

    sample_id: str
    probe: str
    domain: str
    wording: int
    prompt: str
    value: float
    mean: float
    pieces: tuple[Piece, ...]
    left_out: int
    finish: str
    signals: tuple[SignalShare, ...] = ()
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """The worst and the best answers of one model under one condition; of the worst and the best probes one each."""

    model: str
    condition: str
    scorer: str
    worst: tuple[NamedAnswer, ...]
    best: tuple[NamedAnswer, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What one kind of work took. `seconds` adds up how long every answer was in the making: answers share a machine,
    so it exceeds the time of the clock."""

    phase: str
    purpose: str
    answers: int = 0
    lost: int = 0  #: claims that ended without an answer
    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine: `busy_seconds` with at least one answer in the making, `training_seconds` on the clock."""

    host: str
    processes: int
    answers: int
    answer_tokens: int
    busy_seconds: float
    training_seconds: float
    lemfarm: tuple[str, ...]
    versions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured: models in the order in which they were trained, the untrained one first.

    `bare` names the condition without a kernel, empty where there is none; `domains` has the domain of each probe.
    """

    models: tuple[Model, ...]
    measurements: tuple[Measurement, ...]
    bare: str
    scorer: str
    domains: Mapping[str, str]
    targets: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    answers: Answers | None = None

    def find(self, adapter: str, condition: str, split: str) -> Measurement | None:
        """The figures of one model, or none where it was not measured so."""
        wanted = (adapter, condition, split)
        return next((one for one in self.measurements if (one.adapter, one.condition, one.split) == wanted), None)

    @property
    def split(self) -> str:
        """The probes that a claim rests on: held-out ones where there are any, else all."""
        return "held_out" if any(one.split == "held_out" for one in self.measurements) else "all"

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, the bare one first."""
        names = dict.fromkeys(one.condition for one in self.measurements)
        return tuple(sorted(names, key=lambda name: (name != self.bare, name)))


@dataclass(frozen=True, slots=True)
class Origin:
    """What another person needs to make the run again, and to see whether it is the same."""

    lemfarm: str
    config_hash: str
    config: Mapping[str, Any]
    model_name: str
    model_key: str
    model_commit: str | None
    model_hash: str | None
    kernels: Mapping[str, str]  #: hash -> name
    scorers: Mapping[str, str]  #: name -> versions whose scores are stored
    datasets: Mapping[str, str] = field(default_factory=dict)  #: hash -> what it was made for


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the report of a run says. Times are seconds since 1970 by the database's clock."""

    status: RunStatus
    read: float
    created: float
    finished: float | None
    phases: tuple[PhaseFacts, ...]
    evaluation: Evaluation | None
    work: tuple[Work, ...]
    machines: tuple[Machine, ...]
    origin: Origin
    agreements: tuple[Agreement, ...] = ()

    @property
    def name(self) -> str:
        return self.status.run
