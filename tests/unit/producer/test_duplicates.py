"""Duplicates of a run: found as answers are stored, and again when gates, reviews or the configuration change.
`tests/integration/test_gates_postgres.py` runs the same tests on PostgreSQL."""

import random
from collections.abc import Sequence

import pytest

from lemfarm.curation.duplicates import twin_in
from lemfarm.curation.settling import settle_run, settle_sample
from lemfarm.engines.simulated_text import write
from lemfarm.records import PhaseState
from lemfarm.work import NewVerdict
from producer.gate_change import GateChange
from producer.gate_trial import try_gates
from producer.quotas import QUOTA
from producer.regate import apply_gates
from producer.verify import verify_run
from tests.ground import RUN_FILE, Ground

COMPARING = RUN_FILE.replace("gates: [{min_chars: 20}]", "gates: [{min_chars: 20}, {duplicates: reject}]")
SCORED = RUN_FILE.replace("{min_chars: 20}", "{scorer: v2, at_least: -100}, {duplicates: reject}")
SECOND = COMPARING[COMPARING.index("  - name") :].replace("first", "second")


def text(seed: int, richness: float = 0.3) -> str:
    return write(random.Random(seed), richness, 120)


def near(source: str) -> str:
    """A copy with one more word of it changed."""
    words = source.split()
    place = next(number for number in range(10, len(words), 20) if words[number] != "changed")
    return " ".join([*words[:place], "changed", *words[place + 1 :]])


def ranked(ground: Ground, limit: int, phase: str = "first") -> list[str]:
    """Pending samples of a phase, those first that are kept at the same score."""
    rows = ground.rows(
        """SELECT s.id FROM sample s JOIN phase p ON p.id = s.phase_id WHERE p.name = :phase AND s.state = 'pending'
           ORDER BY s.sample_index, s.id""",
        phase=phase,
    )
    return [str(row["id"]) for row in rows[:limit]]


def outcomes(ground: Ground, ids: Sequence[str]) -> list[str]:
    found = {row["id"]: row["outcome"] for row in ground.rows("SELECT id, outcome FROM sample")}
    return [found[one] for one in ids]


def reason(ground: Ground, sample_id: str) -> str:
    return str(ground.value("SELECT reason FROM sample WHERE id = :id", id=sample_id))


def answer(ground: Ground, ids: Sequence[str], texts: Sequence[str]) -> None:
    for sample_id, content in zip(ids, texts, strict=True):
        ground.finish([sample_id], content)


def holds(ground: Ground) -> bool:
    return all(finding.holds for finding in verify_run(ground.database, "tiny"))


def everything(ground: Ground) -> dict[str, tuple[str, str]]:
    """Every done sample with its outcome and reason."""
    rows = ground.rows("SELECT id, outcome, reason FROM sample WHERE state = 'done'")
    return {row["id"]: (row["outcome"], row["reason"]) for row in rows}


# ---- as answers are stored


def test_a_near_duplicate_is_rejected_and_names_its_twin(ground: Ground) -> None:
    ground.plan(COMPARING)
    first, second, third = ranked(ground, 3)
    answer(ground, (first, second, third), (text(1), near(text(1)), text(2)))
    assert outcomes(ground, (first, second, third)) == ["accepted", "rejected", "accepted"]
    twin = twin_in(reason(ground, second))
    assert twin is not None
    assert twin.name == first
    assert 0.7 <= twin.similarity < 1
    assert ground.balance().adds_up
    assert holds(ground)


def test_a_better_one_takes_the_place_and_both_verdicts_stay_as_history(ground: Ground) -> None:
    ground.plan(SCORED)
    plain, rich = ranked(ground, 2)
    poor = text(1, 0.9)
    good = poor + " I believe that consent matters, however hard the tension."
    answer(ground, (plain, rich), (poor, good))
    assert outcomes(ground, (plain, rich)) == ["rejected", "accepted"]
    verdicts = ground.rows("SELECT outcome FROM verdict WHERE sample_id = :id ORDER BY id", id=plain)
    assert [row["outcome"] for row in verdicts] == ["accepted", "rejected"]
    assert holds(ground)


