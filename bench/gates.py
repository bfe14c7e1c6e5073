"""What it takes to try and to apply other gates, and to add a scorer's scores to a run.

    python bench/gates.py [--samples 4040] [--large 100000] [--json]

Runs whose samples are all done (rows with texts, scores and verdicts, written straight into the tables, in SQLite), in
a temporary home. A threshold is lowered so that three fifths of the verdicts turn: `try`, `apply`, and for comparison
the same verdicts with a transaction for each. Then a scorer that never scored them: `try` computes its scores, `score`
stores them. Processes of their own, from start to end; wall and CPU seconds (with those of the processes that they
start) and peak memory as the kernel counts them.
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
from planning import SAMPLES_PER_TEXT, add_worker, mark_half_done

DONE_PER_TEXT = SAMPLES_PER_TEXT // 2  #: what `mark_half_done` answers
LOWERED, RAISED = 19.0, 24.0
APPLY_SECONDS, LARGE_SECONDS, LARGE_MIB = 5.0, 30.0, 300.0


def fill(options: argparse.Namespace) -> dict[str, Any]:
    """Plan a run of which everything is done."""
    from lemfarm.config import load_config
    from producer.course import Course
    from producer.plan import apply_plan

    database, config = opened(migrate=True), load_config(options.config)
    course = Course(config, "simulated:simulated")
    planned = apply_plan(database, course, found=None, limit=None, trains=False)
    add_worker(database, slots=16)
    mark_half_done(database, config)
    return {"samples": planned.added}


def try_threshold(_options: argparse.Namespace) -> dict[str, Any]:
    """What would pass with a lower threshold; all scores are stored."""
    from producer.gate_change import GateChange
    from producer.gate_trial import try_gates

    found = try_gates(opened(), None, GateChange(at_least=LOWERED))
    return {"difference": sum(phase.total.difference for phase in found.phases)}


def apply_threshold(_options: argparse.Namespace) -> dict[str, Any]:
    """Make it so."""
    from producer.gate_change import GateChange
    from producer.regate import apply_gates

    found = apply_gates(opened(), None, GateChange(at_least=LOWERED))
    return {"judged": sum(phase.judged.written for phase in found.phases)}


def one_by_one(_options: argparse.Namespace) -> dict[str, Any]:
    """Take it back with a transaction for each verdict, as it was done before."""
    from lemfarm.config import ScoreGate
    from lemfarm.gates import gate_hash
    from lemfarm.ledger import Ledger
    from lemfarm.work import NewVerdict
    from producer.judging import Which, judged_pages

    database, gates, judged = opened(), [ScoreGate(scorer="v2-distill", at_least=RAISED)], 0
    ledger, hashed = Ledger(database), gate_hash(gates)
    for page in judged_pages(database, 1, gates, Which.OTHERS):
        for one in page.answers:
            verdict = NewVerdict(one.sample_id, one.text_id, hashed, one.verdict.outcome, one.verdict.reason)
            with database.write() as connection:
                ledger.judge(connection, [verdict])
            judged += 1
    return {"judged": judged}


def try_scorer(_options: argparse.Namespace) -> dict[str, Any]:
    """What would pass with a scorer whose scores nobody stored."""
    from producer.gate_change import GateChange
    from producer.gate_trial import try_gates

    return {"computed": try_gates(opened(), None, GateChange(scorer="v2", at_least=RAISED)).computed}


def score(_options: argparse.Namespace) -> dict[str, Any]:
    """Store them."""
    from producer.run_scores import score_stored

    return {"added": sum(row.added for row in score_stored(opened(), None, ["v2"]).rows)}


def opened(*, migrate: bool = False) -> Any:
    """The database of the environment."""
    from lemfarm.connections import resolve
    from lemfarm.database import open_database
    from lemfarm.home import open_home

    return open_database(resolve(open_home(), environ=os.environ).database, migrate=migrate)


STAGES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "fill": fill,
    "try": try_threshold,
    "apply": apply_threshold,
    "one by one": one_by_one,
    "try a scorer": try_scorer,
    "score": score,
}


def stage(farm: Farm, name: str, config: Path) -> dict[str, Any]:
    """Run one of the stages as a process; what it said, and what it used."""
    said, usage = spawn([str(Path(__file__).resolve()), "--stage", name, "--config", str(config)], farm.environment)
    return said | {"wall": usage.wall_seconds, "cpu": usage.cpu_seconds, "peak_mib": usage.peak_mib}


def measure(samples: int, large: int) -> dict[str, Any]:
    """All stages on the small run, the first three on the large one; each run in a farm of its own."""
    found = {}
    for size, names in ((samples, tuple(STAGES)), (large, ("fill", "try", "apply"))):
        with temporary_farm() as farm:
            probes = -(-size // (VARIANTS * DONE_PER_TEXT))
            quota = {"accepted": probes * DONE_PER_TEXT, "at_most_per_probe": VARIANTS * DONE_PER_TEXT}
            config = write_run(farm.folder, "gates", probes=probes, samples=DONE_PER_TEXT, quota=quota)
            began = time.monotonic()
            stages = {name: stage(farm, name, config) for name in names}
            found[f"{size:,}"] = stages | {"seconds": time.monotonic() - began}
    return found


def aims_of(result: dict[str, Any]) -> list[Aim]:
    """In seconds for a campaign of the usual size, less than half a minute for a very large one."""
    (small, large), (first, second) = result.keys(), result.values()
    return [
        Aim(f"gates: apply to {small}", first["apply"]["wall"], APPLY_SECONDS, "s"),
        Aim(f"gates: apply to {large}", second["apply"]["wall"], LARGE_SECONDS, "s"),
        Aim(f"gates: peak memory of applying to {large}", second["apply"]["peak_mib"], LARGE_MIB, "MiB"),
    ]


def lines_of(result: dict[str, Any]) -> Sequence[str]:
    """A row for each stage."""
    rows = [
        [f"{name}, {size} samples", used["wall"], used["cpu"], used["peak_mib"]]
        for size, stages in result.items()
        for name, used in stages.items()
        if isinstance(used, dict) and name != "fill"
    ]
    return table(["", "wall s", "CPU s", "peak MiB"], rows)


def main() -> int:
    """Measure and print; with --stage, be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=4_040)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(STAGES[options.stage](options)))
        return 0
    result = measure(options.samples, options.large)
    report(result, aims_of(result), as_json=options.json, lines=lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
