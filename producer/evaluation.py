"""Evaluation as farm work: the same rows, asked of an adapter, and the means that come of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import select as columns
from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.evaluation.statistics import probe_means, score_interval
from lemfarm.identity import fingerprint, sample_id, sample_seed
from lemfarm.ledger import Ledger
from lemfarm.records import Answer, Evaluation, Phase, Probe, Purpose, Run, Sample, SampleState, Variant
from lemfarm.work import PlannedSample
from producer.course import EVALUATION
from producer.scores import score_text

HELD_OUT = "held_out"


def measured_adapter_rows(
    database: Database, run_id: int, base: Sequence[PlannedSample], adapter: str | None
) -> list[PlannedSample]:
    """The rows of an adapter whose evaluation was planned before: they stay in the plan when it is made again."""
    with database.read() as connection, Session(bind=connection) as session:
        known = session.exec(
            select(Sample.phase_id).where(Sample.run_id == run_id, Sample.adapter_id == adapter)
        ).first()
    if adapter is None or known is None:
        return []
    return _for_adapter(database, run_id, base, adapter, known)


def plan_adapter_evaluation(database: Database, run_id: int, adapter: str) -> int:
    """Ask an adapter what the base model was asked. Returns how many rows the run's evaluation has now."""
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Sample).where(
            Sample.run_id == run_id,
            Sample.purpose == Purpose.EVALUATE,
            col(Sample.superseded).is_(False),
            col(Sample.adapter_id).is_(None),
        )
        base = [_planned(row) for row in session.exec(query)]
        last = session.exec(
            select(Phase.id)
            .where(Phase.run_id == run_id, col(Phase.retired).is_(False))
            .order_by(col(Phase.position).desc())
        ).first()
    assert last is not None
    rows = base + _for_adapter(database, run_id, base, adapter, last)
    Ledger(database).plan(run_id, Purpose.EVALUATE, rows)
    return len(rows)


def _for_adapter(
    database: Database, run_id: int, base: Sequence[PlannedSample], adapter: str, phase_id: int
) -> list[PlannedSample]:
    with database.read() as connection, Session(bind=connection) as session:
        run = session.get_one(Run, run_id)
        wanted = {row.variant_id for row in base}
        messages = {v.id: v.messages for v in session.exec(select(Variant)) if v.id in wanted}
    rows = []
    for row in base:
        mark = fingerprint(
            run.model_key, adapter, row.kernel_hash, row.placement, messages[row.variant_id], row.sampling
        )
        identity = sample_id(run.name, EVALUATION, mark, row.sample_index)
        seed = sample_seed(row.sampling["seed"], identity)
        rows.append(replace(row, id=identity, fingerprint=mark, phase_id=phase_id, adapter_id=adapter, seed=seed))
    return rows


def _planned(row: Sample) -> PlannedSample:
    return PlannedSample(**{name: getattr(row, name) for name in PlannedSample.__dataclass_fields__})


def measure(database: Database, run_id: int, scorer: str) -> list[Evaluation]:
    """Mean scores of held-out probes by model and condition, with intervals; samples of a probe are averaged first."""
    values: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for adapter, condition, probe, value in _scores(database, run_id, scorer):
        values.setdefault((adapter or "", condition), []).append((probe, value))
    found = [_evaluation(run_id, key, scorer, pairs, database.clock()) for key, pairs in sorted(values.items())]
    with database.session() as session:
        session.execute(text("DELETE FROM evaluation WHERE run_id = :run AND split = 'held_out'"), {"run": run_id})
        session.add_all(found)
    return found


def _scores(database: Database, run_id: int, scorer: str) -> Iterator[tuple[str | None, str, str, float]]:
    """Adapter, condition, probe and score of every answer; a scorer that is new here scores them now."""
    query = (
        columns(
            col(Sample.adapter_id),
            col(Sample.condition),
            col(Probe.name),
            col(Variant.messages),
            col(Answer.id),
            col(Answer.content),
        )
        .join(Probe, col(Probe.id) == Sample.probe_id)
        .join(Variant, col(Variant.id) == Sample.variant_id)
        .join(Answer, col(Answer.sample_id) == Sample.id)
        .where(
            col(Sample.run_id) == run_id,
            col(Sample.purpose) == Purpose.EVALUATE,
            col(Sample.state) == SampleState.DONE,
            col(Sample.superseded).is_(False),
            col(Answer.revision) == 0,
        )
    )
    with database.read() as connection, Session(bind=connection) as session:
        rows = session.execute(query).all()
    ledger = Ledger(database)
    for adapter, condition, probe, messages, text_id, content in rows:
        values = score_text(ledger, text_id, messages[-1]["content"], content, [scorer])
        if scorer in values:
            yield adapter, condition, probe, values[scorer]


def _evaluation(
    run_id: int, key: tuple[str, str], scorer: str, pairs: Sequence[tuple[str, float]], now: float
) -> Evaluation:
    interval = score_interval(pairs)
    return Evaluation(
        run_id=run_id,
        adapter_id=key[0],
        condition=key[1],
        split=HELD_OUT,
        scorer=scorer,
        probes=interval.n,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        details={"samples": len(pairs), "by_probe": probe_means(pairs)},
        created=now,
    )
