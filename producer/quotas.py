"""Quotas: what a full phase or probe no longer needs, what a raised quota needs again, and when a phase has ended."""

import os
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

import structlog
from sqlmodel import Session, col, select

from lemfarm.candidates import GIVEN_UP
from lemfarm.config import PhaseConfig, QuotaConfig, config_from_data
from lemfarm.database import Database, prepared
from lemfarm.gates import gate_hash
from lemfarm.giving_up import even_share, hopeless, patience
from lemfarm.ledger import Ledger
from lemfarm.records import Phase, PhaseState, Run
from lemfarm.work import NewVerdict
from producer.judging import Judged, JudgedPage, Which, judged_pages
from producer.standing import Standing, read_standing

log = structlog.get_logger()
QUOTA = "quota full"
PROBE = "probe has its share"
TRAINED = "phase is trained"
UNWANTED = (QUOTA, PROBE, GIVEN_UP)
"""Why samples are skipped that another quota or gate may want again."""


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


def close_what_is_full(ledger: Ledger, phase: Phase, config: PhaseConfig, standing: Standing) -> PhaseState:
    """Skip pending samples that are not needed and say how the phase stands now."""
    assert phase.id is not None
    state = state_of(standing, config.quota)
    if state == PhaseState.FULL:
        if standing.pending:
            ledger.skip(phase.id, QUOTA)
    elif config.quota.stop_when_full:
        _skip_capped(ledger, phase.id, config, standing)
        _skip_hopeless(ledger, phase, config, standing)
    return state


def state_of(standing: Standing, quota: QuotaConfig) -> PhaseState:
    """How a phase stands by its counts; whether it is trained is not among them."""
    full = standing.accepted(quota) >= quota.accepted
    if full and quota.stop_when_full:
        return PhaseState.FULL
    if standing.pending or standing.leased:
        return PhaseState.OPEN
    return PhaseState.FULL if full else PhaseState.EXHAUSTED


def share_of_probe(standing: Standing, quota: QuotaConfig) -> int:
    """What each probe of a phase should bring."""
    return even_share(quota.accepted, len(standing.accepted_by_probe), quota.at_most_per_probe)


def out_of_reach(standing: Standing, quota: QuotaConfig) -> frozenset[str]:
    """Probes to give up: with all that is left to them, their chance of their share is below `give_up_below`."""
    return hopeless(standing.cells, share_of_probe(standing, quota), quota.give_up_below)


def patience_with(standing: Standing, quota: QuotaConfig) -> dict[str, int]:
    """How many samples of a probe may fail before it is given up; empty where nobody is."""
    return patience(standing.cells, share_of_probe(standing, quota), quota.give_up_below)


def _skip_capped(ledger: Ledger, phase_id: int, config: PhaseConfig, standing: Standing) -> None:
    for probe in standing.waiting & set(standing.capped(config.quota)):
        ledger.skip(phase_id, PROBE, probe_id=probe)


def _skip_hopeless(ledger: Ledger, phase: Phase, config: PhaseConfig, standing: Standing) -> None:
    """Give probes up, unless the run has a limit: a grid cut short says nothing about its probes."""
    assert phase.id is not None
    probes = standing.waiting & out_of_reach(standing, config.quota)
    if not probes or _is_limited(ledger.database, phase.run_id):
        return
    skipped = sum(ledger.skip(phase.id, GIVEN_UP, probe_id=probe) for probe in sorted(probes))
    if skipped:
        log.info("probes given up", phase=phase.name, probes=len(probes), samples=skipped)


def _is_limited(database: Database, run_id: int) -> bool:
    with database.read() as connection, Session(bind=connection) as session:
        return session.get_one(Run, run_id).sample_limit is not None


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


def want_again(ledger: Ledger, run_id: int, phase_id: int, config: PhaseConfig) -> int:
    """Take back what was skipped for a quota that is not full any more, and what was given up under another
    configuration; returns how many samples that are."""
    standing = read_standing(ledger.database, phase_id)
    if standing.accepted(config.quota) >= config.quota.accepted and config.quota.stop_when_full:
        return 0
    return sum(ledger.unskip(run_id, reason, phase_id=phase_id) for reason in UNWANTED)


def rejudge(database: Database, phase_id: int, config: PhaseConfig) -> int:
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
    ledger, gates = Ledger(database), gate_hash(config.gates)
    found = Rejudged(config.name)
    for page in judged_pages(database, phase_id, config.gates, which, processes=processes or os.cpu_count() or 1):
        verdicts = [_verdict(answer, gates) for answer in page.answers if answer.is_new]
        if verdicts or page.computed:
            ledger.judge(verdicts, page.computed)
        found.add(page)
        on_judged(len(page.answers))
    for reason, count in found.failures.items():
        log.warning("stored texts cannot be scored", phase=config.name, texts=count, reason=reason)
    return found


def _verdict(answer: Judged, gates: str) -> NewVerdict:
    return NewVerdict(answer.sample_id, answer.text_id, gates, str(answer.verdict.outcome), answer.verdict.reason)


def live_phases(database: Database, run_id: int) -> list[tuple[Phase, PhaseConfig]]:
    """The phases that the run's configuration has now, in its order."""
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        config = config_from_data(session.get_one(Run, run_id).config)
        rows = session.exec(select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False))).all()
    by_name = {phase.name: phase for phase in rows}
    return [(by_name[one.name], one) for one in config.phases if one.name in by_name]
