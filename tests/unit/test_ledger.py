"""The ledger, verb by verb. `tests/integration/test_ledger_postgres.py` runs the same tests on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.records import Outcome, Purpose, SampleState
from lemfarm.work import Balance, Claim, NewVerdict, Planned, ScoredBy
from tests.ledger_world import LONG, OVER, World, make_world, result_of, sqlite_url


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database; the PostgreSQL module replaces this fixture."""
    return sqlite_url(tmp_path)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    made = make_world(url)
    for name in ("w1", "w2"):
        made.worker(name)
    yield made
    made.database.close()


def fail(world: World, claim: Claim, *, retryable: bool = True, retries: int = 3) -> str | None:
    return world.ledger.fail(claim.sample_id, claim.epoch, "engine", "it broke", retryable=retryable, retries=retries)


# ---- planning


def test_planning_again_changes_nothing(world: World) -> None:
    rows = world.rows(5)
    assert world.ledger.plan(world.run, Purpose.DISTIL, rows) == Planned(5, 0, 0)
    assert world.ledger.plan(world.run, Purpose.DISTIL, rows) == Planned(0, 0, 0)


def test_rows_that_leave_the_plan_keep_their_state_and_count_for_nothing(world: World) -> None:
    ids = world.plan(3)
    world.ledger.record(result_of(world.claim(ids[2], "w1"), "w1"))

    assert world.ledger.plan(world.run, Purpose.DISTIL, world.rows(2)) == Planned(0, 1, 0)

    assert world.sample(ids[2])["state"] == SampleState.DONE
    assert world.ledger.balance(world.run, Purpose.DISTIL) == Balance(pending=2, superseded=1)


def test_rows_that_return_to_the_plan_count_again_with_their_result(world: World) -> None:
    ids = world.plan(3)
    world.ledger.record(result_of(world.claim(ids[2], "w1"), "w1"))
    world.ledger.plan(world.run, Purpose.DISTIL, world.rows(2))

    assert world.ledger.plan(world.run, Purpose.DISTIL, world.rows(3)) == Planned(0, 0, 1)

    assert world.ledger.balance(world.run, Purpose.DISTIL) == Balance(pending=2, done=1, accepted=1)


def test_planning_one_purpose_leaves_the_other_alone(world: World) -> None:
    world.plan(3)
    world.plan(2, Purpose.EVALUATE)
    world.plan(1, Purpose.EVALUATE)
    assert world.ledger.balance(world.run, Purpose.DISTIL).pending == 3
    assert world.ledger.balance(world.run, Purpose.EVALUATE) == Balance(pending=1, superseded=1)


def test_a_superseded_sample_is_not_claimed_and_one_in_flight_is_still_stored(world: World) -> None:
    first, second = world.plan(2)
    claim = world.claim(first, "w1")
    world.plan(0)

    assert world.ledger.claim(second, "w1", LONG) is None
    assert world.ledger.renew("w1", [first], LONG) == {first: 1}
    assert world.ledger.record(result_of(claim, "w1"))


def test_only_pending_samples_are_noted_as_sent_and_lost_messages_are_forgotten(world: World) -> None:
    ids = world.plan(3)
    world.claim(ids[0], "w1")
    assert world.ledger.send(ids, wave=7) == 2
    assert [world.sample(one)["wave"] for one in ids] == [None, 7, 7]
    assert world.ledger.forget_messages(world.run) == 2
    assert world.sample(ids[1])["wave"] is None


# ---- claims


def test_a_claim_carries_what_is_needed_to_generate(world: World) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1")
    row = world.rows(1)[0]
    assert (claim.sample_id, claim.epoch, claim.run_id, claim.phase_id) == (sample, 1, world.run, world.phase)
    assert (claim.purpose, claim.variant_id, claim.sample_index) == (Purpose.DISTIL, "P0v0", 0)
    assert (claim.kernel_hash, claim.adapter_id, claim.placement) == (None, None, "none")
    assert (claim.sampling, claim.seed, claim.must_run_alone) == (row.sampling, row.seed, False)


