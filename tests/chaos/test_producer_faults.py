"""Those who plan and watch: killed and run again, two at once, taking turns or not."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.farm import Farm
from tests.postgres import postgres, postgres_url  # noqa: F401

pytestmark = pytest.mark.chaos
SELDOM = {"LEMFARM_WATCH_SECONDS": "3600"}
"""For workers whose own watchers are to keep out of it."""


@pytest.fixture
def unplanned(tmp_path: Path) -> Iterator[Farm]:
    """A farm without a run: the producers make it."""
    with Farm(tmp_path, environment=SELDOM) as farm:
        yield farm


def start_producer(farm: Farm, name: str, turns: str = "turns") -> None:
    farm.start_worker(name, program=("-m", "tests.chaos.producer_process", str(farm.folder / "run.yaml"), turns))


def test_the_producer_is_killed_and_run_again(unplanned: Farm, dice: random.Random) -> None:
    """Anywhere, also while it plans: the next one goes on from the rows."""
    farm = unplanned
    farm.start_worker("w1")
    farm.start_worker("w2")
    for number in range(2):
        start_producer(farm, f"producer-{number}")
        farm.wait(lambda: farm.value("SELECT count(*) FROM run"), "the run to be planned")
        farm.run_id = farm.value("SELECT id FROM run")
        farm.wait_done(farm.balance().done + dice.randrange(0, 100))
        farm.workers[f"producer-{number}"].process.kill()
        farm.workers.pop(f"producer-{number}").process.wait()
    start_producer(farm, "producer-last")
    farm.finish()


def test_two_producers_plan_and_watch_at_once(unplanned: Farm) -> None:
    """And neither asks whether it is its turn, so that every step is taken by two at the same time."""
    farm = unplanned
    for name in ("producer-1", "producer-2"):
        start_producer(farm, name, "no-turns")
    farm.start_worker("w1")
    farm.start_worker("w2")
    farm.wait(lambda: farm.value("SELECT count(*) FROM run"), "the run to be planned")
    farm.run_id = farm.value("SELECT id FROM run")
    farm.finish(restart=False)
    assert farm.balance().planned == 500
    assert farm.value("SELECT count(*) FROM run") == 1


def test_producers_on_postgres_plan_one_run_at_once(tmp_path: Path, postgres_url: str) -> None:  # noqa: F811
    """Three of them; all go on with the same rows."""
    with Farm(tmp_path, postgres_url, environment=SELDOM) as farm:
        for number in range(3):
            start_producer(farm, f"producer-{number}")
        farm.start_worker("w1")
        farm.start_worker("w2")
        farm.wait(lambda: farm.value("SELECT count(*) FROM run"), "the run to be planned")
        farm.run_id = farm.value("SELECT id FROM run")
        farm.finish(restart=False)
        for number in range(3):
            producer = farm.workers[f"producer-{number}"]
            assert producer.process.wait(60) == 0, farm.story()
        assert farm.balance().planned == 500
