"""A reviewer's decisions, as they are stored: each in one transaction with what follows from it for the sample.

What the gates said of an answer is said again with every decision, because an edited answer is another text. After it
the farm goes on by itself: what a rejected answer leaves missing is wanted again, and a run that waited for reviewers
goes on when they are through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, text
from sqlmodel import Session

from lemfarm.config import PhaseConfig, config_from_data
from lemfarm.curation.review import with_review
from lemfarm.curation.review_words import words_of
from lemfarm.curation.settling import settle_sample, take_turn
from lemfarm.database import Database, decoded, prepared
from lemfarm.engines.base import FinishReason
from lemfarm.errors import InputError
from lemfarm.gates import Answer, Outcome, Verdict, gate_hash, judge, required_scorers
from lemfarm.ledger import Ledger
from lemfarm.records import UNTRAINED, Phase, ReviewDecision, Run, RunState
from lemfarm.text_files import storable
from lemfarm.work import NewVerdict, ScoredBy
from producer.quotas import want_again
from producer.score_tasks import score_task
from producer.standing import read_standing
from producer.text_scores import task_of, versions_of


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer decides on the text of an answer. `content`: an edited answer as it shall be; `settles`: it
    counts alone; `source`: the file it was imported from."""

    sample_id: str
    text_id: int
    reviewer: str
    decision: ReviewDecision
    note: str = ""
    content: str | None = None
    settles: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """How the answer stands now, and what else is worth a word. `woken`: the run had ended and goes on."""

    sample_id: str
    decision: str
    outcome: str
    reason: str
    notes: tuple[str, ...] = ()
    woken: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """A sample with its newest text, and the rules of its phase."""

    row: Any
    phase: PhaseConfig
    phase_state: str

    @property
    def is_trained(self) -> bool:
        return self.phase_state not in UNTRAINED


def decide(database: Database, decision: Decision) -> Decided:
    """Store a decision and judge the answer again. Raises InputError for a sample or text that cannot be reviewed, and
    for an edited answer that is empty; DatabaseDown, NoSpace."""
    case = _case(database, decision.sample_id)
    decision = _as_meant(case, decision)
    scores = _scores_of(case, decision.content) if decision.content is not None else []
    was_due = _is_due(database, case)
    with database.write(durable=True) as connection:
        edited = None
        if decision.content is not None:
            edited = _add_text(connection, database, case.row.id, storable(decision.content))
        _add_word(connection, database, decision, edited)
        verdict = _judge_again(connection, database, case, edited, scores)
    return _go_on(database, case, str(decision.decision), verdict, was_due)


def take_back(database: Database, run_id: int, reviewer: str) -> Decided | None:
    """Undo the reviewer's last decision in a run; None when there is none. An edited answer gets the text back that was
    edited, as a further revision."""
    with database.read() as connection:
        last = connection.execute(prepared(_LAST_WORD), {"run": run_id, "reviewer": reviewer}).one_or_none()
    if last is None:
        return None
    case = _case(database, last.sample_id)
    was_due = _is_due(database, case)
    with database.write(durable=True) as connection:
        undo = f"UPDATE review SET undone = {database.now} WHERE id = :id AND undone IS NULL"
        connection.execute(prepared(undo), {"id": last.id})
        restored = None
        if last.edited_text_id is not None and last.edited_text_id == case.row.text_id:
            restored = _restore(connection, database, case.row.id, last.text_id)
        verdict = _judge_again(connection, database, case, restored)
    return _go_on(database, case, str(last.decision), verdict, was_due)


def _as_meant(case: _Case, decision: Decision) -> Decision:
    """An edit that changed nothing is an acceptance."""
    if decision.decision != ReviewDecision.EDIT:
        return decision
    content = (decision.content or "").strip()
    if not content:
        raise InputError(f"sample {decision.sample_id}: the edited answer is empty. Reject it instead.")
    if content == case.row.content.strip():
        return replace(decision, decision=ReviewDecision.ACCEPT, content=None)
    return decision


def _case(database: Database, sample_id: str) -> _Case:
    with database.read() as connection, Session(bind=connection) as session:
        row = connection.execute(prepared(_CASE), {"sample": sample_id}).one_or_none()
        if row is None:
            raise InputError(f"sample {sample_id} has no answer that can be reviewed: it is not done, or superseded.")
        phase, config = session.get_one(Phase, row.phase_id), config_from_data(session.get_one(Run, row.run_id).config)
        mine = next((one for one in config.phases if one.name == phase.name), None)
        if mine is None:
            raise InputError(f"sample {sample_id} is of phase {phase.name}, which left the run file.")
        return _Case(row, mine, phase.state)


def _scores_of(case: _Case, content: str) -> list[ScoredBy]:
    """What the gates' scorers give an edited answer; one that is absent or fails leaves it held, as when it was new."""
    edited = _Edited(content, case.row.messages, case.row.fields)
    found = [score_task(task_of(edited, 0, name)) for name in required_scorers(case.phase.gates)]
    return [one.score for one in found if one.score is not None]


@dataclass(frozen=True, slots=True)
class _Edited:
    content: str
    messages: Any
    fields: Any


def _add_text(connection: Connection, database: Database, sample_id: str, content: str) -> int:
    newest = prepared("SELECT max(revision) FROM text WHERE sample_id = :sample")
    revision = connection.execute(newest, {"sample": sample_id}).scalar_one() + 1
    statement = f"""INSERT INTO text (sample_id, revision, content, thoughts, token_ids, created)
        VALUES (:sample, :revision, :content, '', :none, {database.now}) RETURNING id"""
    values = {"sample": sample_id, "revision": revision, "content": content, "none": b""}
    return int(connection.execute(prepared(statement), values).scalar_one())