def test_a_sample_is_claimed_once(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1")
    assert world.ledger.claim(sample, "w2", LONG) is None
    assert world.sample(sample)["owner"] == "w1"


def test_an_unknown_sample_is_not_claimed(world: World) -> None:
    assert world.ledger.claim("no such id", "w1", LONG) is None


@pytest.mark.parametrize("state", ["paused", "cancelled", "done", "stopped", "starved", "held"])
def test_nothing_is_claimed_in_a_run_that_is_not_active(world: World, state: str) -> None:
    (sample,) = world.plan(1)
    world.set_run(state)
    assert world.ledger.claim(sample, "w1", LONG) is None


def test_a_lease_that_ran_out_is_not_stolen_by_a_claim(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1", OVER)
    assert world.ledger.claim(sample, "w2", LONG) is None


def test_every_claim_has_a_higher_epoch_and_a_record_of_its_own(world: World) -> None:
    (sample,) = world.plan(1)
    for epoch in (1, 2, 3):
        claim = world.claim(sample, "w1")
        assert claim.epoch == epoch
        assert world.ledger.release(sample, epoch)
    assert world.endings(sample) == ["released"] * 3


# ---- renewals


def test_a_renewal_names_the_leases_that_are_still_held(world: World) -> None:
    mine, reaped, others = world.plan(3)
    world.claim(mine, "w1")
    world.claim(reaped, "w1", OVER)
    world.claim(others, "w2")
    world.ledger.reap(world.ledger.expired())
    assert world.ledger.renew("w1", [mine, reaped, others], LONG) == {mine: 1}


def test_a_renewal_extends_a_lease_that_ran_out_but_was_not_taken_back(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1", OVER)
    assert world.ledger.renew("w1", [sample], LONG) == {sample: 1}
    assert world.ledger.expired() == []


def test_a_lease_that_nobody_has_in_hand_is_not_renewed(world: World) -> None:
    """A claim whose answer was lost on the way must not live as long as its worker."""
    held, forgotten = world.plan(2)
    world.claim(held, "w1", OVER)
    world.claim(forgotten, "w1", OVER)
    assert world.ledger.renew("w1", [held], LONG) == {held: 1}
    assert [sighting.sample_id for sighting in world.ledger.expired()] == [forgotten]


def test_renewing_nothing_is_no_error(world: World) -> None:
    assert world.ledger.renew("w1", [], LONG) == {}


def test_a_cancelled_run_tells_its_workers_at_the_next_renewal(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1")
    world.set_run("cancelled")
    assert world.ledger.renew("w1", [sample], LONG) == {}


def test_a_renewal_after_the_sample_was_claimed_by_another_changes_nothing(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1", OVER)
    world.ledger.reap(world.ledger.expired())
    world.claim(sample, "w2", OVER)
    assert world.ledger.renew("w1", [sample], LONG) == {}
    assert len(world.ledger.expired()) == 1


# ---- results


def test_a_result_is_stored_with_text_scores_verdict_and_the_record_of_its_generation(world: World) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1")

    assert world.ledger.record(result_of(claim, "w1", content="It is a name."))

    row = world.sample(sample)
    assert (row["state"], row["outcome"], row["owner"], row["lease_expires"]) == ("done", "accepted", "w1", 0)
    assert row["finished"] > 1.5e9
    (answer,) = world.query("SELECT * FROM text WHERE sample_id = :id", id=sample)
    assert (answer["content"], bytes(answer["token_ids"]), answer["revision"]) == ("It is a name.", b"\x01\x02", 0)
    (score,) = world.query("SELECT * FROM score WHERE text_id = :id", id=answer["id"])
    assert (score["scorer"], score["version"], score["value"]) == ("v2", "1", 21.5)
    (verdict,) = world.query("SELECT * FROM verdict WHERE sample_id = :id", id=sample)
    assert (verdict["outcome"], verdict["gate_hash"], verdict["text_id"]) == ("accepted", "b2:gates", answer["id"])
    assert world.endings(sample) == ["done"]


def test_a_second_result_is_dropped_and_the_first_stays(world: World) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1")
    assert world.ledger.record(result_of(claim, "w1", content="first"))
    assert not world.ledger.record(result_of(claim, "w1", "rejected", content="second"))
    assert [row["content"] for row in world.query("SELECT content FROM text")] == ["first"]
    assert world.sample(sample)["outcome"] == Outcome.ACCEPTED


def test_the_same_result_twice_leaves_its_attempt_done(world: World) -> None:
    """As after a kill between storing it and removing it from the spool."""
    (sample,) = world.plan(1)
    result = result_of(world.claim(sample, "w1"), "w1")
    world.ledger.record(result)
    world.ledger.record(result)
    assert world.endings(sample) == ["done"]


def test_a_late_result_is_accepted_while_another_worker_generates(world: World) -> None:
    (sample,) = world.plan(1)
    early = world.claim(sample, "w1", OVER)
    world.ledger.reap(world.ledger.expired())
    late = world.claim(sample, "w2")

    assert world.ledger.record(result_of(early, "w1", content="early"))
    assert world.endings(sample) == ["done", "dropped"]
    assert world.ledger.renew("w2", [sample], LONG) == {}
    assert not world.ledger.release(sample, late.epoch)
    assert not world.ledger.record(result_of(late, "w2", content="late"))

    assert world.endings(sample) == ["done", "dropped"]
    assert [row["content"] for row in world.query("SELECT content FROM text")] == ["early"]


@pytest.mark.parametrize("state", ["pending", "failed", "skipped"])
def test_a_result_is_accepted_whatever_became_of_the_sample(world: World, state: str) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1", OVER)
    if state == "failed":
        fail(world, claim, retryable=False)
    else:
        world.ledger.reap(world.ledger.expired())
    if state == "skipped":
        world.ledger.skip(world.phase, "quota full")
    assert world.sample(sample)["state"] == state

    assert world.ledger.record(result_of(claim, "w1"))

    row = world.sample(sample)
    assert (row["state"], row["error_class"], row["reason"]) == ("done", None, "passed every gate")


def test_a_done_sample_is_never_claimed_again(world: World) -> None:
    (sample,) = world.plan(1)
    world.ledger.record(result_of(world.claim(sample, "w1"), "w1"))
    assert world.ledger.claim(sample, "w2", LONG) is None


def test_a_score_is_stored_once_for_each_scorer_and_version(world: World) -> None:
    (sample,) = world.plan(1)
    world.ledger.record(result_of(world.claim(sample, "w1"), "w1"))
    text_id = world.query("SELECT id FROM text")[0]["id"]
    with world.database.write() as connection:
        scores = [ScoredBy("v2", "1", 99.0, {}), ScoredBy("v2", "2", 22.0, {})]
        world.ledger.add_scores(connection, [(text_id, score) for score in scores])
    assert [row["value"] for row in world.query("SELECT value FROM score ORDER BY version")] == [21.5, 22.0]


def test_a_new_verdict_replaces_the_outcome_and_keeps_the_old_one_as_history(world: World) -> None:
    (sample,) = world.plan(1)
    world.ledger.record(result_of(world.claim(sample, "w1"), "w1"))
    text_id = world.query("SELECT id FROM text")[0]["id"]
    stricter = NewVerdict(sample, text_id, "b2:stricter", "rejected", "v2 21.5 < 24.0")
    with world.database.write() as connection:
        world.ledger.judge(connection, [stricter], [(text_id, ScoredBy("tier1", "1", 2.0, {}))])
    assert (world.sample(sample)["outcome"], world.sample(sample)["state"]) == ("rejected", "done")
    assert [row["outcome"] for row in world.query("SELECT outcome FROM verdict ORDER BY id")] == [
        "accepted",
        "rejected",
    ]
    assert [row["scorer"] for row in world.query("SELECT scorer FROM score ORDER BY id")] == ["v2", "tier1"]


def test_a_verdict_on_a_sample_that_is_not_done_changes_nothing_of_it(world: World) -> None:
    done, pending = world.plan(2)
    world.ledger.record(result_of(world.claim(done, "w1"), "w1"))
    text_id = world.query("SELECT id FROM text")[0]["id"]
    with world.database.write() as connection:
        world.ledger.judge(connection, [NewVerdict(pending, text_id, "b2:stricter", "rejected", "too short")])
    assert (world.sample(pending)["state"], world.sample(pending)["outcome"]) == ("pending", None)


# ---- failures


def test_a_failed_attempt_goes_back_and_waits_longer_each_time(world: World) -> None:
    (sample,) = world.plan(1)
    waits = []
    for _ in range(3):
        claim = world.claim(sample, "w1")
        assert fail(world, claim) == "pending"
        waits.append(world.sample(sample)["not_before"] - world.database.clock())
        assert world.ledger.claim(sample, "w1", LONG) is None, "it waits"
        world.now(sample)
    assert waits == pytest.approx([2, 4, 6], abs=1.5)
    assert waits == sorted(waits)


def test_a_sample_fails_when_its_retries_are_spent(world: World) -> None:
    (sample,) = world.plan(1)
    states = []
    for _ in range(3):
        states.append(fail(world, world.claim(sample, "w1"), retries=2))
        world.now(sample)
    assert states == ["pending", "pending", "failed"]
    row = world.sample(sample)
    assert (row["error_class"], row["reason"], row["failures"]) == ("engine", "it broke", 3)
    assert world.ledger.claim(sample, "w1", LONG) is None
    (attempt,) = world.query("SELECT error FROM attempt WHERE sample_id = :id AND epoch = 3", id=sample)
    assert attempt["error"] == "engine: it broke"


def test_what_retrying_cannot_mend_fails_at_once(world: World) -> None:
    (sample,) = world.plan(1)
    assert fail(world, world.claim(sample, "w1"), retryable=False) == "failed"


def test_a_late_failure_changes_nothing(world: World) -> None:
    (sample,) = world.plan(1)
    early = world.claim(sample, "w1", OVER)
    world.ledger.reap(world.ledger.expired())
    world.claim(sample, "w2")
    assert fail(world, early) is None
    row = world.sample(sample)
    assert (row["state"], row["owner"], row["failures"]) == ("leased", "w2", 0)


def test_a_failure_in_a_cancelled_run_is_skipped_so_that_resuming_finds_it(world: World) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1")
    world.set_run("cancelled")
    assert fail(world, claim) == "skipped"
    assert world.ledger.unskip(world.run, "cancelled") == 1
    assert world.sample(sample)["state"] == "pending"


def test_requeueing_gives_failed_samples_a_fresh_budget(world: World) -> None:
    failed, waiting = world.plan(2)
    fail(world, world.claim(failed, "w1"), retryable=False)
    assert world.ledger.requeue_failed(world.run) == 1
    row = world.sample(failed)
    assert (row["state"], row["failures"], row["deaths"], row["error_class"], row["reason"]) == (
        "pending",
        0,
        0,
        None,
        "",
    )
    assert world.claim(failed, "w2").epoch == 2
    assert world.sample(waiting)["state"] == "pending"


# ---- release, reap


def test_a_release_spends_no_retry(world: World) -> None:
    (sample,) = world.plan(1)
    assert world.ledger.release(sample, world.claim(sample, "w1").epoch)
    row = world.sample(sample)
    assert (row["state"], row["owner"], row["failures"], row["not_before"]) == ("pending", None, 0, 0)


def test_a_late_release_changes_nothing(world: World) -> None:
    (sample,) = world.plan(1)
    early = world.claim(sample, "w1", OVER)
    world.ledger.reap(world.ledger.expired())
    world.claim(sample, "w2")
    assert not world.ledger.release(sample, early.epoch)
    assert world.endings(sample) == ["reaped", ""]


def test_only_leases_that_ran_out_are_seen(world: World) -> None:
    over, running, _ = world.plan(3)
    world.claim(over, "w1", OVER)
    world.claim(running, "w1")
    (sighting,) = world.ledger.expired()
    assert (sighting.sample_id, sighting.epoch) == (over, 1)


def test_an_expired_lease_is_taken_back_without_spending_a_retry(world: World) -> None:
    (sample,) = world.plan(1)
    world.ledger.send([sample], wave=1)
    world.claim(sample, "w1", OVER)
    assert world.ledger.reap(world.ledger.expired()) == 1
    row = world.sample(sample)
    assert (row["state"], row["failures"], row["deaths"], row["wave"]) == ("pending", 0, 0, None)
    assert world.endings(sample) == ["reaped"]


def test_a_renewal_saves_a_lease_from_a_reaper_that_saw_it_expired(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1", OVER)
    seen = world.ledger.expired()
    world.ledger.renew("w1", [sample], LONG)
    assert world.ledger.reap(seen) == 0
    assert world.sample(sample)["state"] == "leased"


def test_a_sighting_does_not_take_a_later_claim(world: World) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1", OVER)
    seen = world.ledger.expired()
    world.ledger.release(sample, claim.epoch)
    world.claim(sample, "w2", OVER)
    assert world.ledger.reap(seen) == 0


# ---- deaths


def test_a_death_takes_back_what_the_worker_held_and_counts_against_it(world: World) -> None:
    first, second, others = world.plan(3)
    world.claim(first, "w1")
    world.claim(second, "w1")
    world.claim(others, "w2")

    assert world.ledger.bury("w1", rebooted=False) == 2

    assert [world.sample(one)["deaths"] for one in (first, second, others)] == [1, 1, 0]
    assert [world.sample(one)["state"] for one in (first, second, others)] == ["pending", "pending", "leased"]
    assert world.endings(first) == ["died"]
    assert world.query("SELECT state FROM worker WHERE id = 'w1'")[0]["state"] == "died"


def test_a_worker_is_buried_once(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1")
    assert world.ledger.bury("w1", rebooted=False) == 1
    assert world.ledger.bury("w1", rebooted=False) == 0
    assert world.sample(sample)["deaths"] == 1


def test_a_reboot_counts_against_nobody(world: World) -> None:
    (sample,) = world.plan(1)
    world.claim(sample, "w1")
    world.ledger.begin_alone(sample, 1)
    assert world.ledger.bury("w1", rebooted=True) == 1
    row = world.sample(sample)
    assert (row["state"], row["deaths"], row["failures"]) == ("pending", 0, 0)


def die_with(world: World, sample: str, name: str, *, alone: bool = False) -> Claim:
    claim = world.claim(sample, world.worker(name))
    if alone:
        world.ledger.begin_alone(sample, claim.epoch)
    world.ledger.bury(name, rebooted=False)
    return claim


def test_after_two_deaths_a_sample_runs_alone_and_a_death_in_company_does_not_condemn_it(world: World) -> None:
    (sample,) = world.plan(1)
    assert not die_with(world, sample, "d1").must_run_alone
    assert not die_with(world, sample, "d2").must_run_alone
    assert die_with(world, sample, "d3").must_run_alone
    assert world.sample(sample)["state"] == "pending"


def test_only_a_death_alone_quarantines_a_sample(world: World) -> None:
    killer, bystander = world.plan(2)
    for number in range(2):
        die_with(world, killer, f"d{number}")
    claim = world.claim(killer, world.worker("last"))
    world.claim(bystander, "last")
    world.ledger.begin_alone(killer, claim.epoch)

    world.ledger.bury("last", rebooted=False)

    row = world.sample(killer)
    assert (row["state"], row["error_class"], row["deaths"], row["failures"]) == ("failed", "killer", 3, 0)
    assert "alone" in row["reason"]
    assert world.sample(bystander)["state"] == "pending"


def test_having_been_alone_once_does_not_count_for_a_later_claim(world: World) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1")
    world.ledger.begin_alone(sample, claim.epoch)
    world.ledger.release(sample, claim.epoch)
    die_with(world, sample, "d1")
    assert world.sample(sample)["state"] == "pending"


def test_a_late_result_takes_a_sample_out_of_quarantine(world: World) -> None:
    (sample,) = world.plan(1)
    claim = die_with(world, sample, "d1", alone=True)
    assert world.sample(sample)["error_class"] == "killer"
    assert world.ledger.record(result_of(claim, "d1"))
    row = world.sample(sample)
    assert (row["state"], row["error_class"]) == ("done", None)
    assert world.endings(sample) == ["done"]


# ---- what is wanted


def test_skipping_sets_aside_pending_distil_samples_only(world: World) -> None:
    pending, leased, done = world.plan(3)
    (evaluated,) = world.plan(1, Purpose.EVALUATE)
    world.claim(leased, "w1")
    world.ledger.record(result_of(world.claim(done, "w1"), "w1"))

    assert world.ledger.skip(world.phase, "quota full") == 1

    states = [world.sample(one)["state"] for one in (pending, leased, done, evaluated)]
    assert states == ["skipped", "leased", "done", "pending"]


def test_skipping_one_probe_leaves_the_others(world: World) -> None:
    world.ledger.plan(world.run, Purpose.DISTIL, world.rows(2, probe="P0") + world.rows(3, probe="P1"))
    assert world.ledger.skip(world.phase, "probe has its share", probe_id="P1") == 3
    assert world.ledger.balance(world.run, Purpose.DISTIL) == Balance(pending=2, skipped=3)


def test_unskipping_wants_again_what_was_skipped_for_that_reason(world: World) -> None:
    world.ledger.plan(world.run, Purpose.DISTIL, world.rows(2, probe="P0") + world.rows(3, probe="P1"))
    world.ledger.skip(world.phase, "probe has its share", probe_id="P1")
    world.ledger.skip(world.phase, "quota full")
    assert world.ledger.unskip(world.run, "quota full", phase_id=world.phase) == 2
    assert world.ledger.unskip(world.run, "quota full", phase_id=world.phase + 1) == 0
    assert world.ledger.balance(world.run, Purpose.DISTIL) == Balance(pending=2, skipped=3)


def test_a_skipped_sample_is_not_claimed(world: World) -> None:
    (sample,) = world.plan(1)
    world.ledger.skip(world.phase, "quota full")
    assert world.ledger.claim(sample, "w1", LONG) is None


def test_cancelling_skips_pending_samples_of_both_purposes_and_resuming_brings_them_back(world: World) -> None:
    world.plan(2)
    world.plan(1, Purpose.EVALUATE)
    assert world.ledger.cancel(world.run) == 3
    assert world.ledger.unskip(world.run, "cancelled") == 3
    assert world.ledger.balance(world.run, Purpose.EVALUATE) == Balance(pending=1)


@pytest.mark.parametrize("way", ["release", "reap", "bury"])
def test_what_comes_back_to_a_cancelled_run_is_skipped(world: World, way: str) -> None:
    (sample,) = world.plan(1)
    claim = world.claim(sample, "w1", OVER)
    world.set_run("cancelled")
    if way == "release":
        world.ledger.release(sample, claim.epoch)
    elif way == "reap":
        world.ledger.reap(world.ledger.expired())
    else:
        world.ledger.bury("w1", rebooted=True)
    assert (world.sample(sample)["state"], world.sample(sample)["reason"]) == ("skipped", "cancelled")
    world.set_run("active")
    assert world.ledger.unskip(world.run, "cancelled") == 1


# ---- the balance


def test_the_balance_adds_up(world: World) -> None:
    ids = world.plan(7)
    for sample, outcome in zip(ids, Outcome, strict=False):
        world.ledger.record(result_of(world.claim(sample, "w1"), "w1", outcome))
    world.claim(ids[3], "w1")
    fail(world, world.claim(ids[4], "w1"), retryable=False)
    world.plan(6)

    balance = world.ledger.balance(world.run, Purpose.DISTIL)

    assert balance == Balance(
        pending=1, leased=1, done=3, failed=1, accepted=1, rejected=1, held=1, superseded=1
    )  # fmt: skip
    assert (balance.planned, balance.adds_up) == (6, True)
    assert world.ledger.balance(world.run, Purpose.DISTIL, phase_id=world.phase) == balance
    assert world.ledger.balance(world.run, Purpose.DISTIL, phase_id=world.phase + 1) == Balance()


def test_a_balance_without_an_outcome_for_a_done_sample_does_not_add_up() -> None:
    assert not Balance(done=2, accepted=1).adds_up
