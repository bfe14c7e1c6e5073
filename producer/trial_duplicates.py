"""Which answers would be duplicates by gates that are only tried: of the run as it would be judged by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lemfarm.config import DuplicatesGate
from lemfarm.curation.contenders import Contenders, PhaseRule, signed_texts
from lemfarm.curation.duplicates import Contender, keep_best
from lemfarm.database import Database
from lemfarm.records import Outcome
from producer.judging import Judged


@dataclass(frozen=True, slots=True)
class TriedPhase:
    """A phase as it would be: its gate on duplicates, if it has one then, and the answers that the others let pass."""

    gate: DuplicatesGate | None
    passing: Sequence[Judged]


def duplicates_then(database: Database, run_id: int, tried: Mapping[int, TriedPhase]) -> frozenset[str]:
    """The samples that would be rejected for their twins. Phases that are not tried stand as they do. What is not
    signed yet is signed for this and forgotten. Raises Unavailable."""
    if all(phase.gate is None for phase in tried.values()):
        return frozenset()
    with database.read() as connection:
        contenders = Contenders(connection, run_id)
        found, rules = [one for one in contenders.all() if one.phase_id not in tried], contenders.rules
    for phase_id, phase in tried.items():
        if phase.gate is not None:
            found += _contenders(database, phase_id, phase.gate, phase.passing, rules.get(phase_id))
    return frozenset(keep_best(found))


def _contenders(
    database: Database, phase_id: int, gate: DuplicatesGate, answers: Sequence[Judged], rule: PhaseRule | None
) -> list[Contender]:
    with database.read() as connection:
        signed = signed_texts(connection, [answer.text_id for answer in answers])
    is_fixed = rule is not None and rule.is_fixed
    return [
        Contender(
            name=answer.sample_id,
            phase_id=phase_id,
            signature=signed[answer.text_id].signature,
            value=answer.value,
            position=signed[answer.text_id].position,
            threshold=gate.similarity,
            text_id=answer.text_id,
            fixed=is_fixed and answer.before == Outcome.ACCEPTED,
        )
        for answer in answers
    ]
