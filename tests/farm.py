"""A farm of real processes for tests: embedded Valkey, workers with the simulated engine, one run to finish.

The watchers of the workers do what `lemfarm run` would do. Nothing here sleeps for a fixed time to let something
happen: `wait` asks until it is so. `check` holds every invariant against the database after the fault.
"""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import text

from lemfarm import valkey
from lemfarm.broker import make_app, queue_length
from lemfarm.config import RunConfig, load_config
from lemfarm.connections import child_environment, resolve
from lemfarm.database import open_database
from lemfarm.errors import LemfarmError
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from lemfarm.records import Purpose
from lemfarm.work import Balance
from producer.course import Course
from producer.plan import apply_plan
from producer.verify import verify_run
from producer.waves import Waves

SEED_VARIABLE = "LEMFARM_CHAOS_SEED"
PATIENCE_SECONDS = 180.0
"""No test depends on speed: this is only how long a test that will fail is allowed to hope."""

LEASE_SECONDS = 3.0
ROOT = Path(__file__).parents[1]
_ENDED_BY_ITSELF = (0, 2)

RUN_FILE = """\
run: chaos
model: {{engine: simulated, tokens_per_second: {speed}, mean_tokens: 200, slots: {slots}}}
sampling: {{temperature: 0.8, top_p: 0.95, max_tokens: 1024, seed: 42}}
farm: {{lease_seconds: {lease}, retries: 3, stop_at_error_rate: 0.9}}
phases:
  - name: only
    probes: [probes.jsonl]
    samples: 5
    gates: [{{min_chars: 1000}}]
    quota: {{accepted: 1, stop_when_full: false, when_exhausted: hold}}
"""


def random_instants() -> random.Random:
    """The chance of one test; the printed seed brings the same instants back."""
    seed = os.environ.get(SEED_VARIABLE) or str(random.SystemRandom().randrange(10**9))
    sys.stdout.write(f"{SEED_VARIABLE}={seed}\n")
    return random.Random(seed)


@dataclass(slots=True)
class WorkerProcess:
    """One process of a worker name."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to this one process."""
        self.process.send_signal(number)


