"""Mean scores of a run's evaluation: by model, condition and split, the answers of a probe first averaged."""

import pytest
from sqlmodel import Session, select

from lemfarm.engines.base import FinishReason
from lemfarm.records import Adapter, Evaluation, Purpose
from producer.evaluation import measure, plan_adapter_evaluation, unfinished_rows
from producer.verify import verify_run
from tests.ground import RUN_FILE, Ground

EVALUATE = """\
evaluate:
  {probes: probes.jsonl, held_out: 0.67, wordings: all, scorer: v2, conditions: {bare: null, whole: kernel.txt}}
"""
WITHOUT_TRAINED = EVALUATE.replace("held_out: 0.67", "held_out: 0.67, trained: 0.0")
FILE = RUN_FILE.replace("accepted: 10", "accepted: 4")


@pytest.fixture
def measured(ground: Ground) -> Ground:
    """Two held-out probes of two wordings under two conditions, all answered; scores are set by hand."""
    ground.plan(FILE + WITHOUT_TRAINED)
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
    return sorted(ground.course().held_out)


def stored(ground: Ground) -> dict[tuple[str, str, str], Evaluation]:
    with ground.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        return {(row.adapter_id, row.condition, row.split): row for row in session.exec(select(Evaluation))}


def add_adapter(ground: Ground, name: str, parent: str | None = None) -> None:
    """As the training of the first phase leaves one."""
    phase = ground.value("SELECT id FROM phase")
    with ground.database.session() as session:
        made = Adapter(id=name, run_id=ground.run_id, phase_id=phase, parent_id=parent, home_id="home")
        made.created = float(len(name))
        session.add(made)


def test_a_mean_is_that_of_the_probes(measured: Ground) -> None:
    first, second = held_out(measured)
    set_scores(measured, {(first, "bare", 0): 10.0, (first, "bare", 1): 20.0})
    set_scores(measured, {(second, "bare", 0): 30.0, (second, "bare", 1): 30.0})
    measure(measured.database, measured.run_id, "v2")
    bare = stored(measured)["", "bare", "held_out"]
    assert (bare.probes, bare.mean) == (2, 22.5)
    assert bare.low is not None and bare.high is not None and bare.low < 22.5 < bare.high
    assert bare.details["by_probe"] == {first: 15.0, second: 30.0}
    assert (bare.details["samples"], bare.details["missing"]) == (4, 0)
    assert bare.details["worst"] == [[first, 15.0], [second, 30.0]]
    assert stored(measured)["", "whole", "held_out"].mean != 22.5


def test_held_out_and_trained_probes_are_reported_apart(ground: Ground) -> None:
    ground.plan(FILE + EVALUATE)
    ground.finish(ground.ids(purpose=Purpose.EVALUATE))
    measure(ground.database, ground.run_id, "v2")
    by_split = {
        split: set(row.details["by_probe"]) for (_, name, split), row in stored(ground).items() if name == "bare"
    }
    assert by_split["held_out"] == set(held_out(ground))
    assert by_split["trained"] == {"P0", "P1", "P2"} - set(held_out(ground))
    assert by_split["all"] == {"P0", "P1", "P2"}


def test_probes_that_no_phase_samples_are_never_called_trained(ground: Ground) -> None:
    ground.plan(RUN_FILE + EVALUATE.replace("probes.jsonl", "other.jsonl"))
    ground.finish(ground.ids(purpose=Purpose.EVALUATE))
    measure(ground.database, ground.run_id, "v2")
    assert {split for _, _, split in stored(ground)} == {"held_out", "all"}


def test_what_was_sampled_under_an_earlier_configuration_stays_trained(ground: Ground) -> None:
    # Given a probe that is held out now and has answers that may have been trained on before
    ground.plan(FILE)
    ground.finish(ground.ids())
    ground.plan(FILE + EVALUATE)
    ground.finish(ground.ids(purpose=Purpose.EVALUATE))
    # When the run is measured, then nothing passes for unseen
    measure(ground.database, ground.run_id, "v2")
    assert {split for _, _, split in stored(ground)} == {"trained", "all"}


def test_measuring_again_replaces_what_was_measured(measured: Ground) -> None:
    measure(measured.database, measured.run_id, "v2")
    before = len(stored(measured))
    measure(measured.database, measured.run_id, "v2")
    assert len(stored(measured)) == before == 4


