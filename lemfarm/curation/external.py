"""Answers from elsewhere that the gates of a phase have judged: which may train, how many passed, their sources."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig
from lemfarm.gates import gate_scorer
from lemfarm.records import ExternalAnswer, Outcome, Probe, Purpose, Sample, Variant

_RUN = "run "
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class AcceptedExternal:
    """An external answer that passed every gate, without its text; `probe` by its name."""

    id: int
    probe: str
    variant_id: str


@dataclass(frozen=True, slots=True)
class ExternalSource:
    """Where external rows of a dataset come from. `name`: a file without its folder, or `run NAME`; model and licence
    are empty where the source does not tell."""

    name: str
    model: str
    licence: str
    rows: int

    @property
    def text(self) -> str:
        """As a page names it."""
        told = ", ".join(filter(None, (self.model, self.licence and f"licence {self.licence}")))
        return f"{self.name} ({told})" if told else self.name


def run_source(run: str, sample_id: str) -> str:
    """How the source of an answer is stored that another run of this farm made."""
    return f"{_RUN}{run}: sample {sample_id}"


def source_name(source: str) -> str:
    """The file of a stored source, without folder and line, or the run."""
    if source.startswith(_RUN):
        return source.partition(":")[0]
    return PurePath(source.rpartition(":")[0]).name


def accepted_external(session: Session, phase_id: int, config: PhaseConfig) -> list[AcceptedExternal]:
    """What may train of a phase's external answers, in the order in which it is chosen: first ones to every wording
    before second ones, as with samples; of the answers to a wording the first that came, or the best."""
    query = (
        columns(
            col(ExternalAnswer.id), col(Probe.name), col(ExternalAnswer.variant_id), col(ExternalAnswer.scores),
            col(Variant.position),
        )
        .join(Probe, col(Probe.id) == ExternalAnswer.probe_id)
        .join(Variant, col(Variant.id) == ExternalAnswer.variant_id)
        .where(
            col(ExternalAnswer.phase_id) == phase_id,
            col(ExternalAnswer.outcome) == Outcome.ACCEPTED,
            col(ExternalAnswer.variant_id).in_(_asked(phase_id)),
        )
        .order_by(col(ExternalAnswer.id))
    )  # fmt: skip
    found = list(session.execute(query))
    if config.quota.select == "best":
        found.sort(key=lambda row: -(gate_score(row.scores, config) or 0.0))
    rank: Counter[str] = Counter()
    placed = []
    for row in found:
        placed.append(
            (rank[row.variant_id], row.name, row.position, AcceptedExternal(row.id, row.name, row.variant_id))
        )
        rank[row.variant_id] += 1
    return [answer for *_, answer in sorted(placed, key=lambda item: item[:3])]


def external_answers(session: Session, ids: Sequence[int]) -> Iterator[tuple[int, ExternalAnswer, Probe]]:
    """External answers by their numbers, with their probes."""
    query = select(ExternalAnswer, Probe).join(Probe, col(Probe.id) == ExternalAnswer.probe_id)
    for start in range(0, len(ids), _CHUNK):
        for answer, probe in session.exec(query.where(col(ExternalAnswer.id).in_(ids[start : start + _CHUNK]))):
            assert answer.id is not None
            yield answer.id, answer, probe


def external_contents(session: Session, ids: Sequence[int]) -> dict[int, str]:
    """The texts of external answers."""
    return {number: answer.content for number, answer, _ in external_answers(session, ids)}


def origins(session: Session, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Of each external answer its source, and what that says of model, licence and date."""
    return {number: {"source": one.source, **one.provenance} for number, one, _ in external_answers(session, ids)}


def sources_of(origins: Iterable[Mapping[str, Any]]) -> tuple[ExternalSource, ...]:
    """The sources of a dataset's external rows, those with most rows first."""
    counts = Counter(
        (source_name(one["source"]), str(one.get("model", "")), str(one.get("licence", ""))) for one in origins
    )
    found = [ExternalSource(name, model, licence, rows) for (name, model, licence), rows in counts.items()]
    return tuple(sorted(found, key=lambda one: (-one.rows, one.name, one.model)))


def _asked(phase_id: int) -> Any:
    """Wordings that the phase asks now; what a probe was asked before, or one that is held out, never trains."""
    return select(Sample.variant_id).where(
        Sample.phase_id == phase_id, Sample.purpose == Purpose.DISTIL, col(Sample.superseded).is_(False)
    )


def gate_score(scores: Mapping[str, Any], config: PhaseConfig) -> float | None:
    """The score that the phase's gate looks at, among those of an external answer."""
    scorer = gate_scorer(config.gates)
    return float(scores[scorer]["value"]) if scorer is not None and scorer in scores else None