def _restore(connection: Connection, database: Database, sample_id: str, text_id: int) -> int:
    """The text as it was, with its scores, as the newest revision."""
    content = connection.execute(prepared("SELECT content FROM text WHERE id = :id"), {"id": text_id}).scalar_one()
    fresh = _add_text(connection, database, sample_id, content)
    copied = """INSERT INTO score (text_id, scorer, version, value, signals, created)
        SELECT :fresh, scorer, version, value, signals, created FROM score WHERE text_id = :old"""
    connection.execute(prepared(copied), {"fresh": fresh, "old": text_id})
    return fresh


def _add_word(connection: Connection, database: Database, decision: Decision, edited: int | None) -> None:
    statement = f"""INSERT INTO review
        (sample_id, text_id, reviewer, decision, note, settles, edited_text_id, source, created)
        VALUES (:sample_id, :text_id, :reviewer, :decision, :note, :settles, :edited, :source, {database.now})"""
    values = {name: getattr(decision, name) for name in ("sample_id", "text_id", "settles", "source")}
    values |= {"decision": str(decision.decision), "edited": edited}
    values |= {"reviewer": storable(decision.reviewer), "note": storable(decision.note)}
    connection.execute(prepared(statement), values)


def _judge_again(
    connection: Connection,
    database: Database,
    case: _Case,
    text_id: int | None,
    scores: Sequence[ScoredBy] = (),
) -> Verdict:
    """By the gates, the reviewers and its twins, on the newest text; `text_id` and `scores` where that is new."""
    gates, ledger = case.phase.gates, Ledger(database)
    ledger.add_scores(connection, [(text_id, score) for score in scores if text_id is not None])
    newest = connection.execute(prepared(_NEWEST), {"sample": case.row.id}).one()
    finish = FinishReason(decoded(case.row.generation)["finish_reason"])
    by_gates = judge(gates, Answer(newest.content, finish, _values(connection, newest.id, case.phase)))
    words = words_of(connection, [case.row.id]).get(case.row.id, ())
    verdict = with_review(by_gates, case.row.id, case.phase.review, words)
    hashed = gate_hash(gates, case.phase.review)
    new = NewVerdict(case.row.id, newest.id, hashed, str(verdict.outcome), storable(verdict.reason))
    take_turn(database, connection, case.row.run_id)
    ledger.judge(connection, [new])
    settle_sample(ledger, connection, case.row.id)
    standing = connection.execute(prepared(_STANDING), {"sample": case.row.id}).one()
    return Verdict(Outcome(standing.outcome), standing.reason)


def _values(connection: Connection, text_id: int, phase: PhaseConfig) -> Mapping[str, float]:
    versions, _ = versions_of(required_scorers(phase.gates))
    rows = connection.execute(prepared("SELECT scorer, version, value FROM score WHERE text_id = :id"), {"id": text_id})
    return {row.scorer: row.value for row in rows if versions.get(row.scorer) == row.version}


def _go_on(database: Database, case: _Case, decision: str, verdict: Verdict, was_due: bool) -> Decided:
    """Want again what is missing now, and let a run go on that waited for this."""
    notes: tuple[str, ...] = ()
    if case.is_trained and case.row.outcome == Outcome.ACCEPTED and verdict.outcome != Outcome.ACCEPTED:
        notes = (_TRAINED.format(phase=case.phase.name),)
    elif verdict.outcome == Outcome.REJECTED and not case.is_trained:
        want_again(Ledger(database), case.row.run_id, case.row.phase_id, case.phase)
    woken = was_due and not _is_due(database, case) and _wake(database, case.row.run_id)
    return Decided(case.row.id, decision, str(verdict.outcome), verdict.reason, notes, woken)


def _is_due(database: Database, case: _Case) -> bool:
    """Whether its phase waits for reviewers."""
    if case.is_trained or not case.phase.review.share:
        return False
    return read_standing(database, case.row.phase_id).reviews_due(case.phase.quota, case.phase.review) > 0


def _wake(database: Database, run_id: int) -> bool:
    with database.write() as connection:
        statement = f"""UPDATE run SET state = '{RunState.ACTIVE}', reason = '', activated = {database.now},
            finished = NULL WHERE id = :run AND state = '{RunState.HELD}'"""
        return connection.execute(text(statement), {"run": run_id}).rowcount > 0


_TRAINED = (
    "phase {phase} is trained already: if it was trained on this answer, its adapter stays as it is. Training that "
    "phase again leaves the answer out."
)
_STANDING = "SELECT outcome, reason FROM sample WHERE id = :sample"
_NEWEST = "SELECT id, content FROM text WHERE sample_id = :sample ORDER BY revision DESC LIMIT 1"
_CASE = """SELECT s.id, s.run_id, s.phase_id, s.outcome, t.id AS text_id, t.content, v.messages, p.fields, a.generation
    FROM sample s JOIN variant v ON v.id = s.variant_id JOIN probe p ON p.id = s.probe_id
    JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
    JOIN text t ON t.sample_id = s.id
        AND t.revision = (SELECT max(x.revision) FROM text x WHERE x.sample_id = s.id)
    WHERE s.id = :sample AND s.state = 'done' AND s.purpose = 'distil' AND NOT s.superseded"""
_LAST_WORD = """SELECT r.id, r.sample_id, r.text_id, r.decision, r.edited_text_id FROM review r
    JOIN sample s ON s.id = r.sample_id
    WHERE s.run_id = :run AND r.reviewer = :reviewer AND r.undone IS NULL ORDER BY r.id DESC LIMIT 1"""
