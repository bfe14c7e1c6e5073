"""What it takes to plan and enqueue 4,040 samples, and to go on with a run of 100,000.

    python bench/planning.py [--samples 4040] [--resumed 100000] [--json]

The first is a new run of made-up probes, four wordings and ten samples each, on a farm with so many slots that the
first wave is the whole grid. The second is the same command again on a run that is planned and half done (rows with
texts, scores and verdicts, written straight into the tables): processes of their own, from their start to the first
status and the first wave in the queue; wall seconds, CPU seconds and peak memory as the kernel counts them. A third
plans one sample per wording more, so that every row is looked at. SQLite and the embedded Valkey, in a temporary home.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import VARIANTS, Aim, Farm, report, spawn, table, temporary_farm, write_run

SAMPLES_PER_TEXT = 10
ENQUEUE_SECONDS = 3.0
RESUME_SECONDS, RESUME_MIB = 10.0, 300.0
ANSWER = "A made-up answer that is as long as an answer of some three hundred words. " * 25


def enqueue(options: argparse.Namespace) -> dict[str, Any]:
    """Plan a new run and send all of it."""
    campaign = opened()
    from lemfarm.config import load_config

    began = time.perf_counter()
    result = campaign.start(load_config(options.config), trains=False)
    planned = time.perf_counter()
    add_worker(campaign.database, slots=result.added // 4)
    before = queued(campaign)
    sending = time.perf_counter()
    campaign._watcher.look_in_turn()
    sent = time.perf_counter()
    count = queued(campaign) - before
    campaign.close(0.0)
    return {"samples": result.added, "queued": count, "plan": planned - began, "enqueue": sent - sending}


def fill(options: argparse.Namespace) -> dict[str, Any]:
    """Plan a run and mark half of it as done."""
    campaign = opened()
    from lemfarm.config import load_config

    began = time.perf_counter()
    result = campaign.start(load_config(options.config), trains=False)
    planned = time.perf_counter() - began
    add_worker(campaign.database, slots=16)
    mark_half_done(campaign.database, load_config(options.config))
    campaign.close(0.0)
    return {"samples": result.added, "plan": planned}


def resume(options: argparse.Namespace) -> dict[str, Any]:
    """The same command again, to its first status and its first wave."""
    began = time.perf_counter()
    campaign = opened()
    from lemfarm.config import load_config
    from lemfarm.status import read_status

    overrides = {"phases.0.samples": str(options.samples_per_text)} if options.samples_per_text else {}
    opening = time.perf_counter()
    result = campaign.start(load_config(options.config, overrides=overrides), trains=False)
    planned = time.perf_counter()
    status = read_status(campaign.database)
    shown = time.perf_counter()
    before = queued(campaign)
    campaign._watcher.look_in_turn()
    sent = time.perf_counter()
    found = {"start": opening - began, "plan": planned - opening, "status": shown - planned, "wave": sent - shown}
    count = queued(campaign) - before
    campaign.close(0.0)
    planned_samples = sum(phase.planned for phase in status.phases)
    return found | {"planned": planned_samples, "added": result.added, "queued": count}


def opened() -> Any:
    """The farm of the environment, as `lemfarm run --workers 0` opens it."""
    from lemfarm.connections import resolve
    from lemfarm.home import open_home
    from producer.campaign import open_campaign

    return open_campaign(open_home(), resolve(open_home(), environ=os.environ), workers=0)


def queued(campaign: Any) -> int:
    """Messages that wait for any model."""
    from lemfarm.broker import generate_queue, make_app, queue_length
    from lemfarm.runs import find_run

    app = make_app(str(campaign.connections.broker))
    return queue_length(app, generate_queue(find_run(campaign.database, None).model_key))


def add_worker(database: Any, slots: int) -> None:
    """A row that says that somebody serves so many slots: waves are as deep as the farm."""
    from lemfarm.records import Worker, WorkerState

    with database.session() as session:
        session.merge(
            Worker(
                id="made-up", name="made-up", host="elsewhere", pid=0, boot_id="", home_id="elsewhere", slots=slots,
                state=WorkerState.READY, lemfarm_version="", last_seen=database.clock(),
            )
        )  # fmt: skip


def mark_half_done(database: Any, config: Any) -> None:
    """Results for the first half of every wording's samples, a third of them accepted."""
    from sqlalchemy import text

    from lemfarm.gates import gate_hash

    values = {"gates": gate_hash(config.phases[0].gates), "answer": ANSWER, "half": SAMPLES_PER_TEXT // 2}
    earlier = f"{database.now} - 3600"
    statements = (
        f"""UPDATE sample SET state = 'done', finished = {earlier},
            outcome = CASE WHEN sample_index % 3 = 0 THEN 'accepted' ELSE 'rejected' END,
            reason = CASE WHEN sample_index % 3 = 0 THEN 'passed every gate' ELSE 'v2-distill 18.3 < 24.0' END
            WHERE sample_index < :half""",
        f"""INSERT INTO attempt (sample_id, epoch, worker_id, alone, started, ended, ending, error, generation)
            SELECT id, 1, 'made-up', false, {earlier}, {earlier}, 'done', '', '{{"finish_reason": "stop"}}'
            FROM sample WHERE state = 'done'""",
        f"""INSERT INTO text (sample_id, revision, content, thoughts, token_ids, created)
            SELECT id, 0, :answer, '', zeroblob(1000), {earlier} FROM sample WHERE state = 'done'""",
        f"""INSERT INTO score (text_id, scorer, version, value, signals, created)
            SELECT id, 'v2-distill', '1', 20.0, '{{}}', {earlier} FROM text""",
        f"""INSERT INTO verdict (sample_id, text_id, gate_hash, outcome, reason, created)
            SELECT sample.id, text.id, :gates, sample.outcome, sample.reason, {earlier}
            FROM text JOIN sample ON sample.id = text.sample_id""",
    )
    for statement in statements:
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        with database.write() as connection:
            connection.execute(text(statement), used)


def stage(farm: Farm, name: str, config: Path, *more: str) -> dict[str, Any]:
    """Run one of the stages as a process; what it said, and what it used."""
    said, usage = spawn(
        [str(Path(__file__).resolve()), "--stage", name, "--config", str(config), *more], farm.environment
    )
    return said | {"wall": usage.wall_seconds, "cpu": usage.cpu_seconds, "peak_mib": usage.peak_mib}


def measure(samples: int, resumed: int) -> dict[str, Any]:
    """All stages, each in a farm of its own kind."""
    per_probe = VARIANTS * SAMPLES_PER_TEXT
    with temporary_farm() as farm:
        every = {"accepted": 1, "stop_when_full": False}
        warm = write_run(farm.folder, "warm", probes=1, samples=1, quota=every)
        stage(farm, "enqueue", warm)  # compiles the bytecode, makes the tables
        config = write_run(farm.folder, "new", probes=-(-samples // per_probe), samples=SAMPLES_PER_TEXT, quota=every)
        new = stage(farm, "enqueue", config)
    with temporary_farm() as farm:
        probes = -(-resumed // per_probe)
        quota = {"accepted": probes * per_probe // 4, "at_most_per_probe": 24}
        config = write_run(farm.folder, "long", probes=probes, samples=SAMPLES_PER_TEXT, quota=quota)
        first = stage(farm, "fill", config)
        again = stage(farm, "resume", config)
        more = stage(farm, "resume", config, "--samples-per-text", str(SAMPLES_PER_TEXT + 1))
    return {"new": new, "first": first, "again": again, "more": more}


def aims_of(result: dict[str, Any]) -> list[Aim]:
    """Figures of issue 2's bench section."""
    new, again = result["new"], result["again"]
    return [
        Aim(f"planning: plan and enqueue {new['queued']:,}", new["plan"] + new["enqueue"], ENQUEUE_SECONDS, "s"),
        Aim(f"planning: go on with {again['planned']:,}", again["wall"], RESUME_SECONDS, "s"),
        Aim("planning: peak memory of going on", again["peak_mib"], RESUME_MIB, "MiB"),
    ]


def lines_of(result: dict[str, Any]) -> Sequence[str]:
    """The tables."""
    new, first = result["new"], result["first"]
    shown = ("start", "plan", "status", "wave", "wall", "cpu", "peak_mib")
    rows = [
        [f"the same again, {result['again']['planned']:,} planned", *(result["again"][name] for name in shown)],
        [f"one more of each, {result['more']['added']:,} added", *(result["more"][name] for name in shown)],
    ]
    return [
        *table(["a new run, s", "plan", "enqueue", "wall", "cpu", "peak MiB"], [
            [f"{new['samples']:,} samples, {new['queued']:,} in the queue",
             *(new[name] for name in ("plan", "enqueue", "wall", "cpu", "peak_mib"))],
            [f"{first['samples']:,} samples, planned only", first["plan"], "", "", "", ""],
        ]),
        "",
        *table(["going on, s", "start", "plan", "status", "first wave", "wall", "cpu", "peak MiB"], rows),
        f"samples in the first wave: {result['again']['queued']:,}",
    ]  # fmt: skip


def main() -> int:
    """Measure and print; with --stage, be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=4_040)
    parser.add_argument("--resumed", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one object instead of the tables")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--samples-per-text", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(STAGES[options.stage](options)))
        return 0
    result = measure(options.samples, options.resumed)
    report(result, aims_of(result), as_json=options.json, lines=lines_of(result))
    return 0


STAGES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"enqueue": enqueue, "fill": fill, "resume": resume}


if __name__ == "__main__":
    sys.exit(main())
