"""The answers of a run that its duplicates gates compare, read from the database: all, or those around one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, text

from lemfarm.curation.duplicates import DUPLICATE, Contender
from lemfarm.curation.signatures import ALGORITHM, TextSignature, band_key, bands, sign
from lemfarm.database import Database, decoded, prepared
from lemfarm.records import Outcome, PhaseState, StageState

PAGE = 200
"""Texts that are read and signed at once."""

TRAINED_ON = frozenset({PhaseState.MEASURING, PhaseState.HELD, PhaseState.TRAINED})
"""States of a phase whose answers have gone into an adapter that may stay."""

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """What a phase that rejects duplicates says of them. `scorer`: whose score tells the best, if any; `is_fixed`: it
    is being trained or was, so that what it accepted stays."""

    threshold: float
    scorer: str | None
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class SignedText:
    """A sample's text by its signature, and the sample's index."""

    signature: TextSignature
    position: int


@dataclass
class Contenders:
    """Reads the contenders of one run within one transaction. `newcomer`: a sample that nobody has trained on, whatever
    became of its phase."""

    connection: Connection
    run_id: int
    newcomer: str = ""
    _known: dict[TextSignature, list[Contender]] = field(default_factory=dict)

    @cached_property
    def rules(self) -> dict[int, PhaseRule]:
        """The phases that reject duplicates; the others neither give nor take twins."""
        rows = self.connection.execute(prepared(_PHASES), {"run": self.run_id, "leased": StageState.LEASED})
        rules = ((row.id, _rule(decoded(row.config)["gates"], row)) for row in rows)
        return {phase_id: rule for phase_id, rule in rules if rule is not None}

    def all(self) -> list[Contender]:
        """Every contender that has a signature, in no order."""
        rows = self.connection.execute(prepared(_ALL_SAMPLES), self._values).all()
        return self._contenders(rows, self.connection.execute(prepared(_ALL_EXTERNAL), self._values).all())

    def around(self, signature: TextSignature) -> list[Contender]:
        """Those that share a band with a signature."""
        if signature not in self._known:
            values = self._values | {"keys": [band_key(band) for band in bands(signature)]}
            rows = self.connection.execute(_NEAR_SAMPLES, values).all()
            external = self.connection.execute(_NEAR_EXTERNAL, values).all()
            self._known[signature] = self._contenders(rows, external)
        return self._known[signature]

    @property
    def _values(self) -> dict[str, Any]:
        return {"run": self.run_id, "algorithm": ALGORITHM}

    def _contenders(self, samples: Sequence[Any], external: Sequence[Any]) -> list[Contender]:
        rules = self.rules
        scores = self._scores([row.text_id for row in samples if row.phase_id in rules])
        own = (
            (row, rule, row.sample_id, scores.get((row.text_id, rule.scorer)))
            for row in samples
            if (rule := rules.get(row.phase_id))
        )
        theirs = (
            (row, rule, external_name(row.external_id), _external_score(row, rule))
            for row in external
            if (rule := rules.get(row.phase_id))
        )
        return [self._contender(*found) for found in (*own, *theirs)]

    def _contender(self, row: Any, rule: PhaseRule, name: str, value: float | None) -> Contender:
        return Contender(
            name=name,
            phase_id=row.phase_id,
            signature=_signature(row),
            value=value or 0.0,
            position=row.position,
            threshold=rule.threshold,
            text_id=row.text_id,
            fixed=rule.is_fixed and row.outcome == Outcome.ACCEPTED and name != self.newcomer,
            standing=row.reason if row.reason.startswith(DUPLICATE) else "",
        )

    def _scores(self, text_ids: Sequence[int]) -> dict[tuple[int, str | None], float]:
        """The newest score by text and scorer."""
        found: dict[tuple[int, str | None], float] = {}
        for start in range(0, len(text_ids), _CHUNK):
            rows = self.connection.execute(_SCORES, {"texts": text_ids[start : start + _CHUNK]})
            found |= {(row.text_id, row.scorer): row.value for row in rows}
        return found


def external_name(number: int) -> str:
    """How the verdict of a duplicate names an external answer."""
    return f"external answer {number}"


def signed_texts(connection: Connection, text_ids: Sequence[int]) -> dict[int, SignedText]:
    """Texts of samples by their signatures; those that have none are signed, and nothing is stored."""
    found: dict[int, SignedText] = {}
    for start in range(0, len(text_ids), _CHUNK):
        values = {"texts": list(text_ids[start : start + _CHUNK]), "algorithm": ALGORITHM}
        for row in connection.execute(_SIGNED, values):
            signature = _signature(row) if row.content is None else sign(row.content)
            found[row.text_id] = SignedText(signature, row.position)
    return found


def write_signature(
    connection: Connection, signature: TextSignature, *, text_id: int | None = None, external_id: int | None = None
) -> None:
    """Store the signature of a text, or of an external answer, and file it under its bands; once is enough."""
    values: dict[str, Any] = {"text": text_id, "external": external_id, "algorithm": ALGORITHM}
    values |= {"exact": signature.exact, "minhash": signature.minhash}
    number = connection.execute(prepared(_SIGN), values).scalar_one_or_none()
    if number is not None:
        keys = {band_key(band) for band in bands(signature)}
        connection.execute(prepared(_FILE), [{"key": key, "signature": number} for key in keys])


def sign_missing(database: Database, run_id: int) -> int:
    """Sign what takes part and is not signed yet, as when a gate was added; returns how many that were."""
    signed = 0
    with database.read() as connection:
        phases = list(Contenders(connection, run_id).rules)
    for unsigned, column in ((_UNSIGNED_SAMPLES, "text_id"), (_UNSIGNED_EXTERNAL, "external_id")):
        for rows in _pages(database, unsigned, {"phases": phases, "algorithm": ALGORITHM}) if phases else ():
            signatures = [(row.id, sign(row.content)) for row in rows]
            with database.write() as connection:
                for number, signature in signatures:
                    write_signature(connection, signature, **{column: number})
            signed += len(signatures)
    return signed


def _pages(database: Database, query: TextClause, values: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    after = 0
    while True:
        with database.read() as connection:
            rows = connection.execute(query, {**values, "after": after, "page": PAGE}).all()
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def _rule(gates: Iterable[Mapping[str, Any]], row: Any) -> PhaseRule | None:
    threshold = next((gate["similarity"] for gate in gates if gate.get("duplicates") == "reject"), None)
    if threshold is None:
        return None
    scorer = next((gate["scorer"] for gate in gates if "scorer" in gate), None)
    return PhaseRule(threshold, scorer, bool(row.training) or row.state in TRAINED_ON)


def _signature(row: Any) -> TextSignature:
    return TextSignature(row.exact, bytes(row.minhash))


def _external_score(row: Any, rule: PhaseRule) -> float | None:
    found = decoded(row.scores).get(rule.scorer)
    return None if found is None else float(found["value"])


def _in(query: str, *names: str) -> TextClause:
    return text(query).bindparams(*(bindparam(name, expanding=True) for name in names))


_PHASES = """SELECT id, config, state, EXISTS (SELECT 1 FROM training_stage t WHERE t.phase_id = phase.id
    AND t.state = :leased) AS training FROM phase WHERE run_id = :run AND NOT retired"""

# What every gate but this one lets pass: what waits for a score may yet fail, what waits for a person has passed. Only
# done samples have a text, so their state need not be asked for.
_TAKES_PART = """(s.outcome = 'accepted' OR (s.outcome = 'held' AND s.reason NOT LIKE 'no score by %')
    OR (s.outcome = 'rejected' AND s.reason LIKE 'duplicate of %'))"""
_COUNTS = f"""s.purpose = 'distil' AND NOT s.superseded AND {_TAKES_PART}
    AND t.revision = (SELECT max(revision) FROM text WHERE text.sample_id = s.id)"""
_EXTERNAL_COUNTS = """(e.outcome = 'accepted' OR (e.outcome = 'rejected' AND e.reason LIKE 'duplicate of %'))"""
# Answers to wordings that the phase asks no more stay, and count for nothing.
_ASKED = """(e.phase_id, e.variant_id) IN (SELECT phase_id, variant_id FROM sample
    WHERE run_id = :run AND purpose = 'distil' AND NOT superseded)"""
_SAMPLES = f"""SELECT g.exact, g.minhash, t.id AS text_id, s.id AS sample_id, s.phase_id, s.sample_index AS position,
    s.outcome, s.reason FROM signature g JOIN text t ON t.id = g.text_id JOIN sample s ON s.id = t.sample_id
    WHERE g.algorithm = :algorithm AND {_COUNTS} AND """
_EXTERNAL = f"""SELECT g.exact, g.minhash, NULL AS text_id, e.id AS external_id, e.phase_id, e.id AS position,
    e.outcome, e.reason, e.scores FROM signature g JOIN external_answer e ON e.id = g.external_id
    WHERE g.algorithm = :algorithm AND {_EXTERNAL_COUNTS} AND {_ASKED} AND """
_ALL_SAMPLES = f"{_SAMPLES} s.run_id = :run"
_ALL_EXTERNAL = f"{_EXTERNAL} e.run_id = :run"
# `+ 0` keeps SQLite from walking through all samples of the run to find those few.
_SHARED = "g.id IN (SELECT signature_id FROM signature_band WHERE key IN :keys)"
_NEAR_SAMPLES = _in(f"{_SAMPLES} s.run_id + 0 = :run AND {_SHARED}", "keys")
_NEAR_EXTERNAL = _in(f"{_EXTERNAL} e.run_id + 0 = :run AND {_SHARED}", "keys")
_SCORES = _in("SELECT text_id, scorer, value FROM score WHERE text_id IN :texts ORDER BY id", "texts")
_SIGNED = _in(
    """SELECT t.id AS text_id, s.sample_index AS position, g.exact, g.minhash,
       CASE WHEN g.id IS NULL THEN t.content END AS content FROM text t JOIN sample s ON s.id = t.sample_id
       LEFT JOIN signature g ON g.text_id = t.id AND g.algorithm = :algorithm WHERE t.id IN :texts""",
    "texts",
)
_SIGN = """INSERT INTO signature (text_id, external_id, algorithm, exact, minhash)
    VALUES (:text, :external, :algorithm, :exact, :minhash) ON CONFLICT DO NOTHING RETURNING id"""
_FILE = "INSERT INTO signature_band (key, signature_id) VALUES (:key, :signature)"
_UNSIGNED_SAMPLES = _in(
    f"""SELECT t.id, t.content FROM sample s JOIN text t ON t.sample_id = s.id
        WHERE s.phase_id IN :phases AND {_COUNTS} AND t.id > :after AND NOT EXISTS
        (SELECT 1 FROM signature g WHERE g.text_id = t.id AND g.algorithm = :algorithm) ORDER BY t.id LIMIT :page""",
    "phases",
)
_UNSIGNED_EXTERNAL = _in(
    f"""SELECT e.id, e.content FROM external_answer e
        WHERE e.phase_id IN :phases AND {_EXTERNAL_COUNTS} AND e.id > :after AND NOT EXISTS
        (SELECT 1 FROM signature g WHERE g.external_id = e.id AND g.algorithm = :algorithm)
        ORDER BY e.id LIMIT :page""",
    "phases",
)
