"""Which answers a reviewer is to look at next, and in which order.

Everybody has the same queue; what it lacks is what was said already. A second opinion is asked of answers that another
has decided on, in an order that has nothing to do with the first, so that the first so many of them are a fair part.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select

from lemfarm.config import ReviewConfig
from lemfarm.curation.review import Consensus, Word, consensus, in_sample, standing_words
from lemfarm.curation.review_words import words_of_phases
from lemfarm.database import Database
from lemfarm.errors import InputError
from lemfarm.identity import content_hash
from lemfarm.records import UNTRAINED, WAITS_FOR_REVIEW, Outcome, Phase, ReviewDecision
from lemfarm.runs import find_run


class Mode(StrEnum):
    """What a reviewer sits down to do."""

    FIRST = "first"  #: answers on which nobody has decided, and those that need a third word
    SECOND = "second"  #: answers on which others have, without being told what they said
    SETTLE = "settle"  #: answers on which reviewers disagree
    ALL = "all"  #: every answer that is to be reviewed, whoever has decided on it


@dataclass(frozen=True, slots=True)
class ReviewedPhase:
    """A phase of a run, and what of it people look at."""

    id: int
    name: str
    state: str
    review: ReviewConfig


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer in the queue. `label` reads `P01_IDENTITY_WHISTLEBLOWER v2 #7`; `held`: it does not count before it is
    reviewed; `text_id`: the text to look at, none for the newest; `decided`: how many reviewers have."""

    sample_id: str
    phase: str
    label: str
    held: bool
    text_id: int | None = None
    decided: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: Any
    phase: ReviewedPhase
    words: Sequence[Word]

    @property
    def held(self) -> bool:
        """It does not count before it is reviewed; where the phase is trained, nobody needs it any more."""
        waits: bool = self.row.outcome == Outcome.HELD and self.row.reason.startswith(WAITS_FOR_REVIEW)
        return waits and self.phase.state in UNTRAINED

    @property
    def is_meant(self) -> bool:
        """The gates accept it, and it is among those that people look at."""
        accepted = self.row.outcome == Outcome.ACCEPTED and in_sample(self.row.id, self.phase.review.share)
        return self.held or accepted

    def said_by(self, reviewer: str) -> ReviewDecision | None:
        """The reviewer's newest word."""
        return next((word.decision for word in reversed(self.words) if word.reviewer == reviewer), None)


def reviewed_phases(database: Database, run: str | None, name: str | None = None) -> tuple[str, list[ReviewedPhase]]:
    """The run's name and its phases, or the one of that name. Raises NotFound, and InputError for an unknown phase."""
    row = find_run(database, run)
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Phase).where(Phase.run_id == row.id, col(Phase.retired).is_(False)).order_by(col(Phase.position))
        phases = [_phase(phase) for phase in session.exec(query)]
    if name is None:
        return row.name, phases
    found = [phase for phase in phases if phase.name == name]
    if not found:
        raise InputError(f"run {row.name} has no phase {name!r}; it has {', '.join(phase.name for phase in phases)}")
    return row.name, found


def read_queue(
    database: Database, phases: Sequence[ReviewedPhase], reviewer: str, mode: Mode = Mode.FIRST
) -> list[Waiting]:
    """What this reviewer is to look at, in order: by phase and sample index, what was skipped by them last; second
    opinions in an order of their own. Raises DatabaseDown."""
    by_id = {phase.id: phase for phase in phases}
    with database.read() as connection:
        words = words_of_phases(connection, list(by_id))
        rows = connection.execute(_DONE, {"phases": list(by_id)}).all()
    candidates = [_Candidate(row, by_id[row.phase_id], words.get(row.id, ())) for row in rows]
    return [_waiting(one, mode) for one in _chosen(candidates, reviewer, mode)]


def _chosen(candidates: Iterable[_Candidate], reviewer: str, mode: Mode) -> list[_Candidate]:
    if mode == Mode.ALL:
        return [one for one in candidates if one.is_meant or standing_words(one.words)]
    if mode == Mode.SETTLE:
        return [one for one in candidates if one.held and consensus(one.words) == Consensus.SPLIT]
    if mode == Mode.SECOND:
        others = [one for one in candidates if standing_words(one.words) and one.said_by(reviewer) is None]
        return sorted(others, key=lambda one: content_hash(["second", one.row.id]))
    undecided = (Consensus.UNSEEN, Consensus.SPLIT)
    found = [one for one in candidates if one.is_meant and consensus(one.words) in undecided]
    found = [one for one in found if one.said_by(reviewer) in (None, ReviewDecision.SKIP)]
    return sorted(found, key=lambda one: one.said_by(reviewer) == ReviewDecision.SKIP)


def _waiting(one: _Candidate, mode: Mode) -> Waiting:
    """A second reviewer sees the text that the first one saw."""
    decided = standing_words(one.words)
    text_id = decided[0].text_id if mode in (Mode.SECOND, Mode.ALL) and decided else None
    label = f"{one.row.probe} v{one.row.position} #{one.row.sample_index}"
    return Waiting(one.row.id, one.phase.name, label, one.held, text_id, len(decided))


def _phase(row: Phase) -> ReviewedPhase:
    assert row.id is not None
    review: Mapping[str, Any] = row.config.get("review") or {}
    return ReviewedPhase(row.id, row.name, row.state, ReviewConfig.model_validate(dict(review)))


_DONE = text(
    """SELECT s.id, s.phase_id, s.outcome, s.reason, s.sample_index, p.name AS probe, v.position FROM sample s
       JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id JOIN phase ON phase.id = s.phase_id
       WHERE s.phase_id IN :phases AND s.purpose = 'distil' AND NOT s.superseded AND s.state = 'done'
       ORDER BY phase.position, s.sample_index, p.name, v.position"""
).bindparams(bindparam("phases", expanding=True))
