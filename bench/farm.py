"""CPU time per sample of the whole farm with an engine that costs next to nothing, and of a farm at rest.

    python bench/farm.py [--samples 2000] [--repetitions 3] [--idle-seconds 25] [--json]

One worker process, SQLite and the embedded Valkey, a producer as `lemfarm run` is one, all in a temporary home. The
worker runs as it always does, but for a meter of thread CPU time around its parts; start-up is counted apart. The
aim leaves out the scorers and the writing of the stand-in's texts: those are the work, the rest is what it costs to
spread it. Whatever else runs on the machine only adds to CPU time (cold caches, shared cores), so the cheapest of some
repetitions is reported, with the totals of all. A farm at rest is measured with a paused run, and with no run at all.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from common import ROOT, SCORING, STAND_IN, VARIANTS, Aim, Farm, report, spawn, table, temporary_farm, write_run

from lemfarm.config import load_config
from lemfarm.connections import resolve
from lemfarm.database import Database, open_database
from lemfarm.home import open_home
from lemfarm.supervisor import Child, Supervisor
from lemfarm.supervisor import run as run_supervisor
from lemfarm.worker_status import read_workers
from producer.campaign import cancel, open_campaign, pause

SAMPLES_PER_TEXT = 10
MILLISECONDS_BESIDE_SCORERS = 4.0
IDLE_MILLISECONDS_PER_SECOND = 5.0
METERED_WORKER = Path(__file__).with_name("meter.py")
START_SECONDS, SETTLE_SECONDS, END_SECONDS = 60.0, 5.0, 60.0


def be_producer(config: Path) -> int:
    """What `lemfarm run --no-train --workers 0` does; prints CPU seconds of planning and of watching."""
    home = open_home()
    campaign = open_campaign(home, resolve(home, environ=os.environ), workers=0)
    import celery.app.amqp  # noqa: F401  -- otherwise imported by the first message, and counted as planning
    import kombu.transport.redis  # noqa: F401

    started = time.process_time()
    campaign.start(load_config(config), trains=False)
    planned, began = time.process_time(), time.monotonic()
    status = list(campaign.follow())[-1]
    watched, seconds = time.process_time() - planned, time.monotonic() - began
    campaign.close(0.0)
    done = sum(phase.done for phase in status.phases)
    print(json.dumps({"plan": planned - started, "watch": watched, "seconds": seconds, "done": done}))
    return 0


def plan_paused(config: Path) -> int:
    """Plan a run and pause it before anybody works on it."""
    home = open_home()
    campaign = open_campaign(home, resolve(home, environ=os.environ), workers=0)
    campaign.start(load_config(config), trains=False)
    pause(campaign.database, None)
    campaign.close(0.0)
    return 0


def be_supervisor(_: None) -> int:
    """What keeps a worker alive, with a child that sleeps."""
    home = open_home()
    child = Child("sleeper", ["sleep", "600"], home.logs / "sleeper.log")
    return run_supervisor(Supervisor([child]), grace_seconds=1.0, on_event=print)


def measure(samples: int, repetitions: int, idle_seconds: float) -> dict[str, Any]:
    """Run everything; CPU milliseconds per sample by part, and per second of having nothing to do."""
    runs = []
    for _ in range(repetitions):
        with temporary_farm() as farm:
            open_database(farm.connections.database, migrate=True).close()
            runs.append(busy(farm, samples))
    found: dict[str, dict[str, float]] = {}
    if idle_seconds:
        with temporary_farm() as farm:
            open_database(farm.connections.database, migrate=True).close()
            found = idle(farm, idle_seconds)
    cheapest = min(runs, key=beside)
    return cheapest | {"beside_in_each_repetition": [beside(run) for run in runs], "idle_ms_per_second": found}


def beside(result: dict[str, Any]) -> float:
    """CPU milliseconds per sample that are neither scoring nor the stand-in's writing."""
    parts: dict[str, float] = result["ms_per_sample"]
    return sum(value for name, value in parts.items() if name not in (SCORING, STAND_IN))


