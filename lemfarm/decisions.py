"""What was decided of the adapters of a run, and by whom: read, and told in words.

A decision is a row that is never changed. The newest of a phase counts; the phase's state says the same in one word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.evaluation.gates import describe, describe_worst
from lemfarm.records import GateDecision, GateOutcome, Phase, TrainingStage

_VERBS = {
    GateOutcome.PASSED: "promoted",
    GateOutcome.HELD: "held",
    GateOutcome.FAILED: "rejected",
    GateOutcome.ROLLED_BACK: "rolled back",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision; `by` is empty where the gates decided. `details` as `evaluation.gates.Judgement.to_dict`."""

    adapter: str
    outcome: str
    by: str = ""
    note: str = ""
    created: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """In one line: what, by whom, and because of what."""
        who = f"by {self.by}" if self.by else "by its gates"
        said = (
            f"{self.adapter[:10]} {_VERBS[GateOutcome(self.outcome)]} {who if self.by or self.details else ''}".strip()
        )
        return f"{said}: {self.reason}" if self.reason else said

    @property
    def reason(self) -> str:
        """Why: a person's words, else the gates that did not pass with the worst probes."""
        if self.note or self.outcome == GateOutcome.PASSED:
            return self.note
        gates = describe(self.details.get("gates", ()), self.outcome)
        worst = describe_worst(self.details.get("worst", ()))
        return f"{gates}; worst probes: {worst}" if gates and worst else gates


def decisions_of(session: Session, phase_id: int | None) -> list[Decision]:
    """Everything that was decided in a phase, oldest first."""
    query = select(GateDecision).where(GateDecision.phase_id == phase_id).order_by(col(GateDecision.id))
    return [_decision(row) for row in session.exec(query)]


def newest_decision(session: Session, phase_id: int | None) -> Decision | None:
    """The one that counts."""
    query = select(GateDecision).where(GateDecision.phase_id == phase_id).order_by(col(GateDecision.id).desc())
    row = session.exec(query.limit(1)).first()
    return None if row is None else _decision(row)


def newest_stage(session: Session, phase_id: int | None) -> TrainingStage | None:
    """The training of a phase that counts: its last attempt."""
    query = select(TrainingStage).where(TrainingStage.phase_id == phase_id)
    return session.exec(query.order_by(col(TrainingStage.attempt).desc()).limit(1)).first()


def answered_by(phase: Phase) -> str:
    """Which model answers a phase with `generate_with: promoted`, in words; empty for one that asks the base model."""
    if phase.config.get("generate_with") != "promoted":
        return ""
    if phase.generator is None:
        return "an adapter that is not promoted yet"
    return f"adapter {phase.generator[:10]}" if phase.generator else "the base model, for nothing was promoted"


def _decision(row: GateDecision) -> Decision:
    return Decision(row.adapter_id, row.outcome, row.decided_by, row.note, row.created, row.gates)
