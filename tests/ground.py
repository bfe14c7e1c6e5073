"""A planned run on SQLite without any process: what workers and the queue would do is done by hand.

ground.plan()                        what `lemfarm run` writes
ground.finish(ground.ids(limit=3))   three samples are answered and accepted
ground.look()                        one step of the watcher, messages go to `ground.queue`
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from lemfarm.broker import QueuedSample
from lemfarm.config import PhaseConfig, RunConfig
from lemfarm.database import Database
from lemfarm.dialogue import Placement
from lemfarm.engines.base import Completion, FinishReason
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from lemfarm.models import FoundModel
from lemfarm.records import Purpose, Run, Worker
from lemfarm.work import Balance, Claim
from producer.course import Course
from producer.handover import Handover
from producer.plan import PlanResult, apply_plan
from producer.waves import Waves
from tests.run_files import load, write_files
from tests.schema import migrated
from workers.library import Library
from workers.results import make_result
from workers.storing import store

MODEL = "simulated:simulated"
GOOD_ANSWER = "An answer of more than twenty characters."
SHORT_ANSWER = "Too short."

RUN_FILE = """\
run: tiny
model: {engine: simulated}
kernel: {file: kernel.txt}
sampling: {temperature: 0.8, top_p: 0.95, max_tokens: 64, seed: 42}
phases:
  - name: first
    probes: [probes.jsonl]
    samples: 4
    gates: [{min_chars: 20}]
    quota: {accepted: 10, at_most_per_probe: 5, enough: 4}