def test_the_order_in_which_answers_come_does_not_matter(ground: Ground) -> None:
    ground.plan(COMPARING)
    ids = ranked(ground, 8)
    texts = [text(1), near(text(1)), text(2), text(1), near(near(text(2))), text(3), near(text(3)), text(2)]
    pairs = list(zip(ids, texts, strict=True))
    random.Random(4).shuffle(pairs)
    answer(ground, [one for one, _ in pairs], [content for _, content in pairs])
    kept = [one for one, outcome in zip(ids, outcomes(ground, ids), strict=True) if outcome == "accepted"]
    assert kept == [ids[0], ids[2], ids[5]]
    assert settle_run(ground.database, ground.run_id) == []
    assert holds(ground)


def test_without_the_gate_nothing_is_compared(ground: Ground) -> None:
    ground.plan()
    ground.finish(ranked(ground, 2), text(1))
    assert ground.balance().accepted == 2
    assert ground.value("SELECT count(*) FROM signature") == 0


def test_what_another_gate_rejects_is_nobodys_twin(ground: Ground) -> None:
    ground.plan(COMPARING)
    first, second, third = ranked(ground, 3)
    answer(ground, (first, second, third), ("Too short.", "Too short.", "No."))
    assert [reason(ground, one)[:2] for one in (first, second, third)] == ["10", "10", "3 "]


def test_phases_are_compared_with_each_other(ground: Ground) -> None:
    ground.plan(COMPARING + SECOND)
    first, second = ranked(ground, 1), ranked(ground, 1, "second")
    ground.finish(second, text(1))
    ground.finish(first, text(1))
    assert sorted(outcomes(ground, [*first, *second])) == ["accepted", "rejected"]


def test_an_external_answer_that_is_worse_is_rejected(ground: Ground) -> None:
    ground.plan(COMPARING)
    variant = ground.rows("SELECT id, probe_id FROM variant LIMIT 1")[0]
    ground.execute(
        """INSERT INTO external_answer (run_id, phase_id, probe_id, variant_id, source, content, content_hash,
           provenance, scores, gate_hash, outcome, reason, created) VALUES (:run, (SELECT id FROM phase), :probe,
           :variant, 'f:1', :content, 'h', '{}', '{}', '', 'accepted', 'passed every gate', 0)""",
        run=ground.run_id, probe=variant["probe_id"], variant=variant["id"], content=text(1),
    )  # fmt: skip
    assert settle_run(ground.database, ground.run_id) == []
    sample = ranked(ground, 1)
    ground.finish(sample, near(text(1)))
    assert outcomes(ground, sample) == ["accepted"]
    assert sample[0] in ground.value("SELECT reason FROM external_answer")
    ground.execute("UPDATE sample SET superseded = true WHERE id = :id", id=sample[0])
    assert [change.after for change in settle_run(ground.database, ground.run_id)] == ["accepted"]
    assert ground.value("SELECT outcome FROM external_answer") == "accepted"


# ---- when something changes


def test_judging_again_comes_to_the_same_and_writes_nothing_twice(ground: Ground) -> None:
    ground.plan(COMPARING)
    answer(ground, ranked(ground, 3), (text(1), near(text(1)), text(2)))
    apply_gates(ground.database, None, GateChange(min_chars=21))
    before, verdicts = everything(ground), ground.value("SELECT count(*) FROM verdict")
    apply_gates(ground.database, None, GateChange(min_chars=21))
    assert everything(ground) == before
    assert ground.value("SELECT count(*) FROM verdict") == verdicts
    assert holds(ground)


def test_a_twin_comes_back_when_the_kept_one_fails_another_gate(ground: Ground) -> None:
    ground.plan(COMPARING)
    first, second = ranked(ground, 2)
    answer(ground, (first, second), (text(1), text(1) + " The end of it."))
    assert outcomes(ground, (first, second)) == ["accepted", "rejected"]
    applied = apply_gates(ground.database, None, GateChange(min_chars=len(text(1)) + 1))
    assert outcomes(ground, (first, second)) == ["rejected", "accepted"]
    assert applied.phases[0].judged.outcomes == {"accepted": 0, "rejected": 0}
    assert reason(ground, second) == "passed every gate"
    assert holds(ground)


