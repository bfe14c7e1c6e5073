"""Does a farm that works for days stay the same size? One run of many samples, looked at all the while.

    python bench/soak.py [--samples 50000] [--workers 2] [--flower] [--json]

`lemfarm run` with worker processes on the stand-in engine, SQLite and the embedded Valkey in a temporary home; some
samples fail, so that there is something to log, and logs turn over at 20,000 bytes instead of ten million. After every
2 % of the samples, memory, threads, descriptors and sockets of every process are noted, and what lies on disk. After a
warm-up of two fifths, memory must grow by less than 1 MiB in 10,000 samples (the median of the slopes between any two
looks: a leak goes on, a cache that is filled is one step), and threads and descriptors not at all.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from common import ROOT, VARIANTS, Aim, Farm, report, table, temporary_farm, write_run
from sqlalchemy import text

from lemfarm.database import Database, open_database
from lemfarm.flower import flower_command
from lemfarm.rotation import LIMIT_VARIABLE

SAMPLES_PER_TEXT = 10
LOOKS = 50
WARM_UP = 0.4  #: until then SQLite fills the page caches of its connections, 2 MiB each
LOG_BYTES = 20_000
FAILING = 0.02
MIB_PER_10_000 = 1.0
MORE_THREADS, MORE_DESCRIPTORS = 1.0, 2.0
MIB = 1 << 20
END_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Size:
    """One process at one moment. `mib` of resident memory."""

    mib: float
    threads: int
    descriptors: int
    sockets: int


@dataclass(frozen=True, slots=True)
class Look:
    """The farm at one moment. Files in bytes, by kind."""

    seconds: float
    samples: int
    processes: Mapping[str, Size]
    files: Mapping[str, int]


def measure(samples: int, workers: int, with_flower: bool) -> dict[str, Any]:
    """Run it, and look at it."""
    with temporary_farm() as farm:
        probes = -(-samples // (SAMPLES_PER_TEXT * VARIANTS))
        planned = probes * SAMPLES_PER_TEXT * VARIANTS
        config = write_run(farm.folder, "soak", probes=probes, samples=SAMPLES_PER_TEXT, quota={"accepted": planned})
        _let_some_fail(config)
        farm.home.ensure(farm.home.logs)
        database = open_database(farm.connections.database, migrate=True)
        looks = list(_watched(farm, config, database, planned, workers, with_flower))
        left = len(list(farm.home.spool.glob("*/*.json")))
        rotated = sorted(path.name for path in farm.home.logs.glob("*.log.1"))
        largest = max(path.stat().st_size for path in farm.home.logs.glob("*.log*"))
        database.close()
    return {
        "looks": [asdict(look) for look in looks],
        "samples": planned,
        "seconds": looks[-1].seconds,
        "growth": {name: growth_of(looks, name) for name in looks[-1].processes},
        "files": _file_growth(looks),
        "left_in_spool": left,
        "rotated": rotated,
        "largest_log": largest,
    }


def _let_some_fail(config: Path) -> None:
    """So that every part has something to do, and to say."""
    data = json.loads(config.read_text())
    data["model"]["failure_rate"] = FAILING
    data["farm"] = {"retries": 0}
    config.write_text(json.dumps(data))


def _watched(
    farm: Farm, config: Path, database: Database, planned: int, workers: int, with_flower: bool
) -> Iterator[Look]:
    environment = farm.environment | {LIMIT_VARIABLE: str(LOG_BYTES)}
    others: dict[str, int] = {"Valkey": farm.valkey_pid}
    flower = flower_command(farm.home, str(farm.connections.broker)).child() if with_flower else None
    if flower is not None:
        flower.start()
        others["Flower"] = flower.pid or 0
    arguments = ["-m", "lemfarm", "run", str(config), "--workers", str(workers), "--no-train"]
    with (farm.folder / "run.log").open("wb") as log:
        run = subprocess.Popen([sys.executable, *arguments], env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield from _looks(farm, database, planned, run, others)
    finally:
        run.terminate()
        run.wait(timeout=END_SECONDS)
        if flower is not None:
            flower.end(at_once=True)


def _looks(
    farm: Farm, database: Database, planned: int, run: "subprocess.Popen[bytes]", others: Mapping[str, int]
) -> Iterator[Look]:
    """A look whenever another part of the samples is finished, until the run has ended."""
    began, next_at = time.monotonic(), 0
    while run.poll() is None:
        finished = _finished(database)
        if finished > next_at:
            yield Look(time.monotonic() - began, finished, dict(_sizes(run.pid, others)), _files(farm))
            next_at = finished + planned // LOOKS
            _progress(finished, planned, time.monotonic() - began)
        time.sleep(0.5)
    if run.returncode != 0:
        raise SystemExit((farm.folder / "run.log").read_text()[-2_000:])


def _finished(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM attempt WHERE ending = 'done'")).scalar_one())


def _sizes(run: int, others: Mapping[str, int]) -> Iterator[tuple[str, Size]]:
    """`run`, its workers, and the services."""
    named = {"run": run, **others}
    for child in psutil.Process(run).children():
        if "workers" in child.cmdline():
            named[child.environ()["LEMFARM_WORKER_NAME"]] = child.pid
    for name, pid in named.items():
        process = psutil.Process(pid)
        with process.oneshot():
            sockets = len(process.net_connections(kind="all"))
            yield name, Size(process.memory_info().rss / MIB, process.num_threads(), process.num_fds(), sockets)


def _files(farm: Farm) -> dict[str, int]:
    kinds = {
        "database": [farm.home.database],
        "write-ahead log": [farm.home.database.with_name("lemfarm.db-wal")],
        "Valkey's data": list((farm.home.valkey / "data").rglob("*")),
        "Valkey's log": list(farm.home.valkey.glob("*.log*")),
        "logs": list(farm.home.logs.glob("*")),
        "spool": list(farm.home.spool.glob("*/*.json")),
        "Flower's data": list(farm.home.flower.glob("flower.db*")),
    }
    return {kind: sum(_size(path) for path in paths) for kind, paths in kinds.items()}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # a spool file lives for milliseconds
        return 0


def _progress(finished: int, planned: int, seconds: float) -> None:
    sys.stderr.write(f"\r{finished:,} of {planned:,} samples, {finished / max(seconds, 1):.0f} a second ")
    sys.stderr.flush()


def growth_of(looks: Sequence[Look], name: str) -> dict[str, float]:
    """How a process grew after the warm-up: MiB in 10,000 samples; threads, descriptors, sockets in all."""
    seen = [(look.samples, look.processes[name]) for look in looks if name in look.processes]
    warm = [(samples, size) for samples, size in seen if samples >= WARM_UP * looks[-1].samples]
    sizes = [size for _, size in warm]
    slopes = [(b.mib - a.mib) / (later - now) for (now, a), (later, b) in itertools.combinations(warm, 2)]
    return {
        "mib": sizes[-1].mib,
        "mib_per_10_000": statistics.median(slopes) * 10_000,
        "threads": _more(sizes, lambda size: size.threads),
        "descriptors": _more(sizes, lambda size: size.descriptors),
        "sockets": _more(sizes, lambda size: size.sockets),
    }


def _more(sizes: Sequence[Size], of: Callable[[Size], int]) -> float:
    """The median of the last quarter over that of the first: single looks meet a connection more or less."""
    part = max(1, len(sizes) // 4)
    return float(statistics.median(map(of, sizes[-part:])) - statistics.median(map(of, sizes[:part])))


def _file_growth(looks: Sequence[Look]) -> dict[str, dict[str, float]]:
    samples = looks[-1].samples - looks[0].samples
    return {
        kind: {
            "largest": max(look.files[kind] for look in looks),
            "bytes_per_sample": (looks[-1].files[kind] - looks[0].files[kind]) / max(samples, 1),
        }
        for kind in looks[0].files
    }


def aims_of(result: Mapping[str, Any]) -> list[Aim]:
    """Of the process that grew most."""
    growth = result["growth"].values()
    most = {key: max(one[key] for one in growth) for key in ("mib_per_10_000", "threads", "descriptors", "sockets")}
    memory = "soak: memory, the process that grew most, in 10,000 samples"
    return [
        Aim(memory, most["mib_per_10_000"], MIB_PER_10_000, "MiB"),
        Aim("soak: threads more at the end", most["threads"], MORE_THREADS, "threads"),
        Aim("soak: descriptors more at the end", most["descriptors"], MORE_DESCRIPTORS, "descriptors"),
        Aim("soak: sockets more at the end", most["sockets"], MORE_DESCRIPTORS, "sockets"),
        Aim("soak: results left in the spool", result["left_in_spool"], 0, "files"),
        Aim("soak: logs that turned over", len(result["rotated"]), 1, "logs", at_least=True),
        Aim("soak: the largest log", result["largest_log"] / LOG_BYTES, 2.0, "times its limit"),
    ]


def lines_of(result: Mapping[str, Any]) -> list[str]:
    """The tables."""
    pace = result["samples"] / result["seconds"]
    lines = [f"{result['samples']:,} samples in {result['seconds']:.0f} s ({pace:.0f} a second)", ""]
    heads = ["process", "MiB at the end", "MiB in 10,000 samples", "threads", "descriptors", "sockets"]
    keys = ("mib", "mib_per_10_000", "threads", "descriptors", "sockets")
    lines += table(heads, [[name, *(one[key] for key in keys)] for name, one in result["growth"].items()])
    files = [[kind, one["largest"] / MIB, one["bytes_per_sample"]] for kind, one in result["files"].items()]
    return [*lines, "", *table(["files", "largest, MiB", "bytes more a sample"], files)]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--flower", action="store_true", help="Flower watches, too")
    parser.add_argument("--json", action="store_true", help="one object instead of the tables")
    options = parser.parse_args()
    os.environ.pop("LEMFARM_HOME", None)
    result = measure(options.samples, options.workers, options.flower)
    report(result, aims_of(result), as_json=options.json, lines=lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
