"""Probes that would hardly reach their share: skipped, named, taken back when something changes."""

import json

import pytest

from lemfarm.candidates import GIVEN_UP
from lemfarm.records import PhaseState, RunState
from lemfarm.status import PhaseStatus, read_status
from producer.quotas import PROBE
from producer.verify import Finding, verify_run
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground

GIVES_UP = RUN_FILE.replace("enough: 4", "enough: 4, give_up_below: 0.1").replace("samples: 4", "samples: 10")
"""3 probes x 2 variants x 10 samples; ten accepted are four of each probe."""


@pytest.fixture
def hard(ground: Ground) -> Ground:
    """Fifteen of the twenty answers of P1 were rejected."""
    ground.plan(GIVES_UP)
    ground.finish(ground.ids("probe.name = 'P1'")[:15], SHORT_ANSWER)
    return ground


def given_up(ground: Ground) -> dict[str, int]:
    """How many samples of which probes were skipped for that reason."""
    rows = ground.rows(
        """SELECT probe.name, count(*) AS n FROM sample JOIN probe ON probe.id = probe_id
           WHERE state = 'skipped' AND reason = :reason GROUP BY probe.name""",
        reason=GIVEN_UP,
    )
    return {row["name"]: row["n"] for row in rows}


def only_phase(ground: Ground) -> PhaseStatus:
    (phase,) = read_status(ground.database).phases
    return phase


def finding(ground: Ground) -> Finding:
    return next(one for one in verify_run(ground.database, "tiny") if one.name.startswith("probes are given up"))


def test_the_rest_of_a_probe_is_skipped_with_the_reason_and_not_sent(hard: Ground) -> None:
    sent = hard.look()
    assert given_up(hard) == {"P1": 5}
    assert sent
    assert "P1" not in {label.split()[0] for label in hard.queue.labels}
    assert hard.phase_states() == {"first": "open"}


def test_messages_that_were_sent_already_find_nothing_to_do(ground: Ground) -> None:
    ground.plan(GIVES_UP)
    ids = ground.ids("probe.name = 'P1'")
    ground.ledger.send(ids[15:], 1)
    ground.finish(ids[:15], SHORT_ANSWER)
    ground.look()
    assert given_up(ground) == {"P1": 5}
    assert ground.ledger.claim(ids[15], "w", 10.0) is None


def test_what_is_leased_finishes_and_counts(hard: Ground) -> None:
    claim = hard.claim(hard.ids("state = 'pending' AND probe.name = 'P1'")[0])
    hard.look()
    assert given_up(hard) == {"P1": 4}
    hard.ledger.release(claim.sample_id, claim.epoch)
    hard.look()
    assert given_up(hard) == {"P1": 5}


def test_nobody_is_given_up_unless_asked(ground: Ground) -> None:
    ground.plan(GIVES_UP.replace(", give_up_below: 0.1", ""))
    ground.finish(ground.ids("probe.name = 'P1'")[:15], SHORT_ANSWER)
    ground.look()
    assert given_up(ground) == {}


def test_a_probe_that_has_its_share_is_not_given_up(ground: Ground) -> None:
    ground.plan(GIVES_UP)
    ids = ground.ids("probe.name = 'P1'")
    ground.finish(ids[:4])
    ground.finish(ids[4:18], SHORT_ANSWER)
    ground.look()
    assert given_up(ground) == {}


def test_a_limited_run_gives_nobody_up(ground: Ground) -> None:
    """A grid of one sample for each text leaves no probe a chance of four."""
    ground.plan(GIVES_UP, limit=6)
    assert len(ground.look()) == 6
    assert given_up(ground) == {}


def test_no_more_of_a_probe_is_sent_than_may_fail_before_it_is_given_up(ground: Ground) -> None:
    ground.plan(GIVES_UP)
    ids = ground.ids("probe.name = 'P1'")
    ground.finish(ids[:9], SHORT_ANSWER)
    ground.look()
    sent = [sample for sample in ground.queue.ids if sample in ids]
    assert 0 < len(sent) < 11
    ground.finish(sent, SHORT_ANSWER)
    ground.look()
    assert given_up(ground) == {"P1": 11 - len(sent)}


@pytest.mark.parametrize(
    "change",
    [
        {"phases__0__quota__give_up_below": 0.0},
        {"phases__0__quota__give_up_below": 1e-9},
        {"phases__0__samples": 40},
        {"phases__0__gates": [{"min_chars": 5}]},
    ],
)
def test_another_quota_or_gate_or_grid_takes_the_probe_back(hard: Ground, change: dict[str, object]) -> None:
    hard.look()
    hard.plan(**change)
    assert given_up(hard) == {}
    hard.look(**change)
    assert given_up(hard) == {}


def test_a_change_that_helps_nobody_gives_up_again_at_the_next_look(hard: Ground) -> None:
    hard.look()
    hard.plan(phases__0__quota__accepted=11)
    assert given_up(hard) == {}
    hard.look(phases__0__quota__accepted=11)
    assert given_up(hard) == {"P1": 5}


def test_the_same_configuration_again_changes_nothing(hard: Ground) -> None:
    hard.look()
    hard.plan()
    assert given_up(hard) == {"P1": 5}


def test_a_phase_whose_other_probes_bring_enough_is_full(hard: Ground) -> None:
    hard.look()
    for probe in ("P0", "P2"):
        hard.finish(hard.ids(f"state = 'pending' AND probe.name = '{probe}'")[:5])
    hard.look()
    assert hard.phase_states() == {"first": "full"}
    assert given_up(hard) == {"P1": 5}


def test_a_phase_that_ends_short_starves_as_one_that_ran_out_does(ground: Ground) -> None:
    ground.plan(GIVES_UP)
    for probe in ("P0", "P1", "P2"):
        ground.finish(ground.ids(f"probe.name = '{probe}'")[:15], SHORT_ANSWER)
    ground.look()
    assert given_up(ground) == {"P0": 5, "P1": 5, "P2": 5}
    ground.look()
    ground.look()
    assert ground.phase_states() == {"first": PhaseState.EXHAUSTED}
    assert ground.state == RunState.STARVED
    assert ground.balance().adds_up


def test_a_phase_that_ends_short_with_enough_holds_as_one_that_ran_out_does(hard: Ground) -> None:
    hard.finish(hard.ids("state = 'pending' AND probe.name = 'P0'")[:5])
    hard.finish(hard.ids("state = 'pending' AND probe.name = 'P2'")[:15], SHORT_ANSWER)
    for _ in range(3):
        hard.look()
    assert given_up(hard) == {"P1": 5, "P2": 5}
    assert hard.value("SELECT count(*) FROM sample WHERE reason = :reason", reason=PROBE) == 15
    assert hard.state == RunState.HELD


def test_status_and_verify_name_who_was_given_up(hard: Ground) -> None:
    assert (only_phase(hard).given_up, finding(hard).said) == ((), "none is")
    hard.look()
    assert only_phase(hard).given_up == ("P1",)
    assert (finding(hard).holds, finding(hard).said) == (True, "first: P1")


def test_verify_objects_to_a_probe_that_was_given_up_where_the_quota_does_not_say_so(hard: Ground) -> None:
    hard.look()
    phase = json.loads(hard.value("SELECT config FROM phase"))
    phase["quota"]["give_up_below"] = 0.0
    hard.execute("UPDATE phase SET config = :config", config=json.dumps(phase))
    assert (finding(hard).holds, finding(hard).offenders) == (False, ("P1",))
