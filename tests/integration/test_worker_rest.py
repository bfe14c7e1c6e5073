"""A worker that must not work now: it claims nothing, says so, leaves the work to others, and goes on by itself."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

from lemfarm.workforce import drain
from tests.farm import ROOT, Farm, WorkerProcess


def closed_now() -> str:
    """Working hours that begin in a while, and are over before the same time tomorrow."""
    begin = datetime.now() + timedelta(hours=2)
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"


def wait_state(farm: Farm, worker: WorkerProcess, state: str) -> None:
    found = "SELECT count(*) FROM worker WHERE name = :name AND state = :state"

    def says_so() -> bool:
        assert worker.lives or state == "stopped", farm.story()
        return bool(farm.value(found, name=worker.name, state=state))

    farm.wait(says_so, f"{worker.name} to be {state}")


def test_outside_its_hours_a_worker_claims_nothing_and_the_others_finish_the_run(tmp_path: Path) -> None:
    with Farm(tmp_path, probes=2) as farm:
        farm.plan()
        resting = farm.start_worker("resting", LEMFARM_HOURS=closed_now())
        wait_state(farm, resting, "resting")
        assert farm.value("SELECT message FROM worker").startswith("outside its hours: goes on ")
        assert farm.value("SELECT slots FROM worker") == 0, "it has not loaded a model"
        assert '"source"' in farm.value("SELECT facts FROM worker"), "how it is supplied is known all the same"

        farm.start_worker("at-work")
        farm.finish()

        at_work = "SELECT DISTINCT w.name FROM attempt a JOIN worker w ON w.id = a.worker_id"
        assert [row["name"] for row in farm.rows(at_work)] == ["at-work"]
        assert drain(farm.database, "resting") == 1
        assert resting.process.wait(60) == 0, farm.story()
        wait_state(farm, resting, "stopped")


def test_without_mains_a_worker_finishes_what_it_decodes_and_goes_on_when_plugged_in(tmp_path: Path) -> None:
    plug = tmp_path / "plug"
    plug.write_text("mains")
    program = [str(ROOT / "tests" / "integration" / "plugged_worker.py")]
    with Farm(tmp_path, speed=200.0, probes=3) as farm:
        farm.plan()
        laptop = farm.start_worker("laptop", program=program, LEMFARM_ON_BATTERY="pause", LEMFARM_PLUG=str(plug))
        farm.wait_busy(laptop, 8)

        plug.write_text("battery")
        wait_state(farm, laptop, "resting")
        farm.wait(lambda: not farm.held_by(laptop), "what is decoded to finish, and what waits to go back")
        done, attempts = farm.balance().done, farm.value("SELECT count(*) FROM attempt")
        assert 0 < done < 30
        assert {row["ending"] for row in farm.rows("SELECT ending FROM attempt")} == {"done", "released"}
        farm.wait(lambda: farm.queued() > 0, "handed back messages to wait in the queue")
        assert farm.value("SELECT message FROM worker") == "on battery (63 %): goes on when it is plugged in"
        assert farm.value("SELECT count(*) FROM attempt") == attempts, "it claims nothing"

        plug.write_text("mains")
        wait_state(farm, laptop, "ready")
        farm.finish()
        assert laptop.lives


def test_hours_that_cannot_be_read_end_a_worker_with_the_reason(tmp_path: Path) -> None:
    environment = os.environ | {"LEMFARM_HOME": str(tmp_path), "LEMFARM_HOURS": "at night", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "workers"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "write 22:00-07:30" in done.stderr) == (2, True), done.stderr
