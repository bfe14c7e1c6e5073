"""A run's facts, gathered for its report. Only reads, and also of a run that is still going on."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.config import config_from_data
from lemfarm.curation.agreement import read_agreement
from lemfarm.database import Database
from lemfarm.records import Dataset, Kernel, Phase, Run, Sample
from lemfarm.records import Model as ModelRow
from lemfarm.report.facts import Origin, Report
from lemfarm.report.reading_evaluation import read_evaluation
from lemfarm.report.reading_phases import read_phase
from lemfarm.report.reading_work import read_attempts, read_machines, work_of
from lemfarm.runs import find_run
from lemfarm.status import read_status, with_cut_loops

_NOT_SHOWN = "(set; not shown)"  #: a command of a person's may hold a key


def read_report(database: Database, name: str | None = None) -> Report:
    """The facts of the run of that name, or of the latest. Raises NotFound, DatabaseDown."""
    status = with_cut_loops(database, read_status(database, name))
    run = find_run(database, status.run)
    assert run.id is not None
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False))
        rows = {row.name: row for row in session.exec(query)}
        phases = tuple(read_phase(session, rows[one.name], one) for one in status.phases if one.name in rows)
        attempts = read_attempts(session, run.id)
        machines = read_machines(session, run.id, attempts)
        evaluation = read_evaluation(session, run, config_from_data(run.config), phases)
        origin = _origin(session, run)
    return Report(
        status=status,
        read=database.clock(),
        created=run.created,
        finished=run.finished,
        phases=phases,
        evaluation=evaluation,
        work=work_of(attempts),
        machines=machines,
        origin=origin,
        agreements=read_agreement(database, [row.id for row in rows.values() if row.id is not None]),
    )


def _origin(session: Session, run: Run) -> Origin:
    model = session.get(ModelRow, run.model_key)
    used = select(Sample.kernel_hash).where(Sample.run_id == run.id, col(Sample.kernel_hash).is_not(None)).distinct()
    kernels = session.exec(select(Kernel).where(col(Kernel.hash).in_(used)).order_by(col(Kernel.name)))
    scorers: dict[str, list[str]] = {}
    for row in session.execute(text(_SCORERS), {"run": run.id}):
        scorers.setdefault(row.scorer, []).append(row.version)
    return Origin(
        lemfarm=run.lemfarm_version,
        config_hash=run.config_hash,
        config=_shareable(run.config),
        model_name=str(run.config["model"].get("path") or run.config["model"].get("model") or ""),
        model_key=run.model_key,
        model_commit=model.commit if model else None,
        model_hash=model.content_hash if model else None,
        kernels={kernel.hash: kernel.name for kernel in kernels},
        scorers={name: ", ".join(versions) for name, versions in scorers.items()},
        datasets=_datasets(session, run),
    )


def _datasets(session: Session, run: Run) -> dict[str, str]:
    query = (
        select(Dataset, Phase)
        .join(Phase, col(Phase.id) == Dataset.phase_id, isouter=True)
        .where(Dataset.run_id == run.id)
        .order_by(col(Dataset.created), col(Dataset.hash))
    )
    return {dataset.hash: phase.name if phase else "" for dataset, phase in session.exec(query)}


def _shareable(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "notify": _NOT_SHOWN} if config.get("notify") else dict(config)


_SCORERS = """SELECT DISTINCT score.scorer, score.version FROM score JOIN text ON text.id = score.text_id
    JOIN sample ON sample.id = text.sample_id WHERE sample.run_id = :run ORDER BY score.scorer, score.version"""
