"""Phases that are answered by a promoted adapter: when it is fixed, what is sent, and what a plan or a death leaves."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from lemfarm.cli.live import render
from lemfarm.curation.export import CARD, ExportOrder, export_run
from lemfarm.curation.formats import Format
from lemfarm.errors import InputError
from lemfarm.records import PhaseState
from lemfarm.status import read_status
from producer import generators, promotions
from producer.verify import verify_run
from tests.gated_course import GATED, answer, course_of, train, waiting
from tests.ground import SHORT_ANSWER, Ground

SECOND = GATED.replace("  - name: second\n", "  - name: second\n    generate_with: promoted\n")


@pytest.fixture
def course(ground: Ground) -> Ground:
    """The first phase is full, the second wants the first one's adapter, the third the model as it is; the untrained
    model is measured at 4.0."""
    ground.plan(SECOND)
    ground.finish(waiting(ground, "first")[:1])
    answer(ground, 4.0)
    ground.look()
    return ground


def generator(ground: Ground, phase: str = "second") -> str | None:
    found: str | None = ground.value("SELECT generator FROM phase WHERE name = :phase", phase=phase)
    return found


def adapters(ground: Ground, phase: str = "second", where: str = "NOT superseded") -> list[tuple[str | None, int]]:
    """Who answers a phase's samples, and how many."""
    rows = ground.rows(
        f"""SELECT adapter_id, count(*) AS n FROM sample WHERE purpose = 'distil' AND {where}
            AND phase_id = (SELECT id FROM phase WHERE name = '{phase}') GROUP BY adapter_id ORDER BY 1"""
    )
    return [(row["adapter_id"], row["n"]) for row in rows]


def sent_of(ground: Ground, phase: str) -> set[str]:
    return set(ground.queue.ids) & set(waiting(ground, phase))


def everything_holds(ground: Ground) -> bool:
    return [one for one in verify_run(ground.database, "tiny") if not one.holds] == []


def test_nothing_of_the_phase_is_sent_while_its_adapter_is_not_known_and_later_phases_go_on(course: Ground) -> None:
    course.look()
    assert (generator(course), adapters(course)) == (None, [(None, 6)])
    assert sent_of(course, "third") and not sent_of(course, "second")
    assert [label for _, label in course.queue.trainings] == ["tiny first"]


def test_when_the_adapter_before_it_is_promoted_its_samples_are_put_to_that_one(course: Ground) -> None:
    before = set(waiting(course, "second"))
    course_of(course, "b2:one", 6.0)
    # Then the same number of samples waits for that adapter, and those of the untrained model are gone
    assert (generator(course), adapters(course)) == ("b2:one", [("b2:one", 6)])
    assert course.rows("SELECT id FROM sample WHERE superseded") == []
    assert not before & set(waiting(course, "second")), "who answers is part of a sample's name"
    assert everything_holds(course)
    # and workers of the home that has it are asked, for no store has it
    course.look()
    queues = {message.queue for message in course.queue.messages if message.sample_id in sent_of(course, "second")}
    assert len(queues) == 1 and queues.pop().endswith(".home")


