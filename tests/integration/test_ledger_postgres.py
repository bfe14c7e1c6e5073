"""The tests of the ledger once more, on PostgreSQL; and what only a server with several writers can show."""

import threading
from collections.abc import Callable

import pytest

from lemfarm.work import Balance, Claim
from tests.ledger_world import LONG, OVER, World, result_of
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401
from tests.unit.test_ledger import *  # noqa: F403  every test, with the fixture below


@pytest.fixture
def url(postgres_url: str) -> str:  # type: ignore[no-redef,unused-ignore]  # noqa: F811
    """In place of the SQLite of the unit tests."""
    return postgres_url


def together(*actions: Callable[[], object]) -> list[object]:
    """Run the actions at once; returns what they returned. An exception of any fails the test."""
    results: list[object] = [None] * len(actions)
    errors: list[BaseException] = []
    gate = threading.Barrier(len(actions))

    def act(index: int) -> None:
        try:
            gate.wait()
            results[index] = actions[index]()
        except BaseException as error:  # noqa: BLE001  shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=act, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return results


def test_of_several_claims_at_once_one_wins(world: World) -> None:
    for sample in world.plan(10):
        claims = together(*[lambda s=sample: world.ledger.claim(s, "w1", LONG) for _ in range(4)])  # type: ignore[misc]
        assert sum(claim is not None for claim in claims) == 1


def test_of_two_results_at_once_one_is_stored(world: World) -> None:
    for number, sample in enumerate(world.plan(10)):
        early = world.claim(sample, "w1", OVER)
        world.ledger.reap(world.ledger.expired())
        late = world.claim(sample, "w2")
        stored = together(
            lambda early=early: world.ledger.record(result_of(early, "w1")),  # type: ignore[misc]
            lambda late=late: world.ledger.record(result_of(late, "w2")),  # type: ignore[misc]
        )
        assert sorted(stored) == [False, True]  # type: ignore[type-var]
        assert len(world.query("SELECT id FROM text")) == number + 1


def test_a_reap_and_a_renewal_at_once_leave_one_of_both(world: World) -> None:
    for sample in world.plan(10):
        world.claim(sample, "w1", OVER)
        seen = world.ledger.expired()
        reaped, renewed = together(
            lambda seen=seen: world.ledger.reap(seen),  # type: ignore[misc]
            lambda sample=sample: world.ledger.renew("w1", [sample], LONG),  # type: ignore[misc]
        )
        assert (reaped, renewed) in ((1, {}), (0, {sample: 1}))


def test_two_plans_at_once_make_one_set_of_rows(world: World) -> None:
    rows = world.rows(200)
    together(*[lambda: world.ledger.plan(world.run, "distil", rows) for _ in range(3)])
    assert world.ledger.balance(world.run, "distil") == Balance(pending=200)


def test_a_claim_and_a_skip_at_once_leave_one_of_both(world: World) -> None:
    for sample in world.plan(10):
        claim, _ = together(
            lambda sample=sample: world.ledger.claim(sample, "w1", LONG),  # type: ignore[misc]
            lambda: world.ledger.skip(world.phase, "quota full"),
        )
        state = world.sample(sample)["state"]
        assert state == ("leased" if isinstance(claim, Claim) else "skipped")
        world.ledger.unskip(world.run, "quota full")
