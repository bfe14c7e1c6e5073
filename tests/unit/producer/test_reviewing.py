"""Decisions of reviewers on stored answers: what becomes of the answer, the phase and the run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lemfarm.curation.review_files import Format
from lemfarm.curation.review_queue import Mode, Waiting, read_queue, reviewed_phases
from lemfarm.errors import InputError
from lemfarm.records import ReviewDecision
from lemfarm.status import read_status
from producer.review_exchange import export_answers, import_decisions
from producer.review_sheet import read_sheet
from producer.reviewing import Decided, Decision, decide, take_back
from producer.standing import read_standing
from producer.verify import verify_run
from tests.ground import RUN_FILE, Ground

ACCEPT, REJECT, EDIT, SKIP = ReviewDecision
FIRST = RUN_FILE + "    review: {share: 1.0, before_training: true}\n"
LATER = RUN_FILE + "    review: {share: 1.0}\n"
BETTER = "A better answer of more than twenty characters."


@pytest.fixture
def held(ground: Ground) -> Ground:
    """Ten answers of a phase wait for review, five of each of two probes: its quota."""
    ground.plan(FIRST)
    ground.finish([*ground.ids("probe.name = 'P0'")[:5], *ground.ids("probe.name = 'P1'")[:5]])
    return ground


def queue(ground: Ground, reviewer: str = "ann", mode: Mode = Mode.FIRST) -> list[Waiting]:
    return read_queue(ground.database, reviewed_phases(ground.database, None)[1], reviewer, mode)


def say(ground: Ground, waiting: Waiting, decision: ReviewDecision, reviewer: str = "ann", **rest: object) -> Decided:
    text_id = read_sheet(ground.database, waiting).text_id
    return decide(ground.database, Decision(waiting.sample_id, text_id, reviewer, decision, **rest))  # type: ignore[arg-type]


def texts(ground: Ground, sample: str) -> list[str]:
    rows = ground.rows("SELECT content FROM text WHERE sample_id = :id ORDER BY revision", id=sample)
    return [row["content"] for row in rows]


# ---- waiting


def test_what_waits_counts_for_nothing_and_is_not_replaced(held: Ground) -> None:
    standing = read_standing(held.database, 1)
    quota = held.phase().quota
    assert (standing.accepted(quota), standing.expected(quota)) == (0, 10)
    assert held.look() == [], "nothing is generated in its place"


def test_a_run_that_only_people_can_go_on_with_is_held_and_says_so(held: Ground) -> None:
    held.look()
    assert held.state == "held"
    assert held.reason.startswith("phase first: 10 answers wait for review, 0 of 10 are accepted: `lemfarm review tiny")
    (line,) = read_status(held.database).waits_for
    assert line == "phase first: 10 answers wait for review: lemfarm review tiny --phase first"


def test_a_sample_in_flight_is_waited_for_first(held: Ground) -> None:
    late = held.claim(held.ids("probe.name = 'P2'")[0])
    held.look()
    assert held.state == "active"
    held.ledger.release(late.sample_id, late.epoch)


def test_the_last_answer_that_is_needed_wakes_the_run_which_fills_the_phase(held: Ground) -> None:
    held.look()
    woken = [say(held, one, ACCEPT).woken for one in queue(held)]
    assert woken == [False] * 9 + [True]
    held.look()
    held.look()
    assert (held.state, held.phase_states()) == ("done", {"first": "full"})


def test_rejected_answers_are_made_up_for(held: Ground) -> None:
    held.look()
    found = say(held, queue(held)[0], REJECT, note="dull")
    assert (found.outcome, found.reason, found.woken) == ("rejected", "rejected by ann: dull", True)
    assert len(held.look()) > 0
    assert held.state == "active"


def test_a_smaller_share_waits_for_all_of_it_though_the_quota_is_full(ground: Ground) -> None:
    ground.plan(RUN_FILE + "    review: {share: 0.5, before_training: true}\n")
    ground.finish(ground.ids())
    accepted = ground.balance().accepted
    assert 0 < accepted < 24
    for _ in range(2):
        ground.look()
    assert ground.state == "held"
    for one in queue(ground):
        say(ground, one, ACCEPT)
    for _ in range(2):
        ground.look()
    assert ground.state == "done"


# ---- decisions


def test_an_edited_answer_is_judged_as_it_is_now_and_the_original_is_kept(held: Ground) -> None:
    first, second = queue(held)[:2]
    found = say(held, first, EDIT, content=BETTER)
    assert (found.outcome, found.reason) == ("accepted", "reviewed: ann edited")
    assert texts(held, first.sample_id)[1:] == [BETTER]
    found = say(held, second, EDIT, content="Too short.")
    assert (found.outcome, found.reason) == ("rejected", "10 of 20 characters")


def test_an_edit_that_changes_nothing_is_an_acceptance_and_an_empty_one_is_refused(held: Ground) -> None:
    first = queue(held)[0]
    with pytest.raises(InputError, match="empty"):
        say(held, first, EDIT, content=" \n")
    found = say(held, first, EDIT, content=read_sheet(held.database, first).answer + "\n")
    assert (found.decision, found.outcome, len(texts(held, first.sample_id))) == ("accept", "accepted", 1)


def test_undo_takes_the_last_own_decision_back_and_keeps_the_record(held: Ground) -> None:
    first, second = queue(held)[:2]
    say(held, first, EDIT, content=BETTER)
    say(held, second, REJECT, "bob")
    taken = take_back(held.database, held.run_id, "ann")
    assert taken is not None and (taken.sample_id, taken.outcome) == (first.sample_id, "held")
    original, edited, restored = texts(held, first.sample_id)
    assert (original, edited) == (restored, BETTER)
    assert take_back(held.database, held.run_id, "ann") is None
    assert held.value("SELECT count(*) FROM review") == 2


def test_what_was_skipped_comes_last(held: Ground) -> None:
    order = [one.sample_id for one in queue(held)]
    say(held, queue(held)[0], SKIP)
    assert [one.sample_id for one in queue(held)] == [*order[1:], order[0]]
    assert [one.sample_id for one in queue(held, "bob")] == order


def test_a_decision_outlives_other_gates(held: Ground) -> None:
    first, second = queue(held)[:2]
    say(held, first, REJECT, note="dull")
    say(held, second, ACCEPT)
    held.plan(phases__0__gates=[{"min_chars": 5}])
    states = held.rows("SELECT id, outcome FROM sample WHERE state = 'done'")
    by_id = {row["id"]: row["outcome"] for row in states}
    assert (by_id[first.sample_id], by_id[second.sample_id]) == ("rejected", "accepted")
    assert sum(outcome == "held" for outcome in by_id.values()) == 8


def test_a_review_that_is_asked_for_later_holds_what_nobody_has_seen(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=4))
    ground.plan(FIRST)
    assert (ground.balance().accepted, ground.balance().held) == (0, 4)
    ground.plan(RUN_FILE)
    assert (ground.balance().accepted, ground.balance().held) == (4, 0)


def test_what_counted_at_once_counts_no_more_once_it_is_rejected(ground: Ground) -> None:
    ground.plan(LATER)
    ground.finish([*ground.ids("probe.name = 'P0'")[:5], *ground.ids("probe.name = 'P1'")[:5]])
    ground.look()
    assert ground.phase_states() == {"first": "full"}
    say(ground, queue(ground)[0], REJECT)
    ground.look()
    assert ground.phase_states() == {"first": "open"}
    assert ground.balance().pending == 11, "all but those of P1, which has its share"


def test_a_rejection_after_the_training_says_what_stays(held: Ground) -> None:
    for one in queue(held):
        say(held, one, ACCEPT)
    trained = Waiting(held.ids("outcome = 'accepted'")[0], "first", "", held=False)
    held.execute("UPDATE phase SET state = 'trained'")
    found = say(held, trained, REJECT)
    assert found.outcome == "rejected"
    assert found.notes[0].startswith("phase first is trained already")


def test_a_superseded_sample_cannot_be_reviewed(held: Ground) -> None:
    first = queue(held)[0]
    held.execute("UPDATE sample SET superseded = true")
    with pytest.raises(InputError, match="superseded"):
        say(held, first, ACCEPT)
    assert queue(held) == []


def test_the_books_balance_after_every_kind_of_decision(held: Ground) -> None:
    for one, decision in zip(queue(held), [ACCEPT, REJECT, SKIP], strict=False):
        say(held, one, decision)
    say(held, queue(held)[0], EDIT, content=BETTER)
    assert held.balance().adds_up
    assert all(finding.holds for finding in verify_run(held.database, None))


# ---- several reviewers


def test_a_second_opinion_is_asked_of_what_others_decided_on_and_sees_the_same_text(held: Ground) -> None:
    first = queue(held)[0]
    original = read_sheet(held.database, first).answer
    say(held, first, EDIT, content=BETTER)
    assert queue(held, "ann", Mode.SECOND) == []
    (asked,) = queue(held, "bob", Mode.SECOND)
    assert asked.sample_id == first.sample_id
    assert read_sheet(held.database, asked).answer == original


def test_a_disagreement_waits_for_a_third_word_or_somebody_who_settles_it(held: Ground) -> None:
    one, two = queue(held)[:2]
    for waiting in (one, two):
        say(held, waiting, ACCEPT, "ann")
        assert say(held, waiting, REJECT, "bob").outcome == "held"
    assert {waiting.sample_id for waiting in queue(held, "eve", Mode.SETTLE)} == {one.sample_id, two.sample_id}
    assert say(held, one, REJECT, "eve").outcome == "rejected", "two of three"
    assert say(held, two, ACCEPT, "ann", settles=True).outcome == "accepted"
    assert queue(held, "eve", Mode.SETTLE) == []


# ---- files


@pytest.fixture
def exported(held: Ground, tmp_path: Path) -> Callable[[Format], Path]:
    def make(wanted: Format) -> Path:
        name, phases = reviewed_phases(held.database, None)
        path = tmp_path / f"out-{wanted}"
        assert export_answers(held.database, name, phases, path, wanted, Mode.FIRST) == 10
        return path

    return make


def test_a_file_of_decisions_is_taken_once(held: Ground, exported: Callable[[Format], Path]) -> None:
    # Given decisions in a file, one of a sample that nobody knows
    path = exported(Format.PRODIGY)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    decided = [line | {"answer": "accept"} for line in lines[:3]] + [lines[3] | {"answer": "reject"}]
    decided.append(lines[4] | {"sample_id": "nobody", "answer": "accept"})
    path.write_text("".join(json.dumps(line) + "\n" for line in decided))
    # When it is read twice
    found = import_decisions(held.database, held.run_id, path, "ann")
    again = import_decisions(held.database, held.run_id, path, "ann")
    # Then the second time changes nothing, and the unknown one is named
    assert (found.added, found.known, again.added, again.known) == (4, 0, 0, 4)
    assert found.problems == (f"{path}:5: the run has no answer of a sample nobody",)
    assert (held.balance().accepted, held.balance().rejected) == (3, 1)
    # and what was taken back since stays so
    take_back(held.database, held.run_id, "ann")
    assert import_decisions(held.database, held.run_id, path, "ann").added == 0


def test_a_label_studio_file_keeps_its_reviewers_apart(held: Ground, exported: Callable[[Format], Path]) -> None:
    path = exported(Format.LABEL_STUDIO)
    tasks = json.loads(path.read_text())
    for task in tasks[:1]:
        task["annotations"] = [
            {"completed_by": who, "result": [{"type": "choices", "value": {"choices": [choice]}}]}
            for who, choice in ((1, "accept"), (2, "reject"))
        ]
    path.write_text(json.dumps(tasks))
    assert import_decisions(held.database, held.run_id, path, "ann").added == 2
    (split,) = queue(held, "eve", Mode.SETTLE)
    assert split.sample_id == tasks[0]["data"]["sample_id"]
