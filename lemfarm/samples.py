"""Samples as people and programs look at them: lists, and everything about one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.errors import InputError, NotFound
from lemfarm.records import (
    Answer,
    Attempt,
    Phase,
    Probe,
    Purpose,
    Run,
    Sample,
    SampleState,
    Score,
    Variant,
    VerdictRecord,
    Worker,
)
from lemfarm.records import Outcome as Outcomes
from lemfarm.runs import find_run


@dataclass(frozen=True, slots=True)
class SampleLine:
    """One line of a list. `label` reads `P01_IDENTITY_WHISTLEBLOWER v2 #7`."""

    id: str
    label: str
    phase: str
    purpose: str
    state: str
    outcome: str | None
    reason: str
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SampleDetails:
    """A sample with all that is stored of it: enough to trace a training example back to its origin."""

    id: str
    label: str
    run: str
    phase: str
    purpose: str
    condition: str
    state: str
    outcome: str | None
    reason: str
    model_key: str
    fingerprint: str
    kernel_hash: str | None
    adapter_id: str | None
    placement: str
    sampling: Mapping[str, Any]
    seed: int
    superseded: bool
    messages: list[dict[str, str]]
    answer: str | None
    thoughts: str
    score_details: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)


def list_samples(
    database: Database,
    run: str | None,
    *,
    state: str | None = None,
    outcome: str | None = None,
    phase: str | None = None,
    probe: str | None = None,
    purpose: str | None = None,
    limit: int = 50,
) -> list[SampleLine]:
    """Samples of a run that match, those finished last first. Raises NotFound, and InputError for an unknown state."""
    _refuse_unknown("state", state, [str(one) for one in SampleState])
    _refuse_unknown("outcome", outcome, [str(one) for one in Outcomes])
    _refuse_unknown("purpose", purpose, [str(one) for one in Purpose])
    row = find_run(database, run)
    query = (
        select(Sample, Probe, Variant, Phase)
        .join(Probe, col(Probe.id) == Sample.probe_id)
        .join(Variant, col(Variant.id) == Sample.variant_id)
        .join(Phase, col(Phase.id) == Sample.phase_id)
        .where(Sample.run_id == row.id, col(Sample.superseded).is_(False))
        .order_by(
            col(Sample.finished).desc().nulls_last(), col(Phase.position), col(Sample.sample_index), col(Probe.name)
        )
        .limit(limit)
    )
    columns = (Sample.state, Sample.outcome, Sample.purpose, Phase.name, Probe.name)
    for column, wanted in zip(columns, (state, outcome, purpose, phase, probe), strict=True):
        if wanted is not None:
            query = query.where(column == wanted)
    with database.read() as connection, Session(bind=connection) as session:
        return [_line(session, *found) for found in session.exec(query).all()]


def read_sample(database: Database, prefix: str) -> SampleDetails:
    """The sample whose id begins so. Raises NotFound, and InputError when several do."""
    with database.read() as connection, Session(bind=connection) as session:
        ids = session.exec(select(Sample.id).where(col(Sample.id).startswith(prefix, autoescape=True)).limit(2)).all()
        if not ids:
            raise NotFound(f"there is no sample whose id begins with {prefix!r}; `lemfarm samples list` shows ids.")
        if len(ids) > 1:
            raise InputError(f"several samples' ids begin with {prefix!r}: write more of it.")
        return _details(session, session.get_one(Sample, ids[0]))


def _refuse_unknown(what: str, value: str | None, known: list[str]) -> None:
    if value is not None and value not in known:
        raise InputError(f"there is no {what} {value!r}: one of {', '.join(known)}")


def _label(probe: Probe, variant: Variant, sample: Sample) -> str:
    condition = f" {sample.condition}" if sample.condition else ""
    return f"{probe.name} v{variant.position} #{sample.sample_index}{condition}"


def _line(session: Session, sample: Sample, probe: Probe, variant: Variant, phase: Phase) -> SampleLine:
    rows = session.execute(
        text(
            """SELECT score.scorer, score.value FROM score JOIN text ON text.id = score.text_id
               WHERE text.sample_id = :id ORDER BY score.id"""
        ),
        {"id": sample.id},
    ).all()
    return SampleLine(
        sample.id,
        _label(probe, variant, sample),
        phase.name,
        sample.purpose,
        sample.state,
        sample.outcome,
        sample.reason,
        {row.scorer: row.value for row in rows},
    )


def _details(session: Session, sample: Sample) -> SampleDetails:
    variant, run = session.get_one(Variant, sample.variant_id), session.get_one(Run, sample.run_id)
    answers = session.exec(select(Answer).where(Answer.sample_id == sample.id).order_by(col(Answer.revision))).all()
    return SampleDetails(
        id=sample.id,
        label=_label(session.get_one(Probe, sample.probe_id), variant, sample),
        run=run.name,
        phase=session.get_one(Phase, sample.phase_id).name,
        purpose=sample.purpose,
        condition=sample.condition,
        state=sample.state,
        outcome=sample.outcome,
        reason=sample.reason,
        model_key=run.model_key,
        fingerprint=sample.fingerprint,
        kernel_hash=sample.kernel_hash,
        adapter_id=sample.adapter_id,
        placement=sample.placement,
        sampling=sample.sampling,
        seed=sample.seed,
        superseded=sample.superseded,
        messages=variant.messages,
        answer=answers[-1].content if answers else None,
        thoughts=answers[-1].thoughts if answers else "",
        score_details=_scores(session, answers),
        verdicts=_verdicts(session, sample),
        attempts=_attempts(session, sample),
    )


def _scores(session: Session, answers: Any) -> list[dict[str, Any]]:
    wanted = [answer.id for answer in answers]
    rows = session.exec(select(Score).where(col(Score.text_id).in_(wanted)).order_by(col(Score.id)))
    return [{"scorer": r.scorer, "version": r.version, "value": r.value, "signals": r.signals} for r in rows]


def _verdicts(session: Session, sample: Sample) -> list[dict[str, Any]]:
    rows = session.exec(
        select(VerdictRecord).where(VerdictRecord.sample_id == sample.id).order_by(col(VerdictRecord.id))
    )
    return [{"outcome": r.outcome, "reason": r.reason, "gates": r.gate_hash, "created": r.created} for r in rows]


def _attempts(session: Session, sample: Sample) -> list[dict[str, Any]]:
    query = (
        select(Attempt, Worker)
        .join(Worker, col(Worker.id) == Attempt.worker_id)
        .where(Attempt.sample_id == sample.id)
        .order_by(col(Attempt.epoch))
    )
    return [
        {
            "epoch": attempt.epoch,
            "worker": f"{worker.name}@{worker.host}",
            "lemfarm": worker.lemfarm_version,
            "started": attempt.started,
            "ended": attempt.ended,
            "ending": attempt.ending,
            "error": attempt.error,
            "generation": attempt.generation,
        }
        for attempt, worker in session.exec(query)
    ]
