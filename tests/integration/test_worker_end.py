"""How a worker process ends: asked politely, asked twice, drained, or by finding that it cannot serve."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.broker import generate_queue, open_client
from producer.campaign import pause, resume
from tests.farm import Farm, WorkerProcess

ENDLESS = 0.5
"""Tokens a second: an answer takes minutes, so nothing finishes by itself."""

FOR_EVER = {"LEMFARM_GRACE_SECONDS": "3600"}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """Fifty samples that take for ever, and no worker yet."""
    with Farm(tmp_path, speed=ENDLESS, probes=5) as made:
        made.plan()
        yield made


def messages(farm: Farm) -> set[str]:
    """The samples whose messages wait in the queue."""
    with open_client(farm.broker.admin_url) as admin:
        waiting = admin.lrange(generate_queue("simulated"), 0, -1)
        assert admin.hlen("unacked") == 0, "no message is still in a worker's hands"
    shown = [json.loads(message)["headers"]["argsrepr"] for message in waiting]
    return {words.rpartition("(")[2].removesuffix(")") for words in shown}


def state_of(farm: Farm, worker: WorkerProcess) -> str:
    found: str = farm.value(
        "SELECT state FROM worker WHERE pid = :pid AND name = :name", pid=worker.pid, name=worker.name
    )
    return found


def wait_until_asked(farm: Farm) -> None:
    """The watcher of a worker that is asked to end gives its turn away: the signal has been heard."""
    farm.wait(lambda: farm.value("SELECT expires FROM turn") == 0, "the worker to hear the signal")


def test_what_is_not_finished_in_the_grace_is_released_and_its_messages_return(farm: Farm) -> None:
    (worker,) = farm.start_workers(1)
    farm.wait_busy(worker, 8)
    held = farm.held_by(worker)

    worker.signal(signal.SIGTERM)

    assert worker.process.wait(60) == 0, farm.story()
    assert state_of(farm, worker) == "stopped"
    assert {row["ending"] for row in farm.rows("SELECT ending FROM attempt")} == {"released"}
    balance = farm.balance()
    assert (balance.pending, balance.leased) == (50, 0)
    assert held <= messages(farm)
    assert not list(farm.home.spool.glob("*")), "its spool folder is gone"


def test_what_finishes_within_the_grace_is_stored(tmp_path: Path) -> None:
    with Farm(tmp_path, speed=60.0, probes=5, environment=FOR_EVER) as farm:
        farm.plan()
        (worker,) = farm.start_workers(1)
        farm.wait_busy(worker, 8)
        held = farm.held_by(worker)
        worker.signal(signal.SIGTERM)
        assert worker.process.wait(120) == 0, farm.story()
        endings = {row["sample_id"]: row["ending"] for row in farm.rows("SELECT sample_id, ending FROM attempt")}
        assert {endings[sample] for sample in held} == {"done"}
        assert farm.balance().leased == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Farm(tmp_path, speed=ENDLESS, probes=5, environment=FOR_EVER) as farm:
        farm.plan()
        (worker,) = farm.start_workers(1)
        farm.wait_busy(worker, 8)
        worker.signal(signal.SIGTERM)
        wait_until_asked(farm)
        assert worker.lives
        assert len(farm.held_by(worker)) == 8, "it goes on with what it holds"

        worker.signal(signal.SIGINT)

        assert worker.process.wait(60) == 0, farm.story()
        assert farm.balance().leased == 0


def test_a_drained_worker_finishes_what_it_holds_and_leaves_the_rest_to_others(tmp_path: Path) -> None:
    with Farm(tmp_path, speed=200.0, probes=10) as farm:
        farm.plan()
        drained, other = farm.start_workers()
        farm.wait_busy(drained)
        with farm.database.session() as session:
            from lemfarm.records import Worker

            worker_id = farm.value("SELECT id FROM worker WHERE name = :name", name=drained.name)
            session.get_one(Worker, worker_id).command = "drain"
        assert drained.process.wait(120) == 0, farm.story()
        assert state_of(farm, drained) == "stopped"
        endings = farm.rows("SELECT DISTINCT ending FROM attempt WHERE worker_id = :id", id=worker_id)
        assert [row["ending"] for row in endings] == ["done"], "it released nothing"
        farm.finish()
        assert other.lives


def test_a_worker_that_waits_for_a_run_ends_when_it_is_asked(tmp_path: Path) -> None:
    with Farm(tmp_path) as farm:
        worker = farm.start_worker("idle")
        farm.wait(lambda: farm.workers_said("waiting for a run"), "the worker to wait")
        worker.signal(signal.SIGINT)
        assert worker.process.wait(60) == 0, farm.story()
        assert state_of(farm, worker) == "stopped"


def test_a_worker_takes_up_a_run_that_is_started_later(tmp_path: Path) -> None:
    with Farm(tmp_path, probes=2) as farm:
        worker = farm.start_worker("early")
        farm.wait(lambda: farm.workers_said("waiting for a run"), "the worker to wait")
        assert farm.plan() == 20
        farm.finish()
        assert worker.lives


def test_a_second_worker_of_a_name_is_refused(farm: Farm) -> None:
    (first,) = farm.start_workers(1)
    second = farm.start_worker(first.name)
    assert second.process.wait(60) == 2
    assert f"a worker named {first.name} runs in" in second.log.read_text()
    assert first.lives
    farm.workers["first"] = first


def test_a_worker_of_another_version_refuses_the_run_and_names_both(farm: Farm) -> None:
    with farm.database.session() as session:
        from lemfarm.records import Run

        session.get_one(Run, farm.run_id).lemfarm_version = "99.0"
    worker = farm.start_worker("w1")
    assert worker.process.wait(60) == 2
    from lemfarm import __version__

    assert "99.0" in worker.log.read_text()
    assert __version__ in worker.log.read_text()


def test_without_a_broker_a_worker_says_what_to_set(farm: Farm) -> None:
    worker = farm.start_worker("w1", LEMFARM_BROKER="")
    assert worker.process.wait(60) == 4
    assert "LEMFARM_BROKER" in worker.log.read_text()


@pytest.mark.mlx
def test_a_worker_with_other_weights_refuses_and_the_others_go_on(tmp_path: Path) -> None:
    """It says why, in its log and in its row, and takes no message from those who can serve."""
    root = Path(__file__).parents[2]
    model = root / "demo" / "model"
    other = tmp_path / "other"
    other.mkdir()
    for file in model.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    with (other / "tokenizer_config.json").open("a") as changed:
        changed.write("\n")
    run_file = f"""\
run: chaos
model: {{{{engine: mlx, path: {model}}}}}
sampling: {{{{max_tokens: 16}}}}
farm: {{{{lease_seconds: 3}}}}
phases:
  - name: only
    probes: [probes.jsonl]
    samples: 2
    quota: {{{{accepted: 1, stop_when_full: false}}}}
"""
    with Farm(tmp_path, run_file=run_file, probes=1) as farm:
        assert farm.plan() == 4
        pause(farm.database, "chaos")  # else the good one may have ended the run before the other has begun
        good = farm.start_worker("good")
        farm.wait_ready(good)
        refused = farm.start_worker("refused", LEMFARM_MODELS=f"{model}={other}")
        assert refused.process.wait(120) == 2, farm.story()
        assert state_of(farm, refused) == "refused"
        message = farm.value("SELECT message FROM worker WHERE name = 'refused'")
        assert str(other) in message
        assert "the run began with" in message
        resume(farm.database, "chaos")
        farm.finish()
        assert good.lives
