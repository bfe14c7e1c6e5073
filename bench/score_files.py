"""Memory and speed of `lemfarm score` on big files: the peak must not grow with the file.

    python bench/score_files.py [--megabytes 300] [--jobs 2] [--scorer v2] [--json]

The records are made up from a fixed seed and are of LEM's phase-raw shape, 2 KB of answer each on average. A file of a
tenth of the size is measured beside the big one; the peak is the largest of any process of the command. Both runs
write `--out`.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import Aim, compiled_once, report, spawn, table
from scorers import prose

SMALLER = 10
PEAK_GROWTH, PEAK_MIB = 1.25, 200.0
MEGABYTE = 1_000_000
PROSE = 400_000  #: characters that answers are cut from


def write_records(path: Path, size: int) -> int:
    """Phase-raw records of at least `size` bytes together; returns how many."""
    dice, text = random.Random(5), prose(PROSE)
    count = written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            length = dice.randrange(200, 3_800)
            start = dice.randrange(PROSE - length)
            written += file.write(record(count, text[start : start + length]))
            count += 1
    return count


def record(number: int, answer: str) -> str:
    """One line as a distillation writes it."""
    turns = [{"role": "user", "content": "What would you keep?"}, {"role": "assistant", "content": answer}]
    meta = {"probe_id": f"P{number % 101:03}", "category": f"c{number % 12}", "sample_idx": number % 10}
    return json.dumps({"type": "training", "training": {"messages": turns}, "meta": meta}) + "\n"


def measure(megabytes: int, jobs: int, scorer: str) -> dict[str, Any]:
    """Both files, scored by the command as a person runs it."""
    with tempfile.TemporaryDirectory(prefix="lemfarm-bench-") as name:
        folder = Path(name)
        return {
            "scorer": scorer,
            "jobs": jobs,
            "runs": [
                score(folder, size, jobs, scorer) for size in (megabytes * MEGABYTE // SMALLER, megabytes * MEGABYTE)
            ],
        }


def score(folder: Path, size: int, jobs: int, scorer: str) -> dict[str, Any]:
    """Score a file of that size once."""
    records, scored = folder / "records.jsonl", folder / "scored.jsonl"
    count = write_records(records, size)
    flags = ["--scorer", scorer, "--out", str(scored), "--jobs", str(jobs), "--json"]
    _, usage = spawn(["-m", "lemfarm", "score", str(records), *flags], compiled_once(folder))
    megabytes = records.stat().st_size / MEGABYTE
    return {
        "megabytes": megabytes,
        "records": count,
        "peak_mib": usage.peak_mib,
        "seconds": usage.wall_seconds,
        "megabytes_per_second": megabytes / usage.wall_seconds,
        "records_per_cpu_second": count / usage.cpu_seconds,
    }


def lines_of(result: dict[str, Any]) -> Sequence[str]:
    """The table."""
    heads = ["file, MB", "records", "peak MiB", "seconds", "MB/s", "records per CPU s"]
    rows = [list(run.values()) for run in result["runs"]]
    title = f"lemfarm score --scorer {result['scorer']} --jobs {result['jobs']}"
    return [title, *table(heads, [[f"{row[0]:,.0f}", *row[1:]] for row in rows])]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=300, help="size of the big file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--scorer", default="v2")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args()
    result = measure(options.megabytes, options.jobs, options.scorer)
    small, big = (run["peak_mib"] for run in result["runs"])
    aims = [
        Aim(f"score: peak of {options.megabytes} MB against a tenth of it", big / small, PEAK_GROWTH, "times"),
        Aim(f"score: peak of {options.megabytes} MB", big, PEAK_MIB, "MiB"),
    ]
    report(result, aims, as_json=options.json, lines=lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
