"""Flower in front of the real queue: what it shows, and whom it refuses."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lemfarm import flower, valkey
from lemfarm.broker import QueuedSample, make_app, send_generate
from lemfarm.connections import BROKER_VARIABLE
from lemfarm.errors import InputError
from lemfarm.home import HOME_VARIABLE, Home
from lemfarm.locks import wait_until
from lemfarm.supervisor import Supervisor
from tests.web import answer

SECONDS = 60.0
LABEL = "P01_IDENTITY_WHISTLEBLOWER v2 #7"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    place = Home(tmp_path_factory.mktemp("flower") / "home")
    yield place
    flower.stop(place)
    valkey.stop(place)


@pytest.fixture(scope="module")
def broker(home: Home) -> str:
    return valkey.ensure(home).url


@pytest.fixture(scope="module")
def served(home: Home, broker: str) -> Iterator[flower.FlowerCommand]:
    command = flower.flower_command(home, broker)
    supervisor = Supervisor([command.child()])
    supervisor.start()
    assert wait_until(lambda: answer(f"{command.url}/healthcheck")[0] == 200, SECONDS), command.log.read_text()
    yield command
    assert supervisor.stop(grace_seconds=SECONDS)


def login(command: flower.FlowerCommand) -> str:
    return f"{command.user}:{command.password}"


@pytest.mark.parametrize("page", ["/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers"])
def test_every_page_demands_the_password(served: flower.FlowerCommand, page: str) -> None:
    assert answer(served.url + page)[0] == 401
    assert answer(served.url + page, "lemfarm:wrong")[0] == 401
    assert answer(served.url + page, login(served))[0] == 200


def test_a_sent_sample_is_shown_by_its_probe_variant_and_index(served: flower.FlowerCommand, broker: str) -> None:
    def shown() -> dict[str, Any]:
        tasks: dict[str, Any] = json.loads(answer(f"{served.url}/api/tasks", login(served))[1] or "{}")
        return {task["name"]: task for task in tasks.values()}

    send_generate(make_app(broker), [QueuedSample("0198aa", "generate.abc", LABEL)])
    assert wait_until(lambda: "generate" in shown(), SECONDS)
    assert shown()["generate"]["args"] == f"{LABEL} (0198aa)"


@pytest.mark.parametrize(
    "action",
    [
        "task/async-apply/generate",
        "task/send-task/generate",
        "task/revoke/some-id",
        "worker/shutdown/some-worker",
        "worker/pool/grow/some-worker",
    ],
)
def test_with_the_password_it_is_still_read_only(served: flower.FlowerCommand, action: str) -> None:
    assert answer(f"{served.url}/api/{action}", login(served), post=True)[0] == 403


def test_no_secret_stands_in_argv(served: flower.FlowerCommand, home: Home, broker: str) -> None:
    found = flower.find_running(home)
    assert found is not None
    assert (found.url, found.password) == (served.url, served.password)
    line = " ".join(psutil.Process(found.pid).cmdline())
    assert "lemfarm.flower" in line
    assert served.password not in line
    assert broker not in line
    assert served.password not in served.log.read_text()


def test_it_listens_on_loopback_only(served: flower.FlowerCommand, home: Home) -> None:
    found = flower.find_running(home)
    assert found is not None
    listening = [c for c in psutil.Process(found.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


def test_a_second_one_in_one_home_is_refused(served: flower.FlowerCommand, broker: str, home: Home) -> None:
    second = flower.flower_command(home, broker)
    environment = {**os.environ, **second.environment}
    done = subprocess.run(second.argv, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 2
    assert "Flower runs here already" in done.stderr
    assert answer(f"{served.url}/api/workers", login(served))[0] == 200


def test_password_and_port_stay_the_same(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = flower.flower_command(home, "redis://h/0", port=45555)
    (home.flower / "port").write_text("45555\n")
    second = flower.flower_command(home, "redis://h/0")
    assert (second.password, second.url) == (first.password, "http://127.0.0.1:45555")
    assert stat.S_IMODE((home.flower / "secrets.json").stat().st_mode) == 0o600


def test_without_a_password_it_does_not_start(tmp_path: Path) -> None:
    environ = {HOME_VARIABLE: str(tmp_path), BROKER_VARIABLE: "redis://127.0.0.1:1/0"}
    for login_value in ("", "lemfarm:"):
        with pytest.raises(InputError, match="not served to everyone"):
            flower.serve({**environ, "FLOWER_BASIC_AUTH": login_value})
    with pytest.raises(InputError, match=BROKER_VARIABLE):
        flower.serve({"FLOWER_BASIC_AUTH": "a:b"})


def test_where_none_runs_there_is_none_to_find_or_stop(tmp_path: Path) -> None:
    assert flower.find_running(Home(tmp_path)) is None
    assert not flower.stop(Home(tmp_path))


def test_importing_it_does_not_import_celery() -> None:
    code = "import lemfarm.flower, lemfarm.valkey, sys; sys.exit('celery' in sys.modules or 'redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
