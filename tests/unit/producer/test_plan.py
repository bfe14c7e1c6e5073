"""Planning again and again: the same command continues, a changed file supersedes and restores, nothing is redone."""

from dataclasses import replace
from pathlib import Path

import pytest

from lemfarm import __version__
from lemfarm.errors import InputError, ModelMismatch, VersionError
from lemfarm.models import FoundModel
from lemfarm.work import Balance
from producer import campaign
from producer.course import Course
from producer.plan import apply_plan
from producer.quotas import PROBE, QUOTA
from producer.verify import verify_run
from tests.ground import MODEL, RUN_FILE, SHORT_ANSWER, Ground

TWO_PHASES = RUN_FILE + RUN_FILE[RUN_FILE.index("  - name") :].replace("first", "second")


def done_ids(ground: Ground) -> list[str]:
    return ground.ids("state = 'done'")


# ---- the same again


def test_a_new_run_is_planned_once(ground: Ground) -> None:
    result = ground.plan()
    assert (result.created, result.changed, result.added) == (True, True, 24)
    assert ground.balance() == Balance(pending=24)
    assert ground.run.model_key == MODEL


def test_the_same_plan_again_changes_nothing(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=3))
    before = ground.dump()
    result = ground.plan()
    assert (result.created, result.changed, result.added) == (False, False, 0)
    assert ground.dump() == before


def test_a_plan_that_was_cut_off_is_made_whole_by_the_next(ground: Ground) -> None:
    """The mark of a finished plan is written last: a producer killed before it plans again."""
    ground.plan()
    gone = ground.ids("sample_index = 3")
    for sample in gone:
        ground.execute("DELETE FROM sample WHERE id = :id", id=sample)
    ground.execute("UPDATE run SET planned_hash = ''")
    assert ground.plan().added == len(gone) == 6
    assert ground.balance().planned == 24


def test_a_limit_plans_so_many_and_repeating_it_adds_nothing(ground: Ground) -> None:
    assert ground.plan(limit=7).added == 7
    assert ground.plan(limit=7).added == 0
    assert ground.balance().planned == 7
    assert ground.plan().added == 17
    assert ground.balance().planned == 24


# ---- another configuration


def test_changed_sampling_supersedes_and_changing_back_restores(ground: Ground) -> None:
    # Given three samples that are done
    ground.plan()
    ground.finish(ground.ids(limit=3))
    done = done_ids(ground)
    # When the temperature changes
    changed = ground.plan(sampling__temperature=0.5)
    # Then new rows are wanted, the old ones keep their state and count for nothing
    assert (changed.added, changed.superseded, changed.restored) == (24, 24, 0)
    assert ground.balance() == Balance(pending=24, superseded=24)
    assert ground.value("SELECT count(*) FROM sample WHERE superseded AND state = 'done'") == 3
    # When it changes back
    back = ground.plan()
    # Then what was done is there again, and nothing needs to be generated twice
    assert (back.added, back.superseded, back.restored) == (0, 24, 24)
    assert done_ids(ground) == done
    assert ground.balance() == Balance(pending=21, done=3, accepted=3, superseded=24)


def test_more_samples_keep_what_is_done_and_fewer_supersede_the_last(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids())
    assert ground.plan(phases__0__samples=5).added == 6
    assert ground.balance().done == 24
    fewer = ground.plan(phases__0__samples=3)
    assert (fewer.added, fewer.superseded) == (0, 12)
    assert ground.balance().done == 18


def test_an_edited_wording_supersedes_its_samples_only(ground: Ground) -> None:
    ground.plan()
    path = ground.folder / "probes.jsonl"
    path.write_text(path.read_text().replace("What is 1?", "What, then, is 1?"))
    result = ground.plan()
    assert (result.added, result.superseded) == (4, 4)
    assert ground.value("SELECT count(DISTINCT probe_id) FROM sample") == 3, "it is the same probe still"


def test_a_phase_that_leaves_the_file_is_retired_and_comes_back(ground: Ground) -> None:
    ground.plan(TWO_PHASES)
    ground.finish(ground.ids(limit=2))
    assert ground.phase_states() == {"first": "open", "second": "open"}
    gone = ground.plan(RUN_FILE)
    assert gone.superseded == 24
    assert ground.phase_states() == {"first": "open"}
    back = ground.plan(TWO_PHASES)
    assert (back.added, back.restored) == (0, 24)
    assert ground.phase_states() == {"first": "open", "second": "open"}
    assert ground.balance().done == 2


def test_phases_change_places(ground: Ground) -> None:
    ground.plan(TWO_PHASES)
    swapped = TWO_PHASES.replace("name: first", "name: ?").replace("name: second", "name: first")
    swapped = swapped.replace("name: ?", "name: second")
    result = ground.plan(swapped)
    assert (result.added, result.superseded) == (0, 0)
    assert list(ground.phase_states()) == ["second", "first"]


