"""How many candidates each accepted sample took, by cell: choosing shifts a distribution, and the more candidates an
accepted answer took, the further it is from what the model usually says."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from lemfarm.database import prepared

#: Why the pending samples of a probe were skipped that would hardly reach its share.
GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class CellCandidates:
    """One cell of a phase. `candidates`: samples that the gates accepted or rejected; held and failed ones are none.
    `per_accepted`: candidates for each accepted one, none where nothing was accepted. `given_up`: samples that were
    skipped because the probe was given up."""

    probe: str
    variant: int
    candidates: int
    accepted: int
    per_accepted: float | None
    given_up: int


_CELLS = """SELECT probe.name, variant.position, counted.* FROM (
        SELECT probe_id, variant_id,
            count(*) FILTER (WHERE state = 'done' AND outcome IN ('accepted', 'rejected')) AS judged,
            count(*) FILTER (WHERE state = 'done' AND outcome = 'accepted') AS accepted,
            count(*) FILTER (WHERE state = 'skipped' AND reason = :given_up) AS given_up
        FROM sample WHERE phase_id = :phase AND purpose = 'distil' AND NOT superseded GROUP BY probe_id, variant_id
    ) AS counted JOIN variant ON variant.id = counted.variant_id JOIN probe ON probe.id = counted.probe_id
    ORDER BY probe.name, variant.position, counted.variant_id"""


def cell_candidates(connection: Connection, phase_id: int) -> tuple[CellCandidates, ...]:
    """The cells of a phase, by probe and variant; superseded samples are in none."""
    rows = connection.execute(prepared(_CELLS), {"phase": phase_id, "given_up": GIVEN_UP}).all()
    return tuple(
        CellCandidates(
            row.name, row.position, row.judged, row.accepted, per_accepted(row.judged, row.accepted), row.given_up
        )
        for row in rows
    )


def per_accepted(candidates: int, accepted: int) -> float | None:
    """Candidates for each accepted sample; none where nothing was accepted."""
    return candidates / accepted if accepted else None


def given_up_probes(cells: Iterable[CellCandidates]) -> tuple[str, ...]:
    """Probes that were given up, in the order of the cells."""
    return tuple(dict.fromkeys(cell.probe for cell in cells if cell.given_up))
