"""What goes into the ledger and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEATHS_BEFORE_ALONE = 2


@dataclass(frozen=True, slots=True)
class PlannedSample:
    """A row as the plan wants it; everything else starts at its default."""

    id: str
    run_id: int
    phase_id: int
    purpose: str
    probe_id: str
    variant_id: str
    sample_index: int
    fingerprint: str
    condition: str
    kernel_hash: str | None
    adapter_id: str | None
    placement: str
    sampling: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on one sample, and what is needed to generate it."""

    sample_id: str
    epoch: int
    run_id: int
    phase_id: int
    purpose: str
    variant_id: str
    sample_index: int
    kernel_hash: str | None
    adapter_id: str | None
    placement: str
    sampling: Mapping[str, Any]
    seed: int
    deaths: int

    @property
    def must_run_alone(self) -> bool:
        """Two workers died with it in flight: nothing else may be in danger the next time."""
        return self.deaths >= DEATHS_BEFORE_ALONE


@dataclass(frozen=True, slots=True)
class ScoredBy:
    """One scorer's number, to be stored."""

    scorer: str
    version: str
    value: float
    signals: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """What gates say of the text of a done sample."""

    sample_id: str
    text_id: int
    gate_hash: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """A complete answer with everything that is stored of it. `token_ids` are packed, see `workers.results`."""

    sample_id: str
    epoch: int
    worker_id: str
    content: str
    thoughts: str
    token_ids: bytes
    generation: Mapping[str, Any]
    scores: Sequence[ScoredBy]
    outcome: str
    reason: str
    gate_hash: str
    rejects_duplicates: bool = False  #: its phase compares it with the other answers of the run


@dataclass(frozen=True, slots=True)
class Planned:
    """What one planning changed."""

    added: int
    superseded: int
    restored: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """An expired lease as it was seen; only a second sighting of the same one takes it away."""

    sample_id: str
    epoch: int
    lease_expires: float


@dataclass(frozen=True, slots=True)
class Balance:
    """Counts of one run and purpose; superseded rows are not in them."""

    pending: int = 0
    leased: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    accepted: int = 0
    rejected: int = 0
    held: int = 0
    superseded: int = 0

    @property
    def planned(self) -> int:
        """All rows, wherever they stand; superseded ones are not among them."""
        return self.pending + self.leased + self.done + self.failed + self.skipped

    @property
    def adds_up(self) -> bool:
        """Every done sample has exactly one outcome."""
        return self.done == self.accepted + self.rejected + self.held
