"""Lists of samples, and everything about one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.errors import InputError, NotFound
from lemfarm.identity import fingerprint, sample_id
from lemfarm.samples import list_samples, read_sample
from tests.ground import GOOD_ANSWER, RUN_FILE, SHORT_ANSWER, Ground

SCORED = RUN_FILE.replace("{min_chars: 20}", "{scorer: v2, at_least: -99.0}, {min_chars: 20}")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan(SCORED)
    yield made
    made.database.close()


def test_those_finished_last_come_first_then_the_plan(ground: Ground) -> None:
    first, second = ground.ids(limit=2)
    ground.finish([second])
    ground.finish([first])
    ground.execute("UPDATE sample SET finished = finished + 9 WHERE id = :id", id=first)
    lines = list_samples(ground.database, None)
    assert [line.id for line in lines[:2]] == [first, second]
    assert [line.label for line in lines[2:5]] == ["P1 v0 #0", "P1 v1 #0", "P2 v0 #0"]


def test_a_line_says_what_became_of_it(ground: Ground) -> None:
    ground.finish(ground.ids(limit=1), SHORT_ANSWER)
    line = list_samples(ground.database, "tiny", limit=1)[0]
    assert (line.label, line.phase, line.purpose, line.state, line.outcome) == (
        "P0 v0 #0", "first", "distil", "done", "rejected",
    )  # fmt: skip
    assert line.reason == "10 of 20 characters"
    assert line.scores.keys() == {"v2"}


def test_filters_go_together(ground: Ground) -> None:
    ids = ground.ids()
    ground.finish(ids[:4])
    ground.finish(ids[4:6], SHORT_ANSWER)
    assert len(list_samples(ground.database, None, state="done")) == 6
    assert len(list_samples(ground.database, None, outcome="rejected")) == 2
    assert len(list_samples(ground.database, None, probe="P0")) == 8
    assert len(list_samples(ground.database, None, probe="P0", state="done")) == 2
    assert len(list_samples(ground.database, None, phase="first", limit=5)) == 5
    assert list_samples(ground.database, None, phase="nope") == []
    assert len(list_samples(ground.database, None, purpose="distil", state="done")) == 6
    assert list_samples(ground.database, None, purpose="evaluate") == []
    with pytest.raises(InputError, match="one of distil, evaluate"):
        list_samples(ground.database, None, purpose="both")


def test_superseded_samples_are_not_listed_but_can_be_shown(ground: Ground) -> None:
    old = ground.ids()[0]
    ground.plan(sampling__temperature=0.1)
    assert old not in {line.id for line in list_samples(ground.database, None, limit=100)}
    assert read_sample(ground.database, old).superseded


def test_unknown_states_name_the_known_ones(ground: Ground) -> None:
    with pytest.raises(InputError, match="pending, leased, done, failed, skipped"):
        list_samples(ground.database, None, state="finished")
    with pytest.raises(InputError, match="accepted, rejected, held"):
        list_samples(ground.database, None, outcome="good")
    with pytest.raises(NotFound, match="tiny"):
        list_samples(ground.database, "nope")


def test_a_sample_can_be_traced_to_its_origin(ground: Ground) -> None:
    """Run, probe, wording, index, seed, kernel, model, worker, versions, scores: invariant 8."""
    ground.finish(ground.ids(limit=1))
    found = read_sample(ground.database, list_samples(ground.database, None, limit=1)[0].id)
    assert (found.run, found.phase, found.label) == ("tiny", "first", "P0 v0 #0")
    assert found.messages == [{"role": "user", "content": "What is 0?"}]
    assert found.answer == GOOD_ANSWER
    mark = fingerprint(found.model_key, None, found.kernel_hash, found.placement, found.messages, found.sampling)
    assert (found.fingerprint, found.id) == (mark, sample_id("tiny", "first", mark, 0))
    assert [(score["scorer"], bool(score["signals"])) for score in found.score_details] == [("v2", True)]
    assert [verdict["outcome"] for verdict in found.verdicts] == ["accepted"]
    (attempt,) = found.attempts
    assert (attempt["worker"], attempt["lemfarm"], attempt["ending"]) == ("w@h", "0", "done")
    assert attempt["generation"]["finish_reason"] == "stop"


def test_every_claim_and_every_verdict_is_shown(ground: Ground) -> None:
    sample = ground.ids()[0]
    claim = ground.claim(sample)
    ground.ledger.fail(sample, claim.epoch, "engine", "broke", retryable=True, retries=3)
    ground.execute("UPDATE sample SET not_before = 0")
    ground.finish([sample])
    ground.plan(phases__0__gates=[{"min_chars": 1000}])
    found = read_sample(ground.database, sample)
    assert [(one["ending"], one["error"]) for one in found.attempts] == [("failed", "engine: broke"), ("done", "")]
    assert [verdict["outcome"] for verdict in found.verdicts] == ["accepted", "rejected"]


def test_the_beginning_of_an_id_will_do_if_it_is_enough(ground: Ground) -> None:
    sample = ground.ids()[0]
    assert read_sample(ground.database, sample[:12]).id == sample
    with pytest.raises(InputError, match="write more of it"):
        read_sample(ground.database, "")
    for nothing in ("zzz", "%", "_"):
        with pytest.raises(NotFound, match="lemfarm samples list"):
            read_sample(ground.database, nothing)


def test_a_sample_that_waits_has_no_answer(ground: Ground) -> None:
    found = read_sample(ground.database, ground.ids()[0])
    assert (found.answer, found.state, found.attempts, found.score_details) == (None, "pending", [], [])