# ---- gates and quotas: never generate again


def test_a_changed_gate_judges_again_and_keeps_the_old_verdicts(ground: Ground) -> None:
    # Given answers on both sides of the gate
    ground.plan()
    first = ground.ids(limit=4)
    ground.finish(first[:2])
    ground.finish(first[2:], SHORT_ANSWER)
    assert ground.balance() == Balance(pending=20, done=4, accepted=2, rejected=2)
    attempts = ground.value("SELECT count(*) FROM attempt")
    # When the gate is lowered
    result = ground.plan(phases__0__gates=[{"min_chars": 5}])
    # Then all four pass, by a second verdict, and nothing was generated
    assert (result.added, result.superseded) == (0, 0)
    assert ground.balance() == Balance(pending=20, done=4, accepted=4)
    assert ground.value("SELECT count(*) FROM attempt") == attempts
    verdicts = ground.rows("SELECT outcome, reason FROM verdict WHERE sample_id = :id ORDER BY id", id=first[3])
    assert [row["outcome"] for row in verdicts] == ["rejected", "accepted"]
    assert verdicts[0]["reason"] == "10 of 20 characters"
    # When it is raised again, then they are judged by it again
    ground.plan()
    assert ground.balance().rejected == 2
    assert ground.value("SELECT count(*) FROM verdict WHERE sample_id = :id", id=first[3]) == 3
    assert all(finding.holds for finding in verify_run(ground.database, "tiny"))


def test_a_new_scorer_scores_what_is_stored(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=3))
    assert ground.value("SELECT count(*) FROM score") == 0
    ground.plan(phases__0__gates=[{"scorer": "v2-distill", "at_least": 90.0}])
    assert ground.balance() == Balance(pending=21, done=3, rejected=3)
    assert ground.rows("SELECT scorer, count(*) AS n FROM score GROUP BY scorer") == [{"scorer": "v2-distill", "n": 3}]


def test_a_truncated_answer_is_judged_again_by_how_it_ended(ground: Ground) -> None:
    from lemfarm.engines.base import FinishReason

    ground.plan()
    ground.finish(ground.ids(limit=1), reason=FinishReason.LENGTH)
    assert ground.balance().accepted == 1
    ground.plan(phases__0__gates=[{"truncated": "reject"}])
    assert ground.value("SELECT reason FROM sample WHERE state = 'done'") == "truncated"


def test_a_raised_quota_wants_again_what_was_skipped(ground: Ground) -> None:
    # Given a phase that is full: the rest is skipped, and its run has ended
    ground.plan()
    ground.finish(ground.ids(limit=10))
    ground.look()
    ground.look()
    assert (ground.state, ground.balance()) == ("done", Balance(done=10, accepted=10, skipped=14))
    # When its quota is raised
    ground.plan(phases__0__quota__accepted=12)
    # Then the skipped samples are pending again, and the run goes on
    assert (ground.state, ground.balance()) == ("active", Balance(pending=14, done=10, accepted=10))


def test_a_raised_cap_wants_the_probe_again(ground: Ground) -> None:
    ground.plan()
    p0 = ground.ids("probe.name = 'P0'")
    ground.finish(p0[:5])
    ground.look()
    assert ground.value("SELECT count(*) FROM sample WHERE state = 'skipped' AND reason = :r", r=PROBE) == 3
    ground.plan(phases__0__quota__at_most_per_probe=6)
    assert ground.balance().skipped == 0


def test_a_quota_that_stays_full_wants_nothing_again(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=10))
    ground.look()
    ground.plan(phases__0__quota__accepted=9)
    assert ground.value("SELECT count(*) FROM sample WHERE state = 'skipped' AND reason = :r", r=QUOTA) == 14


def test_a_trained_phase_wants_no_further_samples(ground: Ground) -> None:
    """Its adapter is made; samples that a longer grid adds would wait for ever, and the run would never be over."""
    ground.plan()
    ground.finish(ground.ids(limit=10))
    ground.look()
    ground.execute("UPDATE phase SET state = 'trained'")
    ground.plan(phases__0__samples=6)
    assert ground.balance().pending == 0
    assert ground.balance().planned == 36
    assert ground.look(phases__0__samples=6) == []
    assert ground.state == "done"
    before = ground.dump()
    ground.plan(phases__0__samples=6)
    assert (ground.state, ground.dump()) == ("done", before)


# ---- a run that has ended


