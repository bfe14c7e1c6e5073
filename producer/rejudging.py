"""Verdicts written anew: by other gates, or with a scorer that was missing. `producer.judging` says what they are."""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection
from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig, config_from_data
from lemfarm.curation.review_words import changes_of
from lemfarm.curation.settling import Change, settle_run, take_turn
from lemfarm.database import Database, prepared
from lemfarm.gates import gate_hash
from lemfarm.ledger import Ledger
from lemfarm.records import Phase, PhaseState, Run
from lemfarm.work import NewVerdict
from producer.external_judging import rejudge_external
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

    def add_settled(self, changes: Iterable[Change]) -> None:
        """Count what became of duplicates."""
        for change in changes:
            self.written += 1
            if change.is_other_outcome:
                self.changed += 1
                _count(self.outcomes, {change.before: -1, change.after: 1})


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
    ledger, phases = Ledger(database), live_phases(database, run_id)
    found = {
        phase.name: judge_again(database, _id(phase), config, Which.DUE, processes=processes, on_judged=on_judged)
        for phase, config in phases
        if names is None or phase.name in names
    }
    for phase, config in phases:
        rejudge_external(database, _id(phase), config)
    changes = settle_run(database, run_id)
    for phase, config in phases:
        settled = [change for change in changes if change.phase_id == phase.id]
        if phase.name not in found and not settled:
            continue
        rejudged = found.get(phase.name) or Rejudged(phase.name)
        rejudged.add_settled(settled)
        if phase.state == PhaseState.TRAINED:
            ledger.skip(_id(phase), TRAINED)
        else:
            rejudged.reopened = want_again(ledger, run_id, _id(phase), config)
    return list(found.values())


def rejudge_unscored(database: Database, run_id: int) -> int:
    """Judge again what is held because a scorer was missing; returns how many have another outcome now."""
    external = sum(rejudge_external(database, _id(phase), config) for phase, config in live_phases(database, run_id))
    waiting = prepared(
        """SELECT count(*) FROM sample s WHERE s.run_id = :run AND s.purpose = 'distil' AND NOT s.superseded
           AND s.state = 'done' AND """
        + Which.UNSCORED
    )
    with database.read() as connection:
        samples = int(connection.execute(waiting, {"run": run_id}).scalar_one())
    if not samples and not external:
        return 0
    changed = 0
    for phase, config in live_phases(database, run_id):
        changed += judge_again(database, _id(phase), config, Which.UNSCORED).changed
    return changed + sum(change.is_other_outcome for change in settle_run(database, run_id))


def rejudge_outdated(database: Database, phase_id: int, config: PhaseConfig) -> int:
    """Give every done sample whose last verdict came from other gates a new one, from its stored text and scores, and
    settle who is whose duplicate. Scores that are missing are computed; nothing is generated. Returns how many verdicts
    are new."""
    written = judge_again(database, phase_id, config, Which.OTHERS, processes=1).written
    rejudge_external(database, phase_id, config)
    return written + len(settle_run(database, _run_of(database, phase_id)))


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
    ledger, gates, run_id = Ledger(database), gate_hash(config.gates, config.review), _run_of(database, phase_id)
    found, cores = Rejudged(config.name), processes or os.cpu_count() or 1
    for page in judged_pages(database, phase_id, config.gates, which, review=config.review, processes=cores):
        fresh = [answer for answer in page.answers if answer.is_new]
        if fresh or page.computed:
            with database.write() as connection:
                take_turn(database, connection, run_id)
                verdicts = [verdict for answer in _still_so(connection, fresh) for verdict in _verdicts(answer, gates)]
                ledger.judge(connection, verdicts, page.computed)
        found.add(page)
        on_judged(len(page.answers))
    for reason, count in found.failures.items():
        log.warning("stored texts cannot be scored", phase=config.name, texts=count, reason=reason)
    return found


def _run_of(database: Database, phase_id: int) -> int:
    with database.read() as connection:
        found = connection.execute(prepared("SELECT run_id FROM phase WHERE id = :id"), {"id": phase_id})
        return int(found.scalar_one())


def _still_so(connection: Connection, answers: Sequence[Judged]) -> list[Judged]:
    """Without those of which a reviewer said something since they were read: that was judged with it."""
    changes = changes_of(connection, [answer.sample_id for answer in answers])
    return [answer for answer in answers if changes.get(answer.sample_id, 0) == answer.words]


def _verdicts(answer: Judged, gates: str) -> Iterator[NewVerdict]:
    """The newest last; of a duplicate first what counts when its twin is gone."""
    for said in filter(None, (answer.passed, answer.verdict)):
        yield NewVerdict(answer.sample_id, answer.text_id, gates, str(said.outcome), said.reason)


def _id(phase: Phase) -> int:
    assert phase.id is not None
    return phase.id


def live_phases(database: Database, run_id: int) -> list[tuple[Phase, PhaseConfig]]:
    """The phases that the run's configuration has now, in its order."""
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        config = config_from_data(session.get_one(Run, run_id).config)
        rows = session.exec(select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False))).all()
    by_name = {phase.name: phase for phase in rows}
    return [(by_name[one.name], one) for one in config.phases if one.name in by_name]
