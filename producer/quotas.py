"""Quotas: what a full phase or probe no longer needs, what a raised quota needs again, and when a phase has ended."""

import json
from collections.abc import Iterator
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig, config_from_data
from lemfarm.database import Database, prepared
from lemfarm.engines.base import FinishReason
from lemfarm.gates import Answer as Judged
from lemfarm.gates import gate_hash, judge, required_scorers
from lemfarm.ledger import Ledger
from lemfarm.records import Phase, PhaseState, Run
from producer.scores import score_text
from producer.standing import Standing, read_standing

QUOTA = "quota full"
PROBE = "probe has its share"
TRAINED = "phase is trained"
BATCH = 500


def close_what_is_full(ledger: Ledger, phase: Phase, config: PhaseConfig, standing: Standing) -> PhaseState:
    """Skip pending samples that are not needed and say how the phase stands now."""
    assert phase.id is not None
    quota = config.quota
    full = standing.accepted(quota) >= quota.accepted
    if full and quota.stop_when_full:
        if standing.pending:
            ledger.skip(phase.id, QUOTA)
        return PhaseState.FULL
    if quota.stop_when_full:
        _skip_capped(ledger, phase.id, config, standing)
    if standing.pending or standing.leased:
        return PhaseState.OPEN
    return PhaseState.FULL if full else PhaseState.EXHAUSTED


def _skip_capped(ledger: Ledger, phase_id: int, config: PhaseConfig, standing: Standing) -> None:
    waiting = {cell.probe for cell in standing.cells if cell.pending or cell.in_flight}
    for probe in standing.capped(config.quota):
        if probe in waiting:
            ledger.skip(phase_id, PROBE, probe_id=probe)


def reopen(database: Database, run_id: int) -> None:
    """After a change of configuration: judge again where gates changed, and want again what is needed again."""
    ledger = Ledger(database)
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        config = config_from_data(session.get_one(Run, run_id).config)
        phases = session.exec(select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False))).all()
    for phase in phases:
        assert phase.id is not None
        phase_config = next(one for one in config.phases if one.name == phase.name)
        rejudge(database, phase.id, phase_config)
        if phase.state == PhaseState.TRAINED:
            ledger.skip(phase.id, TRAINED)
        else:
            want_again(ledger, run_id, phase.id, phase_config)


def want_again(ledger: Ledger, run_id: int, phase_id: int, config: PhaseConfig) -> None:
    """Take back what was skipped for a quota that is not full any more."""
    standing = read_standing(ledger.database, phase_id)
    if standing.accepted(config.quota) >= config.quota.accepted and config.quota.stop_when_full:
        return
    ledger.unskip(run_id, QUOTA, phase_id=phase_id)
    ledger.unskip(run_id, PROBE, phase_id=phase_id)


def rejudge(database: Database, phase_id: int, config: PhaseConfig) -> int:
    """Give every done sample whose last verdict came from other gates a new one, from its stored text and scores.
    Scores that are missing are computed; nothing is generated. Returns how many were judged again."""
    ledger = Ledger(database)
    wanted = gate_hash(config.gates)
    judged = 0
    for sample_id, text_id, prompt, content, finish in _judged_by_others(database, phase_id, wanted):
        scores = score_text(ledger, text_id, prompt, content, required_scorers(config.gates))
        verdict = judge(config.gates, Judged(content, FinishReason(finish), scores))
        ledger.judge(sample_id, text_id, wanted, str(verdict.outcome), verdict.reason)
        judged += 1
    return judged


def _judged_by_others(database: Database, phase_id: int, gates: str) -> Iterator[tuple[str, int, str, str, str]]:
    """Sample, text, prompt, answer, finish reason; read in batches, since all answers of a run are a lot of memory."""
    values = {"phase": phase_id, "gates": gates, "after": "", "batch": BATCH}
    while True:
        with database.read() as connection:
            rows = connection.execute(prepared(_JUDGED_BY_OTHERS), values).all()
        for r in rows:
            yield r.id, r.text_id, _prompt(r.messages), r.content, _decoded(r.generation)["finish_reason"]
        if len(rows) < BATCH:
            return
        values["after"] = rows[-1].id


# Only done samples have a text, so their state need not be asked for: an index on it would be the wrong one to take.
_JUDGED_BY_OTHERS = """SELECT s.id, t.id AS text_id, v.messages, t.content, a.generation FROM sample s
    JOIN variant v ON v.id = s.variant_id
    JOIN text t ON t.sample_id = s.id AND t.revision = (SELECT max(revision) FROM text WHERE text.sample_id = s.id)
    JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
    WHERE s.phase_id = :phase AND s.purpose = 'distil' AND NOT s.superseded AND s.id > :after
    AND (SELECT gate_hash FROM verdict WHERE verdict.sample_id = s.id ORDER BY verdict.id DESC LIMIT 1) <> :gates
    ORDER BY s.id LIMIT :batch"""


def _prompt(messages: object) -> str:
    return str(_decoded(messages)[-1]["content"])


def _decoded(value: object) -> Any:
    return json.loads(value) if isinstance(value, str) else value
