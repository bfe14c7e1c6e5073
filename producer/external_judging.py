"""What the gates of a phase say of answers from elsewhere: the same scorers and gates as for samples.

An external answer is no sample: nobody reviews it, it counts for no quota, and the ledger knows nothing of it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from lemfarm.config import Gate, PhaseConfig
from lemfarm.curation.duplicates import DUPLICATE
from lemfarm.curation.settling import take_turn
from lemfarm.database import Database, decoded, prepared
from lemfarm.engines.base import FinishReason
from lemfarm.gates import NO_SCORE, Answer, Outcome, Verdict, duplicates_gate, gate_hash, judge, required_scorers
from producer.score_tasks import score_task
from producer.text_scores import task_of, versions_of

log = structlog.get_logger()
PAGE = 200
"""Answers that are read, judged and written at once."""

FINISH_REASON = "finish_reason"
"""Under which an answer's provenance keeps how it ended; left out: its model ended it."""


@dataclass(frozen=True, slots=True)
class ExternalText:
    """An answer as scorers and gates look at it: its text, the `messages` of its wording, the `fields` of its probe."""

    content: str
    messages: Any
    fields: Any
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JudgedExternal:
    """Scores as they are stored, by scorer, and what the gates say."""

    scores: Mapping[str, Mapping[str, Any]]
    verdict: Verdict


def judge_external(gates: Sequence[Gate], answer: ExternalText, known: Mapping[str, Any]) -> JudgedExternal:
    """Score an answer where no score of the scorer's present version is `known`, and judge it. A score that cannot be
    had leaves it held, as it does a sample."""
    names = required_scorers(gates)
    versions, _ = versions_of(names)
    scores = {name: dict(found) for name, found in known.items()}
    for name in names:
        if name in versions and scores.get(name, {}).get("version") != versions[name]:
            scores.pop(name, None)
            if found := score_task(task_of(answer, 0, name)).score:
                scores[name] = {"version": found.version, "value": found.value, "signals": dict(found.signals)}
    values = {name: float(scores[name]["value"]) for name in names if name in scores}
    finish = FinishReason(answer.provenance.get(FINISH_REASON, FinishReason.STOP))
    return JudgedExternal(scores, judge(gates, Answer(answer.content, finish, values)))


def rejudge_external(database: Database, phase_id: int, config: PhaseConfig) -> int:
    """Judge again what older gates judged, or what waits for a score; returns how many have another verdict. Who is
    whose duplicate is settled by `curation.settling` after it. Killed anywhere and done again, it goes on."""
    hashed, after, changed = gate_hash(config.gates), 0, 0
    while True:
        values = {"phase": phase_id, "gates": hashed, "after": after, "page": PAGE}
        with database.read() as connection:
            rows = connection.execute(prepared(_DUE), values).all()
        found = [(row, judge_external(config.gates, _text_of(row), decoded(row.scores))) for row in rows]
        if found:
            with database.write() as connection:
                take_turn(database, connection, rows[0].run_id)
                changed += sum(_write(connection, row, judged, config.gates, hashed) for row, judged in found)
        if len(rows) < PAGE:
            break
        after = rows[-1].id
    if changed:
        log.info("external answers judged again", phase=config.name, changed=changed)
    return changed


def _text_of(row: Any) -> ExternalText:
    return ExternalText(row.content, row.messages, row.fields, decoded(row.provenance))


def _write(connection: Connection, row: Any, judged: JudgedExternal, gates: Sequence[Gate], hashed: str) -> bool:
    """Who has a twin keeps that verdict until the run is settled."""
    verdict, is_twin = judged.verdict, row.reason.startswith(DUPLICATE)
    if is_twin and verdict.outcome == Outcome.ACCEPTED and duplicates_gate(gates) is not None:
        verdict = Verdict(Outcome.REJECTED, row.reason)
    said = {"outcome": str(verdict.outcome), "reason": verdict.reason}
    values = {"id": row.id, "gates": hashed, "scores": json.dumps(judged.scores), **said}
    connection.execute(prepared(_UPDATE), values)
    return (row.outcome, row.reason) != (said["outcome"], said["reason"])


_DUE = f"""SELECT e.id, e.run_id, e.content, e.scores, e.provenance, e.outcome, e.reason, v.messages, p.fields
    FROM external_answer e JOIN variant v ON v.id = e.variant_id JOIN probe p ON p.id = e.probe_id
    WHERE e.phase_id = :phase AND e.id > :after AND (e.gate_hash <> :gates OR e.reason LIKE '{NO_SCORE}%')
    ORDER BY e.id LIMIT :page"""
_UPDATE = """UPDATE external_answer SET scores = :scores, gate_hash = :gates, outcome = :outcome, reason = :reason
    WHERE id = :id"""
