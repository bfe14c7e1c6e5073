"""What Flower shows while a farm works: named tasks, and the workers that are alive."""

import json
from pathlib import Path
from typing import Any

from lemfarm import flower
from lemfarm.supervisor import Supervisor
from tests.farm import Farm
from tests.web import answer


def test_flower_names_the_tasks_and_the_living_workers_of_a_run(tmp_path: Path) -> None:
    # Given a farm with two workers and Flower in front of its queue
    with Farm(tmp_path, probes=20) as farm:
        command = flower.flower_command(farm.home, farm.broker.url)
        supervisor = Supervisor([command.child()])
        supervisor.start()
        try:
            farm.wait(lambda: answer(f"{command.url}/healthcheck")[0] == 200, "Flower to answer")
            farm.plan()
            farm.start_workers(2)

            def ask(page: str) -> dict[str, Any]:
                text = answer(f"{command.url}/api/{page}", f"{command.user}:{command.password}")[1]
                found: dict[str, Any] = json.loads(text or "{}")
                return found

            # When the run goes on, then its samples are shown by probe, variant and index
            def started() -> list[dict[str, Any]]:
                tasks = ask("tasks").values()
                return [task for task in tasks if task["state"] in ("STARTED", "SUCCESS") and task["worker"]]

            farm.wait(lambda: len(started()) >= 10, "tasks to be shown with their workers")
            assert {task["name"] for task in started()} == {"generate"}, "metrics are kept by name, for ever"
            assert all(task["args"].startswith("P") and " v" in task["args"] for task in started())

            # And both workers are shown as alive
            def alive() -> set[str]:
                return {name.split("@")[0] for name, lives in ask("workers?status=true").items() if lives}

            farm.wait(lambda: alive() == {"w1", "w2"}, "both workers to be shown as alive")
        finally:
            supervisor.stop(grace_seconds=20)
        farm.finish()
