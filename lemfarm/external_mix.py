"""How many rows of a phase are own answers and how many come from elsewhere.

The own side is never made smaller: its answers cost days. The external side gets as many rows as the stated share asks
for beside it, and fewer where fewer passed; then the phase trains all the same, and its mix says what was reached.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from lemfarm.config import ExternalConfig, QuotaConfig
from lemfarm.database import prepared

if TYPE_CHECKING:
    from lemfarm.candidates import CellCandidates


@dataclass(frozen=True, slots=True)
class Mix:
    """The two sides of a phase's rows. `wanted`: external rows that `share` asks for beside the `own` ones; `external`:
    those there are; `passed`: external answers that the gates accepted, whether or not a row is left for them."""

    share: float
    own: int
    external: int
    wanted: int
    passed: int

    @property
    def is_short(self) -> bool:
        """The stated share is not reached."""
        return self.external < self.wanted

    @property
    def reached(self) -> float:
        """The share of external rows that there is."""
        return self.external / (self.own + self.external) if self.external else 0.0

    @property
    def text(self) -> str:
        """In words: what is mixed, or what was wanted and why it cannot be reached."""
        if not self.is_short:
            return f"{_sides(self.reached)}: {self.own:,} own rows and {self.external:,} external ones"
        passed = "1 external answer passed" if self.passed == 1 else f"{self.passed:,} external answers passed"
        room = f", {self.external:,} of them beside the own ones of their probe" if self.external < self.passed else ""
        are = "is" if self.wanted == 1 else "are"
        reachable = f"wanted {_sides(self.share)}, reachable {_sides(self.reached)}"
        return f"{reachable}: {passed}{room}, {self.wanted:,} {are} needed"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with what was reached."""
        counts = {"own": self.own, "external": self.external, "wanted": self.wanted, "passed": self.passed}
        return {"share": self.share, "reached": round(self.reached, 4), **counts, "short": self.is_short}


def within_caps(probes: Iterable[str], own: Mapping[str, int], cap: int | None, wanted: int) -> list[int]:
    """Which external answers get a row, as places in the order given: up to `wanted`, and no more of one probe than
    `cap` leaves beside its own rows."""
    taken = dict(own)
    chosen: list[int] = []
    for place, probe in enumerate(probes):
        if len(chosen) >= wanted:
            break
        if cap is None or taken.get(probe, 0) < cap:
            taken[probe] = taken.get(probe, 0) + 1
            chosen.append(place)
    return chosen


def outlook(external: ExternalConfig, quota: QuotaConfig, own: Mapping[str, int], passed: Mapping[str, int]) -> Mix:
    """The mix of a phase once its quota is full, by what is accepted of each probe so far.

    A probe whose own answers are yet to come has more room now than it will have then: the mix may end lower.
    """
    probes = [probe for probe, count in passed.items() for _ in range(count)]
    wanted = external.beside(quota.accepted)
    rows = len(within_caps(probes, own, quota.at_most_per_probe, wanted))
    return Mix(external.share, quota.accepted, rows, wanted, len(probes))


def read_outlook(
    connection: Connection, phase_id: int, stored: Mapping[str, Any], cells: "Iterable[CellCandidates]"
) -> Mix | None:
    """The mix that a phase is heading for, given its configuration as it is stored; None where it mixes nothing."""
    share = stored.get("external", {}).get("share", 0.0)
    if not share:
        return None
    own: Counter[str] = Counter()
    for cell in cells:
        own[cell.probe] += cell.accepted
    passed = {row.name: row.n for row in connection.execute(prepared(_PASSED), {"phase": phase_id})}
    return outlook(ExternalConfig(share=share), QuotaConfig.model_validate(stored["quota"]), own, passed)


def _sides(external: float) -> str:
    """`70/30`: own and external rows in percent; an external side that is not empty never reads as 0."""
    percent = max(round(100 * external), 1) if external else 0
    return f"{100 - percent}/{percent}"


# Answers to wordings that the phase asks no more, as those of probes that are held out now, never train.
_PASSED = """SELECT probe.name, count(*) AS n FROM external_answer e JOIN probe ON probe.id = e.probe_id
    WHERE e.phase_id = :phase AND e.outcome = 'accepted' AND e.variant_id IN (SELECT variant_id FROM sample
        WHERE phase_id = :phase AND purpose = 'distil' AND NOT superseded)
    GROUP BY probe.name ORDER BY probe.name"""
