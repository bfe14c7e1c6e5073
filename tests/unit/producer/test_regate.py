"""A run gets other gates: what is stored is judged again, skipped samples are wanted again, an ended run goes on.
`tests/integration/test_gates_postgres.py` runs the same tests on PostgreSQL."""

import json
from collections.abc import Callable

import pytest

from lemfarm.config import config_from_data
from lemfarm.engines.base import Completion, FinishReason
from lemfarm.errors import InputError, NotFound, VersionError
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.phases import claim_stage, finish_stage
from lemfarm.work import Balance
from producer import campaign, watch
from producer.gate_change import Difference, GateChange
from producer.judging import PAGE
from producer.quotas import QUOTA
from producer.regate import AppliedGates, apply_gates
from producer.verify import verify_run
from producer.watch import Watcher
from tests.ground import GOOD_ANSWER, RUN_FILE, SHORT_ANSWER, Ground
from tests.plugins import Plugins
from workers import library as library_module
from workers.library import Library
from workers.results import make_result

SECOND = RUN_FILE[RUN_FILE.index("  - name") :].replace("first", "second")
TRAINED = RUN_FILE + "    train: {iterations: 5, learning_rate: 1e-4, max_seq_length: 256}\ntrain: {rank: 4}\n"
MIDDLING = "Fifteen letters"
"""15 characters: between SHORT_ANSWER's 10 and GOOD_ANSWER's 40."""

COMPARED = RUN_FILE.replace("{min_chars: 20}", "{scorer: gsm8k, at_least: 1.0}")
BROKEN = RUN_FILE.replace("{min_chars: 20}", "{scorer: broken, at_least: 3.0}")


def apply(ground: Ground, **change: object) -> AppliedGates:
    return apply_gates(ground.database, None, GateChange(**change))  # type: ignore[arg-type]


def look(ground: Ground) -> list[str]:
    """One step of the watcher by the configuration that the run has now."""
    before = len(ground.queue.messages)
    ground.handover.advance(ground.run, config_from_data(ground.run.config))
    return ground.queue.ids[before:]


def end(ground: Ground, state: str) -> None:
    """Let the watcher find out how it ends."""
    look(ground)
    look(ground)
    assert ground.state == state


def holds(ground: Ground) -> bool:
    return all(finding.holds for finding in verify_run(ground.database, "tiny"))


def compare(ground: Ground, **answers: str) -> None:
    """Give probes their right answers."""
    path = ground.folder / "probes.jsonl"
    probes = [json.loads(line) for line in path.read_text().splitlines()]
    found = [probe | ({"correct_answer": answers[probe["id"]]} if probe["id"] in answers else {}) for probe in probes]
    path.write_text("".join(json.dumps(probe) + "\n" for probe in found))


# ---- what is stored


def test_other_gates_judge_again_what_is_stored_and_keep_the_old_verdicts(ground: Ground) -> None:
    # Given answers on both sides of a new gate
    ground.plan()
    first = ground.ids(limit=4)
    ground.finish(first[:2], MIDDLING)
    ground.finish(first[2:], SHORT_ANSWER)
    # When the gate is lowered
    applied = apply(ground, min_chars=12)
    # Then the run has it, and each answer a second verdict
    assert applied.differences == (Difference("phases.0.gates.0.min_chars", 20, 12),)
    assert (applied.phases[0].judged.written, applied.phases[0].judged.changed) == (4, 2)
    assert applied.phases[0].judged.outcomes == {"rejected": -2, "accepted": 2}
    assert ground.balance() == Balance(pending=20, done=4, accepted=2, rejected=2)
    verdicts = ground.rows("SELECT reason FROM verdict WHERE sample_id = :id ORDER BY id", id=first[0])
    assert [row["reason"] for row in verdicts] == ["15 of 20 characters", "passed every gate"]
    assert (
        config_from_data(ground.run.config).phases[0].gates[0]
        == ground.config(phases__0__gates=[{"min_chars": 12}]).phases[0].gates[0]
    )
    assert holds(ground)


def test_the_same_again_writes_nothing(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=4), MIDDLING)
    apply(ground, min_chars=12)
    before = ground.dump()
    applied = apply(ground, min_chars=12)
    assert (applied.differences, applied.phases[0].judged.written) == ((), 0)
    assert ground.dump() == before


