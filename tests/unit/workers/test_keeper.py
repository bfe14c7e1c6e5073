"""The keeper's duties, one by one: leases, the worker row, the spool, orders; none waits for another's error."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lemfarm import workforce
from lemfarm.engines.base import Completion, FinishReason
from lemfarm.errors import DatabaseDown, InputError, NotFound
from lemfarm.records import WorkerState
from lemfarm.work import Claim, Result
from tests.ground import GOOD_ANSWER, Ground
from workers import keeper as module
from workers.host import Identity, beat, register
from workers.keeper import Keeper, TokenRate
from workers.leases import Leases
from workers.library import Library
from workers.results import make_result
from workers.shutdown import RELOAD, Shutdown
from workers.spool import Spool

PATIENCE = 60.0


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan()
    yield made
    made.database.close()


@pytest.fixture
def keeper(ground: Ground) -> Iterator[Keeper]:
    spool = Spool(ground.home.spool, "w")
    made = Keeper("w", ground.database, ground.ledger, Leases(), spool, TokenRate(), Shutdown(), lease_seconds=90.0)
    yield made
    made.close()
    spool.close()


def once(keeper: Keeper) -> None:
    """One round of all duties: the last one before it ends."""
    keeper._closed.set()
    keeper.start()
    keeper.close()
    keeper._closed.clear()
    keeper._thread = None


def result_for(ground: Ground, claim: Claim) -> Result:
    library = Library(ground.database, ground.home)
    completion = Completion(GOOD_ANSWER, FinishReason.STOP)
    return make_result(claim, "w", library.wording(claim.variant_id), completion, library.rules(claim.phase_id))


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# ---- leases


def test_all_leases_in_hand_are_renewed(ground: Ground, keeper: Keeper) -> None:
    claims = [ground.claim(sample, lease=-1.0) for sample in ground.ids(limit=2)]
    for claim in claims:
        keeper.leases.hold(claim.sample_id, claim.epoch)
    assert len(ground.ledger.expired()) == 2
    once(keeper)
    assert ground.ledger.expired() == []
    assert not any(keeper.leases.is_lost(claim.sample_id) for claim in claims)


def test_a_claim_that_was_taken_back_is_lost(ground: Ground, keeper: Keeper) -> None:
    claim = ground.claim(ground.ids()[0])
    keeper.leases.hold(claim.sample_id, claim.epoch)
    ground.ledger.release(claim.sample_id, claim.epoch)
    once(keeper)
    assert keeper.leases.is_lost(claim.sample_id)


def test_samples_of_a_cancelled_run_are_lost(ground: Ground, keeper: Keeper) -> None:
    claim = ground.claim(ground.ids()[0])
    keeper.leases.hold(claim.sample_id, claim.epoch)
    ground.execute("UPDATE run SET state = 'cancelled'")
    once(keeper)
    assert keeper.leases.is_lost(claim.sample_id)


def test_a_result_in_the_spool_keeps_its_lease(ground: Ground, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be generated a second time while it waits for the database."""
    claim = ground.claim(ground.ids()[0], lease=-1.0)
    keeper.spool.write(result_for(ground, claim))

    def away(*_: object) -> bool:
        raise DatabaseDown("away for writing results")

    monkeypatch.setattr(keeper.ledger, "record", away)
    once(keeper)
    assert ground.ledger.expired() == []
    assert len(keeper.spool.waiting()) == 1


# ---- the spool


def test_what_lies_in_the_spool_is_stored(ground: Ground, keeper: Keeper) -> None:
    claim = ground.claim(ground.ids()[0])
    keeper.spool.write(result_for(ground, claim))
    once(keeper)
    assert ground.balance().accepted == 1
    assert keeper.spool.waiting() == []


def test_what_a_task_is_about_to_store_is_left_to_it(ground: Ground, keeper: Keeper) -> None:
    claim = ground.claim(ground.ids()[0])
    keeper.leases.hold(claim.sample_id, claim.epoch)
    path = keeper.spool.write(result_for(ground, claim))
    once(keeper)
    assert path.exists()
    assert ground.balance().done == 0


def test_what_a_dead_worker_left_is_stored_and_its_folder_removed(ground: Ground, keeper: Keeper) -> None:
    claim = ground.claim(ground.ids()[0])
    dead = Spool(ground.home.spool, "dead")
    dead.write(result_for(ground, claim))
    dead.close()
    once(keeper)
    assert ground.balance().done == 1
    assert not dead.folder.exists()


def test_a_result_that_was_there_already_is_dropped(ground: Ground, keeper: Keeper) -> None:
    claim = ground.claim(ground.ids()[0])
    result = result_for(ground, claim)
    ground.ledger.record(result)
    keeper.spool.write(replace(result, content="another answer of the same sample"))
    once(keeper)
    assert ground.rows("SELECT content FROM text") == [{"content": GOOD_ANSWER}]
    assert keeper.spool.waiting() == []


def test_a_result_that_no_database_takes_is_set_aside_and_the_others_stored(ground: Ground, keeper: Keeper) -> None:
    good, bad = (ground.claim(sample) for sample in ground.ids(limit=2))
    wrong = keeper.spool.write(replace(result_for(ground, bad), outcome=None))  # type: ignore[arg-type]
    keeper.spool.write(result_for(ground, good))
    once(keeper)
    assert ground.balance().done == 1
    assert wrong.with_suffix(".broken").exists()


