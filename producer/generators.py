"""Which model answers a phase with `generate_with: promoted`: the adapter that is promoted when the phase's turn comes.

Its turn comes when every phase before it that trains has its adapter promoted. The adapter is then fixed in the phase's
row, and stays, wherever the pointer moves later. Until then the phase's samples stand in the plan as the base model's
would, and none of them is sent.
"""

from collections.abc import Sequence

import structlog
from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig, RunConfig
from lemfarm.database import Database
from lemfarm.ledger import Ledger
from lemfarm.records import UNTRAINED, Phase, PhaseState, Purpose, Run, Sample
from producer.asked import asked_of, planned_row

log = structlog.get_logger()
PROMOTED = "promoted"


def is_unfixed(phase: Phase, config: PhaseConfig) -> bool:
    """Whether a phase waits for its model: nothing of it is sent."""
    return config.generate_with == PROMOTED and phase.generator is None and phase.state in UNTRAINED


def fixed_adapters(database: Database, run_id: int) -> dict[str, str]:
    """The adapters that answer phases, by the phase's name; a phase of the base model is not among them."""
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Phase.name, Phase.generator).where(Phase.run_id == run_id, col(Phase.generator).is_not(None))
        return {name: adapter for name, adapter in session.exec(query) if adapter}


def settle_generators(ledger: Ledger, run: Run, config: RunConfig) -> None:
    """Fix the model of each phase whose turn has come, and let its samples follow; again, it changes nothing."""
    if all(phase.generate_with != PROMOTED for phase in config.phases):
        return
    phases, before = _phases(ledger.database, run), list[Phase]()
    for one in config.phases:
        phase = phases.get(one.name)
        if phase is None:
            continue
        if one.generate_with == PROMOTED and phase.state in UNTRAINED:
            _settle(ledger, run, phase, before)
        if one.train:
            before.append(phase)


def _settle(ledger: Ledger, run: Run, phase: Phase, before: Sequence[Phase]) -> None:
    if phase.generator is None:
        phase.generator = _fix(ledger.database, phase, before)
    if phase.generator is not None:
        _follow(ledger, run, phase, phase.generator or None)


def _phases(database: Database, run: Run) -> dict[str, Phase]:
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False))
        return {phase.name: phase for phase in session.exec(query)}


def _fix(database: Database, phase: Phase, before: Sequence[Phase]) -> str | None:
    """Take what is promoted now, unless a phase before this one is not through; one statement, so that nobody moves the
    pointer in between."""
    if any(one.state != PhaseState.TRAINED for one in before):
        return None
    statement = text(
        """UPDATE phase SET generator = coalesce((SELECT promoted FROM run WHERE run.id = phase.run_id), '')
           WHERE id = :id AND generator IS NULL
           AND NOT EXISTS (SELECT 1 FROM phase earlier WHERE earlier.id IN :before AND earlier.state <> 'trained')
           RETURNING generator"""
    ).bindparams(bindparam("before", expanding=True))
    with database.write() as connection:
        values = {"id": phase.id, "before": [one.id for one in before]}
        found: str | None = connection.execute(statement, values).scalar_one_or_none()
    if found is not None:
        log.info("a phase's model is fixed", phase=phase.name, adapter=found or None)
    return found


def _follow(ledger: Ledger, run: Run, phase: Phase, adapter: str | None) -> None:
    """Put the phase's samples to its model, where a plan or a death left them with another one."""
    assert run.id is not None
    place = (Sample.run_id == run.id, Sample.phase_id == phase.id)
    of_phase = (*place, Sample.purpose == Purpose.DISTIL, col(Sample.superseded).is_(False))
    with ledger.database.read() as connection, Session(bind=connection) as session:
        strays = select(Sample.id).where(*of_phase, col(Sample.adapter_id).is_distinct_from(adapter)).limit(1)
        if session.exec(strays).first() is None:
            return
        rows = [planned_row(row) for row in session.exec(select(Sample).where(*of_phase))]
        asked = asked_of(session, run, phase.name, rows, adapter)
    ledger.plan(run.id, Purpose.DISTIL, asked, phase_id=phase.id)
    ledger.drop(row.id for row in rows if row.adapter_id != adapter)
    log.info("a phase's samples are put to its model", phase=phase.name, adapter=adapter, samples=len(asked))
