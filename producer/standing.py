"""How a phase stands: one query, and the few figures that quotas, waves and views need of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import text

from lemfarm.config import QuotaConfig
from lemfarm.database import Database
from lemfarm.planning import Cell
from lemfarm.records import SampleState


@dataclass(frozen=True)
class Standing:
    """Counts of a phase's distil samples by cell; superseded ones are not in it. Probes are named by their row id."""

    cells: tuple[Cell, ...]
    leased: int
    variants: dict[tuple[str, int], str]

    @cached_property
    def pending(self) -> int:
        """Samples nobody works on, sent or not."""
        return sum(cell.pending + cell.in_flight for cell in self.cells) - self.leased

    @cached_property
    def accepted_by_probe(self) -> Counter[str]:
        """Accepted samples of each probe."""
        counts: Counter[str] = Counter()
        for cell in self.cells:
            counts[cell.probe] += cell.accepted
        return counts

    def accepted(self, quota: QuotaConfig) -> int:
        """Accepted samples that count: no more of one probe than its share."""
        cap = quota.at_most_per_probe
        return sum(count if cap is None else min(count, cap) for count in self.accepted_by_probe.values())

    def capped(self, quota: QuotaConfig) -> list[str]:
        """Probes that have their share."""
        cap = quota.at_most_per_probe
        return [] if cap is None else [probe for probe, count in self.accepted_by_probe.items() if count >= cap]


def read_standing(database: Database, phase_id: int) -> Standing:
    """Count a phase's samples."""
    with database.read() as connection:
        rows = connection.execute(
            text(
                """SELECT s.probe_id, v.position, s.variant_id, s.state, s.outcome, s.wave IS NOT NULL AS sent,
                          count(*) AS n
                   FROM sample s JOIN variant v ON v.id = s.variant_id
                   WHERE s.phase_id = :phase AND s.purpose = 'distil' AND NOT s.superseded
                   GROUP BY s.probe_id, v.position, s.variant_id, s.state, s.outcome, s.wave IS NOT NULL
                   ORDER BY s.probe_id, v.position"""
            ),
            {"phase": phase_id},
        ).all()
    counts: dict[tuple[str, int], Counter[str]] = {}
    variants: dict[tuple[str, int], str] = {}
    leased = 0
    for row in rows:
        key = (row.probe_id, row.position)
        variants[key] = row.variant_id
        counts.setdefault(key, Counter())[_kind(row.state, row.outcome, bool(row.sent))] += row.n
        leased += row.n if row.state == SampleState.LEASED else 0
    return Standing(tuple(_cell(key, count) for key, count in counts.items()), leased, variants)


def _kind(state: str, outcome: str | None, sent: bool) -> str:
    if state == SampleState.DONE:
        return outcome or "other"
    if state == SampleState.LEASED or (state == SampleState.PENDING and sent):
        return "in_flight"
    return {SampleState.PENDING: "pending", SampleState.FAILED: "other"}.get(SampleState(state), "skipped")


def _cell(key: tuple[str, int], count: Counter[str]) -> Cell:
    return Cell(
        key[0],
        key[1],
        pending=count["pending"],
        in_flight=count["in_flight"],
        accepted=count["accepted"],
        rejected=count["rejected"],
        other=count["other"] + count["held"],
    )


def open_samples(cells: Sequence[Cell]) -> int:
    """How many samples may still bring something."""
    return sum(cell.pending + cell.in_flight for cell in cells)
