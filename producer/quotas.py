"""Quotas: what a full phase or probe no longer needs, what a raised quota needs again, and when a phase has ended."""

import structlog
from sqlmodel import Session

from lemfarm.candidates import GIVEN_UP
from lemfarm.config import PhaseConfig, QuotaConfig
from lemfarm.database import Database
from lemfarm.giving_up import even_share, hopeless, patience
from lemfarm.ledger import Ledger
from lemfarm.records import Phase, PhaseState, Run
from producer.standing import Standing, read_standing

log = structlog.get_logger()
QUOTA = "quota full"
PROBE = "probe has its share"
UNWANTED = (QUOTA, PROBE, GIVEN_UP)
"""Why samples are skipped that another quota or gate may want again."""


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


def want_again(ledger: Ledger, run_id: int, phase_id: int, config: PhaseConfig) -> int:
    """Take back what was skipped for a quota that is not full any more, and what was given up under another
    configuration; returns how many samples that are."""
    standing = read_standing(ledger.database, phase_id)
    if standing.accepted(config.quota) >= config.quota.accepted and config.quota.stop_when_full:
        return 0
    return sum(ledger.unskip(run_id, reason, phase_id=phase_id) for reason in UNWANTED)
