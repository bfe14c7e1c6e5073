"""How a run stands: a few queries, one plain value that the terminal, `--json` and the report all show."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, text
from sqlmodel import Session, col, select

from lemfarm.candidates import CellCandidates, cell_candidates, given_up_probes, per_accepted
from lemfarm.cut_loops import CutLoops, count_cut_loops
from lemfarm.database import Database
from lemfarm.decisions import answered_by, newest_decision, newest_stage
from lemfarm.external_mix import Mix, read_outlook
from lemfarm.records import (
    UNTRAINED,
    WAITS_FOR_REVIEW,
    Evaluation,
    LossPoint,
    Phase,
    Purpose,
    Run,
    TrainingStage,
)
from lemfarm.runs import find_run
from lemfarm.worker_status import ALIVE_SECONDS, WorkerStatus, workers_seen

RECENT_SECONDS = 300.0
_SHOWN_REASONS = 5
_FIRST_FIGURE = re.compile(r"(?<![\w.-])-?\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class PhaseStatus:
    """One phase: its counts, its quota, its training."""

    name: str
    state: str
    planned: int = 0
    pending: int = 0
    leased: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    accepted: int = 0
    rejected: int = 0
    held: int = 0
    in_review: int = 0  #: of those held: they wait for a reviewer
    counted: int = 0  #: accepted samples that count for the quota, no more of one probe than its share
    wanted: int = 0
    training: str = ""
    attempt: int = 0  #: at training it; 0 before the first
    decision: str = ""  #: the newest about its adapter, in words
    answered_by: str = ""  #: with `generate_with: promoted`: which model, in words
    losses: tuple[tuple[str, int, float], ...] = ()
    reasons: tuple[tuple[str, int], ...] = ()  #: why samples were rejected or failed, most frequent first
    given_up: tuple[str, ...] = ()  #: probes that get no more samples, for they would hardly reach their share
    candidates_per_accepted: float | None = None  #: judged samples for each accepted one; none before the first
    cells: tuple[CellCandidates, ...] = ()
    mix: Mix | None = None  #: with answers from elsewhere, once its quota is full; none where it takes none

    @property
    def pass_rate(self) -> float | None:
        """Accepted of judged samples."""
        judged = self.accepted + self.rejected
        return self.accepted / judged if judged else None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment. `samples_per_minute` over the last five minutes; `seconds_left` none when unknown."""

    run: str
    state: str
    reason: str
    model: str
    promoted: str | None
    phases: tuple[PhaseStatus, ...]
    evaluation: Mapping[str, int]
    measurements: tuple[Mapping[str, Any], ...]
    workers: tuple[WorkerStatus, ...]
    samples_per_minute: float
    seconds_left: float | None
    superseded: int
    limit: int | None = None
    waits_for: tuple[str, ...] = ()  #: what nobody can do as things are, and what would help
    cut_loops: CutLoops | None = None  #: none where it was not counted, see `with_cut_loops`
    details: Mapping[str, Any] = field(default_factory=dict)


def read_status(database: Database, name: str | None = None) -> RunStatus:
    """Everything that views show of a run. Raises NotFound, DatabaseDown."""
    run = find_run(database, name)
    assert run.id is not None
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        phases = _phases(session, connection, run.id)
        evaluation = _evaluation_counts(connection, run.id)
        done_recently, now = _recent(connection, database, run)
        workers = workers_seen(session, now)
        measured = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).all()
        stranded = _stranded(connection, database, run)
        superseded = connection.execute(
            text("SELECT count(*) FROM sample WHERE run_id = :run AND superseded"), {"run": run.id}
        ).scalar_one()
    per_minute = done_recently / min(RECENT_SECONDS, max(now - run.activated, 1.0)) * 60.0
    return RunStatus(
        run=run.name,
        state=run.state,
        reason=run.reason,
        model=_model_name(run.config.get("model", {})),
        promoted=run.promoted,
        phases=tuple(phases),
        evaluation=evaluation,
        measurements=tuple(_measurement(row) for row in measured),
        workers=tuple(workers),
        samples_per_minute=per_minute,
        seconds_left=_seconds_left(phases, per_minute),
        superseded=int(superseded),
        limit=run.sample_limit,
        waits_for=(*stranded, *_reviews(run.name, phases)),
    )


