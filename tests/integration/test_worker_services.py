"""A worker and the services around it: stock Celery tools, a database that goes away, what a dead worker left."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lemfarm import valkey
from lemfarm.broker import GENERATE_TASK, TRAIN_TASK, generate_queue
from tests.farm import Farm
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401


def test_stock_celery_inspect_sees_workers_tasks_and_queues(tmp_path: Path) -> None:
    """Also while all threads are busy: heartbeats and control live beside the engine."""
    with Farm(tmp_path, speed=0.5, probes=5) as farm:
        farm.plan()
        for worker in farm.start_workers():
            farm.wait_busy(worker, 8)
        inspect = farm.app.control.inspect(timeout=30.0, limit=2)  # it ends with the second answer

        def by_worker(answer: dict[str, Any] | None) -> dict[str, Any]:
            return {name.split("@")[0]: said for name, said in (answer or {}).items()}

        assert by_worker(inspect.ping()) == {"w1": {"ok": "pong"}, "w2": {"ok": "pong"}}
        active = by_worker(inspect.active())
        for worker in farm.workers.values():
            tasks = active[worker.name]
            assert {task["args"][0] for task in tasks} == farm.held_by(worker)
            assert {task["type"] for task in tasks} == {GENERATE_TASK}
        registered = by_worker(inspect.registered())
        assert set(registered["w1"]) == {GENERATE_TASK, TRAIN_TASK}
        queues = by_worker(inspect.active_queues())
        assert generate_queue("simulated") in {queue["name"] for queue in queues["w1"]}


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Farm]:  # noqa: F811
    """Twenty samples on PostgreSQL, slow enough to be in the making when something happens."""
    with Farm(tmp_path, postgres_url, speed=100.0, probes=2) as farm:
        farm.plan()
        yield farm


@contextlib.contextmanager
def outage(postgres: PostgresServer) -> Iterator[None]:  # noqa: F811
    """Stop the server for a while."""
    if not postgres.stoppable:
        pytest.skip("the server named by the environment is not ours to stop")
    postgres.stop("fast")
    try:
        yield
    finally:
        postgres.start()


def test_results_wait_in_the_spool_while_the_database_is_away(
    on_postgres: Farm,
    postgres: PostgresServer,  # noqa: F811
) -> None:
    farm = on_postgres
    (worker,) = farm.start_workers(1)
    farm.wait_busy(worker, 8)
    held = farm.held_by(worker)
    with outage(postgres):
        farm.wait(lambda: len(farm.spooled()) == len(held), "everything in the making to be spooled")
        assert {path.name.split("-")[0] for path in farm.spooled()} == held
    farm.finish()
    assert worker.lives
    assert farm.value("SELECT count(*) FROM attempt") == 20, "each sample was claimed once"


def test_what_a_dead_worker_left_in_its_spool_is_stored_by_another(
    on_postgres: Farm,
    postgres: PostgresServer,  # noqa: F811
) -> None:
    farm = on_postgres
    (dead,) = farm.start_workers(1)
    farm.wait_busy(dead, 8)
    held = farm.held_by(dead)
    with outage(postgres):
        farm.wait(lambda: len(farm.spooled()) == len(held), "everything in the making to be spooled")
        dead.signal(signal.SIGKILL)
        dead.process.wait()
        farm.interrupted |= held
    del farm.workers[dead.name]
    farm.start_worker("heir")
    farm.finish()
    assert not [folder for folder in farm.home.spool.iterdir() if not (folder / ".alive").exists()]
    stored = (
        "SELECT count(*) FROM attempt a JOIN worker w ON w.id = a.worker_id WHERE a.ending = 'done' AND w.name = 'w1'"
    )
    assert farm.value(stored) == len(held), "all that it finished counts as its own"


def test_a_worker_that_is_asked_to_end_while_the_database_is_away_keeps_its_results(
    on_postgres: Farm,
    postgres: PostgresServer,  # noqa: F811
) -> None:
    farm = on_postgres
    (worker,) = farm.start_workers(1)
    farm.wait_busy(worker, 8)
    with outage(postgres):
        farm.wait(farm.spooled, "results to be spooled")
        worker.signal(signal.SIGTERM)
        worker.process.wait(120)
        spooled = len(farm.spooled())
        assert spooled > 0
    del farm.workers[worker.name]
    farm.start_worker("heir")
    farm.finish()


def test_a_worker_waits_for_services_that_are_not_up_yet(
    on_postgres: Farm,
    postgres: PostgresServer,  # noqa: F811
) -> None:
    """As after a power cut: whatever comes up first."""
    farm = on_postgres
    valkey.stop(farm.home, grace_seconds=5.0)
    with outage(postgres):
        worker = farm.start_worker("early")
        farm.wait(lambda: farm.workers_said("waiting for the database"), "the worker to ask")
    farm.wait_ready(worker)
    valkey.start(farm.home)
    farm.finish()
    assert worker.lives
