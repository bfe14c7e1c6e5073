"""The duplicates of a run as people look at them: every kept answer with those that were rejected for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from lemfarm.curation.contenders import external_name
from lemfarm.curation.duplicates import twin_in
from lemfarm.database import Database, prepared
from lemfarm.errors import NotFound
from lemfarm.runs import find_run


@dataclass(frozen=True, slots=True)
class GroupMember:
    """An answer of a group. `label` reads `P01_IDENTITY_WHISTLEBLOWER v2 #7`, or says where an external answer comes
    from; `similarity` to the kept one: 1 for the same text or the same runs of words."""

    name: str
    label: str
    phase: str
    similarity: float = 1.0


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """A kept answer, and its duplicates from the most similar to the least."""

    kept: GroupMember
    duplicates: tuple[GroupMember, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All groups of a run, the largest first; `rejected`: how many answers that are."""

    run: str
    rejected: int
    groups: tuple[DuplicateGroup, ...]


def find_duplicates(database: Database, run: str | None, *, phase: str | None = None) -> Duplicates:
    """What was rejected as a duplicate, in one phase or in all. Raises NotFound for an unknown run or phase."""
    row = find_run(database, run)
    with database.read() as connection:
        if phase is not None:
            _require_phase(connection, row.id, row.name, phase)
        answers = {one.name: (one, reason) for one, reason in _answers(connection, row.id)}
    groups: dict[str, list[GroupMember]] = {}
    for one, reason in answers.values():
        twin = twin_in(reason)
        if twin is not None and phase in (None, one.phase):
            groups.setdefault(twin.name, []).append(GroupMember(one.name, one.label, one.phase, twin.similarity))
    found = [DuplicateGroup(answers[name][0], _by_similarity(members)) for name, members in groups.items()]
    found.sort(key=lambda group: (-len(group.duplicates), group.kept.label, group.kept.name))
    return Duplicates(row.name, sum(map(len, groups.values())), tuple(found))


def _by_similarity(members: Iterable[GroupMember]) -> tuple[GroupMember, ...]:
    return tuple(sorted(members, key=lambda one: (-one.similarity, one.label, one.name)))


def _require_phase(connection: Connection, run_id: int | None, run: str, phase: str) -> None:
    names = list(connection.execute(prepared(_PHASES), {"run": run_id}).scalars())
    if phase not in names:
        raise NotFound(f"run {run} has no phase {phase!r}; it has {', '.join(names)}.")


def _answers(connection: Connection, run_id: int | None) -> Iterable[tuple[GroupMember, str]]:
    """Own and external answers with the reasons of their verdicts."""
    for row in connection.execute(prepared(_SAMPLES), {"run": run_id}):
        yield GroupMember(row.id, f"{row.probe} v{row.position} #{row.sample_index}", row.phase), row.reason
    for row in connection.execute(prepared(_EXTERNAL), {"run": run_id}):
        yield _external(row), row.reason


def _external(row: Any) -> GroupMember:
    return GroupMember(external_name(row.id), f"{row.probe} v{row.position} from {row.source}", row.phase)


_PHASES = "SELECT name FROM phase WHERE run_id = :run AND NOT retired ORDER BY position"
_SAMPLES = """SELECT s.id, p.name AS probe, v.position, s.sample_index, h.name AS phase, s.reason
    FROM sample s JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id
    JOIN phase h ON h.id = s.phase_id WHERE s.run_id = :run AND s.purpose = 'distil' AND s.state = 'done'
    AND NOT s.superseded"""
_EXTERNAL = """SELECT e.id, p.name AS probe, v.position, e.source, h.name AS phase, e.reason
    FROM external_answer e JOIN probe p ON p.id = e.probe_id JOIN variant v ON v.id = e.variant_id
    JOIN phase h ON h.id = e.phase_id WHERE e.run_id = :run"""
