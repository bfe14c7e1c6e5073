"""Adding scores to what a run has answered: only what is missing, stopped anywhere, by several processes, beside a
farm at work. `tests/integration/test_gates_postgres.py` runs the same tests on PostgreSQL."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from lemfarm.errors import InputError, NotFound
from lemfarm.locks import wait_until
from lemfarm.records import Purpose
from lemfarm.scorers import Score, get_scorer
from lemfarm.work import ScoredBy
from producer.run_scores import BATCH, ScoreFailure, ScorerRow, score_stored
from tests.farm import ROOT
from tests.ledger_world import World, make_world, result_of, sqlite_url
from tests.plugins import Plugins

MANY = 1000
"""Enough texts that several processes begin to work."""

SECONDS = 60.0
"""How long a test that will fail is allowed to hope."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database; the PostgreSQL module replaces this fixture."""
    return sqlite_url(tmp_path)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    made = make_world(url)
    made.worker("w1")
    yield made
    made.database.close()


def answer(world: World, samples: Sequence[str], content: str = "an answer of five words") -> None:
    """Let samples be done, each with its number behind its text."""
    for number, sample in enumerate(samples):
        world.ledger.record(result_of(world.claim(sample, "w1"), "w1", content=f"{content} {number}"))


def answer_many(world: World) -> None:
    """A thousand answers at once; the six hundredth makes its scorer wait."""
    world.plan(MANY)
    world.execute("UPDATE sample SET state = 'done', outcome = 'accepted'")
    world.execute(
        """INSERT INTO text (sample_id, revision, content, thoughts, token_ids, created)
           SELECT id, 0, CASE sample_index WHEN 600 THEN 'wait ' ELSE 'answer ' END || sample_index, '', '', 0
           FROM sample ORDER BY sample_index"""
    )


def stored(world: World, scorer: str) -> int:
    return int(world.query("SELECT count(*) AS n FROM score WHERE scorer = :s", s=scorer)[0]["n"])


# ---- what is scored


@pytest.mark.usefixtures("plugins")
def test_every_text_of_a_run_is_scored_whatever_it_was_for(world: World) -> None:
    # Given answers for training and for measuring, one superseded, and one that was edited
    distil = world.plan(3)
    answer(world, [*distil, *world.plan(2, Purpose.EVALUATE)])
    world.execute("UPDATE sample SET superseded = true WHERE id = :id", id=distil[0])
    world.execute(
        """INSERT INTO text (sample_id, revision, content, thoughts, token_ids, created)
           VALUES (:id, 1, 'now it is longer than it was', '', '', 0)""",
        id=distil[1],
    )
    # When they are scored
    found = score_stored(world.database, "tiny", ["counting"])
    # Then each text has a score, with the scorer's version and signals
    assert (found.run, found.rows) == ("tiny", (ScorerRow("counting", "1", added=6, known=0, failed=0),))
    values = world.query("SELECT value FROM score WHERE scorer = 'counting' AND version = '1' ORDER BY value")
    assert [row["value"] for row in values] == [6.0] * 5 + [7.0]


def test_what_is_known_is_not_scored_again(world: World, plugins: Plugins) -> None:
    answer(world, world.plan(4))
    score_stored(world.database, None, ["counting"])
    plugins.forget_calls()
    answer(world, world.plan(2, Purpose.EVALUATE))
    found = score_stored(world.database, None, ["counting"])
    assert found.rows == (ScorerRow("counting", "1", added=2, known=4, failed=0),)
    assert len(plugins.calls) == 2


def test_a_score_of_another_version_is_kept_beside_the_new_one(world: World) -> None:
    answer(world, world.plan(1))
    text = world.query("SELECT id FROM text")[0]["id"]
    with world.database.write() as connection:
        world.ledger.add_scores(connection, [(text, ScoredBy("tier1", "0", 99.0, {}))])
    assert score_stored(world.database, None, ["tier1"]).rows[0].added == 1
    versions = world.query("SELECT version FROM score WHERE scorer = 'tier1' ORDER BY version")
    assert [row["version"] for row in versions] == ["0", "1"]


def test_each_scorer_has_its_row_in_the_order_asked_for(world: World) -> None:
    answer(world, world.plan(2))
    found = score_stored(world.database, None, ["v1", "v2", "v1"])
    assert [(row.scorer, row.added, row.known) for row in found.rows] == [("v1", 2, 0), ("v2", 0, 2)]


def test_other_runs_are_left_alone(world: World) -> None:
    answer(world, world.plan(2))
    world.execute("UPDATE run SET name = 'other'")
    world.execute(
        """INSERT INTO run (name, state, reason, config, config_hash, planned_hash, trains, model_key,
           lemfarm_version, created, activated) VALUES ('empty', 'active', '', '{}', '', '', true, 'm', '0', 0, 9)"""
    )
    assert score_stored(world.database, None, ["tier1"]).rows == (ScorerRow("tier1", "1", 0, 0, 0),)
    assert stored(world, "tier1") == 0


# ---- what cannot be scored


