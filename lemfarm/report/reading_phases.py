"""The facts of one phase: scores of its samples, its trainings, its decisions, what became of its answers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, func, select

from lemfarm.curation.duplicates import DUPLICATE
from lemfarm.curation.review import consensus
from lemfarm.curation.review_words import words_of_phases
from lemfarm.decisions import decisions_of
from lemfarm.records import Adapter, ExternalAnswer, LossPoint, Outcome, Phase, Purpose, Sample, TrainingStage
from lemfarm.report.facts import Curve, PhaseFacts, ScoreSpread, Training
from lemfarm.status import PhaseStatus


def read_phase(session: Session, row: Phase, status: PhaseStatus) -> PhaseFacts:
    """Everything but its status, which is given."""
    assert row.id is not None
    stages = select(TrainingStage).where(TrainingStage.phase_id == row.id).order_by(col(TrainingStage.attempt))
    return PhaseFacts(
        status=status,
        config=row.config,
        gate_hash=row.gate_hash,
        spread=_spread(session, row),
        trainings=tuple(_training(session, stage) for stage in session.exec(stages)),
        decisions=tuple(decisions_of(session, row.id)),
        duplicates=_duplicates(session, row.id),
        reviewed=_reviewed(session, row.id),
        external=_external(session, row.id),
    )


def _spread(session: Session, phase: Phase) -> ScoreSpread | None:
    """None for a phase whose gates ask no scorer, or before the first score."""
    gate = next((one for one in phase.config.get("gates", ()) if "scorer" in one), None)
    if gate is None:
        return None
    rows = session.execute(text(_SCORES), {"phase": phase.id, "scorer": gate["scorer"]}).all()
    newest = {row.sample_id: row for row in rows}
    accepted = sorted(row.value for row in newest.values() if row.outcome == Outcome.ACCEPTED)
    others = sorted(row.value for row in newest.values() if row.outcome != Outcome.ACCEPTED)
    return ScoreSpread(gate["scorer"], float(gate["at_least"]), tuple(accepted), tuple(others)) if newest else None


def _training(session: Session, stage: TrainingStage) -> Training:
    adapter = session.get(Adapter, stage.adapter_id) if stage.adapter_id else None
    manifest: Mapping[str, Any] = adapter.manifest if adapter else {}
    record: Mapping[str, Any] = manifest.get("record", {})
    return Training(
        attempt=stage.attempt,
        state=stage.state,
        train=_curve(session, stage, "train"),
        valid=_curve(session, stage, "valid"),
        used=record.get("used"),
        adapter=stage.adapter_id,
        parent=adapter.parent_id if adapter else None,
        error=stage.error,
        seconds=record.get("seconds"),
        overrides=stage.overrides,
        dataset=stage.dataset,
        record=record,
        versions=manifest.get("versions", {}),
    )


def _curve(session: Session, stage: TrainingStage, kind: str) -> Curve:
    """Of the last lease under which anything was learnt: a resumed training tells its whole curve again."""
    newest = select(func.max(LossPoint.epoch)).where(LossPoint.stage_id == stage.id)
    epoch = session.exec(newest).one()
    points = select(LossPoint).where(
        LossPoint.stage_id == stage.id, LossPoint.epoch == epoch, LossPoint.kind == kind
    )  # fmt: skip
    return tuple((point.iteration, point.loss) for point in session.exec(points.order_by(col(LossPoint.id))))


def _duplicates(session: Session, phase_id: int) -> int:
    query = select(func.count()).where(
        Sample.phase_id == phase_id,
        Sample.purpose == Purpose.DISTIL,
        Sample.outcome == Outcome.REJECTED,
        col(Sample.superseded).is_(False),
        col(Sample.reason).startswith(DUPLICATE),
    )
    return int(session.exec(query).one())


def _reviewed(session: Session, phase_id: int) -> dict[str, int]:
    words = words_of_phases(session.connection(), [phase_id])
    return dict(sorted(Counter(str(consensus(said)) for said in words.values()).items()))


def _external(session: Session, phase_id: int) -> dict[str, int]:
    found = session.exec(select(ExternalAnswer.outcome).where(ExternalAnswer.phase_id == phase_id))
    return dict(sorted(Counter(outcome or "not judged" for outcome in found).items()))


# The newest text and the newest score of each sample come last.
_SCORES = """SELECT sample.id AS sample_id, sample.outcome, score.value FROM sample
    JOIN text ON text.sample_id = sample.id JOIN score ON score.text_id = text.id AND score.scorer = :scorer
    WHERE sample.phase_id = :phase AND sample.purpose = 'distil' AND sample.state = 'done' AND NOT sample.superseded
    ORDER BY sample.id, text.revision, score.id"""