def with_cut_loops(database: Database, status: RunStatus) -> RunStatus:
    """The same status with what cutting loops has spared: counting it takes too long for a view that looks every
    second. Raises DatabaseDown."""
    run = find_run(database, status.run)
    assert run.id is not None
    return replace(status, cut_loops=count_cut_loops(database, run.id))


def _reviews(run: str, phases: Sequence[PhaseStatus]) -> Iterator[str]:
    """What each phase that is not trained yet asks of people."""
    for phase in phases:
        if phase.in_review and phase.state in UNTRAINED:
            answers = "1 answer waits" if phase.in_review == 1 else f"{phase.in_review:,} answers wait"
            yield f"phase {phase.name}: {answers} for review: lemfarm review {run} --phase {phase.name}"


def _model_name(model: Mapping[str, Any]) -> str:
    """What a stored run file calls its model: a path or hub id, or an endpoint's name for it."""
    return str(model.get("path") or model.get("model") or "")


def _phases(session: Session, connection: Connection, run_id: int) -> list[PhaseStatus]:
    rows = session.exec(
        select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False)).order_by(col(Phase.position))
    ).all()
    return [_phase(session, connection, row) for row in rows]


def _phase(session: Session, connection: Connection, phase: Phase) -> PhaseStatus:
    quota = phase.config["quota"]
    stage, decision = newest_stage(session, phase.id), newest_decision(session, phase.id)
    assert phase.id is not None
    counts, cells = _counts(connection, phase.id), cell_candidates(connection, phase.id)
    return PhaseStatus(
        name=phase.name,
        state=phase.state,
        wanted=quota["accepted"],
        counted=_counted(cells, quota.get("at_most_per_probe")),
        training=stage.state if stage else "",
        attempt=stage.attempt if stage else 0,
        decision=decision.text if decision else "",
        answered_by=answered_by(phase),
        losses=_losses(session, stage) if stage else (),
        reasons=_reasons(connection, phase.id),
        given_up=given_up_probes(cells),
        candidates_per_accepted=per_accepted(sum(cell.candidates for cell in cells), counts.get("accepted", 0)),
        cells=cells,
        mix=read_outlook(connection, phase.id, phase.config, cells),
        **counts,
    )


def _counts(connection: Connection, phase_id: int | None) -> dict[str, int]:
    rows = connection.execute(
        text(
            """SELECT state, outcome, count(*) AS n, count(*) FILTER (WHERE reason LIKE :review) AS in_review
               FROM sample WHERE phase_id = :phase AND purpose = 'distil' AND NOT superseded GROUP BY state, outcome"""
        ),
        {"phase": phase_id, "review": f"{WAITS_FOR_REVIEW}%"},
    ).all()
    counts: dict[str, int] = {"planned": 0}
    for row in rows:
        counts["planned"] += row.n
        counts[row.state] = counts.get(row.state, 0) + row.n
        if row.state == "done":
            counts[row.outcome] = counts.get(row.outcome, 0) + row.n
        if row.outcome == "held":
            counts["in_review"] = row.in_review
    return counts


def _counted(cells: Sequence[CellCandidates], cap: int | None) -> int:
    accepted: dict[str, int] = {}
    for cell in cells:
        accepted[cell.probe] = accepted.get(cell.probe, 0) + cell.accepted
    return sum(count if cap is None else min(count, cap) for count in accepted.values())