@pytest.mark.usefixtures("plugins")
def test_a_scorer_that_fails_on_a_text_is_counted_and_named_and_goes_on(world: World) -> None:
    good, bad = world.plan(3), world.plan(2, Purpose.EVALUATE)
    answer(world, good)
    answer(world, bad, "fail")
    (row,) = score_stored(world.database, None, ["counting"]).rows
    assert (row.added, row.known, row.failed) == (3, 0, 2)
    (failure,) = row.failures
    assert failure.reason == "counting failed: RuntimeError('this answer is too much for it')"
    assert (failure.texts, failure.sample) == (2, bad[0])


def test_a_scorer_that_compares_takes_the_right_answer_of_the_probe(world: World) -> None:
    # Given two probes, one of which says what is right
    world.execute("""UPDATE probe SET fields = '{"correct_answer": "7"}' WHERE id = 'P0'""")
    known, unknown = world.plan(8), world.plan(1, Purpose.EVALUATE, probe="P1")
    answer(world, known, "It is")
    answer(world, unknown, "It is")
    # When their answers are compared
    (row,) = score_stored(world.database, None, ["gsm8k"]).rows
    # Then those of the other have no score, and it is said why
    assert (row.added, row.failed) == (8, 1)
    assert world.query("SELECT sum(value) AS right_ones FROM score WHERE scorer = 'gsm8k'")[0]["right_ones"] == 1
    assert row.failures == (ScoreFailure(row.failures[0].reason, 1, unknown[0]),)
    assert "`correct_answer`" in row.failures[0].reason


def test_many_different_reasons_are_put_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(world, world.plan(9))

    def fail(scorer: object, prompt: str, text: str) -> Score:
        raise OSError(text)

    monkeypatch.setattr(type(get_scorer("v1")), "score", fail)
    (row,) = score_stored(world.database, None, ["v1"], processes=1).rows

    assert (row.failed, len(row.failures)) == (9, 6)
    assert (row.failures[0].reason, row.failures[0].texts) == ("other reasons", 4)


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(("names", "words"), [([], "at least one scorer"), (["v2", "v9"], "v9"), (["broken"], "model")])
def test_scorers_that_cannot_be_had_are_refused_before_anything_is_written(
    world: World, names: list[str], words: str
) -> None:
    answer(world, world.plan(1))
    before = world.query("SELECT * FROM score")
    with pytest.raises(InputError, match=words):
        score_stored(world.database, None, names)
    assert world.query("SELECT * FROM score") == before


def test_an_unknown_run_is_refused(world: World) -> None:
    with pytest.raises(NotFound, match="nope"):
        score_stored(world.database, "nope", ["v2"])


# ---- many texts


def test_progress_counts_every_score_and_ends_when_all_are_done(world: World) -> None:
    answer(world, world.plan(BATCH + 1))
    told: list[tuple[int, int]] = []
    score_stored(world.database, None, ["v1", "tier1"], on_progress=lambda done, of: told.append((done, of)))
    of = 2 * (BATCH + 1)
    assert told == [(BATCH, of), (BATCH + 1, of), (2 * BATCH + 1, of), (of, of)]


def test_texts_that_a_farm_stores_meanwhile_are_scored_too(world: World) -> None:
    answer(world, world.plan(BATCH + 1))
    late = world.plan(BATCH + 2)[-1]
    told: list[tuple[int, int]] = []

    def on_progress(done: int, of: int) -> None:
        told.append((done, of))
        if len(told) == 1:
            answer(world, [late])

    (row,) = score_stored(world.database, None, ["tier1"], processes=1, on_progress=on_progress).rows
    assert (row.added, told[-1]) == (BATCH + 2, (BATCH + 2, BATCH + 2))


def test_several_processes_store_the_same_as_one(world: World, plugins: Plugins) -> None:
    answer_many(world)
    plugins.go()
    (row,) = score_stored(world.database, None, ["counting"], processes=2).rows
    assert (row.added, row.failed) == (MANY, 0)
    assert sorted(plugins.calls) == sorted(row["content"] for row in world.query("SELECT content FROM text"))


def test_killed_in_the_middle_it_goes_on_without_doing_a_score_twice(world: World, plugins: Plugins, url: str) -> None:
    # Given a process that scores, with children, until a text that keeps one of them waiting
    answer_many(world)
    program = f"""
from lemfarm.database import open_database
from producer.run_scores import score_stored
score_stored(open_database({url!r}), None, ["counting"], processes=2)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(plugins.folder)])}
    process = psutil.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: stored(world, "counting") >= 600 - 600 % BATCH, SECONDS)
        children = process.children(recursive=True)
        assert children
        # When it is killed
        process.send_signal(signal.SIGKILL)
        process.wait()
    finally:
        if process.is_running():
            process.kill()
    # Then its children end, and what it stored is whole batches
    _, alive = psutil.wait_procs(children, SECONDS)
    assert alive == []
    before = stored(world, "counting")
    assert 0 < before < MANY
    # And the same again scores the rest, each text once
    plugins.forget_calls()
    plugins.go()
    (row,) = score_stored(world.database, None, ["counting"], processes=2).rows
    assert (row.known, row.added) == (before, MANY - before)
    assert len(plugins.calls) == len(set(plugins.calls)) == MANY - before
    assert stored(world, "counting") == MANY