# ---- the worker row, and orders


def test_the_row_says_how_busy_the_worker_is(ground: Ground, keeper: Keeper) -> None:
    for sample in ground.ids(limit=3):
        keeper.leases.hold(sample, 1)
    keeper.rate.add(120)
    once(keeper)
    row = ground.rows("SELECT in_flight, tokens_per_second, last_seen FROM worker")[0]
    assert (row["in_flight"], row["tokens_per_second"] > 0, row["last_seen"] > 0) == (3, True, True)


def test_a_drain_is_heard_once_the_worker_is_not_ending_anyway(ground: Ground, keeper: Keeper) -> None:
    heard: list[str] = []
    keeper.on_drain = lambda: heard.append("drain")
    once(keeper)
    assert heard == []
    assert workforce.drain(ground.database, "w") == 1
    once(keeper)
    assert heard == ["drain"]
    keeper.shutdown.begin(0.0)
    once(keeper)
    assert heard == ["drain"]


def test_a_worker_that_is_not_wanted_any_more_drains(keeper: Keeper) -> None:
    heard: list[str] = []
    keeper.on_drain = lambda: heard.append("drain")
    keeper.is_wanted = lambda: False
    once(keeper)
    assert heard == ["drain"]


def test_one_duty_that_fails_keeps_none_of_the_others_from_its_turn(
    ground: Ground, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("nobody expected this")

    keeper.renew_training = broken
    once(keeper)
    assert ground.value("SELECT last_seen FROM worker") > 0


def test_it_goes_on_round_after_round_until_it_is_closed(
    ground: Ground, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = threading.Semaphore(0)
    keeper.renew_training = rounds.release
    monkeypatch.setattr(module, "LONGEST_PAUSE_SECONDS", 0.01)
    keeper.start()
    assert all(rounds.acquire(timeout=PATIENCE) for _ in range(3))
    keeper.close()
    assert keeper._thread is not None and not keeper._thread.is_alive()


# ---- the row's life


def test_a_new_process_of_a_name_buries_the_one_before(ground: Ground) -> None:
    # Given a process that held a sample and did not say goodbye
    before, after = (Identity(f"id-{number}", "mac-1", "host", 1, "boot", "home") for number in (1, 2))
    register(ground.database, before)
    sample = ground.ids()[0]
    assert ground.ledger.claim(sample, before.id, 1000.0)
    # When the next one of its name registers, then the sample is free, and the death is counted
    register(ground.database, after)
    assert ground.rows("SELECT state, deaths FROM sample WHERE id = :id", id=sample) == [
        {"state": "pending", "deaths": 1}
    ]
    assert ground.value("SELECT state FROM worker WHERE id = 'id-1'") == WorkerState.DIED


def test_a_reboot_blames_no_sample(ground: Ground) -> None:
    before = Identity("id-1", "mac-1", "host", 1, "boot", "home")
    register(ground.database, before)
    assert ground.ledger.claim(ground.ids()[0], before.id, 1000.0)
    register(ground.database, replace(before, id="id-2", boot_id="after the reboot"))
    assert ground.value("SELECT max(deaths) FROM sample") == 0
    assert ground.balance().pending == 24


def test_workers_of_another_home_are_none_of_our_business(ground: Ground) -> None:
    register(ground.database, Identity("id-1", "mac-1", "host", 1, "boot", "home"))
    register(ground.database, Identity("id-2", "mac-1", "host", 1, "boot", "other home"))
    assert ground.value("SELECT state FROM worker WHERE id = 'id-1'") == WorkerState.STARTING


def test_forget_takes_back_from_the_lost_and_refuses_the_living(ground: Ground) -> None:
    ground.claim(ground.ids()[0])
    beat(ground.database, "w", in_flight=1, tokens_per_second=0.0)
    with pytest.raises(InputError, match="drain it instead"):
        workforce.forget(ground.database, "w")
    ground.execute("UPDATE worker SET last_seen = 5.0")
    assert workforce.forget(ground.database, "w") == 1
    assert ground.value("SELECT max(deaths) FROM sample") == 0, "a person gave it up: no sample is blamed"
    with pytest.raises(NotFound, match="'w'"):
        workforce.forget(ground.database, "w")
    with pytest.raises(NotFound, match="lemfarm workers list"):
        workforce.drain(ground.database, "w")


# ---- how a worker is asked to end


def test_a_grace_and_then_at_once() -> None:
    shutdown = Shutdown()
    assert (shutdown.asked, shutdown.now, shutdown.wait(0.0)) == (False, False, False)
    shutdown.begin(1000.0)
    assert (shutdown.asked, shutdown.now, shutdown.wait(1000.0)) == (True, False, True)
    shutdown.begin(0.0)
    assert shutdown.now
    shutdown.begin(1000.0)
    assert shutdown.now, "a second, longer grace does not take back a shorter one"


def test_the_first_reason_to_end_decides_the_exit_code() -> None:
    shutdown = Shutdown()
    shutdown.begin(0.0, exit_code=RELOAD)
    shutdown.begin(0.0)
    assert shutdown.exit_code == RELOAD


def test_the_rate_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    rate = TokenRate(_began=0.0)
    rate.add(30)
    now = 30.0
    assert rate.per_second() == 1.0
    now = 60.0
    assert rate.per_second() == 0.5
    now = 61.0
    assert rate.per_second() == 0.0
