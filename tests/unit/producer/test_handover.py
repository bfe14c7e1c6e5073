"""What follows when: full, starved, held, trained, measured, ended, and stopped for its failures."""

import pytest

from lemfarm.broker import generate_queue, train_queue
from lemfarm.engines.base import FinishReason
from lemfarm.errors import InputError
from lemfarm.records import Purpose
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.phases import claim_stage, fail_stage, finish_stage
from lemfarm.work import Balance
from producer import campaign
from producer.quotas import QUOTA
from tests.ground import MODEL, RUN_FILE, SHORT_ANSWER, Ground

HOME = "home-of-the-adapter"
TRAIN = "train: {rank: 4}\n"
TRAINED = RUN_FILE + "    train: {iterations: 5, learning_rate: 1e-4, max_seq_length: 256}\n"
SECOND = TRAINED[TRAINED.index("  - name") :].replace("first", "second")
EVALUATE = """\
evaluate:
  {probes: other.jsonl, held_out: 0.5, trained: 0.0, scorer: v2, conditions: {bare: null, whole: kernel.txt}}
"""


def fill(ground: Ground, phase: str = "first") -> None:
    """Answer what a phase still needs."""
    ground.finish(ground.ids(f"state = 'pending' AND phase_id = (SELECT id FROM phase WHERE name = '{phase}')")[:10])


def train(ground: Ground, adapter: str) -> None:
    """Do what a training worker does with the stage that waits."""
    stage = ground.value("SELECT id FROM training_stage WHERE state = 'waiting'")
    claim = claim_stage(ground.database, stage, "w", 90.0)
    assert claim is not None
    parent = ground.run.promoted
    manifest = AdapterManifest(adapter, {}, {"rank": 4}, job="b2:job", dataset="b2:data", parent=parent)
    assert finish_stage(ground.database, claim, manifest, HOME, {})


# ---- quotas


def test_a_full_phase_skips_the_rest_and_its_run_is_done(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=10))
    ground.look()
    ground.look()
    assert ground.phase_states() == {"first": "full"}
    assert ground.balance() == Balance(done=10, accepted=10, skipped=14)
    assert ground.state == "done"


def test_leased_samples_of_a_full_phase_finish_before_the_run_ends(ground: Ground) -> None:
    # Given a phase that is full while a sample is in somebody's hands
    ground.plan()
    ids = ground.ids()
    late = ground.claim(ids[11])
    ground.finish(ids[:10])
    ground.look()
    ground.look()
    # Then the run waits for it, and keeps it
    assert (ground.state, ground.phase_states()) == ("active", {"first": "full"})
    ground.ledger.release(late.sample_id, late.epoch)
    ground.look()
    assert ground.value("SELECT reason FROM sample WHERE id = :id", id=late.sample_id) == QUOTA
    ground.look()
    assert ground.state == "done"


def test_accepted_samples_above_a_probes_share_do_not_count(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids("probe.name = 'P0'"))
    ground.finish(ground.ids("probe.name = 'P1'")[:2])
    ground.look()
    assert ground.balance().accepted == 10
    assert ground.phase_states() == {"first": "open"}, "eight of P0 count as five"


def test_verdicts_by_older_gates_do_not_close_a_phase(ground: Ground) -> None:
    """A worker goes by the gates that it read up to two seconds ago."""
    # Given ten answers that a worker accepted, though the gates have just been raised
    ground.plan()
    ground.finish(ground.ids(limit=10), "Some twenty-odd characters.")
    ground.execute("UPDATE verdict SET gate_hash = 'b2:older'")
    ground.execute("UPDATE sample SET outcome = 'accepted'")
    raised = {"phases__0__gates": [{"min_chars": 30}]}
    # When the watcher finds the quota full
    ground.look(**raised)
    # Then they are judged by the gates of now, and nothing stays skipped
    assert ground.balance() == Balance(pending=24 - 10, done=10, rejected=10)
    ground.look(**raised)
    assert (ground.state, ground.phase_states()) == ("active", {"first": "open"})


# ---- the grid is used up


def test_a_phase_that_ran_out_with_too_few_starves_the_run_and_names_the_thin_probes(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids("probe.name = 'P2'")[:3])
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look()
    ground.look()
    assert (ground.state, ground.phase_states()) == ("starved", {"first": "exhausted"})
    assert "ran out with 3 accepted; its quota wants 10, at least 4" in ground.reason
    assert "2 of 3 probes gave nothing" in ground.reason and "thinnest: P" in ground.reason
    assert "Raise `samples`, lower a gate or `enough`" in ground.reason


def test_a_limit_that_is_used_up_is_named(ground: Ground) -> None:
    ground.plan(limit=3)
    ground.finish(ground.ids())
    ground.look()
    ground.look()
    assert ground.state == "starved"
    assert "--limit 3 is used up" in ground.reason


