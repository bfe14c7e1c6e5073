"""The facts of a report are what the database has, and reading them changes nothing."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from lemfarm.errors import NotFound
from lemfarm.records import Purpose
from lemfarm.report import read_report
from lemfarm.report.facts import BASE, Model, Piece, Report
from lemfarm.report.reading_answers import LONGEST_ANSWER, pieces_of, read_answers
from lemfarm.report.reading_work import covered
from lemfarm.scorers import Hit
from producer.evaluation import measure
from tests.ground import RUN_FILE, Ground
from tests.reported_run import FIRST, SECOND

MEASURED = "evaluate: {probes: probes.jsonl, held_out: 0.67, scorer: v2, conditions: {bare: null}}\n"


def test_reading_changes_nothing_and_gives_the_same_again(ground: Ground, report: Report) -> None:
    before = ground.dump()
    again = read_report(ground.database, "tiny")
    assert ground.dump() == before
    assert (again.phases, again.evaluation, again.work, again.machines) == (
        report.phases, report.evaluation, report.work, report.machines,
    )  # fmt: skip


def test_a_run_that_is_not_there_is_named(ground: Ground) -> None:
    with pytest.raises(NotFound, match="known: tiny"):
        read_report(ground.database, "other")


def test_scores_are_parted_by_what_the_gates_said(report: Report) -> None:
    spread = report.phases[0].spread
    assert spread is not None and report.phases[1].spread is None
    assert (spread.scorer, spread.threshold) == ("v2-distill", 2.0)
    assert (len(spread.accepted), len(spread.others)) == (4, 2)
    assert min(spread.accepted) >= 2.0 > max(spread.others)


def test_models_are_named_by_their_phases_with_what_became_of_them(report: Report) -> None:
    assert report.evaluation is not None
    found = [(one.adapter, one.label, one.standing) for one in report.evaluation.models]
    assert found == [(BASE, "untrained", ""), (FIRST, "first", "promoted"), (SECOND, "second", "rejected")]


def test_the_curve_is_that_of_the_last_lease(ground: Ground, report: Report) -> None:
    training = report.phases[0].trainings[0]
    assert (training.train, training.valid, training.used) == (((2, 2.5),), ((0, 3.0), (4, 2.0)), 4)


def test_the_worst_answers_are_the_newest_models_with_what_was_counted(report: Report) -> None:
    assert report.evaluation is not None and report.evaluation.answers is not None
    found = report.evaluation.answers
    assert (found.model, found.condition, found.scorer) == ("second", "bare", "v2")
    assert {one.probe for one in (*found.worst, *found.best)} == {f"P{number}" for number in range(6)}
    assert all(one.sample_id and one.before is not None for one in found.worst)


def test_an_answer_names_its_hits(ground: Ground) -> None:
    with ground.database.read() as connection, Session(bind=connection) as session:
        measured = read_report(ground.database).evaluation
        assert measured is not None
        found = read_answers(session, ground.run_id, Model(FIRST, "first"), "bare", measured.measurements)
    assert found is not None
    first = found.worst[0]
    assert {piece.signal for piece in first.pieces} >= {"nuance", "perspective_taking", "axiom_resonance"}
    assert {share.name for share in first.signals} >= {"nuance", "perspective_taking"}
    assert sum(share.points or 0.0 for share in first.signals) == pytest.approx(first.value, abs=0.011)


def test_work_counts_answers_and_claims_without_one(report: Report) -> None:
    found = {(one.phase, one.purpose): (one.answers, one.lost) for one in report.work}
    assert found["first", "distil"] == (6, 1)
    assert sum(one.answer_tokens for one in report.work) == 2 * sum(one.answers for one in report.work)
    assert [(one.host, one.training_seconds) for one in report.machines] == [("h", 120.0)]


def test_a_command_of_a_persons_is_not_shown(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.plan("notify: /bin/echo s3cret\n" + RUN_FILE)
    config = read_report(ground.database).origin.config
    ground.database.close()
    assert ground.run.config["notify"] == "/bin/echo s3cret"
    assert config["notify"] == "(set; not shown)" and "s3cret" not in str(config)


def test_a_run_in_progress_has_what_there_is(unfinished: Report) -> None:
    assert (unfinished.evaluation, unfinished.phases[0].trainings) == (None, ())
    assert unfinished.phases[0].status.counted == 4


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), max_size=6))
@settings(max_examples=50)
def test_covered_time_is_counted_once(spans: list[tuple[int, int]]) -> None:
    moments = {second for start, length in spans for second in range(start, start + length)}
    assert covered((float(start), float(start + length)) for start, length in spans) == len(moments)


HITS = st.builds(lambda start, length: Hit("s", start, start + length), st.integers(0, 25), st.integers(0, 10))


@given(st.text(alphabet="ab \n", max_size=20), st.lists(HITS, max_size=5))
@settings(max_examples=100)
def test_pieces_are_the_text_and_nothing_else(text: str, hits: list[Hit]) -> None:
    pieces = pieces_of(text, sorted(hits, key=lambda hit: (hit.start, hit.end)))
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text.strip() for piece in pieces if piece.signal)


def test_of_overlapping_hits_the_first_is_marked() -> None:
    hits = [Hit("one", 0, 5), Hit("two", 3, 8), Hit("three", 6, 9)]
    assert pieces_of("abcdefghi", hits) == (Piece("abcde", "one"), Piece("f"), Piece("ghi", "three"))


def test_a_long_answer_is_cut_with_a_note(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    ground.plan(RUN_FILE.replace("10, at_most", "4, at_most") + MEASURED)
    ground.finish(ground.ids(purpose=Purpose.EVALUATE), "word " * LONGEST_ANSWER)
    measure(ground.database, ground.run_id, "v2")
    found = read_report(ground.database).evaluation
    ground.database.close()
    assert found is not None and found.answers is not None
    one = found.answers.worst[0]
    assert (sum(len(piece.text) for piece in one.pieces), one.left_out) == (LONGEST_ANSWER, 4 * LONGEST_ANSWER)