def test_another_scorer_scores_the_stored_answers_anew_and_nothing_is_mixed(measured: Ground) -> None:
    found = measure(measured.database, measured.run_id, "v2-distill")
    assert {one.scorer for one in found} == {"v2-distill"}
    assert {score["scorer"] for score in measured.rows("SELECT scorer FROM score")} >= {"v2", "v2-distill"}


def test_superseded_answers_do_not_count(measured: Ground) -> None:
    first = held_out(measured)[0]
    measured.execute(
        """UPDATE sample SET superseded = true WHERE purpose = 'evaluate' AND condition = 'bare' AND probe_id =
           (SELECT id FROM probe WHERE name = :probe)""",
        probe=first,
    )
    measure(measured.database, measured.run_id, "v2")
    bare = stored(measured)["", "bare", "held_out"]
    assert (bare.probes, bare.low) == (1, None), "one probe has no interval"
    assert bare.details["missing"] == 0


def test_answers_that_are_not_there_are_counted_as_missing(ground: Ground) -> None:
    ground.plan(FILE + WITHOUT_TRAINED)
    ground.finish(ground.ids("condition = 'bare'", purpose=Purpose.EVALUATE)[1:])
    measure(ground.database, ground.run_id, "v2")
    assert stored(ground)["", "bare", "held_out"].details["missing"] == 1
    assert ("", "whole", "held_out") not in stored(ground)


def test_cut_and_circling_answers_are_counted(ground: Ground) -> None:
    ground.plan(FILE + WITHOUT_TRAINED)
    cut, repeating, circling, fine = ground.ids("condition = 'bare'", purpose=Purpose.EVALUATE)
    ground.finish([cut], reason=FinishReason.LENGTH)
    ground.finish([repeating], reason=FinishReason.REPETITION)
    ground.finish([circling], "round and " * 10 + "we go again")
    ground.finish([fine])
    measure(ground.database, ground.run_id, "v2")
    details = stored(ground)["", "bare", "held_out"].details
    assert (details["truncated"], details["degenerate"], details["samples"]) == (1, 2, 4)
    assert details["tokens"] == 8


def test_several_answers_of_a_text_are_several_rows(ground: Ground) -> None:
    text = FILE + WITHOUT_TRAINED.replace("wordings: all", "samples: 3, greedy: false")
    ground.plan(text)
    rows = ground.rows("SELECT sample_index, seed FROM sample WHERE purpose = 'evaluate' AND condition = 'bare'")
    assert sorted(row["sample_index"] for row in rows) == [0, 0, 1, 1, 2, 2]
    assert len({row["seed"] for row in rows}) == 6


def test_evaluation_samples_have_no_gates(measured: Ground) -> None:
    assert measured.value("SELECT count(*) FROM sample WHERE purpose = 'evaluate' AND outcome = 'accepted'") == 8
    assert all(finding.holds for finding in verify_run(measured.database, "tiny"))


# ---- adapters


def test_a_second_adapter_is_asked_beside_the_first(measured: Ground) -> None:
    for adapter, rows in (("one", 16), ("three", 24)):
        add_adapter(measured, adapter)
        assert plan_adapter_evaluation(measured.database, measured.run_id, adapter) == rows
        assert plan_adapter_evaluation(measured.database, measured.run_id, adapter) == rows, "again changes nothing"
    assert unfinished_rows(measured.database, measured.run_id, None) == 0
    measured.finish(measured.ids("adapter_id = 'one'", purpose=Purpose.EVALUATE))
    assert unfinished_rows(measured.database, measured.run_id, "one") == 0
    assert unfinished_rows(measured.database, measured.run_id, "three") == 8


def test_planning_again_keeps_the_rows_of_every_adapter(measured: Ground) -> None:
    for adapter in ("one", "three"):
        add_adapter(measured, adapter)
        plan_adapter_evaluation(measured.database, measured.run_id, adapter)
    result = measured.plan(phases__0__quota__at_most_per_probe=4)
    assert (result.added, result.superseded) == (0, 0)
    assert measured.balance(Purpose.EVALUATE).planned == 24


def test_another_evaluation_asks_every_adapter_anew(measured: Ground) -> None:
    add_adapter(measured, "one")
    plan_adapter_evaluation(measured.database, measured.run_id, "one")
    measured.plan(evaluate__max_tokens=32)
    balance = measured.balance(Purpose.EVALUATE)
    assert (balance.pending, balance.superseded) == (16, 16)
