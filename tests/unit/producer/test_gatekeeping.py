"""An adapter between training and promotion: measured, judged once, held, rejected, taken back, trained again."""

from collections.abc import Callable
from typing import Any

import pytest

from lemfarm.errors import InputError
from lemfarm.records import PhaseState, Purpose
from lemfarm.training.adapters import AdapterManifest
from lemfarm.training.phases import claim_stage, finish_stage
from producer import promotions
from tests.gated_course import GATED, GATES, answer, course_of, start, train, waiting
from tests.ground import Ground


@pytest.fixture
def course(ground: Ground) -> Ground:
    start(ground)
    return ground


def states(ground: Ground) -> list[str]:
    return list(ground.phase_states().values())


def decisions(ground: Ground) -> list[tuple[str, str, str]]:
    rows = ground.rows("SELECT adapter_id, outcome, decided_by FROM gate_decision ORDER BY id")
    return [(row["adapter_id"], row["outcome"], row["decided_by"]) for row in rows]


# ---- the gates


def test_an_adapter_is_not_promoted_before_it_is_measured(course: Ground) -> None:
    train(course, "b2:one")
    course.look()
    course.look()
    assert (states(course)[0], course.run.promoted) == (PhaseState.MEASURING, None)
    assert course.balance(Purpose.EVALUATE).pending == 1, "the adapter is asked what the untrained model was asked"
    assert decisions(course) == []


