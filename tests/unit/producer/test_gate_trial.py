"""What would pass with other gates: the same as what passes once they are applied, and nothing is written.
`tests/integration/test_gates_postgres.py` runs the same tests on PostgreSQL."""

import json

import pytest

from lemfarm.errors import InputError, NotFound
from producer.gate_change import GateChange
from producer.gate_trial import GateTrial, Passing, try_gates
from producer.judging import PAGE
from producer.quota_outlook import Outlook, ThinProbe
from producer.regate import apply_gates
from tests.ground import GOOD_ANSWER, RUN_FILE, SHORT_ANSWER, Ground

SECOND = RUN_FILE[RUN_FILE.index("  - name") :].replace("first", "second")
MIDDLING = "Fifteen letters"
"""15 characters: between SHORT_ANSWER's 10 and GOOD_ANSWER's 40."""


def attempt(ground: Ground, **change: object) -> GateTrial:
    return try_gates(ground.database, None, GateChange(**change))  # type: ignore[arg-type]


def everything(ground: Ground) -> list[object]:
    return [*ground.dump(), ground.rows("SELECT * FROM score ORDER BY id")]


def passing(name: str, done: int, now: int, then: int, held: tuple[int, int] = (0, 0)) -> Passing:
    shares = (now / done, then / done) if done else (None, None)
    return Passing(name, done, now, then, then - now, *shares, *held)


@pytest.fixture
def answered(ground: Ground) -> Ground:
    """P0: 2 good and 2 middling answers; P1, of another domain: 1 good, 1 middling, 2 short; P2: none."""
    path = ground.folder / "probes.jsonl"
    probes = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(one | ({"domain": "e"} if one["id"] == "P1" else {})) + "\n" for one in probes))
    ground.plan()
    for probe, contents in (
        ("P0", (GOOD_ANSWER, GOOD_ANSWER, MIDDLING, MIDDLING)),
        ("P1", (GOOD_ANSWER, MIDDLING, SHORT_ANSWER, SHORT_ANSWER)),
    ):
        for sample, content in zip(ground.ids(f"probe.name = '{probe}'"), contents, strict=False):
            ground.finish([sample], content)
    return ground


def test_what_would_pass_is_told_by_phase_domain_and_probe(answered: Ground) -> None:
    (phase,) = attempt(answered, min_chars=12).phases
    assert phase.total == passing("first", 8, 3, 6)
    assert phase.domains == (passing("d", 4, 2, 4), passing("e", 4, 1, 2))
    assert phase.probes == (passing("P0", 4, 2, 4), passing("P1", 4, 1, 2), passing("P2", 0, 0, 0))
    assert (phase.gates_now, phase.gates_then) == (({"min_chars": 20},), ({"min_chars": 12},))


def test_nothing_is_written(answered: Ground) -> None:
    before = everything(answered)
    assert attempt(answered, min_chars=12, scorer="v2", at_least=3.0).computed == 8
    assert everything(answered) == before


@pytest.mark.parametrize(
    "change", [{}, {"min_chars": 12}, {"min_chars": 100}, {"scorer": "tier1", "at_least": -10.0}, {"min_chars": 11}]
)
def test_it_tells_what_applying_makes_true(answered: Ground, change: dict[str, object]) -> None:
    tried = attempt(answered, **change)
    applied = apply_gates(answered.database, None, GateChange(**change))  # type: ignore[arg-type]
    (then,), (after,) = tried.phases, applied.phases
    assert tried.differences == applied.differences
    assert then.total.accepted_then == answered.balance().accepted
    assert then.quota_then is not None
    assert (then.quota_then.counted, then.quota_then.state) == (after.counted, after.state)
    again = attempt(answered)
    assert [line.accepted_now for line in again.phases[0].probes] == [line.accepted_then for line in then.probes]


def test_phases_are_tried_by_themselves(ground: Ground) -> None:
    ground.plan(RUN_FILE + SECOND)
    ground.finish(ground.ids("sample_index = 0"), MIDDLING)
    assert [phase.phase for phase in attempt(ground, min_chars=12).phases] == ["first", "second"]
    (second,) = attempt(ground, phase="second", min_chars=12).phases
    assert second.total == passing("second", 6, 0, 6)