@dataclass
class Farm:
    """A farm in a folder of its own; leaving the `with` ends what it started, by process id."""

    folder: Path
    database_url: str | None = None
    speed: float = 800.0  #: tokens a second of one answer, of some 200
    slots: int = 4
    probes: int = 50  #: with 2 variants x 5 samples each: 500 samples
    lease: float = LEASE_SECONDS
    run_file: str = RUN_FILE
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: dict[str, WorkerProcess] = field(default_factory=dict)
    interrupted: set[str] = field(default_factory=set)  #: samples in flight at a kill or a stop

    def __enter__(self) -> "Farm":
        self.home = Home(self.folder / "home")
        self.home.ensure()
        self.home.identity  # noqa: B018  made once, before processes ask for it
        self.broker = valkey.start(self.home)
        try:
            environ = {"LEMFARM_DATABASE": self.database_url} if self.database_url else {}
            self.connections = resolve(self.home, environ=environ).with_broker(self.broker.url)
            self.database = open_database(self.connections.database, migrate=True)
            self.ledger = Ledger(self.database)
            self.app = make_app(self.broker.url)
            self.config = self._config()
        except BaseException:
            valkey.stop(self.home, grace_seconds=5.0)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            end(*(worker.process for worker in self.workers.values()))
        finally:
            self.app.close()
            self.database.close()
            valkey.stop(self.home, grace_seconds=5.0)

    # ---- what is asked of it

    def plan(self) -> int:
        """Plan the run; returns how many samples it has. Again: changes nothing."""
        result = apply_plan(self.database, Course(self.config, "simulated"), found=None, limit=None, trains=False)
        self.run_id = result.run_id
        return self.balance().planned

    def start_worker(self, name: str, *, program: Sequence[str] = ("-m", "workers"), **environ: str) -> WorkerProcess:
        """Start a process of this worker; returns before it is ready."""
        log = self.folder / f"{name}.log"
        environment = os.environ | child_environment(self.connections, self.home)
        environment |= {"LEMFARM_WORKER_NAME": name, "LEMFARM_WATCH_SECONDS": "0.2", "LEMFARM_GRACE_SECONDS": "2"}
        environment |= {"PYTHONPATH": str(ROOT), **self.environment, **environ}
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *program],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.workers[name] = WorkerProcess(name, process, log)
        return self.workers[name]

    def start_workers(self, count: int = 2) -> list[WorkerProcess]:
        """Start workers and wait until all are ready."""
        started = [self.start_worker(f"w{number}") for number in range(1, count + 1)]
        for worker in started:
            self.wait_ready(worker)
        return started

    def restart_dead(self) -> None:
        """Do what the supervisor does: start again who ended without having said all there is to say."""
        for worker in list(self.workers.values()):
            if not worker.lives and worker.process.returncode not in _ENDED_BY_ITSELF:
                self.start_worker(worker.name)

    # ---- waiting

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Ask until it is so; else fail with the state of the farm and the ends of the logs."""
        deadline = time.monotonic() + seconds
        while not self._ask(condition):
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds:g} s in vain: {what}\n{self.story()}")
            time.sleep(0.05)

    def _ask(self, condition: Callable[[], Any]) -> bool:
        """While a service is away the answer is no."""
        with contextlib.suppress(LemfarmError):
            return bool(condition())
        return False

    def wait_ready(self, worker: WorkerProcess) -> None:
        """Wait until a worker serves the queue; one that ends instead has failed."""
        ready = "SELECT count(*) FROM worker WHERE pid = :pid AND state = 'ready' AND name = :name"

        def serves() -> bool:
            assert worker.lives, f"{worker.name} ended with {worker.process.returncode}\n{self.story()}"
            return bool(self.value(ready, pid=worker.pid, name=worker.name))

        self.wait(serves, f"{worker.name} to be ready")

    def wait_done(self, count: int) -> None:
        """Wait until so many samples are done."""
        self.wait(lambda: self.balance().done >= count, f"{count} samples to be done")

    def wait_busy(self, worker: WorkerProcess, count: int = 1) -> None:
        """Wait until a worker holds so many samples."""
        self.wait(lambda: len(self.held_by(worker)) >= count, f"{worker.name} to hold {count} samples")

    def finish(self, *, restart: bool = True) -> None:
        """Wait for the end of the run, restarting who dies, and check every invariant."""

        def ended() -> bool:
            if restart:
                self.restart_dead()
            return self.run_state() != "active"

        self.wait(ended, "the run to end")
        self.wait(lambda: not self.spooled(), "the spool to be empty")
        self.check()

    def wait_seconds(self, seconds: float) -> None:
        """Let a fault last: the passing of time is the condition."""
        end_at = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end_at, f"{seconds:g} s to pass")

    def workers_said(self, words: str) -> bool:
        """Whether the words are in a worker's log."""
        return any(words in worker.log.read_text(errors="replace") for worker in self.workers.values())

    # ---- faults

    def freeze(self, worker: WorkerProcess) -> set[str]:
        """Stop a process where it stands and note what it has in flight: that may be generated a second time."""
        worker.signal(signal.SIGSTOP)
        self.wait(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED, f"{worker.name} to stand still")
        held = self.held_by(worker)
        self.interrupted |= held
        return held

    def freeze_outside_transactions(self, worker: WorkerProcess) -> set[str]:
        """As `freeze`, but not while it writes to SQLite: then all others would wait for it, as they must."""
        while True:
            held = self.freeze(worker)
            if held and self._writable():
                return held
            worker.signal(signal.SIGCONT)
            self.wait_busy(worker)

    def _writable(self) -> bool:
        if not self.database.is_sqlite:
            return True
        with contextlib.closing(sqlite3.connect(self.home.database, timeout=2.0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.rollback()
            return True

    def kill(self, worker: WorkerProcess) -> set[str]:
        """kill -9 while it holds something; returns what was in flight."""
        while not (held := self.freeze(worker)):
            worker.signal(signal.SIGCONT)
            self.wait_busy(worker)
        worker.signal(signal.SIGKILL)
        worker.process.wait()
        return held

    # ---- looking

    def value(self, sql: str, **values: Any) -> Any:
        """One value of the database."""
        with self.database.read() as connection:
            return connection.execute(text(sql), values).scalar_one_or_none()

    def rows(self, sql: str, **values: Any) -> list[Mapping[str, Any]]:
        """Rows of the database."""
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    def balance(self) -> Balance:
        """How the run's samples stand."""
        return self.ledger.balance(self.run_id, Purpose.DISTIL)

    def run_state(self) -> str:
        """How the run stands."""
        return str(self.value("SELECT state FROM run WHERE id = :run", run=self.run_id))

    def held_by(self, worker: WorkerProcess) -> set[str]:
        """The samples that a process has claimed and not ended."""
        rows = self.rows(
            """SELECT a.sample_id FROM attempt a JOIN worker w ON w.id = a.worker_id
               WHERE w.name = :name AND w.pid = :pid AND a.ending = ''""",
            name=worker.name,
            pid=worker.pid,
        )
        return {row["sample_id"] for row in rows}

    def spooled(self) -> list[Path]:
        """Results that are on disk and not known to be in the database."""
        return list(self.home.spool.glob("*/*.json"))

    def queued(self) -> int:
        """Messages that wait."""
        with self.database.read() as connection:
            from sqlmodel import Session

            from lemfarm.records import Run

            run = Session(bind=connection).get_one(Run, self.run_id)
            queues = Waves(self.database, self.ledger, self.app)._queues(run)
        return sum(queue_length(self.app, queue) for queue in queues)

    # ---- what must hold

    def check(self, *, failed: int = 0) -> None:
        """Nothing lost or stored twice, nothing generated twice but what a kill interrupted, everything adds up."""
        balance = self.balance()
        assert balance.adds_up
        assert balance == Balance(
            done=balance.planned - failed, failed=failed, accepted=balance.accepted, rejected=balance.rejected
        ), f"not everything is done: {balance}\n{self.story()}"
        assert self._ids("SELECT id FROM sample WHERE state = 'leased'") == set()
        assert self._texts_per_done_sample() == {1}, "a done sample has one text"
        assert self._ids("SELECT sample_id FROM attempt WHERE ending = ''") == set(), "no claim is open"
        assert self._samples_not_done_once() == set(), "each done sample has one attempt that stored it"
        assert self._verdicts_that_differ() == set(), "the newest verdict is the outcome"
        twice = self._generated_twice()
        assert twice <= self.interrupted, f"generated twice without need: {sorted(twice - self.interrupted)}"
        assert list(self.home.spool.glob("*/*.broken")) == []
        broken = [finding for finding in verify_run(self.database, self.config.run) if not finding.holds]
        assert broken == [], "what `lemfarm verify` says"

    def _ids(self, sql: str) -> set[str]:
        with self.database.read() as connection:
            return set(connection.execute(text(sql)).scalars())

    def _texts_per_done_sample(self) -> set[int]:
        sql = """SELECT count(t.id) AS n FROM sample s LEFT JOIN text t ON t.sample_id = s.id AND t.revision = 0
                 WHERE s.state = 'done' GROUP BY s.id"""
        return {row["n"] for row in self.rows(sql)}

    def _samples_not_done_once(self) -> set[str]:
        sql = """SELECT s.id FROM sample s LEFT JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
                 WHERE s.state = 'done' GROUP BY s.id HAVING count(a.id) <> 1"""
        return self._ids(sql)

    def _verdicts_that_differ(self) -> set[str]:
        sql = """SELECT s.id FROM sample s WHERE s.state = 'done' AND s.outcome <>
                 (SELECT v.outcome FROM verdict v WHERE v.sample_id = s.id ORDER BY v.id DESC LIMIT 1)"""
        return self._ids(sql)

    def _generated_twice(self) -> set[str]:
        """Samples with more than one complete generation, stored or dropped."""
        counts: dict[str, int] = {}
        for row in self.rows("SELECT sample_id, generation FROM attempt"):
            made = row["generation"] if isinstance(row["generation"], dict) else json.loads(row["generation"])
            counts[row["sample_id"]] = counts.get(row["sample_id"], 0) + bool(made)
        return {sample for sample, count in counts.items() if count > 1}

    def story(self) -> str:
        """The state of the farm and the ends of the logs, for a person who reads a failure."""
        lines = []
        with contextlib.suppress(Exception):  # what failed may be the database
            lines += [str(self.rows("SELECT name, state, reason FROM run")), str(self.balance())]
            lines += [str(row) for row in self.rows("SELECT name, pid, state, message, in_flight FROM worker")]
            lines += [f"queued: {self.queued()}, spooled: {len(self.spooled())}"]
        for worker in self.workers.values():
            said = worker.log.read_text(errors="replace").splitlines()[-15:]
            lines += [f"--- {worker.name} (process {worker.pid}, code {worker.process.poll()})", *said]
        return "\n".join(lines)

    def _config(self) -> RunConfig:
        write_probes(self.folder / "probes.jsonl", self.probes)
        path = self.folder / "run.yaml"
        path.write_text(self.run_file.format(speed=self.speed, slots=self.slots, lease=self.lease))
        return load_config(path, environ={})


def write_probes(path: Path, count: int) -> None:
    """Probes with two wordings each."""
    probes = [
        {"id": f"P{n:03}", "domain": "d", "prompt": f"Why {n}?", "variants": [{"kind": "k", "prompt": f"How {n}?"}]}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(probe) + "\n" for probe in probes))


def end(*processes: "subprocess.Popen[bytes]", seconds: float = 15.0) -> None:
    """End processes that this test started: asked first, all at once, then killed."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            continue
        process.kill()
        process.wait()
