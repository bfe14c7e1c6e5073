"""A course of three phases with gates, on paper: trained, measured and judged by hand.

start(ground)                          three full phases, the untrained model measured at 4.0
course_of(ground, "b2:one", 6.0)       the next phase is trained, its adapter measured at 6.0, the gates decide
"""

from lemfarm.records import Purpose
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.phases import claim_stage, finish_stage
from tests.ground import RUN_FILE, Ground

SMALL = RUN_FILE.replace("accepted: 10, at_most_per_probe: 5, enough: 4", "accepted: 1").replace(
    "samples: 4", "samples: 1"
)
TRAINED = SMALL + "    train: {iterations: 5, learning_rate: 1e-4, max_seq_length: 256}\n"
FIRST = TRAINED[TRAINED.index("  - name") :]
COURSE = TRAINED + FIRST.replace("first", "second") + FIRST.replace("first", "third")
GATES = "    gate_after: {clear_fall: ignore, degeneration_change: null, baseline_mean: {at_least: 5, fail_below: 3}}\n"
EVALUATE = """\
train: {rank: 4}
evaluate: {probes: other.jsonl, held_out: 0.5, trained: 0.0, scorer: v2, conditions: {baseline: null}}
"""
GATED = COURSE.replace("max_seq_length: 256}\n", "max_seq_length: 256}\n" + GATES) + EVALUATE


def start(ground: Ground) -> None:
    """Three phases, all full; the untrained model is measured at 4.0; the first training is handed over."""
    ground.plan(GATED)
    for phase in ("first", "second", "third"):
        ground.finish(waiting(ground, phase)[:1])
    answer(ground, 4.0)
    ground.look()
    ground.look()


def waiting(ground: Ground, phase: str) -> list[str]:
    """The samples of a phase that nobody has made yet."""
    return ground.ids(f"state = 'pending' AND phase_id = (SELECT id FROM phase WHERE name = '{phase}')")


def answer(ground: Ground, value: float) -> None:
    """Answer what waits to be measured; the scorer finds it worth so much."""
    rows = ground.ids(purpose=Purpose.EVALUATE)
    ground.finish(rows)
    for row in rows:
        ground.execute(
            "UPDATE score SET value = :value WHERE text_id IN (SELECT id FROM text WHERE sample_id = :id)",
            value=value, id=row,
        )  # fmt: skip


def train(ground: Ground, adapter: str) -> None:
    """Do what a training worker does with the stage that waits, from the adapter that is promoted now."""
    stage = ground.value("SELECT id FROM training_stage WHERE state = 'waiting' ORDER BY phase_id LIMIT 1")
    claim = claim_stage(ground.database, stage, "w", 90.0)
    assert claim is not None
    parent = ground.run.promoted
    manifest = AdapterManifest(adapter, {}, {"rank": 4}, job="b2:job", dataset="b2:data", parent=parent)
    assert finish_stage(ground.database, claim, manifest, "home", {})


def measure(ground: Ground, value: float) -> None:
    """Let the adapter that waits be measured and judged."""
    ground.look()
    answer(ground, value)
    ground.look()


def course_of(ground: Ground, adapter: str, value: float) -> None:
    """Train the next phase, measure its adapter, let the gates decide, and hand on."""
    train(ground, adapter)
    measure(ground, value)
    ground.look()
