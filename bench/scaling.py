"""Many worker processes against one: what is lost when a farm grows.

    python bench/scaling.py [--workers 1 4 16 64] [--databases sqlite postgresql] [--rounds 20] [--json]

N worker processes of 4 slots on the stand-in engine, whose answers take 2 s, a quarter of that more or less as their
lengths vary: N Macs ideally finish 2 N samples a second, and 64 make 128, which two cores carry. (Answers of one length
would end in all slots of all Macs at the same moment, which no model's do.) The run is planned and paused, resumed when
all workers are ready, and ends by itself. Efficiency is the engine's time divided by the whole time of a slot, over at
least 20 samples of every slot; beside it stands the CPU that a sample costs its worker and the head node. SQLite, and
PostgreSQL from the tests' wheel. Takes some twelve minutes, and 8 GiB for 64 processes;
`docs/how-many-macs-can-one-farm-have.md` keeps what was measured.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from common import ROOT, VARIANTS, Aim, Farm, report, spawn, table, temporary_farm, write_run
from farm import cpu_seconds
from sqlalchemy import text

from lemfarm.connections import DATABASE_VARIABLE, resolve
from lemfarm.database import Database, decoded, open_database
from lemfarm.worker_status import read_workers
from producer.campaign import resume

SLOTS, ENGINE_SECONDS, ROUNDS = 4, 2.0, 20
TOKENS_PER_SECOND = 100.0
FIRST_ROUNDS, LAST_ROUNDS = 3, 3  #: left out: the queue fills, the queue runs dry
SAMPLES_PER_TEXT = 10
CONNECTIONS = 500  #: PostgreSQL takes 100 unless told otherwise; 64 workers open some 200
EFFICIENCY = 0.98
START_SECONDS, START_SECONDS_EACH, END_SECONDS = 60.0, 6.0, 60.0
MIB = 1 << 20
RUN = "many"


class Finished(NamedTuple):
    """When a sample was stored, and how long its engine takes for so many tokens."""

    ended: float
    engine_seconds: float


class Spent(NamedTuple):
    """Seconds of CPU: of the workers, and of what a head node carries for them, the broker and a PostgreSQL server."""

    workers: float
    head: float


class Pace(NamedTuple):
    """What one worker did."""

    per_second: float
    efficiency: float


def measure(counts: Sequence[int], databases: Sequence[str], rounds: int) -> dict[str, Any]:
    """Every number of workers on every database."""
    found = []
    for name, count in itertools.product(databases, counts):
        with ExitStack() as stack:
            farm = stack.enter_context(temporary_farm())
            server = None
            if name == "postgresql":
                url, server = stack.enter_context(postgres())
                farm = on_postgres(farm, url)
            found.append({"database": name, **many(farm, count, rounds, server)})
        sys.stderr.write(f"{name}, {count} workers: efficiency {found[-1]['efficiency']:.3f}\n")
    for one in found:
        single = next((other for other in found if other["database"] == one["database"] and other["workers"] == 1), one)
        one["against_one"] = one["per_second"] / one["workers"] / (single["per_second"] / single["workers"])
    return {"engine_seconds": ENGINE_SECONDS, "slots": SLOTS, "rounds": rounds, "measured": found}


def many(farm: Farm, count: int, rounds: int, server: int | None) -> dict[str, Any]:
    """One farm with so many workers, from its start to the end of its run; `server`: the process of its PostgreSQL."""
    database = open_database(farm.connections.database, migrate=True)
    config = _plan(farm, count * SLOTS * (FIRST_ROUNDS + rounds + LAST_ROUNDS))
    spawn([str(ROOT / "bench" / "farm.py"), "--stage", "plan-paused", "--file", str(config)], farm.environment)
    began = time.monotonic()
    with worker_processes(farm, count) as workers:
        _wait(lambda: _ready(database) == count, START_SECONDS + START_SECONDS_EACH * count, "all workers to be ready")
        started, before = time.monotonic() - began, _spent(workers, farm, server)
        resume(database, RUN)
        began = time.monotonic()
        last = END_SECONDS + 3 * ENGINE_SECONDS * (FIRST_ROUNDS + rounds + LAST_ROUNDS)
        _wait(lambda: _state(database) != "active", last, "the run to end")
        passed, after = time.monotonic() - began, _spent(workers, farm, server)
        mib = statistics.mean(psutil.Process(worker.pid).memory_info().rss for worker in workers) / MIB
    finished = _finished(database)
    paces, samples = [_pace(of_one, rounds) for of_one in finished], sum(map(len, finished))
    by_workers, by_head = after.workers - before.workers, after.head - before.head
    database.close()
    return {
        "workers": count,
        "per_second": sum(pace.per_second for pace in paces),
        "efficiency": statistics.mean(pace.efficiency for pace in paces),
        "cores": (by_workers + by_head) / passed,
        "worker_ms": by_workers / samples * 1000,
        "head_ms": by_head / samples * 1000,
        "mib_each": mib,
        "start_seconds": started,
    }


def _plan(farm: Farm, samples: int) -> Path:
    """A run whose answers take the engine's seconds on average."""
    probes = -(-samples // (SAMPLES_PER_TEXT * VARIANTS))
    planned = probes * SAMPLES_PER_TEXT * VARIANTS
    path = write_run(farm.folder, RUN, probes=probes, samples=SAMPLES_PER_TEXT, quota={"accepted": planned})
    data = json.loads(path.read_text())
    mean_tokens = round(ENGINE_SECONDS * TOKENS_PER_SECOND)
    data["model"] |= {"tokens_per_second": TOKENS_PER_SECOND, "mean_tokens": mean_tokens, "slots": SLOTS}
    path.write_text(json.dumps(data))
    return path


@contextmanager
def worker_processes(farm: Farm, count: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """So many workers; asked to end afterwards, all at once."""
    workers = []
    with (farm.folder / "workers.log").open("ab") as log:
        for number in range(1, count + 1):
            home = {"LEMFARM_HOME": str(farm.folder / f"mac-{number}")}  # of its own, as on machines of their own
            environment = farm.environment | home | {"LEMFARM_WORKER_NAME": f"w{number}", "LEMFARM_GRACE_SECONDS": "1"}
            command = [sys.executable, "-m", "workers"]
            workers.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log))
    try:
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(timeout=END_SECONDS)


