"""Where every sample stands, and the only module that writes it.

Every change of state is one guarded UPDATE: it names the state it expects, and the epoch where a claim is meant, so
that a late word of a worker that lost its lease changes nothing. Messages are hints; what counts is what is written
here. A complete result is the exception that makes the farm lose nothing: it is accepted for any sample that is not
done, whatever its state or epoch.

    pending -> leased -> done | failed
    pending -> skipped -> pending
    leased  -> pending            (released, reaped, its worker died, or a retry)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, String, TextClause, bindparam, or_, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.selectable import TextualSelect

from lemfarm.database import Database, prepared
from lemfarm.identity import canonical_json
from lemfarm.records import Sample
from lemfarm.sample_rows import change_all, chunks, count_rows, mark, row_ids, scope
from lemfarm.work import Balance, Claim, NewVerdict, Planned, PlannedSample, Result, ScoredBy, Sighting

RETRY_SECONDS = 2.0
_ATTEMPT = "sample_id, epoch, worker_id, alone, started, ending, error, generation"

#: A sample that goes back is not needed any more when its run was cancelled meanwhile.
_BACK = "CASE (SELECT state FROM run WHERE run.id = sample.run_id) WHEN 'cancelled' THEN 'skipped' ELSE 'pending' END"
_BACK_REASON = f"CASE {_BACK} WHEN 'skipped' THEN 'cancelled' ELSE '' END"
_FREE = "owner = NULL, lease_expires = 0, wave = NULL"


@dataclass
class Ledger:
    """The states of all samples in one database; safe to share between threads."""

    database: Database
    _now: str = field(init=False)

    def __post_init__(self) -> None:
        self._now = self.database.now

    # ---- planning

    def plan(self, run_id: int, purpose: str, rows: Sequence[PlannedSample], *, phase_id: int | None = None) -> Planned:
        """Make the run's rows of one purpose, or those of one phase, those of the plan: add missing ones, mark what
        left it as superseded, take back what returned to it. Repeating it changes nothing."""
        where, values = scope(run_id, purpose, phase_id)
        with self.database.write() as connection:
            before = count_rows(connection, where, values)
            self._insert(connection, rows)
            added = count_rows(connection, where, values) - before
            known = row_ids(connection, f"{where} AND NOT superseded", values)
            gone = row_ids(connection, f"{where} AND superseded", values)
            wanted = {row.id for row in rows}
            superseded = mark(connection, known - wanted, "superseded = true, wave = NULL")
            restored = mark(connection, gone & wanted, "superseded = false")
            return Planned(added, superseded, restored)

    def drop(self, sample_ids: Iterable[str]) -> int:
        """Take rows out that left the plan before anybody began them; others of these stay."""
        with self.database.write() as connection:
            return change_all(connection, sample_ids, "DELETE FROM sample", "superseded AND epoch = 0")

    def _insert(self, connection: Connection, rows: Sequence[PlannedSample]) -> None:
        dialect = sqlite if self.database.is_sqlite else postgresql
        table = Sample.__table__  # type: ignore[attr-defined]
        statement = dialect.insert(table)
        moved = {name: statement.excluded[name] for name in ("phase_id", "condition")}  # an evaluation may be renamed
        differs = or_(*(table.c[name] != value for name, value in moved.items()))
        statement = statement.on_conflict_do_update(index_elements=["id"], set_=moved, where=differs)
        for chunk in chunks(rows, 5000):
            connection.execute(statement, [_values(row) | _AS_PLANNED for row in chunk])

    def send(self, sample_ids: Iterable[str], wave: int) -> int:
        """Note that messages of this wave are in the queue for these pending samples."""
        with self.database.write() as connection:
            return mark(connection, sample_ids, f"wave = {int(wave)}", "state = 'pending'")

    def forget_messages(self, run_id: int) -> int:
        """The queue lost its messages: pending samples are to be sent again."""
        return self._change("wave = NULL", "run_id = :run AND state = 'pending' AND wave IS NOT NULL", {"run": run_id})

    # ---- the life of a claim

    def claim(self, sample_id: str, worker_id: str, lease_seconds: float) -> Claim | None:
        """Lease a pending sample of an active run; none when it is not to be had: forget the message."""
        row = self._claim_and_begin({"id": sample_id, "worker": worker_id, "lease": lease_seconds})
        return None if row is None else Claim(sample_id=sample_id, **row._mapping)

    def _claim_and_begin(self, values: Mapping[str, Any]) -> Row[Any] | None:
        if not self.database.is_sqlite:
            with self.database.write_at_once() as connection:
                return connection.execute(_claim_at_once(self._now), values).one_or_none()
        with self.database.write() as connection:
            row = connection.execute(_claim(self._now), values).one_or_none()
            if row is not None:
                connection.execute(_begin(self._now), {**values, "epoch": row.epoch})
            return row

    def begin_alone(self, sample_id: str, epoch: int) -> None:
        """Note that the sample is about to run with nothing beside it: a death now is its own doing."""
        with self.database.write() as connection:
            connection.execute(
                prepared("UPDATE attempt SET alone = true WHERE sample_id = :id AND epoch = :epoch"),
                {"id": sample_id, "epoch": epoch},
            )

    def renew(self, worker_id: str, sample_ids: Iterable[str], lease_seconds: float) -> dict[str, int]:
        """Extend the leases of what a worker has in hand, in one statement; returns id -> epoch of those it may go on
        with. A lease that was forgotten, as after a lost answer of the database, runs out and is reaped."""
        statement = text(
            f"""UPDATE sample SET lease_expires = {self._now} + :lease
                WHERE owner = :worker AND state = 'leased' AND id IN :ids
                RETURNING id, epoch, (SELECT state FROM run WHERE run.id = sample.run_id) AS run_state"""
        ).bindparams(bindparam("ids", type_=String(), expanding=True))
        values = {"worker": worker_id, "lease": lease_seconds, "ids": list(sample_ids)}
        with self.database.write() as connection:
            rows = connection.execute(statement, values).all()
            return {row.id: row.epoch for row in rows if row.run_state != "cancelled"}

    def record(self, result: Result, also: Callable[[Connection], None] = lambda _connection: None) -> bool:
        """Store a complete result with its scores and verdict in one durable transaction, and do what `also` belongs to
        it. False when the sample was done already: this one is dropped, and its attempt says so."""
        values = {"id": result.sample_id, "worker": result.worker_id}
        with self.database.write(durable=True) as connection:
            stored = connection.execute(
                prepared(
                    f"""UPDATE sample SET state = 'done', outcome = :outcome, reason = :reason, error_class = NULL,
                        owner = :worker, lease_expires = 0, wave = NULL, finished = {self._now}
                        WHERE id = :id AND state <> 'done' RETURNING epoch"""
                ),
                values | {"outcome": result.outcome, "reason": result.reason},
            ).one_or_none()
            ending = "done" if stored else "dropped"
            self._end_attempt(connection, result.sample_id, result.epoch, ending, generation=result.generation)
            if stored:
                if stored.epoch > 1:
                    self._drop_rivals(connection, result)
                self._store_text(connection, result)
                also(connection)
            return stored is not None

    def _drop_rivals(self, connection: Connection, result: Result) -> None:
        """Whoever else works on this sample, after a lease that ran out, works in vain: its claim has ended."""
        connection.execute(
            prepared(
                f"""UPDATE attempt SET ended = {self._now}, ending = 'dropped'
                    WHERE sample_id = :id AND epoch <> :epoch AND ending = ''"""
            ),
            {"id": result.sample_id, "epoch": result.epoch},
        )

    def _store_text(self, connection: Connection, result: Result) -> None:
        values: dict[str, Any] = {"id": result.sample_id, "content": result.content}
        text_id = connection.execute(
            prepared(
                f"""INSERT INTO text (sample_id, revision, content, thoughts, token_ids, created)
                    VALUES (:id, 0, :content, :thoughts, :tokens, {self._now}) RETURNING id"""
            ),
            values | {"thoughts": result.thoughts, "tokens": result.token_ids},
        ).scalar_one()
        self.add_scores(connection, [(text_id, score) for score in result.scores])
        verdict = NewVerdict(result.sample_id, text_id, result.gate_hash, result.outcome, result.reason)
        self._add_verdicts(connection, [_values(verdict)])

    def add_scores(self, connection: Connection, scores: Iterable[tuple[int, ScoredBy]]) -> None:
        """Store scores with the ids of their texts; one of the same scorer and version is there already and stays."""
        rows = [
            {"text": text_id, **_values(score), "signals": canonical_json(dict(score.signals))}
            for text_id, score in scores
        ]
        if rows:
            connection.execute(
                prepared(
                    f"""INSERT INTO score (text_id, scorer, version, value, signals, created)
                        VALUES (:text, :scorer, :version, :value, :signals, {self._now}) ON CONFLICT DO NOTHING"""
                ),
                rows,
            )

    def judge(
        self, connection: Connection, verdicts: Iterable[NewVerdict], scores: Iterable[tuple[int, ScoredBy]] = ()
    ) -> None:
        """Replace verdicts of done samples, keeping the old ones as history; store scores that were missing for it."""
        replace = "UPDATE sample SET outcome = :outcome, reason = :reason WHERE id = :sample_id AND state = 'done'"
        self.add_scores(connection, scores)
        if rows := [_values(verdict) for verdict in verdicts]:
            connection.execute(prepared(replace), rows)
            self._add_verdicts(connection, rows)

    def _add_verdicts(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        connection.execute(
            prepared(
                f"""INSERT INTO verdict (sample_id, text_id, gate_hash, outcome, reason, created)
                    VALUES (:sample_id, :text_id, :gate_hash, :outcome, :reason, {self._now})"""
            ),
            rows,
        )

    def fail(self, sample_id: str, epoch: int, kind: str, message: str, *, retryable: bool, retries: int) -> str | None:
        """End a claim without a result: back to pending while the retry budget lasts, waiting longer each time, else
        failed. Returns the new state; none when the claim was not ours any more."""
        again = "(:retryable AND failures < :retries)"
        values = {"id": sample_id, "epoch": epoch, "kind": kind, "message": message, "wait": RETRY_SECONDS}
        with self.database.write() as connection:
            state: str | None = connection.execute(
                prepared(
                    f"""UPDATE sample SET state = CASE WHEN {again} THEN {_BACK} ELSE 'failed' END,
                        reason = CASE WHEN {again} AND {_BACK} = 'skipped' THEN 'cancelled' ELSE :message END,
                        failures = failures + 1, error_class = :kind, {_FREE},
                        not_before = {self._now} + :wait * (failures + 1)
                        WHERE id = :id AND epoch = :epoch AND state = 'leased' RETURNING state"""
                ),
                values | {"retryable": retryable, "retries": retries},
            ).scalar_one_or_none()
            if state is not None:
                self._end_attempt(connection, sample_id, epoch, "failed", error=f"{kind}: {message}")
            return state

    def release(self, sample_id: str, epoch: int) -> bool:
        """Give a claim back unfinished; no retry is spent."""
        with self.database.write() as connection:
            return self._give_back(connection, sample_id, epoch, "released")

    def _give_back(
        self, connection: Connection, sample_id: str, epoch: int, ending: str, expires: float | None = None
    ) -> bool:
        as_seen = "" if expires is None else "AND lease_expires = :expires"
        values = {"id": sample_id, "epoch": epoch} | ({} if expires is None else {"expires": expires})
        row = connection.execute(
            prepared(
                f"""UPDATE sample SET state = {_BACK}, reason = {_BACK_REASON}, {_FREE}
                    WHERE id = :id AND epoch = :epoch AND state = 'leased' {as_seen} RETURNING id"""
            ),
            values,
        ).one_or_none()
        if row is not None:
            self._end_attempt(connection, sample_id, epoch, ending)
        return row is not None

    def _end_attempt(
        self,
        connection: Connection,
        sample_id: str,
        epoch: int,
        ending: str,
        *,
        error: str = "",
        generation: Mapping[str, Any] | None = None,
    ) -> None:
        """What is done stays done: the same result may come twice, from its task and from the spool."""
        values = {"id": sample_id, "epoch": epoch, "ending": ending, "error": error}
        connection.execute(
            prepared(
                f"""UPDATE attempt SET ended = {self._now}, ending = :ending, error = :error, generation = :generation
                    WHERE sample_id = :id AND epoch = :epoch AND ending <> 'done'"""
            ),
            values | {"generation": canonical_json(dict(generation or {}))},
        )

    # ---- claims whose worker is gone

    def expired(self) -> list[Sighting]:
        """Leases that ran out by the database's clock."""
        expired = f"SELECT id, epoch, lease_expires FROM sample WHERE state = 'leased' AND lease_expires < {self._now}"
        with self.database.read() as connection:
            rows = connection.execute(text(expired))
            return [Sighting(row.id, row.epoch, row.lease_expires) for row in rows]

    def reap(self, sightings: Iterable[Sighting]) -> int:
        """Take back leases that were seen expired twice; a renewal in between has changed the row and saves it."""
        with self.database.write() as connection:
            return sum(
                self._give_back(connection, seen.sample_id, seen.epoch, "reaped", seen.lease_expires)
                for seen in sightings
            )

    def bury(self, worker_id: str, *, rebooted: bool) -> int:
        """Take back what a worker held when it died, and return how many. Unless the machine rebooted, the death counts
        against each of them; one that ran alone is quarantined: failed as `killer`."""
        guilty = """(:death = 1 AND EXISTS (SELECT 1 FROM attempt WHERE attempt.sample_id = sample.id
                     AND attempt.epoch = sample.epoch AND attempt.alone))"""
        with self.database.write() as connection:
            dead = connection.execute(
                text("UPDATE worker SET state = 'died', in_flight = 0 WHERE id = :id AND state <> 'died' RETURNING id"),
                {"id": worker_id},
            ).one_or_none()
            if dead is None:
                return 0
            rows = connection.execute(
                text(
                    f"""UPDATE sample SET deaths = deaths + :death, {_FREE},
                        state = CASE WHEN {guilty} THEN 'failed' ELSE {_BACK} END,
                        error_class = CASE WHEN {guilty} THEN 'killer' ELSE error_class END,
                        reason = CASE WHEN {guilty} THEN 'workers died with it, the last time alone'
                                 ELSE {_BACK_REASON} END
                        WHERE owner = :worker AND state = 'leased' RETURNING id, epoch"""
                ),
                {"worker": worker_id, "death": 0 if rebooted else 1},
            ).all()
            for row in rows:
                self._end_attempt(connection, row.id, row.epoch, "died")
            return len(rows)

    # ---- what is wanted

    def skip(self, phase_id: int, reason: str, *, probe_id: str | None = None) -> int:
        """Set aside pending samples that a full quota, or a probe at its cap, no longer needs. Leased ones finish."""
        where = "phase_id = :phase AND purpose = 'distil' AND state = 'pending' AND NOT superseded"
        values: dict[str, Any] = {"phase": phase_id, "why": reason}
        if probe_id is not None:
            where, values = f"{where} AND probe_id = :probe", values | {"probe": probe_id}
        return self._change("state = 'skipped', reason = :why, wave = NULL", where, values)

    def unskip(self, run_id: int, reason: str, *, phase_id: int | None = None) -> int:
        """Want skipped samples again: the quota or a gate was raised, or a cancelled run resumed."""
        where = "run_id = :run AND state = 'skipped' AND reason = :why"
        values: dict[str, Any] = {"run": run_id, "why": reason}
        if phase_id is not None:
            where += " AND phase_id = :phase"
            values["phase"] = phase_id
        return self._change("state = 'pending', reason = ''", where, values)

    def cancel(self, run_id: int) -> int:
        """Skip all that is pending; leased samples stop at their worker's next renewal."""
        cancelled = "state = 'skipped', reason = 'cancelled', wave = NULL"
        return self._change(cancelled, "run_id = :run AND state = 'pending'", {"run": run_id})

    def requeue_failed(self, run_id: int) -> int:
        """Give failed samples a fresh retry budget and a clean record of deaths."""
        return self._change(
            "state = 'pending', failures = 0, deaths = 0, error_class = NULL, reason = '', not_before = 0",
            "run_id = :run AND state = 'failed'",
            {"run": run_id},
        )

    def balance(self, run_id: int, purpose: str, *, phase_id: int | None = None) -> Balance:
        """Count a run's samples of one purpose, or those of one of its phases."""
        where, values = scope(run_id, purpose, phase_id)
        columns = "superseded, state, outcome"
        with self.database.read() as connection:
            rows = connection.execute(
                text(f"SELECT {columns}, count(*) AS n FROM sample WHERE {where} GROUP BY {columns}"), values
            ).all()
        counts: dict[str, int] = {}
        for row in rows:
            keys = ["superseded"] if row.superseded else [row.state, row.outcome if row.state == "done" else None]
            for key in filter(None, keys):
                counts[key] = counts.get(key, 0) + row.n
        return Balance(**counts)

    def _change(self, assignments: str, where: str, values: Mapping[str, Any]) -> int:
        with self.database.write() as connection:
            return int(
                connection.execute(text(f"UPDATE sample SET {assignments} WHERE {where}"), dict(values)).rowcount
            )


