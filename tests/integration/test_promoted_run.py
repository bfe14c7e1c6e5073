"""A phase that is answered by an adapter, in real processes: planned when its turn comes, where no probe files are."""

from pathlib import Path

from lemfarm.records import PhaseState
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.phases import claim_stage, finish_stage, open_stage
from producer.verify import verify_run
from tests.farm import RUN_FILE, Farm

ADAPTER = "ad" * 16
FIRST = RUN_FILE.replace("samples: 5", "samples: 1").replace("only", "first")
TRAIN = "    train: {{iterations: 5, learning_rate: 1.0e-4}}\n"
SECOND = FIRST[FIRST.index("  - name") :].replace("first", "second\n    generate_with: promoted")
TWO_PHASES = f"{FIRST}{TRAIN}{SECOND}train: {{{{rank: 4}}}}\n"


def promote(farm: Farm) -> None:
    """Do what the training of the first phase does at its end, on this machine."""
    phase = farm.value("SELECT id FROM phase WHERE name = 'first'")
    claim = claim_stage(farm.database, open_stage(farm.database, farm.run_id, phase), "w", 90.0)
    assert claim is not None
    (farm.home.adapters / ADAPTER).mkdir(parents=True)
    manifest = AdapterManifest(ADAPTER, {}, {"rank": 4}, job="b2:job", dataset="b2:data", parent=None)
    assert finish_stage(farm.database, claim, manifest, farm.home.identity, {})


def test_a_worker_plans_and_answers_a_phase_with_the_adapter_that_is_promoted(tmp_path: Path) -> None:
    with Farm(tmp_path, probes=3, run_file=TWO_PHASES) as farm:
        # Given a run whose first phase is trained, and no probe files any more
        assert farm.plan() == 12
        promote(farm)
        (tmp_path / "probes.jsonl").unlink()
        # When a worker comes and brings the run to its end
        farm.start_worker("w1")
        farm.wait(lambda: farm.run_state() != "active", "the run to end")
        # Then that adapter has answered the whole second phase
        assert farm.value("SELECT state FROM phase WHERE name = 'second'") == PhaseState.FULL, farm.story()
        answered = farm.rows(
            """SELECT p.name, s.adapter_id, count(*) AS n FROM sample s JOIN phase p ON p.id = s.phase_id
               WHERE s.state = 'done' GROUP BY p.name, s.adapter_id"""
        )
        assert [tuple(row.values()) for row in answered] == [("second", ADAPTER, 6)]
        assert farm.value("SELECT count(*) FROM sample") == 12
        assert [found for found in verify_run(farm.database, "chaos") if not found.holds] == []
