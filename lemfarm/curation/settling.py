"""Verdicts on duplicates, written: with the sample that brings a change, or for a whole run at once.

Both come to the same, `curation.duplicates` says why. What settles a run waits for its turn, so that of two twins that
workers store at the same moment the second finds the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, text

from lemfarm.curation.contenders import Contenders, sign_missing, write_signature
from lemfarm.curation.duplicates import DUPLICATE, Contender, Twin, keep_best, reason_of, spread
from lemfarm.curation.signatures import ALGORITHM, TextSignature, sign
from lemfarm.database import Database, prepared
from lemfarm.ledger import Ledger
from lemfarm.records import Outcome
from lemfarm.work import NewVerdict

_LOCK_SPACE = 0x1E3F_D0B1
_CHUNK = 500
Decided = tuple[Contender, Twin | None]


@dataclass(frozen=True, slots=True)
class Change:
    """An answer that became a duplicate, is none any more, or has another twin."""

    name: str
    phase_id: int
    before: str
    after: str

    @property
    def is_other_outcome(self) -> bool:
        """It counts now, or counts no more."""
        return self.before != self.after


def settle_sample(
    ledger: Ledger, connection: Connection, sample_id: str, signature: TextSignature | None = None
) -> None:
    """Judge a sample that was just stored or judged, and all that this concerns, as part of the same transaction; where
    its phase keeps duplicates nothing is done. Given the `signature` of its newest text, there is little to compute."""
    sample = connection.execute(prepared(_SAMPLE), {"id": sample_id}).one()
    contenders = Contenders(connection, sample.run_id, newcomer=sample_id)
    if sample.phase_id not in contenders.rules:
        return
    take_turn(ledger.database, connection, sample.run_id)
    write_signature(connection, signature or sign(sample.content), text_id=sample.text_id)
    rows = connection.execute(prepared(_SIGNATURES), {"id": sample_id, "algorithm": ALGORITHM}).all()
    signatures = [TextSignature(row.exact, bytes(row.minhash)) for row in rows]
    touched = [other for one in signatures for other in contenders.around(one) if other.resembles(one)]
    changed = [other for other in contenders.around(signatures[-1]) if other.name == sample_id]
    _write(ledger, connection, spread(changed, touched, lambda one: contenders.around(one.signature)))


def settle_run(database: Database, run_id: int) -> list[Change]:
    """Judge all answers of a run as if none had been judged before: after a change of gates, scores or reviews. With
    nothing to change nothing is written. Raises Unavailable."""
    sign_missing(database, run_id)
    with database.read() as connection:
        if not unsettled(connection, run_id):
            return []
    ledger = Ledger(database)
    with database.write() as connection:
        take_turn(database, connection, run_id)
        return _write(ledger, connection, unsettled(connection, run_id))


def unsettled(connection: Connection, run_id: int) -> list[Decided]:
    """The answers of a run whose verdict does not say what the rule says of all that are signed."""
    found = Contenders(connection, run_id).all()
    twins = keep_best(found)
    return [(one, twins.get(one.name)) for one in found if reason_of(twins.get(one.name)) != one.standing]


def take_turn(database: Database, connection: Connection, run_id: int) -> None:
    """Until this transaction ends nobody else settles the run; SQLite has one writer anyway. Who judges stored samples
    does so in turn too, so that no two wait for each other's rows."""
    if not database.is_sqlite:
        connection.execute(text("SELECT pg_advisory_xact_lock(:space, :run)"), {"space": _LOCK_SPACE, "run": run_id})


def _write(ledger: Ledger, connection: Connection, found: Sequence[Decided]) -> list[Change]:
    """The same order for everybody, so that nobody waits for rows of one who waits for him."""
    own = sorted((item for item in found if item[0].text_id is not None), key=lambda item: item[0].name)
    passed = _passed(connection, [one.name for one, _ in own])
    ledger.judge(connection, [_verdict(one, twin, passed[one.name]) for one, twin in own])
    external = [item for item in found if item[0].text_id is None]
    for one, twin in external:
        connection.execute(prepared(_EXTERNAL), _external_values(one, twin))
    outcomes = {name: row.outcome for name, row in passed.items()}
    return [_change(one, twin, outcomes.get(one.name, Outcome.ACCEPTED)) for one, twin in [*own, *external]]


def _passed(connection: Connection, names: Sequence[str]) -> dict[str, Any]:
    """What the other gates, and reviewers, said of samples: their newest verdict that is not about a twin."""
    found: dict[str, Any] = {}
    for start in range(0, len(names), _CHUNK):
        rows = connection.execute(_PASSED, {"names": list(names[start : start + _CHUNK])})
        found |= {row.sample_id: row for row in rows}
    return found


def _verdict(one: Contender, twin: Twin | None, passed: Any) -> NewVerdict:
    assert one.text_id is not None
    outcome, reason = (passed.outcome, passed.reason) if twin is None else (str(Outcome.REJECTED), twin.reason)
    return NewVerdict(one.name, one.text_id, passed.gate_hash, outcome, reason)


def _external_values(one: Contender, twin: Twin | None) -> dict[str, Any]:
    said = (Outcome.ACCEPTED, "passed every gate") if twin is None else (Outcome.REJECTED, twin.reason)
    return {"outcome": str(said[0]), "reason": said[1], "id": one.position}


def _change(one: Contender, twin: Twin | None, passed: str) -> Change:
    was, now = (str(Outcome.REJECTED) if about_twin else str(passed) for about_twin in (one.standing, twin))
    return Change(one.name, one.phase_id, was, now)


_SAMPLE = """SELECT s.run_id, s.phase_id, t.id AS text_id, t.content FROM sample s JOIN text t ON t.sample_id = s.id
    WHERE s.id = :id ORDER BY t.revision DESC LIMIT 1"""
_SIGNATURES = """SELECT g.exact, g.minhash FROM signature g JOIN text t ON t.id = g.text_id
    WHERE t.sample_id = :id AND g.algorithm = :algorithm ORDER BY t.revision"""
_EXTERNAL = "UPDATE external_answer SET outcome = :outcome, reason = :reason WHERE id = :id"
_PASSED = text(
    f"""SELECT sample_id, gate_hash, outcome, reason FROM verdict WHERE sample_id IN :names
        AND reason NOT LIKE '{DUPLICATE}%' ORDER BY id"""
).bindparams(bindparam("names", expanding=True))
