"""The MLX engine through the whole farm against mlx-lm's own parts driven by hand, over the same samples.

    python bench/farm_engine.py [--turns 3] [--waves 4] [--slots 16] [--stock-blas] [--json]

One worker with Celery, ledger, spool and scoring, SQLite and the embedded Valkey, serves one run after the other; in
between, this process makes the same samples by hand: mlx-lm's `BatchGenerator` with the same prefix caches and all its
slots full. A kernel of 2,000 tokens, questions of about 60, ten samples of each, 128 new tokens, a model with random
weights. Tokens per second, from the first claim of a run to its last record, so that loading a model and waiting for
work are left out. Prefill of kernel and questions counts on both sides.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # as the worker does

from blas import blas_name, restart_with_openblas
from common import Aim, Farm, report, table, temporary_farm
from engine import random_model
from farm import cpu_seconds, living
from sqlalchemy import text

from lemfarm.config import load_config
from lemfarm.database import Database, open_database
from lemfarm.engines.base import Request
from lemfarm.engines.mlx_comparison import Comparison, Work
from lemfarm.journal import write_to_file
from producer.campaign import open_campaign
from workers.settings import SLOTS_VARIABLE

OF_BY_HAND = 0.93
MODEL = "tiny"
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens made in a second, and in a second of processor time: the worker's, or this process's."""

    per_second: float
    per_processor_second: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One turn of both ways."""

    farm: Rate
    by_hand: Rate

    @property
    def ratio(self) -> float:
        """Of what is made by hand, how much the farm makes."""
        return self.farm.per_second / self.by_hand.per_second

    @property
    def processor_ratio(self) -> float:
        """The same by processor time, which neighbours on the machine hardly change."""
        return self.farm.per_processor_second / self.by_hand.per_processor_second


def measure(folder: Path, *, slots: int, turns: int, waves: int) -> list[Pair]:
    """The pairs; which one is first changes from turn to turn."""
    comparison = Comparison(folder, slots=slots, work=Work())
    os.environ[SLOTS_VARIABLE] = str(slots)
    pairs = []
    try:
        with temporary_farm() as farm:
            write_to_file(farm.home.logs / "bench.log")
            database = open_database(farm.connections.database, migrate=True)
            with living(farm, "-m", "workers") as worker:
                # The worker loads its model.
                run_through(farm, database, folder, comparison.requests(turns, slots), worker)
                for turn in range(turns):
                    requests = comparison.requests(turn, waves * slots)
                    ways = [
                        partial(run_through, farm, database, folder, requests, worker),
                        partial(by_hand, comparison, requests),
                    ]
                    through, hand = in_turn(ways, reverse=turn % 2 == 1)
                    pairs.append(Pair(through, hand))
                    print(f"  turn {turn + 1}: {pairs[-1]}", file=sys.stderr, flush=True)
            database.close()
    finally:
        comparison.close()
    return pairs


def in_turn(ways: Sequence[Callable[[], Rate]], *, reverse: bool) -> list[Rate]:
    """The rates in the order of the ways, whichever was measured first."""
    rates = [way() for way in (reversed(ways) if reverse else ways)]
    return rates[::-1] if reverse else rates


def by_hand(comparison: Comparison, requests: Sequence[Request]) -> Rate:
    """mlx-lm's own parts, in this process."""
    before = time.process_time()
    seconds = comparison.by_hand(requests)
    tokens = comparison.work.answer
    return Rate(tokens / seconds, tokens * len(requests) / (time.process_time() - before))


def run_through(farm: Farm, database: Database, folder: Path, requests: Sequence[Request], worker: int) -> Rate:
    """What `lemfarm run` does with these requests, from the first claim to the last record."""
    config, before = write_config(farm.folder, folder, requests), cpu_seconds(worker)
    campaign = open_campaign(farm.home, farm.connections, workers=0, leave_services=True)
    try:
        campaign.start(load_config(config), trains=False)
        ends = time.monotonic() + PATIENCE_SECONDS
        for status in campaign.follow():
            if sum(phase.done for phase in status.phases) == status.phases[0].planned or time.monotonic() > ends:
                break
    finally:
        campaign.close(0.0)
    used = cpu_seconds(worker) - before
    tokens, seconds = made(database, config.stem, len(requests))
    return Rate(tokens / seconds, tokens / used)


def write_config(folder: Path, model: Path, requests: Sequence[Request]) -> Path:
    """A run file whose samples are these requests; every answer is scored and accepted."""
    name = f"turn-{requests[0].sample_id}"
    kernel, library = folder / f"{name}-kernel.txt", folder / f"{name}-probes.jsonl"
    kernel.write_text(requests[0].kernel or "")
    questions = dict.fromkeys(request.messages[0].content for request in requests)
    samples = -(-len(requests) // len(questions))
    probes = [{"id": f"P{number:03}", "domain": "made-up", "prompt": each} for number, each in enumerate(questions)]
    library.write_text("".join(json.dumps(probe) + "\n" for probe in probes))
    config = {
        "run": name,
        "model": {"engine": "mlx", "path": str(model)},
        "kernel": {"file": str(kernel), "placement": "system"},
        "sampling": {"temperature": 0.8, "top_p": 0.95, "max_tokens": requests[0].sampling.max_tokens, "seed": 42},
        "phases": [
            {
                "name": "phase",
                "probes": [str(library)],
                "samples": samples,
                "gates": [{"scorer": "v2-distill", "at_least": -1000.0}],
                "quota": {"accepted": len(questions) * samples, "enough": 1, "when_exhausted": "train"},
            }
        ],
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def made(database: Database, run: str, least: int) -> tuple[int, float]:
    """Tokens of a run's attempts, and seconds from the first to the last."""
    query = """
        SELECT a.started, a.ended, a.generation FROM attempt a JOIN sample s ON s.id = a.sample_id
        JOIN run r ON r.id = s.run_id WHERE r.name = :run AND a.ending = 'done'
    """
    with database.read() as connection:
        rows = connection.execute(text(query), {"run": run}).all()
    if len(rows) < least:
        raise SystemExit(f"run {run}: {len(rows)} of {least} samples were done")
    tokens = sum(json.loads(row.generation)["completion_tokens"] for row in rows)
    return tokens, max(row.ended for row in rows) - min(row.started for row in rows)


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--waves", type=int, default=5, help="samples of a turn, as a multiple of the slots")
    parser.add_argument("--stock-blas", action="store_true", help="with the BLAS that MLX brings")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args()
    if not options.stock_blas:
        restart_with_openblas()
    with tempfile.TemporaryDirectory(prefix="lemfarm-bench-") as spare:
        folder = random_model(MODEL, Path(spare))
        pairs = measure(folder, slots=options.slots, turns=options.turns, waves=options.waves)
    middle = median(pair.ratio for pair in pairs)
    rows: list[list[Any]] = [
        [str(turn), pair.farm.per_second, pair.by_hand.per_second, pair.ratio, pair.processor_ratio]
        for turn, pair in enumerate(pairs, 1)
    ]
    heads = [f"tokens/s, {options.slots} slots, turn", "farm", "by hand", "ratio", "by processor time"]
    data = {"blas": blas_name(), "slots": options.slots, "pairs": [asdict(pair) for pair in pairs]}
    aims = [Aim("farm: one worker against BatchGenerator by hand", middle, OF_BY_HAND, "times", at_least=True)]
    report(data, aims, as_json=options.json, lines=[f"BLAS: {blas_name()}", *table(heads, rows)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
