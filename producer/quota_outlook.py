"""How far a quota will be filled with what is left to generate, and which probes will not bring their part of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lemfarm.config import QuotaConfig
from lemfarm.database import Database, prepared
from lemfarm.giving_up import hopeless
from lemfarm.planning import expected_accepted
from lemfarm.records import PhaseState
from producer.quotas import UNWANTED, out_of_reach, share_of_probe, state_of
from producer.standing import Standing

HOPELESS_BELOW = 0.05
"""A probe starves when its chance to reach its share is below this, or when it would be given up."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The quota of a phase. `counted`: accepted samples that count, no more of one probe than its cap; `left`: samples
    that may still be generated; `expected`: how many of those should pass and count; `state`: full, open or
    exhausted."""

    wanted: int
    enough: int
    counted: int
    short: int
    left: int
    expected: float
    state: str


@dataclass(frozen=True, slots=True)
class ThinProbe:
    """A probe that can hardly bring its share: an even part of the quota, at most its cap."""

    probe: str
    accepted: int
    left: int
    share: int


def outlook(standing: Standing, quota: QuotaConfig) -> Outlook:
    """What comes of a standing whose cells hold all that may be generated (see `with_skipped`)."""
    wanted = _without_unwanted(standing, quota)
    counted, state = wanted.accepted(quota), state_of(wanted, quota)
    left = 0 if state == PhaseState.FULL else sum(_left(wanted).values())
    further = expected_accepted(wanted.cells, at_most_per_probe=quota.at_most_per_probe) if left else 0.0
    short = max(0, quota.accepted - counted)
    return Outlook(quota.accepted, quota.enough, counted, short, left, further, str(state))


def starving(standing: Standing, quota: QuotaConfig, names: Mapping[str, str]) -> tuple[ThinProbe, ...]:
    """Probes that can hardly reach their share with what is left to them, thinnest first; none where nothing more is
    wanted. `names` by the keys of the cells' probes."""
    accepted, left = standing.accepted_by_probe, _left(standing)
    if not accepted or state_of(standing, quota) == PhaseState.FULL:
        return ()
    share = share_of_probe(standing, quota)
    thin = hopeless(standing.cells, share, max(HOPELESS_BELOW, quota.give_up_below))
    found = [ThinProbe(names[probe], accepted[probe], left[probe], share) for probe in thin]
    return tuple(sorted(found, key=lambda one: (one.accepted + one.left, one.probe)))


def with_skipped(database: Database, phase_id: int, standing: Standing) -> Standing:
    """The standing with what was skipped for a quota as pending: it is wanted again when the quota is open again."""
    skipped_for = dict(zip(("quota", "probe", "given_up"), UNWANTED, strict=True))
    with database.read() as connection:
        rows = connection.execute(prepared(_SKIPPED), {"phase": phase_id} | skipped_for).all()
    skipped = {row.variant_id: row.n for row in rows}
    cells = [replace(one, pending=one.pending + skipped.get(standing.variants[one.key], 0)) for one in standing.cells]
    return replace(standing, cells=tuple(cells))


def _without_unwanted(standing: Standing, quota: QuotaConfig) -> Standing:
    """Nothing more is generated for a probe that has its share or is given up."""
    unwanted = {*standing.capped(quota), *out_of_reach(standing, quota)} if quota.stop_when_full else set()
    cells = [replace(cell, pending=0) if cell.probe in unwanted else cell for cell in standing.cells]
    return replace(standing, cells=tuple(cells))


def _left(standing: Standing) -> Counter[str]:
    left: Counter[str] = Counter()
    for cell in standing.cells:
        left[cell.probe] += cell.pending + cell.in_flight
    return left


_SKIPPED = """SELECT variant_id, count(*) AS n FROM sample WHERE phase_id = :phase AND purpose = 'distil'
    AND NOT superseded AND state = 'skipped' AND reason IN (:quota, :probe, :given_up) GROUP BY variant_id"""
