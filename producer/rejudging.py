"""Verdicts written anew: by other gates, or with a scorer that was missing. `producer.judging` says what they are."""

import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection
from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig, config_from_data
from lemfarm.curation.review_words import changes_of
from lemfarm.database import Database, prepared
from lemfarm.gates import gate_hash
from lemfarm.ledger import Ledger
from lemfarm.records import Phase, PhaseState, Run
from lemfarm.work import NewVerdict
from producer.judging import Judged, JudgedPage, Which, judged_pages
from producer.quotas import want_again

log = structlog.get_logger()
TRAINED = "phase is trained"


@dataclass(slots=True)
class Rejudged:
    """What judging a phase again came to. `written`: new verdicts; `changed`: other outcomes; `outcomes`: how many more
    of each there are now; `computed`: scores that were missing; `failures`: why others still are, counted by text;
    `reopened`: samples that are wanted again."""

    phase: str
    written: int = 0
    changed: int = 0
    computed: int = 0
    reopened: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, page: JudgedPage) -> None:
        """Count a page."""
        self.computed += len(page.computed)
        _count(self.failures, page.failures)
        for answer in page.answers:
            self.written += answer.is_new
            if answer.before != answer.verdict.outcome:
                self.changed += 1
                _count(self.outcomes, {answer.before: -1, str(answer.verdict.outcome): 1})


def _count(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def reopen(
    database: Database,
    run_id: int,
    *,
    names: Container[str] | None = None,
    processes: int | None = None,
    on_judged: Callable[[int], None] = lambda _count: None,
) -> list[Rejudged]:
    """After a change of configuration: judge again where gates changed or a scorer was missing, and want again what is
    needed again. Phases of these `names`, or all; `on_judged` hears how many more answers were judged."""
    ledger = Ledger(database)
    found = []
    for phase, config in live_phases(database, run_id):
        if names is not None and phase.name not in names:
            continue
        assert phase.id is not None
        rejudged = judge_again(database, phase.id, config, Which.DUE, processes=processes, on_judged=on_judged)
        if phase.state == PhaseState.TRAINED:
            ledger.skip(phase.id, TRAINED)
        else:
            rejudged.reopened = want_again(ledger, run_id, phase.id, config)
        found.append(rejudged)
    return found


def rejudge_unscored(database: Database, run_id: int) -> int:
    """Judge again what is held because a scorer was missing; returns how many have another outcome now."""
    waiting = prepared(
        """SELECT count(*) FROM sample s WHERE s.run_id = :run AND s.purpose = 'distil' AND NOT s.superseded
           AND s.state = 'done' AND """
        + Which.UNSCORED
    )
    with database.read() as connection:
        if not connection.execute(waiting, {"run": run_id}).scalar_one():
            return 0
    changed = 0
    for phase, config in live_phases(database, run_id):
        assert phase.id is not None
        changed += judge_again(database, phase.id, config, Which.UNSCORED).changed
    return changed


def rejudge_outdated(database: Database, phase_id: int, config: PhaseConfig) -> int:
    """Give every done sample whose last verdict came from other gates a new one, from its stored text and scores.
    Scores that are missing are computed; nothing is generated. Returns how many were judged again."""
    return judge_again(database, phase_id, config, Which.OTHERS, processes=1).written


def judge_again(
    database: Database,
    phase_id: int,
    config: PhaseConfig,
    which: Which,
    *,
    processes: int | None = None,
    on_judged: Callable[[int], None] = lambda _count: None,
) -> Rejudged:
    """Judge stored answers by the gates of this configuration and write what is new. Killed anywhere and done again, it
    goes on. `processes`: as many as there are cores when left out."""
    ledger, gates = Ledger(database), gate_hash(config.gates, config.review)
    found, cores = Rejudged(config.name), processes or os.cpu_count() or 1
    for page in judged_pages(database, phase_id, config.gates, which, review=config.review, processes=cores):
        fresh = [answer for answer in page.answers if answer.is_new]
        if fresh or page.computed:
            with database.write() as connection:
                verdicts = [_verdict(answer, gates) for answer in _still_so(connection, fresh)]
                ledger.judge(connection, verdicts, page.computed)
        found.add(page)
        on_judged(len(page.answers))
    for reason, count in found.failures.items():
        log.warning("stored texts cannot be scored", phase=config.name, texts=count, reason=reason)
    return found


def _still_so(connection: Connection, answers: Sequence[Judged]) -> list[Judged]:
    """Without those of which a reviewer said something since they were read: that was judged with it."""
    changes = changes_of(connection, [answer.sample_id for answer in answers])
    return [answer for answer in answers if changes.get(answer.sample_id, 0) == answer.words]


def _verdict(answer: Judged, gates: str) -> NewVerdict:
    return NewVerdict(answer.sample_id, answer.text_id, gates, str(answer.verdict.outcome), answer.verdict.reason)


def live_phases(database: Database, run_id: int) -> list[tuple[Phase, PhaseConfig]]:
    """The phases that the run's configuration has now, in its order."""
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        config = config_from_data(session.get_one(Run, run_id).config)
        rows = session.exec(select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False))).all()
    by_name = {phase.name: phase for phase in rows}
    return [(by_name[one.name], one) for one in config.phases if one.name in by_name]
