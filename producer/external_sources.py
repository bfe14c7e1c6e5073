"""What answers from elsewhere are matched with, the questions of a phase, and what other runs have answered to them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from lemfarm.curation.external import run_source
from lemfarm.curation.external_files import FoundAnswer
from lemfarm.curation.external_questions import Question, Questions
from lemfarm.database import Database, decoded, prepared
from lemfarm.dialogue import Message
from lemfarm.engines.base import FinishReason
from lemfarm.probes import Probe
from lemfarm.records import Outcome
from lemfarm.runs import find_run
from producer.course import probe_key, variant_key
from producer.external_judging import PAGE


def phase_questions(database: Database, phase_id: int) -> Questions:
    """Every wording that a phase asks in order to train on the answers; none of a probe that is held out."""
    with database.read() as connection:
        rows = connection.execute(prepared(_QUESTIONS), {"phase": phase_id}).all()
    return Questions(
        Question(row.id, row.probe_id, row.name, row.position, _turns(row.messages), decoded(row.fields))
        for row in rows
    )


def probe_questions(probes: Iterable[Probe]) -> Questions:
    """The same before a run is planned, from its probe files."""
    wordings = ((probe, variant) for probe in probes for variant in probe.variants)
    return Questions(
        Question(variant_key(probe.id, one), probe_key(probe.id), probe.id, one.position, one.messages, probe.fields)
        for probe, one in wordings
    )


def answers_of_run(database: Database, name: str, phase_id: int) -> Iterator[FoundAnswer]:
    """What another run has accepted to wordings that this phase asks; a wording is the same when its content is."""
    row = find_run(database, name)
    model = row.config.get("model", {})
    after = ""
    while True:
        values = {"run": row.id, "phase": phase_id, "after": after, "page": PAGE, "accepted": Outcome.ACCEPTED}
        with database.read() as connection:
            rows = connection.execute(prepared(_ACCEPTED), values).all()
        for one in rows:
            source, told = run_source(name, one.id), {"model": str(model.get("path") or model.get("model") or "")}
            if one.finished:
                told["date"] = datetime.fromtimestamp(one.finished, UTC).date().isoformat()
            finish = FinishReason(decoded(one.generation)["finish_reason"])
            turns = _turns(one.messages)
            yield FoundAnswer(source, source, one.content, one.name, one.position, turns, finish, told)
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def _turns(messages: object) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in decoded(messages))


_QUESTIONS = """SELECT v.id, v.probe_id, p.name, v.position, v.messages, p.fields FROM (
        SELECT DISTINCT variant_id FROM sample WHERE phase_id = :phase AND purpose = 'distil' AND NOT superseded
    ) AS asked JOIN variant v ON v.id = asked.variant_id JOIN probe p ON p.id = v.probe_id
    ORDER BY p.name, v.position, v.id"""
_ACCEPTED = """SELECT s.id, s.finished, p.name, v.position, v.messages, t.content, a.generation FROM sample s
    JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id
    JOIN text t ON t.sample_id = s.id AND t.revision = (SELECT max(revision) FROM text WHERE text.sample_id = s.id)
    JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
    WHERE s.run_id = :run AND s.purpose = 'distil' AND NOT s.superseded AND s.state = 'done' AND s.outcome = :accepted
    AND s.id > :after AND s.variant_id IN (SELECT variant_id FROM sample WHERE phase_id = :phase
        AND purpose = 'distil' AND NOT superseded) ORDER BY s.id LIMIT :page"""
