"""A small world for tests of the ledger: one run with one phase, its probes, and workers that claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from lemfarm.database import Database
from lemfarm.identity import sample_id, sample_seed
from lemfarm.ledger import Ledger
from lemfarm.records import Phase, Probe, Purpose, Run, Variant, Worker
from lemfarm.work import Claim, PlannedSample, Result, ScoredBy
from tests.schema import migrated

LONG = 1000.0
"""A lease that no test outlives."""

OVER = -1.0
"""A lease that has run out when it is given: tests need not wait for one."""


@dataclass(frozen=True)
class World:
    """A database with a run of one phase; `plan` adds samples, `worker` registers claimants."""

    database: Database
    ledger: Ledger
    run: int
    phase: int

    def rows(self, count: int, purpose: str = Purpose.DISTIL, probe: str = "P0") -> list[PlannedSample]:
        """Rows as a plan of so many samples of one probe wants them."""
        return [self._row(index, purpose, probe) for index in range(count)]

    def plan(self, count: int, purpose: str = Purpose.DISTIL, probe: str = "P0") -> list[str]:
        """Plan so many samples and return their ids."""
        rows = self.rows(count, purpose, probe)
        self.ledger.plan(self.run, purpose, rows)
        return [row.id for row in rows]

    def worker(self, name: str) -> str:
        """Register a worker process."""
        with self.database.session() as session:
            session.add(Worker(id=name, name=name, host="h", pid=1, boot_id="b", home_id="home", lemfarm_version="0"))
        return name

    def claim(self, sample: str, worker: str, lease: float = LONG) -> Claim:
        """Claim a sample that must be free."""
        claim = self.ledger.claim(sample, worker, lease)
        assert claim is not None, f"{sample} cannot be claimed"
        return claim

    def sample(self, sample: str) -> Mapping[str, Any]:
        """A sample's row."""
        return self.query("SELECT * FROM sample WHERE id = :id", id=sample)[0]

    def endings(self, sample: str) -> list[str]:
        """How its claims ended, in order."""
        rows = self.query("SELECT ending FROM attempt WHERE sample_id = :id ORDER BY epoch", id=sample)
        return [row["ending"] for row in rows]

    def set_run(self, state: str) -> None:
        """Pause, cancel or resume the run."""
        self.execute("UPDATE run SET state = :state WHERE id = :run", state=state, run=self.run)

    def now(self, sample: str) -> None:
        """Let the waiting time of a retry be over."""
        self.execute("UPDATE sample SET not_before = 0 WHERE id = :id", id=sample)

    def query(self, sql: str, **values: Any) -> Sequence[Mapping[str, Any]]:
        """Rows of a SELECT."""
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def execute(self, sql: str, **values: Any) -> None:
        """A change that no verb of the ledger makes."""
        with self.database.write() as connection:
            connection.execute(text(sql), values)

    def _row(self, index: int, purpose: str, probe: str) -> PlannedSample:
        mark = f"b2:{probe}-{purpose}"
        identity = sample_id("tiny", f"first-{purpose}", mark, index)
        return PlannedSample(
            id=identity, run_id=self.run, phase_id=self.phase, purpose=purpose, probe_id=probe, variant_id=f"{probe}v0",
            sample_index=index, fingerprint=mark, condition="", kernel_hash=None, adapter_id=None, placement="none",
            sampling={"temperature": 0.8, "top_p": 0.95, "max_tokens": 64, "seed": 42}, seed=sample_seed(42, identity),
        )  # fmt: skip


def make_world(url: str) -> World:
    """A migrated database with one active run and two probes."""
    database = migrated(url)
    with database.session() as session:
        run = Run(name="tiny", config_hash="", model_key="simulated", lemfarm_version="0")
        session.add(run)
        session.flush()
        assert run.id is not None
        phase = Phase(run_id=run.id, name="first", position=0)
        session.add(phase)
        for probe in ("P0", "P1"):
            session.add(Probe(id=probe, name=probe, domain="d"))
            session.flush()
            messages = [{"role": "user", "content": "?"}]
            session.add(Variant(id=f"{probe}v0", probe_id=probe, position=0, kind="original", messages=messages))
        session.flush()
        assert phase.id is not None
        return World(database, Ledger(database), run.id, phase.id)


def sqlite_url(folder: Path) -> str:
    """An empty SQLite database in a folder."""
    return f"sqlite:///{folder / 'farm.db'}"


def result_of(claim: Claim, worker: str, outcome: str = "accepted", content: str = "an answer") -> Result:
    """A complete answer to a claim."""
    return Result(
        sample_id=claim.sample_id,
        epoch=claim.epoch,
        worker_id=worker,
        content=content,
        thoughts="",
        token_ids=b"\x01\x02",
        generation={"finish_reason": "stop", "seconds": 1.5},
        scores=[ScoredBy("v2", "1", 21.5, {"words": 3.0})],
        outcome=outcome,
        reason="passed every gate",
        gate_hash="b2:gates",
    )