def test_an_adapter_that_passes_is_promoted_and_the_next_phase_trains_from_it(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    assert (states(course)[0], course.run.promoted) == (PhaseState.TRAINED, "b2:one")
    assert decisions(course) == [("b2:one", "passed", "")]
    assert [label for _, label in course.queue.trainings] == ["tiny first", "tiny second"]


def test_an_adapter_that_fails_stays_unpromoted_and_ends_the_run_with_the_reason(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    course_of(course, "b2:two", 1.0)
    assert states(course) == ["trained", "rejected", "full"]
    assert (course.run.promoted, course.state) == ("b2:one", "stopped")
    for words in ("baseline_mean 1, wanted at least 5", "worst probes: X", "b2:one stays promoted", "--retry"):
        assert words in course.reason
    assert [label for _, label in course.queue.trainings] == ["tiny first", "tiny second"], "the third is not started"
    assert course.rows("SELECT kind, subject FROM notice WHERE kind = 'failed'") == [
        {"kind": "failed", "subject": "second"}
    ]


def test_between_pass_and_fail_a_person_decides(course: Ground) -> None:
    course_of(course, "b2:one", 4.0)
    assert (states(course)[0], course.run.promoted, course.state) == ("held", None, "held")
    assert "`lemfarm promote tiny --phase first`" in course.reason and "`lemfarm reject tiny" in course.reason


def test_sampling_goes_on_while_a_phase_is_held(ground: Ground) -> None:
    # Given a phase that is held while the next one has samples to make
    ground.plan(GATED)
    ground.finish(waiting(ground, "first")[:1])
    answer(ground, 4.0)
    ground.look()
    course_of(ground, "b2:one", 4.0)
    # Then the run goes on for that one, and only then waits
    assert (states(ground)[:2], ground.state) == (["held", "open"], "active")


def test_an_answer_that_failed_is_no_reason_to_promote(course: Ground) -> None:
    train(course, "b2:one")
    course.look()
    course.fail(course.ids(purpose=Purpose.EVALUATE))
    course.look()
    assert states(course)[0] == "held"


def test_two_watchers_decide_once(course: Ground) -> None:
    train(course, "b2:one")
    course.look()
    answer(course, 6.0)
    stale = course.run
    course.look()
    course.handover.advance(stale, course.config())
    course.look()
    assert decisions(course) == [("b2:one", "passed", "")]


def test_a_death_before_the_decision_is_followed_by_the_same_decision(
    course: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lemfarm.training import promotion

    train(course, "b2:one")
    course.look()
    answer(course, 6.0)

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    # Given a death in the middle of the transaction
    with monkeypatch.context() as patched:
        patched.setattr(promotion, "write_notice", die)
        with pytest.raises(RuntimeError):
            course.look()
    assert (states(course)[0], course.run.promoted, decisions(course)) == ("measuring", None, [])
    # Then the next look decides
    course.look()
    assert (states(course)[0], course.run.promoted) == ("trained", "b2:one")


def test_a_phase_without_gates_is_promoted_at_once(ground: Ground) -> None:
    ground.plan(GATED.replace(GATES, "    gate_after: null\n"))
    ground.finish(waiting(ground, "first")[:1])
    ground.look()
    ground.look()
    train(ground, "b2:one")
    assert (states(ground)[0], ground.run.promoted) == ("trained", "b2:one")
    assert decisions(ground) == [("b2:one", "passed", "")]


def test_other_gates_in_the_run_file_decide_again(course: Ground) -> None:
    course_of(course, "b2:one", 4.0)
    course.plan(GATED.replace("at_least: 5, fail_below: 3", "at_least: 4, fail_below: 3"))
    assert (states(course)[0], course.state) == ("measuring", "active")
    course.look()
    assert (states(course)[0], course.run.promoted) == ("trained", "b2:one")
    assert [outcome for _, outcome, _ in decisions(course)] == ["held", "passed"]


def test_the_same_run_again_leaves_a_rejected_phase_as_it_is(course: Ground) -> None:
    course_of(course, "b2:one", 1.0)
    course.plan(GATED)
    assert (course.state, states(course)[0]) == ("stopped", "rejected")


# ---- a person


def test_a_person_promotes_what_is_held(course: Ground) -> None:
    course_of(course, "b2:one", 4.0)
    promotions.promote(course.database, None, by="ada", note="reads well")
    assert (states(course)[0], course.run.promoted, course.state) == ("trained", "b2:one", "active")
    assert decisions(course) == [("b2:one", "held", ""), ("b2:one", "passed", "ada")]
    course.look()
    assert [label for _, label in course.queue.trainings][-1] == "tiny second"


def test_a_person_rejects_what_is_held(course: Ground) -> None:
    course_of(course, "b2:one", 4.0)
    promotions.reject(course.database, None, by="ada")
    assert (states(course)[0], course.run.promoted, course.state) == ("rejected", None, "stopped")
    assert "rejected by ada" in course.reason


def test_a_failed_adapter_is_promoted_with_a_reason_only(course: Ground) -> None:
    course_of(course, "b2:one", 1.0)
    with pytest.raises(InputError, match="--note"):
        promotions.promote(course.database, None, phase="first", by="ada")
    promotions.promote(course.database, None, phase="first", by="ada", note="the scorer is wrong here")
    assert course.run.promoted == "b2:one"


@pytest.mark.parametrize(
    "verb",
    [
        lambda database: promotions.promote(database, None, by="ada"),
        lambda database: promotions.reject(database, None, by="ada"),
        lambda database: promotions.roll_back(database, None, by="ada"),
        lambda database: promotions.train_again(database, None, {}),
        lambda database: promotions.promote(database, None, phase="ninth", by="ada"),
    ],
)
def test_a_word_that_fits_nothing_is_refused(course: Ground, verb: Callable[[Any], object]) -> None:
    with pytest.raises(InputError):
        verb(course.database)
    assert decisions(course) == []


# ---- rolling back


def test_a_rollback_moves_the_pointer_to_the_parent(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    course_of(course, "b2:two", 6.0)
    done = promotions.roll_back(course.database, None, by="ada", note="it rambles")
    assert (done.taken, done.phase, done.promoted) == (("b2:two",), "second", "b2:one")
    assert (states(course), course.run.promoted) == (["trained", "rejected", "full"], "b2:one")
    assert decisions(course)[-1] == ("b2:two", "rolled back", "ada")


def test_phases_behind_the_one_that_is_taken_back_are_trained_again(course: Ground) -> None:
    for adapter in ("b2:one", "b2:two", "b2:three"):
        course_of(course, adapter, 6.0)
    course.look()
    assert course.state == "done"
    assert promotions.roll_back(course.database, None, to="first", by="ada").taken == ("b2:three", "b2:two")
    assert (states(course)[:2], course.run.promoted, course.state) == (["trained", "rejected"], "b2:one", "stopped")
    attempts = course.rows("SELECT attempt, state, adapter_id FROM training_stage WHERE phase_id = "
                           "(SELECT id FROM phase WHERE name = 'third') ORDER BY attempt")  # fmt: skip
    assert [(row["attempt"], row["state"], row["adapter_id"]) for row in attempts] == [
        (1, "done", "b2:three"),
        (2, "waiting", None),
    ]
    # When the phase is trained again, then the one behind it follows, on top of the new adapter
    promotions.train_again(course.database, None, {"learning_rate": 5e-5})
    course.look()
    course_of(course, "b2:two-again", 6.0)
    course_of(course, "b2:three-again", 6.0)
    course.look()
    assert (states(course), course.run.promoted, course.state) == (["trained"] * 3, "b2:three-again", "done")


def test_a_training_on_top_of_what_is_taken_back_is_fenced_off(course: Ground) -> None:
    # Given a phase that is being trained from an adapter
    course_of(course, "b2:one", 6.0)
    stage = course.value("SELECT id FROM training_stage WHERE state = 'waiting'")
    claim = claim_stage(course.database, stage, "w", 90.0)
    assert claim is not None
    # When that adapter is taken back
    promotions.roll_back(course.database, None, to="base", by="ada")
    # Then what is trained on it cannot be handed in
    manifest = AdapterManifest("b2:stale", {}, {}, job="b2:job", dataset="b2:data", parent="b2:one")
    assert not finish_stage(course.database, claim, manifest, "home", {})
    assert (course.run.promoted, states(course)[0]) == (None, "rejected")


def test_a_place_that_the_pointer_never_came_through_is_refused(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    for to, words in (("ninth", "came through first"), ("first", "nothing to take back")):
        with pytest.raises(InputError, match=words):
            promotions.roll_back(course.database, None, to=to, by="ada")


# ---- trained again


def test_a_phase_is_trained_again_with_other_settings_and_the_old_attempt_stays(course: Ground) -> None:
    course_of(course, "b2:one", 1.0)
    promotions.train_again(course.database, None, {"learning_rate": 5e-5})
    course.look()
    assert (states(course)[0], course.state) == ("full", "active")
    rows = course.rows("SELECT attempt, state, adapter_id, overrides FROM training_stage ORDER BY attempt")
    assert [(row["attempt"], row["state"], row["adapter_id"]) for row in rows] == [
        (1, "done", "b2:one"),
        (2, "waiting", None),
    ]
    assert "5e-05" in str(rows[1]["overrides"])
    course_of(course, "b2:better", 6.0)
    assert (course.run.promoted, states(course)[0]) == ("b2:better", "trained")
    assert [outcome for _, outcome, _ in decisions(course)] == ["failed", "passed"]


@pytest.mark.parametrize("overrides", [{"learning_rate": 7.0}, {"speed": 1}, {"iterations": "many"}])
def test_settings_that_a_run_file_could_not_have_are_refused(course: Ground, overrides: dict[str, object]) -> None:
    course_of(course, "b2:one", 1.0)
    with pytest.raises(InputError, match="cannot train like that"):
        promotions.train_again(course.database, None, overrides)
    assert course.value("SELECT count(*) FROM training_stage") == 1


def test_a_promoted_phase_is_not_trained_again_before_it_is_taken_back(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    with pytest.raises(InputError, match="lemfarm rollback"):
        promotions.train_again(course.database, None, {}, phase="first")