def test_superseded_answers_count_for_nothing(answered: Ground) -> None:
    answered.plan(phases__0__samples=2)
    (phase,) = attempt(answered, min_chars=12).phases
    assert phase.total == passing("first", 8, 3, 6)
    answered.plan(sampling__temperature=0.5)
    (phase,) = attempt(answered, min_chars=12).phases
    assert phase.total == passing("first", 0, 0, 0)


def test_a_run_without_answers_is_tried_too(ground: Ground) -> None:
    ground.plan()
    (phase,) = attempt(ground, min_chars=12).phases
    assert phase.total == passing("first", 0, 0, 0)


def test_progress_counts_the_answers(ground: Ground) -> None:
    ground.write_probes(30)
    ground.plan()
    ground.finish(ground.ids(limit=PAGE + 10), MIDDLING)
    told: list[tuple[int, int]] = []
    try_gates(ground.database, None, GateChange(), on_progress=lambda done, of: told.append((done, of)))
    assert told == [(PAGE, PAGE + 10), (PAGE + 10, PAGE + 10)]


# ---- scores


def test_scores_that_are_stored_are_not_computed(answered: Ground) -> None:
    apply_gates(answered.database, None, GateChange(scorer="v2", at_least=3.0))
    assert attempt(answered, at_least=4.0).computed == 0
    assert attempt(answered, scorer="tier1", at_least=4.0).computed == 8


def test_many_scores_are_computed_by_several_processes(ground: Ground) -> None:
    ground.write_probes(60)
    ground.plan()
    ground.finish(ground.ids(limit=440), MIDDLING)
    before = everything(ground)
    several = try_gates(ground.database, None, GateChange(scorer="tier1", at_least=0.0), processes=2)
    assert several.computed == 440
    assert several == try_gates(ground.database, None, GateChange(scorer="tier1", at_least=0.0), processes=1)
    assert everything(ground) == before


def test_what_cannot_be_scored_would_be_held_with_the_reason(answered: Ground) -> None:
    (phase,) = attempt(answered, scorer="gsm8k", at_least=1.0).phases
    assert (phase.total.accepted_then, phase.total.held_then) == (0, 3)
    ((reason, count),) = phase.failures.items()
    assert ("`correct_answer`" in reason, count) == (True, 8)


# ---- quotas and probes


def test_a_quota_is_told_before_and_after(answered: Ground) -> None:
    (phase,) = attempt(answered, min_chars=12).phases
    assert phase.quota_now is not None and phase.quota_then is not None
    assert (phase.quota_now.counted, phase.quota_now.short, phase.quota_now.left) == (3, 7, 16)
    assert (phase.quota_then.counted, phase.quota_then.short, phase.quota_then.left) == (6, 4, 16)
    assert phase.quota_now.expected < phase.quota_then.expected <= 16


def test_a_full_quota_that_would_be_open_again_has_left_what_was_skipped(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=10))
    ground.look()
    (phase,) = attempt(ground, min_chars=100).phases
    assert phase.quota_now == Outlook(wanted=10, enough=4, counted=10, short=0, left=0, expected=0.0, state="full")
    assert phase.quota_then is not None
    assert (phase.quota_then.counted, phase.quota_then.left, phase.quota_then.state) == (0, 14, "open")


def test_probes_that_cannot_bring_their_share_are_named(ground: Ground) -> None:
    """A share is 4: a third of the quota of ten, rounded up."""
    ground.plan()
    ground.finish(ground.ids("probe.name = 'P0'"), MIDDLING)
    ground.finish(ground.ids("probe.name = 'P1'")[:4])
    (phase,) = attempt(ground).phases
    assert phase.starving == (ThinProbe("P0", accepted=0, left=0, share=4),)
    assert attempt(ground, min_chars=12).phases[0].starving == ()


def test_a_trained_phase_has_no_quota_any_more(answered: Ground) -> None:
    answered.execute("UPDATE phase SET state = 'trained'")
    (phase,) = attempt(answered, min_chars=12).phases
    assert (phase.state, phase.quota_now, phase.quota_then, phase.starving) == ("trained", None, None, ())
    assert phase.total.difference == 3


# ---- refusals


def test_bad_input_is_refused(answered: Ground) -> None:
    with pytest.raises(NotFound, match="nope"):
        try_gates(answered.database, "nope", GateChange())
    with pytest.raises(InputError, match="it has first"):
        attempt(answered, phase="third", min_chars=1)
