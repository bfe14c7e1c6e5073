"""Pairs of scores: from records that have them, from texts that do not, and from a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.errors import InputError
from lemfarm.records import Answer
from lemfarm.scorers import get_scorer
from lemfarm.scoring.calibration import Pair
from lemfarm.scoring.pairs import file_pairs, stored_pairs
from tests.ground import RUN_FILE, Ground
from tests.unit.scoring.shapes import LONG, PLAIN, ab_record, answered, condition, write

BOTH_SCORERS = RUN_FILE.replace("{min_chars: 20}", "{scorer: v2, at_least: -99.0}, {scorer: v2-distill, at_least: -99}")


def value(text: str, scorer: str = "v2") -> float:
    return get_scorer(scorer).score("", text).value


def held(value_: float, scorer: str = "v2", version: str | None = None) -> dict[str, object]:
    return {scorer: {"value": value_, "version": version or get_scorer(scorer).version}}


def pairs_of(folder: Path, *records: object) -> list[Pair]:
    return file_pairs([str(write(folder / "in.jsonl", records))], "v2", "v2-distill")[0]


def test_scores_that_are_missing_are_computed(tmp_path: Path) -> None:
    assert pairs_of(tmp_path, answered(LONG)) == [Pair("P1", value(LONG), value(LONG, "v2-distill"))]


def test_scores_of_the_current_version_are_taken_from_the_record(tmp_path: Path) -> None:
    scores = {**held(31.5), **held(7, "v2-distill")}
    assert pairs_of(tmp_path, answered(LONG, scores=scores)) == [Pair("P1", 31.5, 7.0)]


def test_scores_of_another_version_are_computed_anew(tmp_path: Path) -> None:
    found = pairs_of(tmp_path, answered(LONG, scores=held(31.5, version="0.9")))
    assert found[0].first == value(LONG)


def test_every_condition_is_an_answer_to_its_probe(tmp_path: Path) -> None:
    found = pairs_of(tmp_path, ab_record("P7", {"baseline": condition(PLAIN), "json": condition(LONG)}))
    assert [(pair.probe, pair.first) for pair in found] == [("P7", value(PLAIN)), ("P7", value(LONG))]


def test_answers_without_an_id_are_probes_of_their_own(tmp_path: Path) -> None:
    found = pairs_of(tmp_path, {"response": LONG}, b"no\n", {"response": LONG})
    assert len({pair.probe for pair in found}) == 2


def test_an_answer_with_one_score_only_is_no_pair(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [answered("#### 4", correct_answer="4"), answered("#### 4")])
    pairs, (report,) = file_pairs([str(path)], "gsm8k", "v2")
    assert [pair.first for pair in pairs] == [1.0]
    assert (report.answers, report.bad_lines) == (2, 1)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan(BOTH_SCORERS)
    yield made
    made.database.close()


def test_a_run_has_the_pairs_of_its_answers(ground: Ground) -> None:
    of_one_probe, _other_wording, of_another = ground.ids(limit=3)
    ground.finish([of_one_probe], LONG)
    ground.finish([of_another], PLAIN)
    found = stored_pairs(ground.database, ground.run_id, "v2", "v2-distill")
    assert [(pair.first, pair.second) for pair in found] == [
        (value(LONG), value(LONG, "v2-distill")),
        (value(PLAIN), value(PLAIN, "v2-distill")),
    ]
    assert len({pair.probe for pair in found}) == 2


def test_scores_of_an_older_version_are_no_pair(ground: Ground) -> None:
    ground.finish(ground.ids(limit=1), LONG)
    ground.execute("UPDATE score SET version = '0.9' WHERE scorer = 'v2'")
    assert stored_pairs(ground.database, ground.run_id, "v2", "v2-distill") == []


def test_of_an_edited_answer_the_last_text_counts(ground: Ground) -> None:
    (sample,) = ground.ids(limit=1)
    ground.finish([sample], LONG)
    with ground.database.session() as session:
        session.add(Answer(sample_id=sample, revision=1, content=PLAIN))
    assert stored_pairs(ground.database, ground.run_id, "v2", "v2-distill") == [], "not scored yet"


def test_answers_that_no_longer_count_are_no_pairs(ground: Ground) -> None:
    ground.finish(ground.ids(limit=2), LONG)
    ground.execute("UPDATE sample SET superseded = :yes WHERE state = 'done'", yes=True)
    assert stored_pairs(ground.database, ground.run_id, "v2", "v2-distill") == []


def test_a_scorer_that_does_not_exist_is_refused(ground: Ground) -> None:
    with pytest.raises(InputError, match="no scorer named"):
        stored_pairs(ground.database, ground.run_id, "v2", "nobody")
