"""People are told once, whoever dies: real workers, a real command, and `lemfarm run` afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from lemfarm.connections import child_environment
from lemfarm.notices import tell_here
from tests.farm import PATIENCE_SECONDS, RUN_FILE, Farm
from tests.notify_script import keeping, told


def run_file(command: str) -> str:
    quoted = json.dumps(command).replace("{", "{{").replace("}", "}}")
    return RUN_FILE.replace("accepted: 1,", "accepted: 5,") + f"notify: {quoted}\n"


def events(file: Path) -> list[str]:
    return [line["event"] for line in told(file)]


def kill_who_watches(farm: Farm) -> None:
    """kill -9 of the worker whose watcher acts."""
    watching = "SELECT w.pid FROM turn t JOIN worker w ON w.id = t.owner WHERE w.state = 'ready'"
    farm.wait(lambda: farm.value(watching), "a watcher to act")
    worker = next(worker for worker in farm.workers.values() if worker.pid == farm.value(watching))
    farm.kill(worker)


def test_the_workers_of_the_home_tell_when_the_watcher_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "told.jsonl"
    with Farm(tmp_path, probes=10, run_file=run_file(keeping(file))) as farm:
        # Given a run of this home, and two workers
        farm.plan()
        tell_here(farm.database, farm.run_id, farm.home.identity)
        farm.start_workers(2)
        farm.wait_done(10)
        # When the one that watches is killed
        kill_who_watches(farm)
        farm.finish()
        # Then everything is told, and once
        farm.wait(lambda: "done" in events(file), "the end to be told")
        farm.wait(lambda: farm.value("SELECT count(*) FROM notice WHERE outcome <> 'told'") == 0, "all to be noted")
        assert sorted(events(file)) == ["done", "full"]


def test_a_run_tells_before_it_ends_and_the_next_one_what_was_left(tmp_path: Path) -> None:
    file = tmp_path / "told.jsonl"
    with Farm(tmp_path, probes=4, run_file=run_file(keeping(file))) as farm:
        # Given a run of 40 samples
        run(farm)
        assert events(file) == ["full", "done"]
        assert told(file)[1]["message"] == "run chaos is done."
        # When nobody has taken on its end, as after a power cut, and the same command is given twice
        with farm.database.write() as connection:
            connection.execute(text("UPDATE notice SET told = NULL WHERE kind = 'done'"))
        run(farm)
        run(farm)
        # Then that is told, once
        assert events(file) == ["full", "done", "done"]


def run(farm: Farm) -> None:
    """The command as a person gives it."""
    command = [sys.executable, "-m", "lemfarm", "run", str(farm.folder / "run.yaml"), "--no-train"]
    environment = os.environ | child_environment(farm.connections, farm.home)
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
