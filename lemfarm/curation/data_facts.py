"""What is known of the answers that a dataset is made of: how many were judged, why some are missing, who looked."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from lemfarm import __version__
from lemfarm.candidates import per_accepted
from lemfarm.curation.duplicates import DUPLICATE
from lemfarm.curation.external import ExternalSource
from lemfarm.curation.sides import Side
from lemfarm.models import is_hub_id
from lemfarm.records import Kernel, Model, Phase, Run


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """One phase of a dataset.

    `rows` are those of the dataset by side; `accepted`, `rejected` and `held` all its answers of which the gates, and
    people, said so. `duplicates` are among the rejected. `reviews` counts decisions by reviewer. `adapter` is what the
    model had on when it answered; none: it answered as it is.
    """

    phase: str
    state: str
    rows: Mapping[str, int]
    accepted: int
    rejected: int
    held: int
    duplicates: int
    gates: Sequence[Mapping[str, Any]]
    reviews: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    adapter: str | None = None

    @property
    def pass_rate(self) -> float | None:
        """Accepted answers for each one that was accepted or rejected."""
        judged = self.accepted + self.rejected
        return self.accepted / judged if judged else None

    @property
    def candidates_per_accepted(self) -> float | None:
        """Answers that were judged for each accepted one."""
        return per_accepted(self.accepted + self.rejected, self.accepted)


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Where a dataset comes from. `kernels` are the names of the system prompts by hash; `model` means the same on
    every machine: no path. `probes` counts those of each side; `external` has the sources of rows from elsewhere."""

    run: str
    state: str
    model: str
    model_hash: str | None
    commit: str | None
    on_hub: bool
    kernels: Mapping[str, str]
    sampling: Mapping[str, Any]
    config_hash: str
    planned_by: str
    exported_by: str
    probes: Mapping[str, int]
    phases: Sequence[PhaseFacts]
    external: Sequence[ExternalSource] = ()

    @property
    def own_rows(self) -> int:
        """Rows that the farm's own workers answered."""
        return sum(self.rows.values()) - sum(source.rows for source in self.external)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each side."""
        return {side: sum(phase.rows.get(side, 0) for phase in self.phases) for side in map(str, Side)}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the ratios."""
        phases = [
            {
                **asdict(phase),
                "pass_rate": phase.pass_rate,
                "candidates_per_accepted": phase.candidates_per_accepted,
            }
            for phase in self.phases
        ]
        return {**asdict(self), "phases": phases, "rows": self.rows}


def data_facts(
    session: Session,
    run: Run,
    rows: Mapping[str, Mapping[str, int]],
    probes: Mapping[str, int],
    kernels: set[str],
    external: Sequence[ExternalSource] = (),
) -> DataFacts:
    """The facts of a dataset, given its rows by phase and side, its probes by side, hashes of its kernels, and the
    sources of what is not the farm's own."""
    model = session.get(Model, run.model_key)
    name = str(run.config["model"].get("path") or run.config["model"].get("model") or run.config["model"]["engine"])
    found = {kernel.hash: kernel.name for kernel in session.exec(select(Kernel)) if kernel.hash in kernels}
    phases = session.exec(select(Phase).where(Phase.run_id == run.id)).all()
    by_name = {phase.name: phase for phase in phases}
    return DataFacts(
        run=run.name,
        state=run.state,
        model=name if is_hub_id(name) else name.rstrip("/").rpartition("/")[2],
        model_hash=model.content_hash if model else None,
        commit=model.commit if model else None,
        on_hub=is_hub_id(name),
        kernels=dict(sorted(found.items())),
        sampling=run.config.get("sampling", {}),
        config_hash=run.config_hash,
        planned_by=run.lemfarm_version,
        exported_by=__version__,
        probes=dict(probes),
        phases=tuple(_phase_facts(session, by_name[phase], sides) for phase, sides in rows.items()),
        external=tuple(external),
    )


def _phase_facts(session: Session, phase: Phase, rows: Mapping[str, int]) -> PhaseFacts:
    judged = session.execute(text(_JUDGED), {"phase": phase.id, "duplicate": f"{DUPLICATE}%"}).one()
    reviews: dict[str, dict[str, int]] = {}
    for row in session.execute(text(_REVIEWS), {"phase": phase.id}):
        reviews.setdefault(row.reviewer, {})[row.decision] = row.said
    return PhaseFacts(
        phase=phase.name,
        state=phase.state,
        rows=dict(rows),
        accepted=judged.accepted,
        rejected=judged.rejected,
        held=judged.held,
        duplicates=judged.duplicates,
        gates=phase.config.get("gates", []),
        reviews=reviews,
        adapter=judged.adapter,
    )


_JUDGED = """SELECT count(*) FILTER (WHERE outcome = 'accepted') AS accepted,
        count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
        count(*) FILTER (WHERE outcome = 'held') AS held,
        count(*) FILTER (WHERE outcome = 'rejected' AND reason LIKE :duplicate) AS duplicates,
        max(adapter_id) AS adapter
    FROM sample WHERE phase_id = :phase AND purpose = 'distil' AND NOT superseded AND state = 'done'"""

_REVIEWS = """SELECT review.reviewer, review.decision, count(*) AS said FROM review
    JOIN sample ON sample.id = review.sample_id
    WHERE sample.phase_id = :phase AND NOT sample.superseded AND review.undone IS NULL
    GROUP BY review.reviewer, review.decision ORDER BY review.reviewer, review.decision"""