"""
"""3 probes x 2 variants x 4 samples = 24; ten accepted make it full, at most five of one probe."""


@dataclass
class Queue:
    """What was sent, instead of a broker. `length`: how many messages wait, as the broker would say."""

    messages: list[QueuedSample] = field(default_factory=list)
    trainings: list[tuple[str, str]] = field(default_factory=list)
    length: int = 0

    def send_generate(self, _app: object, rows: Iterable[QueuedSample]) -> int:
        found = list(rows)
        self.messages += found
        return len(found)

    def send_train(self, _app: object, stage_id: str, queue: str, label: str) -> None:
        self.trainings.append((queue, label))

    def queue_length(self, _app: object, _queue: str) -> int:
        return self.length

    @property
    def ids(self) -> list[str]:
        """The samples that were sent, in order."""
        return [message.sample_id for message in self.messages]

    @property
    def labels(self) -> list[str]:
        """As a person reads them."""
        return [message.label for message in self.messages]


class Ground:
    """A folder with a run file, and a database in which it is planned."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.database: Database = migrated(url or f"sqlite:///{folder / 'farm.db'}")
        self.ledger = Ledger(self.database)
        self.queue = Queue()
        self.run_text = RUN_FILE
        app: Any = None
        self.waves = Waves(self.database, self.ledger, app)
        self.handover = Handover(self.database, self.ledger, app, self.waves)
        write_files(folder)
        self.write_probes(3)
        with self.database.session() as session:
            session.add(
                Worker(id="w", name="w", host="h", pid=1, boot_id="b", home_id="home", lemfarm_version="0", slots=4)
            )

    # ---- the run file and the plan

    def write_probes(self, count: int, *, mark: str = "") -> None:
        """Probes of two wordings each, no two alike; `mark` makes them other wordings."""
        lines = [
            {
                "id": f"P{number}",
                "domain": "d",
                "prompt": f"What is {number}{mark}?",
                "variants": [{"kind": "k", "prompt": f"Why is {number}{mark}?"}],
            }
            for number in range(count)
        ]
        (self.folder / "probes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def config(self, text: str | None = None, **overrides: object) -> RunConfig:
        """The run file, or another one, with overrides as `phases__0__samples=5`."""
        return load(self.folder, text or self.run_text, **overrides)

    def course(self, text: str | None = None, **overrides: object) -> Course:
        """What the run file asks for."""
        return Course(self.config(text, **overrides), MODEL)

    def plan(
        self,
        text: str | None = None,
        *,
        limit: int | None = None,
        trains: bool = True,
        found: FoundModel | None = None,
        **overrides: object,
    ) -> PlanResult:
        """Plan the run, or plan it again."""
        self.run_text = text or self.run_text
        course = self.course(**overrides)
        return apply_plan(self.database, course, found=found, limit=limit, trains=trains)

    def phase(self, number: int = 0) -> PhaseConfig:
        """A phase's configuration, as the run has it."""
        return self.config().phases[number]

    # ---- what workers do

    def claim(self, sample_id: str, lease: float = 1000.0) -> Claim:
        """Claim a sample that must be free."""
        claim = self.ledger.claim(sample_id, "w", lease)
        assert claim is not None, f"{sample_id} cannot be claimed"
        return claim

    def finish(
        self, samples: Iterable[str], content: str = GOOD_ANSWER, reason: FinishReason = FinishReason.STOP
    ) -> None:
        """Answer samples as a worker does: scored, judged, stored."""
        library = Library(self.database, self.home)
        for sample_id in samples:
            claim = self.claim(sample_id)
            completion = Completion(content, reason, token_ids=(1, 2), placement=Placement.SYSTEM)
            rules = library.rules(claim.phase_id)
            result = make_result(claim, "w", library.wording(claim.variant_id), completion, rules)
            assert store(self.ledger, result)

    def fail(self, samples: Iterable[str], message: str = "the engine broke") -> None:
        """Let samples fail for good."""
        for sample_id in samples:
            claim = self.claim(sample_id)
            self.ledger.fail(sample_id, claim.epoch, "engine", message, retryable=False, retries=0)

    # ---- what the watcher does

    def look(self, **overrides: object) -> list[str]:
        """One step of the hand-over; returns the ids of the samples that it sent."""
        before = len(self.queue.messages)
        self.handover.advance(self.run, self.config(**overrides))
        return self.queue.ids[before:]

    # ---- looking

    @property
    def run(self) -> Run:
        """The run's row."""
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            return session.exec(select(Run)).one()

    @property
    def run_id(self) -> int:
        found = self.run.id
        assert found is not None
        return found

    @property
    def state(self) -> str:
        """How the run stands."""
        return str(self.run.state)

    @property
    def reason(self) -> str:
        """Why."""
        return self.run.reason

    def balance(self, purpose: str = Purpose.DISTIL) -> Balance:
        """How the samples stand."""
        return self.ledger.balance(self.run_id, purpose)

    def ids(self, where: str = "state = 'pending'", *, purpose: str = "distil", limit: int = 10_000) -> list[str]:
        """Samples that are so, first samples of every text first."""
        sql = f"""SELECT sample.id FROM sample JOIN variant ON variant.id = variant_id
                  JOIN probe ON probe.id = sample.probe_id
                  WHERE purpose = '{purpose}' AND NOT superseded AND {where}
                  ORDER BY phase_id, sample_index, probe.name, position LIMIT {limit}"""
        return [str(row["id"]) for row in self.rows(sql)]

    def phase_states(self) -> dict[str, str]:
        """Phases that are not retired, and how they stand."""
        rows = self.rows("SELECT name, state FROM phase WHERE NOT retired ORDER BY position")
        return {row["name"]: row["state"] for row in rows}

    def rows(self, sql: str, **values: object) -> list[Mapping[str, Any]]:
        """Rows of a SELECT."""
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def value(self, sql: str, **values: object) -> Any:
        """The first value of a SELECT."""
        with self.database.read() as connection:
            return connection.execute(text(sql), values).scalar()

    def execute(self, sql: str, **values: object) -> None:
        """A change that no verb makes."""
        with self.database.write() as connection:
            connection.execute(text(sql), values)

    def dump(self) -> list[list[Mapping[str, Any]]]:
        """Everything that planning writes, for comparing."""
        tables = ("run", "phase", "probe", "variant", "kernel", "model", "sample", "verdict", "text", "attempt")
        return [self.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]