def busy(farm: Farm, samples: int) -> dict[str, Any]:
    """A run from planning to its end."""
    probes = -(-samples // (SAMPLES_PER_TEXT * VARIANTS))
    planned = probes * SAMPLES_PER_TEXT * VARIANTS
    config = write_run(farm.folder, "busy", probes=probes, samples=SAMPLES_PER_TEXT, quota={"accepted": planned})
    counted = farm.folder / "worker.json"
    before = cpu_seconds(farm.valkey_pid)
    with living(farm, str(METERED_WORKER), str(counted)):
        said, usage = spawn(this("--stage", "producer", "--file", str(config)), farm.environment)
    server = cpu_seconds(farm.valkey_pid) - before
    if said["done"] != planned:
        raise SystemExit(f"{said['done']} of {planned} samples were done")
    parts: dict[str, float] = json.loads(counted.read_text())
    start = parts.pop("start")
    parts |= {"Valkey": server, "producer, planning": said["plan"], "producer, watching": said["watch"]}
    return {
        "samples": planned,
        "samples_per_second": planned / said["seconds"],
        "ms_per_sample": {name: value / planned * 1e3 for name, value in sorted(parts.items(), key=lambda p: -p[1])},
        "start_seconds": {"worker": start, "producer": usage.cpu_seconds - said["plan"] - said["watch"]},
    }


def idle(farm: Farm, seconds: float) -> dict[str, dict[str, float]]:
    """What a worker, its supervisor and the broker use while a run is paused, and while there is none."""
    config = write_run(farm.folder, "idle", probes=10, samples=SAMPLES_PER_TEXT, quota={"accepted": 10})
    spawn(this("--stage", "plan-paused", "--file", str(config)), farm.environment)
    database = open_database(farm.connections.database)
    found = {}
    with living(farm, "-m", "workers") as worker, living(farm, *this("--stage", "supervisor")) as supervisor:
        wait_until_ready(database)
        pids = {"worker": worker, "supervisor": supervisor, "Valkey": farm.valkey_pid}
        found["a run is paused"] = per_second(pids, seconds)
        cancel(database, "idle")
        found["no run is active"] = per_second(pids, seconds)
    database.close()
    return found


@contextmanager
def living(farm: Farm, *arguments: str) -> Iterator[int]:
    """A Python process of the farm, asked to end afterwards; yields its id."""
    with (farm.folder / "children.log").open("ab") as log:
        child = subprocess.Popen([sys.executable, *arguments], env=farm.environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait(timeout=END_SECONDS)


def wait_until_ready(database: Database) -> None:
    """Until the worker serves its queue and has settled."""
    deadline = time.monotonic() + START_SECONDS
    while not any(worker.state == "ready" for worker in read_workers(database)):
        if time.monotonic() > deadline:
            raise SystemExit("the worker did not get ready")
        time.sleep(0.2)
    time.sleep(SETTLE_SECONDS)


def per_second(pids: dict[str, int], seconds: float) -> dict[str, float]:
    """CPU milliseconds per second of each process."""
    before, began = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {name: (cpu_seconds(pid) - before[name]) / passed * 1e3 for name, pid in pids.items()}


def cpu_seconds(pid: int) -> float:
    """CPU time of a living process; in nanoseconds where the kernel tells, else in ticks."""
    tasks = Path(f"/proc/{pid}/task")
    if tasks.is_dir():
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def this(*arguments: str) -> list[str]:
    """This script as another process."""
    return [str(Path(__file__).resolve()), *arguments]


def aims_of(result: dict[str, Any]) -> list[Aim]:
    """Beside the scorers and the stand-in's texts, a sample; and of an idle farm, a second."""
    what = "farm: CPU of a sample beside scorers and texts"
    aims = [Aim(what, beside(result), MILLISECONDS_BESIDE_SCORERS, "ms")]
    for when, costs in result["idle_ms_per_second"].items():
        both = costs["worker"] + costs["Valkey"]
        aims.append(Aim(f"farm: idle worker and broker, {when}", both, IDLE_MILLISECONDS_PER_SECOND, "ms/s"))
    return aims


def lines_of(result: dict[str, Any]) -> list[str]:
    """The tables."""
    parts = result["ms_per_sample"]
    total = sum(parts.values())
    rows: list[list[object]] = [[name, value, f"{value / total:.1%}"] for name, value in parts.items()]
    lines = table(["CPU per sample", "ms", "share"], [*rows, ["together", total, "100.0%"]])
    start = ", ".join(f"{name} {value:.2f} s" for name, value in result["start_seconds"].items())
    lines += [f"{result['samples']:,} samples, {result['samples_per_second']:.0f} per second; start-up apart: {start}"]
    totals = ", ".join(f"{total:.2f}" for total in result["beside_in_each_repetition"])
    lines += [f"beside scoring and texts, in each repetition: {totals} ms"]
    if result["idle_ms_per_second"]:
        names = list(next(iter(result["idle_ms_per_second"].values())))
        rows = [[when, *(costs[name] for name in names)] for when, costs in result["idle_ms_per_second"].items()]
        lines += ["", *table(["idle, CPU ms per second", *names], rows)]
    return lines


def main() -> int:
    """Measure and print; with --stage, be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--idle-seconds", type=float, default=25.0, help="0: leave the idle farm out")
    parser.add_argument("--json", action="store_true", help="one object instead of the tables")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        return STAGES[options.stage](options.file)
    result = measure(options.samples, options.repetitions, options.idle_seconds)
    report(result, aims_of(result), as_json=options.json, lines=lines_of(result))
    return 0


STAGES: dict[str, Callable[[Any], int]] = {
    "producer": be_producer,
    "plan-paused": plan_paused,
    "supervisor": be_supervisor,
}


if __name__ == "__main__":
    sys.exit(main())