def test_a_scorer_that_never_scored_them_scores_what_is_stored(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=3))
    applied = apply(ground, scorer="tier1", at_least=99.0)
    assert applied.phases[0].judged.computed == 3
    assert ground.balance() == Balance(pending=21, done=3, rejected=3)
    assert ground.value("SELECT count(*) FROM score WHERE scorer = 'tier1'") == 3
    assert apply(ground, at_least=-99.0).phases[0].judged.computed == 0


def test_only_the_phase_that_is_named_is_judged_again(ground: Ground) -> None:
    ground.plan(RUN_FILE + SECOND)
    ground.finish(ground.ids("sample_index = 0"), MIDDLING)
    applied = apply(ground, phase="second", min_chars=12)
    assert [phase.phase for phase in applied.phases] == ["second"]
    accepted = ground.rows("""SELECT phase.name, count(*) AS n FROM sample JOIN phase ON phase.id = phase_id
                              WHERE outcome = 'accepted' GROUP BY phase.name""")
    assert accepted == [{"name": "second", "n": 6}]


def test_it_goes_on_where_it_was_stopped(ground: Ground) -> None:
    # Given more answers than are judged at once
    ground.write_probes(30)
    ground.plan()
    ground.finish(ground.ids(limit=PAGE + 10), MIDDLING)

    def stop(done: int, of: int) -> None:
        assert (done, of) == (PAGE, PAGE + 10)
        raise KeyboardInterrupt

    # When it is stopped after the first page
    with pytest.raises(KeyboardInterrupt):
        apply_gates(ground.database, None, GateChange(min_chars=12), on_progress=stop)
    assert ground.balance().accepted == PAGE
    # Then the same again judges the rest, nothing twice
    assert apply(ground, min_chars=12).phases[0].judged.written == 10
    assert ground.balance().accepted == PAGE + 10
    assert ground.value("SELECT count(*) FROM verdict") == 2 * (PAGE + 10)
    assert holds(ground)


def test_the_files_that_the_run_names_need_not_be_there(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=2), MIDDLING)
    (ground.folder / "probes.jsonl").unlink()
    apply(ground, min_chars=12)
    assert ground.balance().accepted == 2


# ---- what follows for the run


def test_a_quota_that_is_open_again_takes_back_what_was_skipped(ground: Ground) -> None:
    # Given a run that is done, its rest skipped
    ground.plan()
    ground.finish(ground.ids(limit=10))
    end(ground, "done")
    assert ground.balance().skipped == 14
    # When its answers are too short by a new gate
    applied = apply(ground, min_chars=100)
    # Then the samples are wanted again, and the run goes on
    assert (applied.woken, applied.state) == (True, "active")
    assert (applied.phases[0].judged.reopened, applied.phases[0].state) == (14, "open")
    assert ground.balance() == Balance(pending=14, done=10, rejected=10)
    assert len(look(ground)) == 14
    assert holds(ground)


def test_a_run_that_stays_full_stays_done(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=10))
    end(ground, "done")
    applied = apply(ground, min_chars=21)
    assert (applied.woken, applied.state, ground.phase_states()) == (False, "done", {"first": "full"})
    assert ground.value("SELECT count(*) FROM sample WHERE reason = :r", r=QUOTA) == 14


def test_a_starved_run_goes_on_when_lower_gates_fill_it(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(), MIDDLING)
    end(ground, "starved")
    applied = apply(ground, min_chars=12)
    assert (applied.woken, ground.reason) == (True, "")
    end(ground, "done")
    assert ground.phase_states() == {"first": "full"}


def test_a_held_run_is_looked_at_again(ground: Ground) -> None:
    # Given a run that ran out with enough
    ground.plan()
    ground.finish(ground.ids(limit=5))
    ground.finish(ground.ids(), MIDDLING)
    end(ground, "held")
    assert "5 of 10" in ground.reason
    # When a gate is raised so that it is not enough any more
    assert apply(ground, min_chars=100).woken
    # Then that is found
    end(ground, "starved")


def test_an_ended_run_is_left_alone_by_gates_that_change_nothing(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(), MIDDLING)
    end(ground, "starved")
    applied = apply(ground, min_chars=18)
    assert (applied.woken, applied.phases[0].judged.written, ground.state) == (False, 24, "starved")
    assert ground.phase_states() == {"first": "exhausted"}


