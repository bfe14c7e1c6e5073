"""How a phase stands, and what close_what_is_full makes of it: counts, caps, states."""

import pytest

from lemfarm.records import Phase, PhaseState
from lemfarm.work import Balance
from producer.quotas import PROBE, QUOTA, close_what_is_full
from producer.standing import Standing, read_standing
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground


@pytest.fixture
def planned(ground: Ground) -> Ground:
    ground.plan()
    return ground


def standing(ground: Ground) -> Standing:
    return read_standing(ground.database, 1)


def close(ground: Ground, **overrides: object) -> PhaseState:
    with ground.database.session() as session:
        phase = session.get_one(Phase, 1)
    return close_what_is_full(ground.ledger, phase, ground.config(**overrides).phases[0], standing(ground))


def test_every_state_is_counted_once(planned: Ground) -> None:
    # Given samples in every state
    ids = planned.ids()
    planned.finish(ids[:3])
    planned.finish(ids[3:5], SHORT_ANSWER)
    planned.fail(ids[5:6])
    planned.claim(ids[6])
    planned.ledger.send(ids[7:9], 1)
    # Then the standing knows them
    found = standing(planned)
    assert sum(cell.accepted for cell in found.cells) == 3
    assert sum(cell.rejected for cell in found.cells) == 2
    assert sum(cell.other for cell in found.cells) == 1
    assert sum(cell.in_flight for cell in found.cells) == 3, "one leased, two sent"
    assert sum(cell.pending for cell in found.cells) == 24 - 9
    assert (found.leased, found.pending) == (1, 24 - 7)


def test_skipped_and_superseded_samples_are_not_in_it(planned: Ground) -> None:
    planned.ledger.skip(1, QUOTA)
    found = standing(planned)
    assert (found.pending, sum(cell.pending for cell in found.cells)) == (0, 0)
    planned.plan(sampling__temperature=0.1)
    assert sum(cell.pending for cell in standing(planned).cells) == 24


def test_evaluation_is_not_in_it(ground: Ground) -> None:
    ground.plan(RUN_FILE + "evaluate: {probes: other.jsonl, held_out: 0.5}\n")
    assert sum(cell.pending for cell in standing(ground).cells) == 24


def test_no_more_of_a_probe_counts_than_its_share(planned: Ground) -> None:
    planned.finish(planned.ids("probe.name = 'P0'")[:7])
    planned.finish(planned.ids("probe.name = 'P1'")[:1])
    quota = planned.phase().quota
    assert standing(planned).accepted(quota) == 5 + 1
    assert len(standing(planned).capped(quota)) == 1
    uncapped = planned.config(phases__0__quota__at_most_per_probe=None).phases[0].quota
    assert (standing(planned).accepted(uncapped), standing(planned).capped(uncapped)) == (8, [])


def test_an_open_phase_stays_open(planned: Ground) -> None:
    assert close(planned) is PhaseState.OPEN
    assert planned.balance().pending == 24


def test_a_probe_with_its_share_is_closed_alone(planned: Ground) -> None:
    planned.finish(planned.ids("probe.name = 'P0'")[:5])
    assert close(planned) is PhaseState.OPEN
    skipped = planned.rows(
        "SELECT DISTINCT probe.name, reason FROM sample JOIN probe ON probe.id = probe_id WHERE state = 'skipped'"
    )
    assert [(row["name"], row["reason"]) for row in skipped] == [("P0", PROBE)]


def test_a_full_phase_is_closed_and_says_so_again(planned: Ground) -> None:
    planned.finish(planned.ids(limit=10))
    assert close(planned) is PhaseState.FULL
    assert planned.balance() == Balance(done=10, accepted=10, skipped=14)
    assert close(planned) is PhaseState.FULL


def test_a_phase_is_exhausted_only_when_nobody_works_on_it(planned: Ground) -> None:
    ids = planned.ids()
    last = planned.claim(ids[0])
    planned.finish(ids[1:], SHORT_ANSWER)
    assert close(planned) is PhaseState.OPEN
    planned.ledger.fail(ids[0], last.epoch, "engine", "broke", retryable=False, retries=0)
    assert close(planned) is PhaseState.EXHAUSTED


def test_a_retry_that_waits_keeps_a_phase_open(planned: Ground) -> None:
    ids = planned.ids()
    last = planned.claim(ids[0])
    planned.finish(ids[1:], SHORT_ANSWER)
    planned.ledger.fail(ids[0], last.epoch, "engine", "broke", retryable=True, retries=1)
    assert close(planned) is PhaseState.OPEN


def test_a_quota_that_does_not_stop_is_full_when_the_grid_is_made(planned: Ground) -> None:
    whole = {"phases__0__quota__stop_when_full": False}
    ids = planned.ids()
    planned.finish(ids[:23])
    assert close(planned, **whole) is PhaseState.OPEN
    assert planned.balance().skipped == 0
    planned.finish(ids[23:])
    assert close(planned, **whole) is PhaseState.FULL