def _spent(workers: Sequence["subprocess.Popen[bytes]"], farm: Farm, server: int | None) -> Spent:
    """So far."""
    by_head = cpu_seconds(farm.valkey_pid) + (_with_children(server) if server else 0.0)
    return Spent(sum(cpu_seconds(worker.pid) for worker in workers), by_head)


def _with_children(pid: int) -> float:
    """Of a PostgreSQL server, whose every connection is a process, those that ended too."""
    server = psutil.Process(pid)
    return sum(server.cpu_times()[:4]) + sum(sum(child.cpu_times()[:2]) for child in server.children())


def _ready(database: Database) -> int:
    return sum(worker.state == "ready" for worker in read_workers(database))


def _state(database: Database) -> str:
    with database.read() as connection:
        return str(connection.execute(text("SELECT state FROM run")).scalar_one())


def _wait(condition: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(1.0)


def _finished(database: Database) -> list[list[Finished]]:
    """Each worker's samples, in the order in which they were stored."""
    query = "SELECT worker_id, ended, generation FROM attempt WHERE ending = 'done' ORDER BY ended"
    found: dict[str, list[Finished]] = {}
    with database.read() as connection:
        for worker, ended, generation in connection.execute(text(query)):
            seconds = decoded(generation)["completion_tokens"] / TOKENS_PER_SECOND
            found.setdefault(worker, []).append(Finished(ended, seconds))
    return list(found.values())


def _pace(samples: Sequence[Finished], rounds: int) -> Pace:
    """Of one worker, without its first samples and its last ones."""
    first = FIRST_ROUNDS * SLOTS
    whole = min(rounds, (len(samples) - 1 - first) // SLOTS) * SLOTS
    if whole < rounds * SLOTS // 2:
        raise SystemExit(f"a worker finished only {len(samples)} samples")
    passed = samples[first + whole].ended - samples[first].ended
    counted = samples[first + 1 : first + whole + 1]
    return Pace(whole / passed, sum(sample.engine_seconds for sample in counted) / (SLOTS * passed))


@contextmanager
def postgres() -> Iterator[tuple[str, int | None]]:
    """A throw-away PostgreSQL that keeps what it was told, as a real one does: its URL and, where it is ours, its
    process."""
    from tests.postgres import postgres_server

    with postgres_server(options=("-c", f"max_connections={CONNECTIONS}")) as server:
        pid = (server.folder / "data" / "postmaster.pid").read_text().split()[0] if server.folder else None
        yield server.create_database(), int(pid) if pid else None


def on_postgres(farm: Farm, url: str) -> Farm:
    """The same farm with another database."""
    connections = resolve(farm.home, environ={DATABASE_VARIABLE: url})
    return replace(farm, connections=connections.with_broker(str(farm.connections.broker)))


def aims_of(result: dict[str, Any]) -> list[Aim]:
    """Every number of workers."""
    return [
        Aim(f"scaling: efficiency of {one['workers']} on {one['database']}", one["efficiency"], EFFICIENCY, "",
            at_least=True)
        for one in result["measured"]
    ]  # fmt: skip


def lines_of(result: dict[str, Any]) -> list[str]:
    """The table."""
    heads = ["database, processes", "samples/s", "ideal", "efficiency", "against one", "cores", "ms of worker"]
    heads += ["ms of head node", "MiB each", "start, s"]
    rows: list[list[object]] = [
        [
            f"{one['database']}, {one['workers']} x {SLOTS}",
            one["per_second"],
            one["workers"] * SLOTS / ENGINE_SECONDS,
            *(one[key] for key in ("efficiency", "against_one", "cores", "worker_ms", "head_ms")),
            *(one[key] for key in ("mib_each", "start_seconds")),
        ]
        for one in result["measured"]
    ]
    return table(heads, rows)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64], metavar="N")
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="samples of every slot that are measured")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args()
    os.environ.pop("LEMFARM_HOME", None)
    result = measure(options.workers, options.databases, options.rounds)
    report(result, aims_of(result), as_json=options.json, lines=lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
