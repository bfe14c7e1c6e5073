"""What was measured of the models of a run, with names that a reader knows them by."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.config import RunConfig
from lemfarm.evaluation.statistics import Interval
from lemfarm.records import Evaluation as EvaluationRow
from lemfarm.records import GateOutcome, Run
from lemfarm.report.facts import BASE, Evaluation, Measurement, Model, PhaseFacts
from lemfarm.report.reading_answers import read_answers

_STANDINGS = {
    GateOutcome.PASSED: "passed its gates",
    GateOutcome.HELD: "held",
    GateOutcome.FAILED: "rejected",
    GateOutcome.ROLLED_BACK: "rolled back",
}


def read_evaluation(
    session: Session, run: Run, config: RunConfig, phases: Sequence[PhaseFacts]
) -> Evaluation | None:  # fmt: skip
    """None where nothing is measured yet."""
    query = select(EvaluationRow).where(EvaluationRow.run_id == run.id).order_by(col(EvaluationRow.id))
    measurements = tuple(_measurement(row) for row in session.exec(query))
    if not measurements or config.evaluate is None or run.id is None:
        return None
    models = _models(run, measurements, phases)
    bare = next((name for name, kernel in config.evaluate.conditions.items() if kernel is None), "")
    domains = session.execute(text(_DOMAINS), {"run": run.id}).all()
    return Evaluation(
        models=models,
        measurements=measurements,
        bare=bare,
        scorer=measurements[0].scorer,
        domains={row.name: row.domain for row in domains},
        targets={name: target.model_dump() for name, target in config.evaluate.targets.items()},
        answers=read_answers(session, run.id, models[-1], bare, measurements),
    )


def _measurement(row: EvaluationRow) -> Measurement:
    interval = Interval(row.mean, row.low, row.high, row.probes)
    return Measurement(row.adapter_id, row.condition, row.split, row.scorer, interval, row.details)


def _models(run: Run, measurements: Sequence[Measurement], phases: Sequence[PhaseFacts]) -> tuple[Model, ...]:
    """The untrained model, the adapters by phase and attempt, then those of elsewhere."""
    measured = dict.fromkeys(one.adapter for one in measurements)
    found = {BASE: Model(BASE, "untrained")} if BASE in measured else {}
    for phase in phases:
        for training in phase.trainings:
            if training.adapter and training.adapter in measured:
                again = f", attempt {training.attempt}" if len(phase.trainings) > 1 else ""
                standing = _standing(run, phase, training.adapter)
                found.setdefault(training.adapter, Model(training.adapter, phase.name + again, standing))
    others = [Model(adapter, f"adapter {adapter[:10]}") for adapter in measured if adapter not in found]
    return (*found.values(), *others)


def _standing(run: Run, phase: PhaseFacts, adapter: str) -> str:
    if adapter == run.promoted:
        return "promoted"
    decided = [one.outcome for one in phase.decisions if one.adapter == adapter]
    return _STANDINGS[GateOutcome(decided[-1])] if decided else ""


_DOMAINS = """SELECT DISTINCT probe.name, probe.domain FROM sample JOIN probe ON probe.id = sample.probe_id
    WHERE sample.run_id = :run AND sample.purpose = 'evaluate' AND NOT sample.superseded ORDER BY probe.name"""