def test_a_gate_added_later_finds_what_was_stored_before(ground: Ground) -> None:
    ground.plan()
    answer(ground, ranked(ground, 4), (text(1), text(2), near(text(1)), text(2)))
    ground.plan(COMPARING)
    assert ground.balance().accepted == 2
    assert holds(ground)
    ground.plan(RUN_FILE)
    assert ground.balance().accepted == 4
    assert holds(ground)


def test_a_trial_counts_duplicates_as_they_would_be(ground: Ground) -> None:
    ground.plan(COMPARING)
    answer(ground, ranked(ground, 4), (text(1), text(1) + " The end of it.", text(2), text(2)))
    before = ground.dump()
    same = try_gates(ground.database, None, GateChange()).phases[0].total
    assert (same.accepted_now, same.accepted_then) == (2, 2)
    raised = GateChange(min_chars=len(text(1)) + 1)
    trial = try_gates(ground.database, None, raised).phases[0].total
    assert ground.dump() == before
    apply_gates(ground.database, None, raised)
    assert trial.accepted_then == ground.balance().accepted


def test_a_reviewer_who_rejects_the_kept_one_brings_its_twin_back(ground: Ground) -> None:
    ground.plan(COMPARING)
    first, second = ranked(ground, 2)
    answer(ground, (first, second), (text(1), near(text(1))))
    with ground.database.write() as connection:
        number = ground.value("SELECT id FROM text WHERE sample_id = :id", id=first)
        ground.ledger.judge(connection, [NewVerdict(first, number, "b2:g", "rejected", "rejected by ada: dull")])
        settle_sample(ground.ledger, connection, first)
    assert outcomes(ground, (first, second)) == ["rejected", "accepted"]
    assert holds(ground)


def test_what_a_phase_was_trained_on_stays(ground: Ground) -> None:
    ground.plan(COMPARING + SECOND)
    first, second = ranked(ground, 2), ranked(ground, 1, "second")
    ground.finish(first[1:], text(1))
    ground.execute("UPDATE phase SET state = :state WHERE name = 'first'", state=PhaseState.TRAINED)
    ground.finish(second, near(text(1)))
    ground.finish(first[:1], near(near(text(1))))
    assert outcomes(ground, [first[1], second[0], first[0]]) == ["accepted", "rejected", "rejected"]
    assert holds(ground)


def test_a_full_phase_that_loses_an_answer_wants_more(ground: Ground) -> None:
    ground.plan(COMPARING, phases__0__quota__accepted=3, phases__0__quota__enough=3)
    config = {"phases__0__quota__accepted": 3, "phases__0__quota__enough": 3}
    ids = ranked(ground, 3)
    answer(ground, ids, (text(1), text(2), text(3)))
    ground.look(**config)
    assert ground.phase_states() == {"first": "full"}
    assert ground.ids(f"state = 'skipped' AND reason = '{QUOTA}'")
    with ground.database.write() as connection:
        number = ground.value("SELECT id FROM text WHERE sample_id = :id", id=ids[0])
        ground.ledger.judge(connection, [NewVerdict(ids[0], number, "b2:g", "rejected", "rejected by ada")])
    ground.look(**config)
    assert ground.phase_states() == {"first": "open"}
    assert len(ground.ids()) == 21


@pytest.mark.parametrize("wrong", ["accepted", "rejected"])
def test_verify_names_what_is_not_settled(ground: Ground, wrong: str) -> None:
    ground.plan(COMPARING)
    first, second = ranked(ground, 2)
    answer(ground, (first, second), (text(1), near(text(1))))
    ground.execute("UPDATE sample SET outcome = 'accepted', reason = 'passed every gate' WHERE id = :id", id=second)
    if wrong == "rejected":
        ground.execute("UPDATE sample SET outcome = 'rejected', reason = :why WHERE id = :id", id=first,
                       why=f"duplicate of {second} (similarity 0.99)")  # fmt: skip
    found = [finding for finding in verify_run(ground.database, "tiny") if "duplicates" in finding.name]
    assert [finding.holds for finding in found] == [False]
    assert found[0].offenders
