"""Mean scores of held-out probes: by model and condition, samples of a probe first averaged among themselves."""

import pytest
from sqlmodel import Session, select

from lemfarm.records import Evaluation, Purpose
from producer.evaluation import measure
from producer.verify import verify_run
from tests.ground import RUN_FILE, Ground

EVALUATE = "evaluate: {probes: probes.jsonl, held_out: 0.67, scorer: v2, conditions: {bare: null, whole: kernel.txt}}\n"


@pytest.fixture
def measured(ground: Ground) -> Ground:
    """Two held-out probes of two wordings under two conditions, all answered; scores are set by hand."""
    ground.plan(RUN_FILE.replace("accepted: 10", "accepted: 4") + EVALUATE)
    ground.finish(ground.ids(purpose=Purpose.EVALUATE))
    return ground


def set_scores(ground: Ground, values: dict[tuple[str, str, int], float]) -> None:
    """By probe, condition and position of the wording."""
    for (probe, condition, position), value in values.items():
        ground.execute(
            """UPDATE score SET value = :value WHERE text_id IN (SELECT t.id FROM text t
               JOIN sample s ON s.id = t.sample_id JOIN probe p ON p.id = s.probe_id
               JOIN variant v ON v.id = s.variant_id
               WHERE p.name = :probe AND s.condition = :condition AND v.position = :position)""",
            value=value, probe=probe, condition=condition, position=position,
        )  # fmt: skip


def held_out(ground: Ground) -> list[str]:
    rows = ground.rows(
        "SELECT DISTINCT p.name FROM sample s JOIN probe p ON p.id = probe_id WHERE purpose = 'evaluate' ORDER BY 1"
    )
    return [row["name"] for row in rows]


def stored(ground: Ground) -> dict[tuple[str, str], Evaluation]:
    with ground.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        return {(row.adapter_id, row.condition): row for row in session.exec(select(Evaluation))}


def test_a_mean_is_that_of_the_probes(measured: Ground) -> None:
    first, second = held_out(measured)
    set_scores(measured, {(first, "bare", 0): 10.0, (first, "bare", 1): 20.0})
    set_scores(measured, {(second, "bare", 0): 30.0, (second, "bare", 1): 30.0})
    measure(measured.database, measured.run_id, "v2")
    bare = stored(measured)["", "bare"]
    assert (bare.probes, bare.mean) == (2, 22.5)
    assert bare.low is not None and bare.high is not None and bare.low < 22.5 < bare.high
    assert bare.details == {"samples": 4, "by_probe": {first: 15.0, second: 30.0}}
    assert stored(measured)["", "whole"].mean != 22.5


def test_measuring_again_replaces_what_was_measured(measured: Ground) -> None:
    measure(measured.database, measured.run_id, "v2")
    measure(measured.database, measured.run_id, "v2")
    assert len(stored(measured)) == 2


def test_another_scorer_scores_the_stored_answers_anew_and_nothing_is_mixed(measured: Ground) -> None:
    found = measure(measured.database, measured.run_id, "v2-distill")
    assert {one.scorer for one in found} == {"v2-distill"}
    assert {score["scorer"] for score in measured.rows("SELECT scorer FROM score")} >= {"v2", "v2-distill"}


def test_superseded_and_unfinished_answers_do_not_count(measured: Ground) -> None:
    first = held_out(measured)[0]
    measured.execute(
        """UPDATE sample SET superseded = true WHERE purpose = 'evaluate' AND condition = 'bare' AND probe_id =
           (SELECT id FROM probe WHERE name = :probe)""",
        probe=first,
    )
    measure(measured.database, measured.run_id, "v2")
    assert stored(measured)["", "bare"].probes == 1
    assert stored(measured)["", "bare"].low is None, "one probe has no interval"


def test_evaluation_samples_have_no_gates(measured: Ground) -> None:
    assert measured.value("SELECT count(*) FROM sample WHERE purpose = 'evaluate' AND outcome = 'accepted'") == 8
    assert all(finding.holds for finding in verify_run(measured.database, "tiny"))
