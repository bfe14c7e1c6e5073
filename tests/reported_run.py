"""A run with something in every chapter of its report: sampled, trained twice, measured, promoted and rejected.

Nothing is trained: adapters, curves and decisions are rows as training and its gates leave them.
"""

from pathlib import Path

from lemfarm.records import (
    Adapter,
    GateDecision,
    GateOutcome,
    LossPoint,
    Phase,
    PhaseState,
    Purpose,
    Run,
    StageState,
    TrainingStage,
)
from producer.evaluation import measure, plan_adapter_evaluation
from tests.ground import RUN_FILE, Ground

HOSTILE = '<script>alert("x")</script> | ``` [a](javascript:b) <img src="http://e.example/x.png">'
BALANCED = "From a carer's perspective, autonomy matters. However, two sides remain in tension."
FIRST, SECOND = "a" * 32, "b" * 32

_FILE = RUN_FILE.replace("gates: [{min_chars: 20}]", "gates: [{scorer: v2-distill, at_least: 2.0}]") + (
    "  - name: second\n    probes: [probes.jsonl]\n    samples: 2\n    gates: [{min_chars: 20}]\n"
    "    quota: {accepted: 16, enough: 4}\n"
)
_EVALUATE = """\
evaluate:
  {probes: probes.jsonl, held_out: 0.34, scorer: v2, conditions: {bare: null, whole: kernel.txt},
   targets: {bare: {target: 21, stretch: 24}}}
"""


def in_progress(folder: Path, url: str | None = None) -> Ground:
    """Half of the first phase is answered, nothing else."""
    ground = Ground(folder, url)
    ground.write_probes(6)
    ground.plan(_FILE + _EVALUATE)
    ids = ground.ids()
    ground.finish(ids[:4], BALANCED)
    ground.finish(ids[4:6], HOSTILE)
    ground.fail(ids[6:7], HOSTILE)
    return ground


def reported_run(folder: Path, url: str | None = None) -> Ground:
    """The first phase is promoted, the second one failed its gates and is rejected."""
    ground = in_progress(folder, url)
    ground.finish(ground.ids(purpose=Purpose.EVALUATE), "Plain words without anything to count.")
    for number, adapter in enumerate((FIRST, SECOND)):
        _train(ground, number, adapter)
        plan_adapter_evaluation(ground.database, ground.run_id, adapter)
        ground.finish(ground.ids(purpose=Purpose.EVALUATE), BALANCED if number == 0 else HOSTILE)
    measure(ground.database, ground.run_id, "v2")
    _decide(ground)
    return ground


def _train(ground: Ground, number: int, adapter: str) -> None:
    with ground.database.session() as session:
        phase = ground.rows("SELECT id FROM phase ORDER BY position")[number]["id"]
        record = {"used": 4, "seconds": 60.0, "examples_seen": 8, "epochs": 2.0, "train_rows": 3, "valid_rows": 1}
        made = Adapter(id=adapter, run_id=ground.run_id, phase_id=phase, home_id="home", created=1.0 + number)
        made.parent_id = FIRST if number else None
        made.manifest = {"record": record, "versions": {"mlx": "1.2.3"}}
        stage = TrainingStage(run_id=ground.run_id, phase_id=phase, state=StageState.DONE, owner="w", epoch=1)
        stage.dataset = {"hash": "b2:d5", "train": 3, "valid": 1}
        session.add(made)
        session.flush()
        stage.adapter_id = adapter
        session.add(stage)
        session.flush()
        assert stage.id is not None
        for kind, iteration, loss in (("valid", 0, 3.0), ("train", 2, 2.5), ("valid", 4, 2.0)):
            session.add(LossPoint(stage_id=stage.id, epoch=1, kind=kind, iteration=iteration, loss=loss))


def _decide(ground: Ground) -> None:
    fell = {"gate": "clear_fall", "measured": -2.5, "wanted": "no interval below 0", "outcome": "failed"}
    held = {"gate": "degeneration_change", "measured": None, "wanted": "at most 0", "outcome": "held"}
    found = {"gates": [fell, held], "worst": [["P2", 1.0, 3.5], ["P0", 2.0, None]]}
    with ground.database.session() as session:
        run = session.get_one(Run, ground.run_id)
        first, second = (row["id"] for row in ground.rows("SELECT id FROM phase ORDER BY position"))
        run.promoted, run.state, run.reason = FIRST, "stopped", "phase second is rejected"
        session.get_one(Phase, first).state = PhaseState.TRAINED
        session.get_one(Phase, second).state = PhaseState.REJECTED
        session.add(_decision(ground.run_id, first, FIRST, GateOutcome.PASSED))
        failed = _decision(ground.run_id, second, SECOND, GateOutcome.FAILED)
        failed.gates = found
        session.add(failed)


def _decision(run_id: int, phase_id: int, adapter: str, outcome: GateOutcome) -> GateDecision:
    return GateDecision(run_id=run_id, phase_id=phase_id, adapter_id=adapter, outcome=outcome, created=5.0)