_AS_PLANNED = {"superseded": False, "state": "pending", "reason": "", "epoch": 0, "failures": 0, "deaths": 0}
_AS_PLANNED |= {"lease_expires": 0.0, "not_before": 0.0}


@cache
def _claim(now: str) -> TextualSelect:
    return text(_lease(now)).columns(sampling=Sample.__table__.c.sampling.type)  # type: ignore[attr-defined]


def _begin(now: str) -> TextClause:
    return prepared(f"INSERT INTO attempt ({_ATTEMPT}) VALUES (:id, :epoch, :worker, false, {now}, '', '', '{{}}')")


@cache
def _claim_at_once(now: str) -> TextualSelect:
    """The claim and its attempt in one statement, which SQLite does not have: one round trip instead of four."""
    return text(
        f"""WITH claimed AS ({_lease(now)}),
            begun AS (INSERT INTO attempt ({_ATTEMPT})
                      SELECT :id, epoch, :worker, false, {now}, '', '', '{{}}' FROM claimed)
            SELECT * FROM claimed"""
    ).columns(sampling=Sample.__table__.c.sampling.type)  # type: ignore[attr-defined]


def _lease(now: str) -> str:
    return f"""UPDATE sample SET state = 'leased', owner = :worker, epoch = epoch + 1, lease_expires = {now} + :lease
               WHERE id = :id AND state = 'pending' AND NOT superseded AND not_before <= {now}
               AND run_id IN (SELECT id FROM run WHERE state = 'active')
               RETURNING epoch, run_id, phase_id, purpose, variant_id, sample_index, kernel_hash, adapter_id, placement,
               sampling, seed, deaths"""


def _values(item: PlannedSample | NewVerdict | ScoredBy) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}
