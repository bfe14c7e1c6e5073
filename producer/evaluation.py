"""Evaluation as farm work: the same rows, asked of an adapter, and the figures that come of them."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.evaluation.measurement import ScoredAnswer, Split, details_of, in_split
from lemfarm.evaluation.statistics import bootstrap_mean
from lemfarm.ledger import Ledger
from lemfarm.records import Adapter, Evaluation, Phase, Purpose, Run, Sample
from lemfarm.work import PlannedSample
from producer.asked import asked_of, planned_row
from producer.course import EVALUATION
from producer.measured_answers import evaluation_answers


def measured_adapter_rows(database: Database, run_id: int, base: Sequence[PlannedSample]) -> list[PlannedSample]:
    """The rows of the adapters whose evaluation was planned before: they stay in the plan when it is made again.

    None where `base` asks an adapter itself: such a run measures that one alone."""
    if any(row.adapter_id for row in base):
        return []
    return [row for adapter in _measured(database, run_id) for row in _for_adapter(database, run_id, base, adapter)]


def plan_adapter_evaluation(database: Database, run_id: int, adapter: str) -> int:
    """Ask an adapter what the base model is asked, beside what other adapters of the run are asked already.

    Returns how many rows the run's evaluation has now; none where nothing is evaluated. Again, it changes nothing.
    """
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Sample).where(
            Sample.run_id == run_id,
            Sample.purpose == Purpose.EVALUATE,
            col(Sample.superseded).is_(False),
            col(Sample.adapter_id).is_(None),
        )
        base = [planned_row(row) for row in session.exec(query)]
    adapters = dict.fromkeys([*_measured(database, run_id), adapter])
    rows = base + [row for one in adapters for row in _for_adapter(database, run_id, base, one)]
    Ledger(database).plan(run_id, Purpose.EVALUATE, rows)
    return len(rows)


def is_measured(database: Database, run_id: int, adapter: str) -> bool:
    """Whether an adapter has been asked already, answered or not."""
    return adapter in _measured(database, run_id)


def unfinished_rows(database: Database, run_id: int, adapter: str | None) -> int:
    """How many answers are still to come of one model: of an adapter, or of the base model (None)."""
    whose = "adapter_id IS NULL" if adapter is None else "adapter_id = :adapter"
    query = f"""SELECT count(*) FROM sample WHERE run_id = :run AND purpose = 'evaluate' AND NOT superseded
                AND state IN ('pending', 'leased') AND {whose}"""
    values = {"run": run_id} | ({} if adapter is None else {"adapter": adapter})
    with database.read() as connection:
        return int(connection.execute(text(query), values).scalar_one())


def _measured(database: Database, run_id: int) -> list[str]:
    """Adapters that have rows in the run's evaluation, in the order in which they were trained."""
    asked = select(Sample.adapter_id).where(
        Sample.run_id == run_id, Sample.purpose == Purpose.EVALUATE, col(Sample.superseded).is_(False)
    )
    query = select(Adapter.id).where(col(Adapter.id).in_(asked)).order_by(col(Adapter.created), col(Adapter.id))
    with database.read() as connection, Session(bind=connection) as session:
        return list(session.exec(query))


def _for_adapter(database: Database, run_id: int, base: Sequence[PlannedSample], adapter: str) -> list[PlannedSample]:
    with database.read() as connection, Session(bind=connection) as session:
        run = session.get_one(Run, run_id)
        phase_id = _phase_of(session, run_id, adapter)
        asked = asked_of(session, run, EVALUATION, base, adapter)
    return [replace(row, phase_id=phase_id) for row in asked]


def _phase_of(session: Session, run_id: int, adapter: str) -> int:
    """The phase that an adapter came of, or the last one where that has left the configuration, or is another run's:
    workers ask a row's phase for what the run says."""
    query = select(Phase.id).where(Phase.run_id == run_id, col(Phase.retired).is_(False))
    ids = [found for found in session.exec(query.order_by(col(Phase.position))) if found is not None]
    own = session.get_one(Adapter, adapter).phase_id
    return own if own in ids else ids[-1]


def measure(database: Database, run_id: int, scorer: str) -> list[Evaluation]:
    """Mean scores by model, condition and split, with intervals; the answers to a probe are averaged first.

    Replaces what was measured of this run before. `details` holds what `evaluation.measurement.details_of` gives, and
    `missing`: rows that have no score, so that a figure over half of the probes does not pass for the whole.
    """
    found = evaluation_answers(database, run_id, scorer)
    groups: dict[tuple[str, str], list[ScoredAnswer]] = {}
    for answer in found.scored:
        groups.setdefault((answer.model, answer.condition), []).append(answer)
    now = database.clock()
    rows = []
    for (model, condition), answers in sorted(groups.items()):
        for split in Split:
            measured = in_split(answers, split)
            if measured:
                missing = found.without_score(model, condition, split)
                rows.append(_evaluation(run_id, split, scorer, measured, missing, now))
    with database.session() as session:
        session.execute(text("DELETE FROM evaluation WHERE run_id = :run"), {"run": run_id})
        session.add_all(rows)
    return rows


def _evaluation(
    run_id: int, split: Split, scorer: str, answers: Sequence[ScoredAnswer], missing: int, now: float
) -> Evaluation:
    details = details_of(answers) | {"missing": missing}
    interval = bootstrap_mean(list(details["by_probe"].values()))
    return Evaluation(
        run_id=run_id,
        adapter_id=answers[0].model,
        condition=answers[0].condition,
        split=split,
        scorer=scorer,
        probes=interval.n,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        details=details,
        created=now,
    )
