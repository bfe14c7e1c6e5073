"""Between a finished adapter and its promotion: it is measured on the farm, beside the untrained model, and judged.

Called again and again, like the rest of the hand-over: what is missing is planned, what is under way is waited for,
and when all answers are there the gates decide, once.
"""

from collections.abc import Iterable, Mapping

import structlog
from sqlmodel import Session

from lemfarm.config import EvaluateConfig, GateAfterConfig, RunConfig
from lemfarm.database import Database
from lemfarm.decisions import Decision, newest_decision, newest_stage
from lemfarm.evaluation.gates import Figures, Judgement, Measured, judge
from lemfarm.evaluation.measurement import Split
from lemfarm.records import Evaluation, GateOutcome, Phase, PhaseState, Run
from lemfarm.training.promotion import decide, is_gated, next_steps
from producer.evaluation import is_measured, measure, plan_adapter_evaluation, unfinished_rows

log = structlog.get_logger()
_UNTRAINED_MODEL = ""  #: as `Evaluation.adapter_id` has it


def let_gates_decide(database: Database, run: Run, config: RunConfig, phase: Phase) -> bool:
    """One step for a phase whose adapter waits for its gates; True when that was decided now."""
    assert run.id is not None
    adapter = _adapter(database, phase)
    if not is_gated(run, phase) or config.evaluate is None:  # the run file was changed meanwhile
        return _decide(database, phase, GateOutcome.PASSED, {}, note="no gates are asked any more")
    if not is_measured(database, run.id, adapter):
        if not plan_adapter_evaluation(database, run.id, adapter):
            return _decide(database, phase, GateOutcome.HELD, {}, note="there is nothing that it could be asked")
        log.info("the adapter is measured", run=run.name, phase=phase.name, adapter=adapter)
        return False
    if unfinished_rows(database, run.id, None) or unfinished_rows(database, run.id, adapter):
        return False
    rows = measure(database, run.id, config.evaluate.scorer)
    gates = next(one.gate_after for one in config.phases if one.name == phase.name)
    judgement = judge_rows(gates or GateAfterConfig(), config.evaluate, rows, adapter)
    return _decide(database, phase, judgement.outcome, judgement.to_dict(), said=_told(run, phase, adapter, judgement))


def judge_rows(gates: GateAfterConfig, evaluate: EvaluateConfig, rows: Iterable[Evaluation], adapter: str) -> Judgement:
    """Gates over the rows that `producer.evaluation.measure` gives."""
    found = {(row.adapter_id, row.condition, row.split): row for row in rows}
    split = Split.HELD_OUT if gates.over == "held_out" else Split.ALL
    base, tuned = (_measured(found, evaluate, model, split) for model in (_UNTRAINED_MODEL, adapter))
    return judge(gates, base, tuned)


def why_blocked(database: Database, run: Run, phase: Phase) -> str:
    """Why a phase's adapter is not promoted, and what to do: the reason with which its run ends."""
    with database.read() as connection, Session(bind=connection) as session:
        decision = newest_decision(session, phase.id)
    said = f": {decision.text}" if decision else ""
    back = "Rolled back: " if phase.state == PhaseState.REJECTED else ""
    return f"phase {phase.name} is {phase.state}{said}. {back}{_stays(run)} {next_steps(run, phase)}"


def _stays(run: Run) -> str:
    return f"{run.promoted} stays promoted." if run.promoted else "Nothing is promoted yet."


def _measured(
    found: Mapping[tuple[str, str, str], Evaluation], evaluate: EvaluateConfig, model: str, split: Split
) -> Measured:
    bare = next(name for name, kernel in evaluate.conditions.items() if kernel is None)
    kernels = {
        name: _figures(found.get((model, name, split))) for name, kernel in evaluate.conditions.items() if kernel
    }
    return Measured(
        bare=_figures(found.get((model, bare, split))),
        kernels=kernels,
        every_probe=_figures(found.get((model, bare, Split.ALL))).by_probe,
    )


def _figures(row: Evaluation | None) -> Figures:
    if row is None:
        return Figures({})
    return Figures(row.details["by_probe"], row.details["degenerate"], row.details["missing"])


def _adapter(database: Database, phase: Phase) -> str:
    with database.read() as connection, Session(bind=connection) as session:
        stage = newest_stage(session, phase.id)
        assert stage is not None and stage.adapter_id is not None
        return stage.adapter_id


def _told(run: Run, phase: Phase, adapter: str, judgement: Judgement) -> str:
    decision = Decision(adapter, judgement.outcome, details=judgement.to_dict())
    return f"phase {phase.name}: {decision.text}. {_stays(run)}"


def _decide(
    database: Database,
    phase: Phase,
    outcome: GateOutcome,
    details: Mapping[str, object],
    *,
    said: str = "",
    note: str = "",
) -> bool:
    assert phase.id is not None
    decided = decide(database, phase.id, outcome, details, said=said, note=note)
    if decided:
        log.info("the gates decided", phase=phase.name, outcome=str(outcome), said=said or note)
    return decided