@pytest.mark.parametrize("state", ["paused", "stopped"])
def test_a_run_that_waits_for_a_person_goes_on_waiting(ground: Ground, state: str) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=10))
    look(ground)
    ground.execute("UPDATE run SET state = :state", state=state)
    assert apply(ground, min_chars=100).state == state
    assert ground.balance().pending == 14


def test_a_trained_phase_is_judged_again_and_not_trained_again(ground: Ground) -> None:
    # Given a run whose phase is trained
    ground.plan(TRAINED)
    ground.finish(ground.ids(limit=10))
    look(ground)
    look(ground)
    stage = ground.value("SELECT id FROM training_stage")
    claim = claim_stage(ground.database, stage, "w", 90.0)
    assert claim is not None
    during = apply(ground, min_chars=30)
    assert during.notes == ("phase first is being trained on what had passed when that began; that goes on",)
    made = AdapterManifest("b2:a", {}, {}, job="b2:j", dataset="b2:d", parent=None)
    assert finish_stage(ground.database, claim, made, "h", {})
    end(ground, "done")
    # When its gates are raised
    applied = apply(ground, min_chars=100)
    # Then its answers are rejected, nothing is wanted again, and that is said
    assert (applied.woken, ground.state, ground.run.promoted) == (False, "done", "b2:a")
    assert ground.balance() == Balance(done=10, rejected=10, skipped=14)
    assert applied.notes == ("phase first is trained: its samples are judged again, its adapter stays",)
    assert ground.phase_states() == {"first": "trained"}


def test_an_untrained_phase_of_a_done_run_wakes_it(ground: Ground) -> None:
    ground.plan(RUN_FILE + SECOND)
    for phase in ("first", "second"):
        ground.finish(ground.ids(f"phase_id = (SELECT id FROM phase WHERE name = '{phase}')", limit=10))
    end(ground, "done")
    ground.execute("UPDATE phase SET state = 'trained' WHERE name = 'first'")
    applied = apply(ground, min_chars=100)
    assert applied.woken
    assert ground.phase_states() == {"first": "trained", "second": "open"}
    pending = ground.rows("""SELECT DISTINCT phase.name FROM sample JOIN phase ON phase.id = phase_id
                             WHERE sample.state = 'pending'""")
    assert pending == [{"name": "second"}]


# ---- a farm at work


@pytest.fixture
def watcher(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    monkeypatch.setattr(watch, "ensure_nonce", lambda _app: False)
    ground.execute("UPDATE worker SET state = 'stopped'")
    ground.queue.length = 1
    return Watcher(ground.database, None, owner="me", home=ground.home)  # type: ignore[arg-type]


def test_a_watcher_at_work_goes_by_the_new_gates(ground: Ground, watcher: Watcher) -> None:
    ground.plan()
    watcher.look_in_turn()
    ground.finish(ground.queue.ids[:10], MIDDLING)
    watcher.look_in_turn()
    assert ground.phase_states() == {"first": "open"}
    apply(ground, min_chars=12)
    watcher.look_in_turn()
    assert (ground.phase_states(), ground.state) == ({"first": "full"}, "done")


def test_a_worker_at_work_goes_by_the_new_gates(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(library_module.time, "monotonic", lambda: now)
    ground.plan()
    library = Library(ground.database, ground.home)
    before = library.rules(1).phase.gates
    apply(ground, min_chars=12)
    now += library_module.FRESH_SECONDS
    assert before != library.rules(1).phase.gates == config_from_data(ground.run.config).phases[0].gates


def test_what_a_worker_judged_by_older_gates_is_judged_again_before_the_phase_is_closed(
    ground: Ground, watcher: Watcher
) -> None:
    # Given a worker that read the gates just before they were raised
    ground.plan()
    ids = ground.ids(limit=10)
    library = Library(ground.database, ground.home)
    rules = library.rules(1)
    apply(ground, min_chars=100)
    # When it stores its answers
    for sample in ids:
        claim = ground.claim(sample)
        made = make_result(
            claim, "w", library.wording(claim.variant_id), Completion(GOOD_ANSWER, FinishReason.STOP), rules
        )
        ground.ledger.record(made)
    assert ground.balance().accepted == 10
    # Then the phase is not taken to be full
    watcher.look_in_turn()
    watcher.look_in_turn()
    assert ground.phase_states() == {"first": "open"}
    assert ground.balance() == Balance(pending=14, done=10, rejected=10)


# ---- the run file


def test_the_next_run_takes_the_gates_of_the_file(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=4), MIDDLING)
    apply(ground, min_chars=12)
    assert ground.plan().changed
    assert ground.balance().rejected == 4
    assert not ground.plan().changed


def test_with_the_gates_of_the_file_the_next_run_judges_nothing_again(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=4), MIDDLING)
    edited = RUN_FILE.replace("min_chars: 20", "min_chars: 12")
    apply(ground, config=ground.config(edited))
    verdicts = ground.value("SELECT count(*) FROM verdict")
    again = ground.plan(edited)
    assert (again.added, again.superseded, ground.balance().accepted) == (0, 0, 4)
    assert ground.value("SELECT count(*) FROM verdict") == verdicts