@pytest.mark.parametrize("state", ["done", "starved", "held"])
def test_an_ended_run_with_nothing_left_stays_as_it_is(ground: Ground, state: str) -> None:
    ground.plan()
    ground.finish(ground.ids())
    ground.execute("UPDATE run SET state = :state, reason = 'because'", state=state)
    ground.plan()
    assert (ground.state, ground.reason) == (state, "because")


@pytest.mark.parametrize("state", ["done", "starved", "held"])
def test_an_ended_run_wakes_when_a_sample_waits(ground: Ground, state: str) -> None:
    ground.plan()
    ground.fail(ground.ids(limit=1))
    ground.finish(ground.ids())
    ground.execute("UPDATE run SET state = :state", state=state)
    campaign.requeue_failed(ground.database, "tiny")
    ground.plan()
    assert (ground.state, ground.reason) == ("active", "")


def test_a_stopped_run_goes_on_with_its_failures_forgiven(ground: Ground) -> None:
    ground.plan()
    ground.fail(ground.ids(limit=20))
    ground.look()
    assert ground.state == "stopped"
    ground.plan()
    assert ground.state == "active"
    ground.look()
    assert ground.state == "active", "the failures before the new start count no more"


def test_a_paused_run_stays_paused(ground: Ground) -> None:
    ground.plan()
    campaign.pause(ground.database, None)
    ground.plan(phases__0__samples=5)
    assert (ground.state, ground.balance().planned) == ("paused", 30)


def test_training_that_was_left_out_is_wanted_later(ground: Ground) -> None:
    ground.plan(trains=False)
    ground.finish(ground.ids())
    ground.execute("UPDATE run SET state = 'done'")
    assert ground.plan(trains=True).changed
    assert (ground.state, ground.run.trains) == ("active", True)


# ---- refusals


def test_a_cancelled_run_is_refused_until_that_is_taken_back(ground: Ground) -> None:
    ground.plan()
    campaign.cancel(ground.database, "tiny")
    before = ground.dump()
    with pytest.raises(InputError, match="lemfarm resume tiny"):
        ground.plan(phases__0__samples=5)
    assert ground.dump() == before
    campaign.resume(ground.database, "tiny")
    ground.plan()
    assert ground.balance() == Balance(pending=24)


def test_a_run_of_another_lemfarm_is_refused(ground: Ground) -> None:
    ground.plan()
    ground.execute("UPDATE run SET lemfarm_version = '9.9.9'")
    with pytest.raises(VersionError) as refused:
        ground.plan(phases__0__samples=5)
    assert "9.9.9" in str(refused.value) and __version__ in str(refused.value)
    assert ground.balance().planned == 24


def test_other_weights_than_the_run_began_with_are_refused(ground: Ground, tmp_path: Path) -> None:
    # Given a run that began with a folder of weights
    folder = tmp_path / "model"
    folder.mkdir()
    text = RUN_FILE.replace("{engine: simulated}", f"{{engine: mlx, path: {folder}}}")
    config = ground.config(text)
    began = FoundModel(str(folder), folder, None, "b2:" + "1" * 32)
    apply_plan(ground.database, Course(config, began.content_hash), found=began, limit=None, trains=True)
    # When the folder holds others
    other = replace(began, content_hash="b2:" + "2" * 32)
    # Then both are named, and nothing is changed
    with pytest.raises(ModelMismatch) as refused:
        apply_plan(ground.database, Course(config, other.content_hash), found=other, limit=None, trains=True)
    assert began.content_hash in str(refused.value) and other.content_hash in str(refused.value)
    assert ground.balance().planned == 24


def test_other_weights_of_a_hub_model_are_refused(ground: Ground, tmp_path: Path) -> None:
    text = RUN_FILE.replace("{engine: simulated}", "{engine: mlx, path: owner/model}")
    course = Course(ground.config(text), "hub:owner/model")
    began = FoundModel("owner/model", tmp_path, "c1", "b2:" + "1" * 32)
    apply_plan(ground.database, course, found=began, limit=None, trains=True)
    apply_plan(ground.database, course, found=None, limit=None, trains=True)  # a head node has no weights to compare
    with pytest.raises(ModelMismatch, match="owner/model"):
        apply_plan(
            ground.database, course, found=replace(began, content_hash="b2:" + "2" * 32), limit=None, trains=True
        )


def test_a_limit_is_not_lowered_below_what_is_planned(ground: Ground) -> None:
    ground.plan(limit=7)
    with pytest.raises(InputError, match="7 samples planned already"):
        ground.plan(limit=3)
    assert ground.balance().planned == 7


def test_training_that_is_wanted_now_counts_as_a_change(ground: Ground) -> None:
    ground.plan()
    ground.execute("UPDATE run SET trains = false, planned_hash = ''")
    assert ground.plan().changed
    assert ground.run.trains
