"""Answers from elsewhere come into a run: found in files and in other runs, matched with its questions, judged, stored.

Whatever was imported once is known by phase, wording and text, so the same import again adds nothing, and one that was
killed goes on.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig, RunConfig, config_from_data
from lemfarm.curation.contenders import TRAINED_ON
from lemfarm.curation.external_files import FoundAnswer, read_answers
from lemfarm.curation.external_questions import Question, Questions
from lemfarm.curation.settling import settle_run
from lemfarm.database import Database, prepared
from lemfarm.engines.base import FinishReason
from lemfarm.errors import InputError
from lemfarm.gates import gate_hash
from lemfarm.identity import content_hash
from lemfarm.json_entries import Fault
from lemfarm.records import Phase, Run
from lemfarm.runs import find_run
from producer.external_judging import FINISH_REASON, PAGE, ExternalText, judge_external
from producer.external_sources import answers_of_run, phase_questions

log = structlog.get_logger()
PROBLEMS_KEPT = 20
"""Of each source: a wrong file has the same problem on every line."""


@dataclass(slots=True)
class ImportedAnswers:
    """What became of one file or run in one phase. `added` were new; `outcomes` says what the gates said of them, not
    yet looking for duplicates; `known` had come before; `unmatched` answer no question of the phase; `bad` are lines
    without an answer. `problems` names the first of these two as `file:line: why`."""

    phase: str
    source: str
    added: int = 0
    known: int = 0
    unmatched: int = 0
    bad: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """Lines that could not be taken."""
        return self.unmatched + self.bad

    @property
    def text(self) -> str:
        """In words."""
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        new = f"{self.added:,} new ({outcomes})" if self.added else "nothing new"
        return f"{self.source}: {new}, {self.known:,} known, {self.unmatched:,} without a question, {self.bad:,} bad"

    def refuse(self, problem: str) -> None:
        """Note what could not be taken."""
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class _Target:
    """The phase that answers are imported into."""

    run_id: int
    phase_id: int
    config: PhaseConfig


@dataclass(frozen=True, slots=True)
class _Matched:
    answer: FoundAnswer
    question: Question

    @property
    def key(self) -> tuple[str, str]:
        return self.question.variant_id, content_hash(self.answer.content)


def import_files(
    database: Database, run: str | None, phase: str | None, files: Sequence[Path]
) -> tuple[ImportedAnswers, ...]:
    """Read the answers of files into a phase of a run, which may be left out where there is only one.

    Raises InputError for a file that cannot be read, before any is imported, and for a phase that has been trained;
    NotFound, Unavailable.
    """
    row = find_run(database, run)
    target = _target(database, row, phase)
    for path in files:
        _open(path)
    found = tuple(_take(database, target, str(path), read_answers(path)) for path in files)
    settle_run(database, target.run_id)
    return found


def require_sources(database: Database, config: RunConfig) -> None:
    """Refuse a run file that names a run which is not there. Raises InputError; its files were found as it was read."""
    for number, phase in enumerate(config.phases):
        for name in phase.external.runs:
            place = f"phases.{number}.external.runs"
            if name == config.run:
                raise InputError(f"{place}: {name} is this run itself, whose answers are its own")
            try:
                find_run(database, name)
            except InputError as error:
                raise InputError(f"{place}: {error}") from error


def import_configured(database: Database, run_id: int, *, files: bool) -> tuple[ImportedAnswers, ...]:
    """Take what the configuration of a run names, into phases that are not trained yet. Without `files` only what other
    runs have accepted since. Who is whose duplicate is left to `settle_run`. What could not be taken is logged."""
    found: list[ImportedAnswers] = []
    for target in _untrained(database, run_id):
        config = target.config
        for path in config.external.files if files else ():
            found.append(_take(database, target, str(path), read_answers(path)))
        for name in config.external.runs:
            found.append(_take(database, target, f"run {name}", answers_of_run(database, name, target.phase_id)))
    for imported in found:
        _log(imported)
    return tuple(found)


def _take(database: Database, target: _Target, source: str, found: Iterable[FoundAnswer | Fault]) -> ImportedAnswers:
    imported = ImportedAnswers(target.config.name, source)
    questions = phase_questions(database, target.phase_id)
    matched = _matched(found, questions, imported)
    while page := list(islice(matched, PAGE)):
        _store(database, target, page, imported)
    return imported


def _matched(
    found: Iterable[FoundAnswer | Fault], questions: Questions, imported: ImportedAnswers
) -> Iterator[_Matched]:
    for one in found:
        if isinstance(one, Fault):
            imported.bad += 1
            imported.refuse(f"{one.place}: {one.reason}")
            continue
        try:
            yield _Matched(one, questions.find(one))
        except InputError as error:
            imported.unmatched += 1
            imported.refuse(f"{one.place}: {error}")


def _store(database: Database, target: _Target, page: Sequence[_Matched], imported: ImportedAnswers) -> None:
    """Judge and write what is new of a page; the same text to the same wording counts once."""
    known = _known(database, target.phase_id, page)
    fresh = {one.key: one for one in page if one.key not in known}
    rows = [_row(database, target, one) for one in fresh.values()]
    added = 0
    if rows:
        with database.write() as connection:
            for row in rows:
                if connection.execute(prepared(_INSERT), row).scalar_one_or_none() is not None:
                    added += 1
                    imported.outcomes[row["outcome"]] = imported.outcomes.get(row["outcome"], 0) + 1
    imported.added += added
    imported.known += len(page) - added


def _known(database: Database, phase_id: int, page: Sequence[_Matched]) -> set[tuple[str, str]]:
    values = {"phase": phase_id, "hashes": [one.key[1] for one in page]}
    with database.read() as connection:
        return {(row.variant_id, row.content_hash) for row in connection.execute(_KNOWN, values)}


def _row(database: Database, target: _Target, one: _Matched) -> dict[str, Any]:
    answer, question = one.answer, one.question
    provenance = dict(answer.provenance)
    if answer.finish_reason is not FinishReason.STOP:
        provenance[FINISH_REASON] = str(answer.finish_reason)
    messages = [{"role": turn.role, "content": turn.content} for turn in question.turns]
    looked_at = ExternalText(answer.content, messages, question.fields, provenance)
    judged = judge_external(target.config.gates, looked_at, {})
    return {
        "run": target.run_id,
        "phase": target.phase_id,
        "probe": question.probe_id,
        "variant": question.variant_id,
        "source": answer.source,
        "content": answer.content,
        "hash": one.key[1],
        "provenance": json.dumps(provenance),
        "scores": json.dumps(judged.scores),
        "gates": gate_hash(target.config.gates),
        "outcome": str(judged.verdict.outcome),
        "reason": judged.verdict.reason,
        "created": database.clock(),
    }


def _target(database: Database, run: Run, name: str | None) -> _Target:
    """Raises InputError for a phase that is not there, is trained, or has to be named."""
    config = config_from_data(run.config)
    configs = {phase.name: phase for phase in config.phases}
    if name is None and len(configs) > 1:
        raise InputError(f"run {run.name} has several phases: say which with --phase, one of {', '.join(configs)}")
    wanted = name if name is not None else config.phases[0].name
    if wanted not in configs:
        raise InputError(f"there is no phase {wanted!r} in run {run.name}; it has {', '.join(configs)}")
    with database.read() as connection, Session(bind=connection) as session:
        row = session.exec(select(Phase).where(Phase.run_id == run.id, Phase.name == wanted)).one()
        if row.state in TRAINED_ON:
            raise InputError(f"phase {wanted} of run {run.name} is {row.state}: what it trained on stays as it is.")
        assert run.id is not None and row.id is not None
        return _Target(run.id, row.id, configs[wanted])


def _untrained(database: Database, run_id: int) -> list[_Target]:
    with database.read() as connection, Session(bind=connection) as session:
        config = config_from_data(session.get_one(Run, run_id).config)
        query = select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False))
        phases = {row.name: row.id for row in session.exec(query) if row.state not in TRAINED_ON}
    found = [(phases.get(one.name), one) for one in config.phases]
    return [_Target(run_id, phase_id, one) for phase_id, one in found if phase_id is not None]


def _open(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _log(imported: ImportedAnswers) -> None:
    tell = log.warning if imported.refused else log.info
    tell("external answers", phase=imported.phase, said=imported.text, problems=imported.problems)


_KNOWN = text(
    "SELECT variant_id, content_hash FROM external_answer WHERE phase_id = :phase AND content_hash IN :hashes"
).bindparams(bindparam("hashes", expanding=True))
_INSERT = """INSERT INTO external_answer (run_id, phase_id, probe_id, variant_id, source, content, content_hash,
        provenance, scores, gate_hash, outcome, reason, created)
    VALUES (:run, :phase, :probe, :variant, :source, :content, :hash, :provenance, :scores, :gates, :outcome, :reason,
        :created)
    ON CONFLICT DO NOTHING RETURNING id"""