def test_an_edited_probe_file_is_noticed_by_the_next_run(ground: Ground) -> None:
    """What is applied is gates; the files that the run names were not planned again."""
    ground.plan()
    ground.write_probes(3, mark=" today")
    apply(ground, min_chars=12)
    assert ground.plan(RUN_FILE.replace("min_chars: 20", "min_chars: 12")).superseded == 24


# ---- scores that are missing


def repair(ground: Ground) -> int:
    return apply(ground).phases[0].judged.changed


def run_again(ground: Ground) -> int:
    result = ground.plan()
    assert not result.changed
    return ground.balance().accepted


@pytest.mark.parametrize("judge_again", [repair, run_again])
def test_what_was_held_for_a_scorer_is_judged_when_it_returns(
    ground: Ground, plugins: Plugins, judge_again: Callable[[Ground], int]
) -> None:
    # Given a run that starved since its scorer could not be loaded
    ground.plan(BROKEN)
    ground.finish(ground.ids(), "three words now")
    end(ground, "starved")
    assert ground.balance() == Balance(done=24, held=24)
    # When the scorer is mended
    plugins.mend()
    assert judge_again(ground) == 24
    # Then everything is judged, and the run goes on to its end
    assert ground.balance() == Balance(done=24, accepted=24)
    end(ground, "done")
    assert holds(ground)


@pytest.mark.usefixtures("plugins")
def test_while_the_scorer_is_away_they_stay_held_without_another_verdict(ground: Ground) -> None:
    ground.plan(BROKEN)
    ground.finish(ground.ids(), "three words now")
    end(ground, "starved")
    before = ground.dump()
    ground.plan()
    applied = apply(ground)
    assert (applied.woken, applied.phases[0].judged.written) == (False, 0)
    ((reason, count),) = applied.phases[0].judged.failures.items()
    assert ("its model is not at hand" in reason, count) == (True, 24)
    assert ground.dump() == before


def test_the_farm_compares_answers_with_what_is_right(ground: Ground) -> None:
    # Given probes of which one does not say what is right
    compare(ground, P0="42", P1="7")
    ground.plan(COMPARED)
    ground.finish(ground.ids(), "It is 42")
    # Then answers to one are right, to one wrong, and to the third held
    assert ground.balance() == Balance(done=24, accepted=8, rejected=8, held=8)
    assert ground.value("SELECT DISTINCT reason FROM sample WHERE outcome = 'held'") == "no score by gsm8k"
    # When the file is mended, then the held ones are judged by the next run
    compare(ground, P2="42")
    ground.plan(COMPARED)
    assert ground.balance() == Balance(done=24, accepted=16, rejected=8)
    assert holds(ground)


# ---- refusals


def test_a_cancelled_run_is_refused(ground: Ground) -> None:
    ground.plan()
    campaign.cancel(ground.database, "tiny")
    before = ground.dump()
    with pytest.raises(InputError, match="lemfarm resume tiny"):
        apply(ground, min_chars=12)
    assert ground.dump() == before


def test_a_run_of_another_lemfarm_is_refused(ground: Ground) -> None:
    ground.plan()
    ground.execute("UPDATE run SET lemfarm_version = '9.9.9'")
    with pytest.raises(VersionError, match=r"9\.9\.9"):
        apply(ground, min_chars=12)


def test_a_change_that_fits_no_gate_changes_nothing(ground: Ground) -> None:
    ground.plan()
    before = ground.dump()
    with pytest.raises(InputError, match="--scorer"):
        apply(ground, at_least=22.0)
    with pytest.raises(InputError, match="no phase 'third'"):
        apply(ground, phase="third")
    with pytest.raises(NotFound):
        apply_gates(ground.database, "nope", GateChange())
    assert ground.dump() == before