def _reasons(connection: Connection, phase_id: int | None) -> tuple[tuple[str, int], ...]:
    """Reasons without what was measured, so that `v2-distill 18.3 < 24.0` and `v2-distill 17.9 < 24.0` count as one."""
    rows = connection.execute(
        text(
            """SELECT reason, count(*) AS n FROM sample WHERE phase_id = :phase AND purpose = 'distil' AND reason <> ''
               AND (outcome = 'rejected' OR state = 'failed') AND NOT superseded GROUP BY reason"""
        ),
        {"phase": phase_id},
    ).all()
    counts: dict[str, int] = {}
    for row in rows:
        words = _FIRST_FIGURE.sub("…", row.reason, count=1)
        counts[words] = counts.get(words, 0) + row.n
    return tuple(sorted(counts.items(), key=lambda item: -item[1])[:_SHOWN_REASONS])


def _losses(session: Session, stage: TrainingStage) -> tuple[tuple[str, int, float], ...]:
    query = select(LossPoint).where(LossPoint.stage_id == stage.id, LossPoint.epoch == stage.epoch)
    return tuple((p.kind, p.iteration, p.loss) for p in session.exec(query.order_by(col(LossPoint.id))))


def _evaluation_counts(connection: Connection, run_id: int) -> dict[str, int]:
    rows = connection.execute(
        text(
            """SELECT state, count(*) AS n FROM sample
               WHERE run_id = :run AND purpose = :purpose AND NOT superseded GROUP BY state"""
        ),
        {"run": run_id, "purpose": Purpose.EVALUATE},
    ).all()
    counts = {row.state: row.n for row in rows}
    return {"planned": sum(counts.values()), "done": counts.get("done", 0), "failed": counts.get("failed", 0)}


def _stranded(connection: Connection, database: Database, run: Run) -> tuple[str, ...]:
    """Adapters that work is waiting for and that nobody at work can have: no worker of their home lives, and they are
    in no artifact store."""
    rows = connection.execute(
        text(
            f"""SELECT a.id, (SELECT max(w.host) FROM worker w WHERE w.home_id = a.home_id) AS host FROM adapter a
                WHERE NOT a.in_store AND :state = 'active'
                AND (EXISTS (SELECT 1 FROM sample s WHERE s.run_id = :run AND s.adapter_id = a.id
                        AND s.state = 'pending' AND NOT s.superseded)
                    OR (a.id = :promoted AND EXISTS (SELECT 1 FROM training_stage t
                        WHERE t.run_id = :run AND t.state = 'waiting')))
                AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.home_id = a.home_id
                    AND w.state NOT IN ('stopped', 'died') AND w.last_seen > {database.now} - {ALIVE_SECONDS})
                ORDER BY a.created, a.id"""
        ),
        {"run": run.id, "state": run.state, "promoted": run.promoted},
    ).all()
    return tuple(
        f"adapter {row.id} lies on {row.host or 'a machine that is gone'} alone, and no worker of that home is at "
        "work: start one there, or give the farm an artifact store (LEMFARM_ARTIFACTS)"
        for row in rows
    )


def _recent(connection: Connection, database: Database, run: Run) -> tuple[int, float]:
    row = connection.execute(
        text(
            f"""SELECT {database.now} AS now, (SELECT count(*) FROM sample WHERE run_id = :run
                AND finished > {database.now} - {RECENT_SECONDS} AND finished > :since) AS done"""
        ),
        {"run": run.id, "since": run.activated},
    ).one()
    return int(row.done), float(row.now)


def _measurement(row: Evaluation) -> dict[str, Any]:
    return {
        "model": row.adapter_id or "base",
        "condition": row.condition,
        "split": row.split,
        "scorer": row.scorer,
        "probes": row.probes,
        "mean": row.mean,
        "low": row.low,
        "high": row.high,
        "by_probe": row.details.get("by_probe", {}),
    }


def _seconds_left(phases: Sequence[PhaseStatus], per_minute: float) -> float | None:
    """Generations that open quotas should still need at the pass rate so far, at the pace of the last minutes."""
    needed = 0.0
    for phase in phases:
        if phase.state != "open":
            continue
        rate = phase.pass_rate or 0.35
        needed += min(phase.pending + phase.leased, max(0, phase.wanted - phase.counted) / max(rate, 0.01))
    if needed == 0.0:
        return 0.0
    return needed / per_minute * 60.0 if per_minute > 0 else None