def test_a_leased_sample_may_still_save_the_phase(ground: Ground) -> None:
    ground.plan()
    ids = ground.ids()
    late = ground.claim(ids[0])
    ground.finish(ids[1:4])
    ground.finish(ids[4:], SHORT_ANSWER)
    ground.look()
    ground.look()
    assert (ground.state, ground.phase_states()) == ("active", {"first": "open"})
    ground.ledger.release(late.sample_id, late.epoch)
    ground.finish([late.sample_id])
    ground.look()
    ground.look()
    assert ground.state == "held", "four are enough"


def test_a_phase_with_enough_holds_until_a_person_says_train(ground: Ground) -> None:
    # Given a phase that ran out with enough
    ground.plan(TRAINED + TRAIN)
    ground.finish(ground.ids(limit=5))
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look()
    ground.look()
    assert ground.state == "held"
    assert "5 of 10 accepted" in ground.reason and "`lemfarm train tiny`" in ground.reason
    assert ground.queue.trainings == []
    # When a person lets it train
    campaign.train_now(ground.database, None)
    ground.look()
    # Then it is handed over
    assert ground.state == "active"
    assert [label for _, label in ground.queue.trainings] == ["tiny first"]


def test_a_phase_with_enough_trains_by_itself_where_the_file_says_so(ground: Ground) -> None:
    ground.plan(TRAINED.replace("enough: 4", "enough: 4, when_exhausted: train") + TRAIN)
    ground.finish(ground.ids(limit=5))
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look()
    ground.look()
    assert ground.state == "active"
    assert len(ground.queue.trainings) == 1


def test_train_refuses_where_nothing_is_ripe(ground: Ground) -> None:
    ground.plan(TRAINED + TRAIN)
    with pytest.raises(InputError, match="no phase to train"):
        campaign.train_now(ground.database, None)


# ---- phases in turn, training


def test_phases_generate_in_turn(ground: Ground) -> None:
    ground.plan(TRAINED + SECOND + TRAIN)
    ground.look()
    phases = ground.rows("SELECT DISTINCT p.name FROM sample s JOIN phase p ON p.id = phase_id WHERE wave IS NOT NULL")
    assert [row["name"] for row in phases] == ["first"]
    fill(ground)
    assert ground.look(), "the second phase needs no trained first one: it asks the base model"
    assert ground.phase_states() == {"first": "full", "second": "open"}


def test_a_phase_without_samples_is_not_judged_while_an_earlier_one_is_at_work(ground: Ground) -> None:
    ground.plan(TRAINED + SECOND + TRAIN, limit=7)
    ground.look()
    assert ground.run.state == "active"


def test_a_full_phase_is_handed_to_training_once(ground: Ground) -> None:
    ground.plan(TRAINED + TRAIN)
    fill(ground)
    for _ in range(4):
        ground.look()
    assert ground.queue.trainings == [(train_queue(MODEL), "tiny first")]
    assert ground.state == "active"


def test_a_training_message_that_is_lost_is_sent_again(ground: Ground) -> None:
    ground.plan(TRAINED + TRAIN)
    fill(ground)
    ground.look()
    ground.look()
    ground.execute("UPDATE training_stage SET sent = sent - 60")
    ground.queue.length = 1
    ground.look()
    assert len(ground.queue.trainings) == 1, "it waits in the queue"
    ground.queue.length = 0
    ground.look()
    assert len(ground.queue.trainings) == 2


def test_the_next_phase_trains_where_the_last_adapter_lies(ground: Ground) -> None:
    ground.plan(TRAINED + SECOND + TRAIN)
    fill(ground)
    ground.look()
    fill(ground, "second")
    ground.look()
    ground.look()
    assert [label for _, label in ground.queue.trainings] == ["tiny first"], "one after the other"
    train(ground, "b2:one")
    ground.look()
    assert ground.queue.trainings[1:] == [(train_queue(MODEL, HOME), "tiny second")]
    train(ground, "b2:two")
    ground.look()
    assert ground.phase_states() == {"first": "trained", "second": "trained"}
    assert (ground.state, ground.run.promoted) == ("done", "b2:two")


def test_no_train_ends_the_run_without_training(ground: Ground) -> None:
    ground.plan(TRAINED + TRAIN, trains=False)
    fill(ground)
    ground.look()
    ground.look()
    assert (ground.state, ground.queue.trainings) == ("done", [])


def test_a_training_that_failed_for_good_stops_the_run_with_its_reason(ground: Ground) -> None:
    ground.plan(TRAINED + TRAIN)
    fill(ground)
    ground.look()
    ground.look()
    stage = ground.value("SELECT id FROM training_stage")
    claim = claim_stage(ground.database, stage, "w", 90.0)
    assert claim is not None
    fail_stage(ground.database, claim, "every row is longer than max_seq_length.", final=True)
    ground.look()
    assert ground.state == "stopped"
    assert "every row is longer" in ground.reason and "`lemfarm train tiny`" in ground.reason
    # When a person lets it be tried again, then it is sent again
    campaign.train_now(ground.database, None)
    ground.look()
    assert (ground.state, len(ground.queue.trainings)) == ("active", 2)


# ---- evaluation


def test_the_base_model_is_measured_beside_the_first_phase(ground: Ground) -> None:
    ground.plan(RUN_FILE + EVALUATE)
    sent = ground.look()
    assert set(ground.ids(purpose=Purpose.EVALUATE)) < set(sent)
    assert ground.balance(Purpose.EVALUATE).planned == 2


