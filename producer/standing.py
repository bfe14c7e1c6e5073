"""How a phase stands: one query, and the few figures that quotas, waves and views need of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lemfarm.config import QuotaConfig, ReviewConfig
from lemfarm.database import Database, prepared
from lemfarm.planning import Cell
from lemfarm.records import WAITS_FOR_REVIEW


@dataclass(frozen=True)
class Standing:
    """Counts of a phase's distil samples by cell; superseded ones are not in it. Probes are named by their row id.

    In the cells, answers that wait for a reviewer are among the accepted ones: so they are expected to end, and nothing
    is generated in their place. `in_review` has how many of a probe those are.
    """

    cells: tuple[Cell, ...]
    leased: int
    variants: dict[tuple[str, int], str]
    in_review: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def pending(self) -> int:
        """Samples nobody works on, sent or not."""
        return sum(cell.pending + cell.in_flight for cell in self.cells) - self.leased

    @cached_property
    def waiting(self) -> frozenset[str]:
        """Probes with samples that are not finished."""
        return frozenset(cell.probe for cell in self.cells if cell.pending or cell.in_flight)

    @cached_property
    def accepted_by_probe(self) -> Counter[str]:
        """Accepted samples of each probe."""
        waiting = self.in_review
        return Counter({probe: count - waiting.get(probe, 0) for probe, count in self._passed_by_probe.items()})

    @cached_property
    def _passed_by_probe(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for cell in self.cells:
            counts[cell.probe] += cell.accepted
        return counts

    def accepted(self, quota: QuotaConfig) -> int:
        """Accepted samples that count: no more of one probe than its share."""
        return _capped_sum(self.accepted_by_probe, quota)

    def expected(self, quota: QuotaConfig) -> int:
        """Those that count if every answer that waits for a reviewer is accepted."""
        return _capped_sum(self._passed_by_probe, quota)

    def reviews_due(self, quota: QuotaConfig, review: ReviewConfig) -> int:
        """How many answers people must look at before the phase goes on; none while more would be generated first, or
        where it is full of reviewed ones."""
        waiting = sum(self.in_review.values())
        if not waiting or (self.pending + self.leased and self._generates(quota)):
            return 0
        is_full = self.accepted(quota) >= quota.accepted
        return 0 if is_full and review.share == 1 else waiting

    def _generates(self, quota: QuotaConfig) -> bool:
        """Whether a sample is in flight, or a wave would send one."""
        if not quota.stop_when_full or any(cell.in_flight for cell in self.cells):
            return True
        cap, passed = quota.at_most_per_probe, self._passed_by_probe
        has_room = any(cell.pending and (cap is None or passed[cell.probe] < cap) for cell in self.cells)
        return has_room and self.expected(quota) < quota.accepted

    def capped(self, quota: QuotaConfig) -> list[str]:
        """Probes that have their share."""
        cap = quota.at_most_per_probe
        return [] if cap is None else [probe for probe, count in self.accepted_by_probe.items() if count >= cap]


_COUNTS = """SELECT counted.*, variant.position FROM (
        SELECT probe_id, variant_id,
            count(*) FILTER (WHERE state = 'pending' AND wave IS NULL) AS pending,
            count(*) FILTER (WHERE state = 'pending' AND wave IS NOT NULL) AS sent,
            count(*) FILTER (WHERE state = 'leased') AS leased,
            count(*) FILTER (WHERE state = 'done' AND outcome = 'accepted') AS accepted,
            count(*) FILTER (WHERE outcome = 'held' AND reason LIKE :review) AS in_review,
            count(*) FILTER (WHERE state = 'done' AND outcome = 'rejected') AS rejected,
            count(*) FILTER (WHERE state = 'failed' OR (state = 'done' AND outcome = 'held')) AS other
        FROM sample WHERE phase_id = :phase AND purpose = 'distil' AND NOT superseded GROUP BY probe_id, variant_id
    ) AS counted JOIN variant ON variant.id = counted.variant_id
    ORDER BY counted.probe_id, variant.position, counted.variant_id"""


def read_standing(database: Database, phase_id: int) -> Standing:
    """Count a phase's samples, a row for each wording: the database counts faster than it hands over rows.

    Cells are numbered here: a wording's position is of its probe, and another run's file may give two of ours the same.
    """
    with database.read() as connection:
        rows = connection.execute(prepared(_COUNTS), {"phase": phase_id, "review": f"{WAITS_FOR_REVIEW}%"}).all()
    in_review: Counter[str] = Counter()
    for row in rows:
        in_review[row.probe_id] += row.in_review
    return Standing(
        cells=tuple(_cell(number, row) for number, row in enumerate(rows)),
        leased=sum(row.leased for row in rows),
        variants={(row.probe_id, number): row.variant_id for number, row in enumerate(rows)},
        in_review=+in_review,
    )


def _cell(number: int, row: Any) -> Cell:
    return Cell(
        row.probe_id,
        number,
        pending=row.pending,
        in_flight=row.sent + row.leased,
        accepted=row.accepted + row.in_review,
        rejected=row.rejected,
        other=row.other - row.in_review,
    )


def _capped_sum(by_probe: Mapping[str, int], quota: QuotaConfig) -> int:
    cap = quota.at_most_per_probe
    return sum(count if cap is None else min(count, cap) for count in by_probe.values())


def open_samples(cells: Sequence[Cell]) -> int:
    """How many samples may still bring something."""
    return sum(cell.pending + cell.in_flight for cell in cells)