def test_the_phase_is_filled_and_trained_from_what_its_adapter_answered(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    course.finish(waiting(course, "second")[:1])
    course.look()
    course.look()
    assert [label for _, label in course.queue.trainings] == ["tiny first", "tiny second"]
    assert adapters(course, where="state = 'done'") == [("b2:one", 1)]


def test_a_pointer_that_moves_later_changes_nothing_about_it(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    course.finish(waiting(course, "second")[:1])
    promotions.roll_back(course.database, None, by="eve", note="it flatters")
    course.plan()
    course.look()
    assert (course.run.promoted, generator(course)) == (None, "b2:one")
    assert [adapter for adapter, _ in adapters(course)] == ["b2:one"]


def test_an_adapter_that_fails_its_gates_leaves_the_phase_unsampled_and_ends_the_run(course: Ground) -> None:
    course.finish(waiting(course, "third")[:1])
    course_of(course, "b2:one", 1.0)
    assert (course.state, course.phase_states()["first"]) == ("stopped", PhaseState.REJECTED)
    assert (generator(course), adapters(course)) == (None, [(None, 6)]) and not sent_of(course, "second")
    # When a person takes it all the same, then the phase goes on with it
    promotions.promote(course.database, None, phase="first", by="eve", note="I read them all")
    course.look()
    assert generator(course) == "b2:one" and sent_of(course, "second")


def test_planning_again_keeps_the_adapter_and_gives_new_probes_to_it(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    before = waiting(course, "second")
    course.write_probes(4)
    course.plan()
    assert adapters(course) == [("b2:one", 8)] and set(before) <= set(waiting(course, "second"))
    assert everything_holds(course)


def test_without_a_phase_that_trains_before_it_the_untrained_model_answers(ground: Ground) -> None:
    ground.plan(GATED.replace("  - name: first\n", "  - name: first\n    generate_with: promoted\n"))
    before = waiting(ground, "first")
    sent = ground.look()
    assert (generator(ground, "first"), waiting(ground, "first")) == ("", before)
    assert set(sent) & set(before)


def test_a_run_that_does_not_train_waits_for_one_that_does(ground: Ground) -> None:
    ground.plan(SECOND, trains=False)
    for phase in ("first", "third"):
        ground.finish(waiting(ground, phase)[:1])
    ground.look()
    assert ground.state == "active", "the untrained model is still being measured"
    answer(ground, 4.0)
    ground.look()
    assert (ground.state, generator(ground)) == ("held", None)
    assert "phase second is answered by the adapter" in ground.reason and "`lemfarm train tiny`" in ground.reason


def test_what_the_untrained_model_answered_before_the_run_file_changed_counts_no_more(ground: Ground) -> None:
    # Given a second phase with an answer of the untrained model, and another one that was rejected
    ground.plan(GATED)
    done = waiting(ground, "second")[:2]
    ground.finish(done[:1])
    ground.finish(done[1:], SHORT_ANSWER)
    ground.finish(waiting(ground, "first")[:1])
    answer(ground, 4.0)
    # When the run file asks for the adapter, then these are kept, and all six are asked of it
    ground.plan(SECOND)
    ground.look()
    course_of(ground, "b2:one", 6.0)
    assert adapters(ground) == [("b2:one", 6)]
    assert adapters(ground, where="superseded") == [(None, 2)]
    assert ground.phase_states()["second"] == "open"
    # and when it asks for the model as it is again, then they count again, and the next time is decided anew
    ground.plan(GATED)
    assert (generator(ground), adapters(ground)) == (None, [(None, 6)])
    assert everything_holds(ground)


def test_a_death_between_the_decision_and_the_plan_is_made_good(
    course: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(course, "b2:one")
    course.look()
    answer(course, 6.0)

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    course.look()
    with monkeypatch.context() as patched:
        patched.setattr(generators, "asked_of", die)
        with pytest.raises(RuntimeError):
            course.look()
    assert (generator(course), adapters(course)) == ("b2:one", [(None, 6)])
    course.look()
    assert adapters(course) == [("b2:one", 6)] and everything_holds(course)


def test_two_watchers_fix_one_adapter(course: Ground) -> None:
    course_of(course, "b2:one", 6.0)
    before = course.dump()
    generators.settle_generators(course.ledger, course.run, course.config())
    assert course.dump() == before


def test_a_limit_counts_the_samples_that_wait_for_their_adapter(ground: Ground) -> None:
    ground.plan(SECOND, limit=8)
    ground.finish(waiting(ground, "first")[:1])
    answer(ground, 4.0)
    ground.look()
    course_of(ground, "b2:one", 6.0)
    assert (adapters(ground), adapters(ground, "third")) == ([("b2:one", 2)], [])
    with pytest.raises(InputError, match="can be raised or left out"):
        ground.plan(limit=7)


def shown(ground: Ground) -> str:
    console = Console(width=200)
    with console.capture() as said:
        console.print(render(read_status(ground.database)))
    return said.get()


def test_the_status_says_whom_the_phase_waits_for_and_who_answers(course: Ground) -> None:
    assert "by an adapter that is not promoted yet" in shown(course)
    course_of(course, "b2:one", 6.0)
    assert "by adapter b2:one" in shown(course)
    answered = [phase.answered_by for phase in read_status(course.database).phases]
    assert answered == ["", "adapter b2:one", ""]


def test_a_dataset_says_which_phase_an_adapter_answered(course: Ground, tmp_path: Path) -> None:
    course_of(course, "b2:one", 6.0)
    course.finish(waiting(course, "second")[2:3])
    export_run(course.database, None, tmp_path / "set", ExportOrder(format=Format.LEM), "home")
    assert "| answered by, in second | adapter `b2:one` |" in (tmp_path / "set" / CARD).read_text()
    rows = [json.loads(line) for side in ("train", "valid") for line in (tmp_path / "set" / f"{side}.jsonl").open()]
    assert {row["meta"]["model"].rpartition(" + ")[2] for row in rows} == {"simulated:simulated", "b2:one"}