def test_the_adapter_is_asked_what_the_base_model_was_asked(ground: Ground) -> None:
    # Given a trained run whose base model has been measured
    ground.plan(TRAINED + TRAIN + EVALUATE)
    fill(ground)
    ground.finish(ground.ids(purpose=Purpose.EVALUATE))
    ground.look()
    ground.look()
    train(ground, "b2:one")
    # When the watcher looks again
    ground.look()
    # Then the same texts under the same conditions are planned for the adapter
    rows = ground.rows(
        "SELECT adapter_id, variant_id, condition FROM sample WHERE purpose = 'evaluate' ORDER BY condition, variant_id"
    )
    asked = {(row["variant_id"], row["condition"]) for row in rows if row["adapter_id"] == "b2:one"}
    assert asked == {(row["variant_id"], row["condition"]) for row in rows if row["adapter_id"] is None}
    sent = ground.look()
    queues = {message.queue for message in ground.queue.messages if message.sample_id in sent}
    assert queues == {generate_queue(MODEL, HOME)}, "only that home has the adapter on its disk"
    # and the run ends when they are done, with a measurement for each
    assert ground.state == "active"
    ground.finish(sent)
    ground.look()
    assert (ground.phase_states(), ground.run.promoted) == ({"first": "trained"}, "b2:one"), "its gates passed it"
    ground.look()
    assert ground.state == "done"
    measured = {(row["adapter_id"], row["condition"]) for row in ground.rows("SELECT * FROM evaluation")}
    assert measured == {("", "bare"), ("", "whole"), ("b2:one", "bare"), ("b2:one", "whole")}


def test_a_changed_quota_keeps_the_measured_adapter(ground: Ground) -> None:
    ground.plan(TRAINED + TRAIN + EVALUATE)
    fill(ground)
    ground.look()
    ground.look()
    train(ground, "b2:one")
    ground.look()
    result = ground.plan(phases__0__quota__accepted=9)
    assert (result.added, result.superseded) == (0, 0)
    assert ground.balance(Purpose.EVALUATE) == Balance(pending=4)


def test_evaluation_is_no_part_of_quotas_and_of_skipping(ground: Ground) -> None:
    ground.plan(RUN_FILE + EVALUATE)
    fill(ground)
    ground.look()
    ground.look()
    assert ground.state == "active"
    assert ground.balance(Purpose.EVALUATE) == Balance(pending=2)


# ---- failures


def test_half_of_the_recent_work_failing_stops_the_run_with_the_commonest_reason(ground: Ground) -> None:
    ground.plan()
    ids = ground.ids()
    ground.finish(ids[:8])
    ground.fail(ids[8:10], "odd one")
    ground.fail(ids[10:20], "out of memory")
    ground.look()
    assert ground.state == "stopped"
    assert "12 of the last 20 samples failed, most often: engine: out of memory" in ground.reason
    assert "lemfarm requeue --failed tiny" in ground.reason


def test_few_failures_do_not_stop_a_run(ground: Ground) -> None:
    ground.plan()
    ids = ground.ids()
    ground.fail(ids[:9])
    ground.finish(ids[9:20], SHORT_ANSWER)
    ground.look()
    assert ground.state == "active", "nine of twenty"


def test_a_death_is_one_failure_however_many_samples_the_worker_held(ground: Ground) -> None:
    ground.plan()
    ids = ground.ids()
    ground.finish(ids[:8])
    for sample in ids[8:24]:
        ground.claim(sample)
    assert ground.ledger.bury("w", rebooted=False) == 16
    ground.look()
    assert ground.state == "active", "one death beside eight that are done"


def test_the_retries_that_are_left_at_the_end_do_not_stop_a_run(ground: Ground) -> None:
    ground.plan()
    ids = ground.ids()
    ground.finish(ids[:16], SHORT_ANSWER)
    for _again in range(5):
        for sample in ids[16:20]:
            claim = ground.claim(sample)
            ground.ledger.fail(sample, claim.epoch, "engine", "the engine broke", retryable=True, retries=9)
            ground.execute("UPDATE sample SET not_before = 0")
    ground.look()
    assert ground.state == "active", "four of twenty samples failed, however often"


def test_the_first_failures_alone_say_nothing_yet(ground: Ground) -> None:
    ground.plan()
    ground.fail(ground.ids(limit=19))
    ground.look()
    assert ground.state == "active"


def test_held_samples_wait_and_are_neither_accepted_nor_generated_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One absent scorer never stops a run (invariant 10)."""
    from producer import score_tasks

    def absent(name: str) -> object:
        raise ImportError(name)

    ground.plan(RUN_FILE.replace("{min_chars: 20}", "{scorer: v2, at_least: 1.0}"))
    monkeypatch.setattr(score_tasks, "get_scorer", absent)
    ground.finish(ground.ids(limit=2), reason=FinishReason.STOP)
    assert ground.balance() == Balance(pending=22, done=2, held=2)
    ground.look()
    assert ground.state == "active"
