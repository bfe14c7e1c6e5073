"""`lemfarm up|down|join|flower|doctor` and their twin, with real processes on 127.0.0.1."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm import flower, valkey
from lemfarm.broker import ping
from lemfarm.connections import Connections, Listen, free_port, resolve
from lemfarm.database import open_database
from lemfarm.engine_record import EngineRecord
from lemfarm.errors import BrokerDown, DatabaseDown, InputError, Unavailable, VersionError
from lemfarm.home import HOME_VARIABLE, Home
from lemfarm.local_workers import take_name
from lemfarm.locks import is_locked, read_number, wait_until
from lemfarm.training import artifact_service
from lemfarm.training.artifact_server import token_of
from lemfarm.training.artifacts import NOBODY, open_store
from lemfarm.up import down, join, running, up
from tests.command import lemfarm
from tests.web import answer

SECONDS = 60.0
NOWHERE = "redis://farm:hidden@127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _no_urls_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEMFARM_DATABASE", "LEMFARM_BROKER", HOME_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    place = Home(tmp_path / "home")
    yield place
    down(place)


def embedded(home: Home) -> Connections:
    return resolve(home, environ={})


def supervisor(home: Home) -> int:
    found = read_number(home.root / "up" / "up.pid")
    assert found is not None
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_up_starts_everything_and_down_stops_it(home: Home) -> None:
    services = up(home, embedded(home))
    assert services.started == ("valkey", "flower")
    assert services.database == "created"
    assert services.flower is not None
    ping(str(services.connections.broker))
    open_database(services.connections.database).close()
    assert wait_until(lambda: answer(f"{services.flower.url}/healthcheck")[0] == 200, SECONDS)  # type: ignore[union-attr]
    assert down(home) == ("valkey", "flower")
    assert running(home) == []
    assert not is_locked(home.root / "up" / "lock")
    with pytest.raises(BrokerDown):
        ping(str(services.connections.broker))
    assert down(home) == ()


def test_up_again_starts_nothing_and_finds_the_same(home: Home) -> None:
    first = up(home, embedded(home))
    before = supervisor(home)
    again = up(home, embedded(home))
    assert again.started == ()
    assert (again.valkey, again.flower, again.database) == (first.valkey, first.flower, "current")
    assert supervisor(home) == before


def test_flower_can_be_added_while_valkey_goes_on(home: Home) -> None:
    first = up(home, embedded(home), flower=False)
    assert (first.started, first.flower) == (("valkey",), None)
    second = up(home, embedded(home))
    assert second.started == ("flower",)
    assert second.valkey == first.valkey  # the same process


def test_what_dies_is_started_again(home: Home) -> None:
    services = up(home, embedded(home))
    assert services.valkey is not None
    assert services.flower is not None
    kill(services.valkey.pid)
    kill(services.flower.pid)

    def are_back() -> bool:
        server, web = valkey.is_running(home), flower.find_running(home)
        return server and web is not None and web.pid != services.flower.pid  # type: ignore[union-attr]

    assert wait_until(are_back, SECONDS)
    found = valkey.find_running(home, answer_seconds=SECONDS)
    assert found is not None
    assert found.pid != services.valkey.pid


def test_the_adapters_store_is_kept_too_where_it_is_wanted(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    # Given services that are kept without it
    first = up(home, embedded(home), flower=False)
    assert first.artifacts is None
    # When it is wanted, then it serves, and Valkey is the same process as before
    place = Listen("127.0.0.1", free_port())
    second = up(home, embedded(home), flower=False, artifacts=place)
    assert (second.started, second.valkey) == (("artifacts",), first.valkey)
    assert second.artifacts is not None and second.artifacts.url == f"http://{place}"
    assert not open_store(second.artifacts.url, token_of(home)).has(NOBODY)
    # and it is found again, told of, and started again when it dies
    again = lemfarm(capsys, "up", "--no-flower", "--artifacts", place.port, "--home", home.root, "--json").data
    assert (again["artifacts"], again["started"]) == (second.artifacts.url, [])
    assert str(home.root / "artifacts" / "secrets.json") in again["secrets"]
    kill(second.artifacts.pid)
    assert wait_until(lambda: artifact_service.find_running(home) not in (None, second.artifacts), SECONDS)
    # and it does not move while it serves
    with pytest.raises(InputError, match=r"listens at .* `lemfarm down` first"):
        up(home, embedded(home), flower=False, artifacts=Listen("127.0.0.1", place.port - 1))
    assert lemfarm(capsys, "down", "--home", home.root).out == "Valkey and Artifacts stopped; all data stay.\n"
    assert artifact_service.find_running(home) is None


def test_a_port_that_somebody_else_has_is_told_before_anything_starts(home: Home, tmp_path: Path) -> None:
    with artifact_service.open_server(Home(tmp_path / "other"), "127.0.0.1", 0) as server:
        taken = Listen("127.0.0.1", server.server_port)
        for place in (taken, Listen("192.0.2.1", 1)):
            with pytest.raises(Unavailable, match="cannot be listened on"):
                up(home, embedded(home), flower=False, artifacts=place)
    assert running(home) == []


def test_a_killed_supervisor_leaves_services_that_the_next_one_adopts(home: Home) -> None:
    services = up(home, embedded(home))
    assert services.flower is not None
    old = supervisor(home)
    kill(old)
    assert wait_until(lambda: not is_locked(home.root / "up" / "lock"), SECONDS)
    again = up(home, embedded(home))
    assert again.started == ()
    assert (again.valkey, again.flower) == (services.valkey, services.flower)
    assert supervisor(home) != old
    kill(services.flower.pid)
    assert wait_until(lambda: flower.find_running(home) not in (None, services.flower), SECONDS)


def test_a_broker_with_a_url_is_used_and_not_started(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    url = valkey.ensure(home).url
    services = up(other, resolve(other, broker=url, environ={}), flower=False)
    assert (services.started, services.valkey) == ((), None)
    assert services.connections.broker == url
    assert not other.valkey.exists()
    assert running(other) == []


def test_a_broker_that_does_not_answer_is_told_before_anything_starts(home: Home) -> None:
    with pytest.raises(BrokerDown, match="does not answer"):
        up(home, resolve(home, broker=NOWHERE, environ={}))
    assert not home.database.exists()


def test_services_for_another_broker_are_refused(home: Home) -> None:
    up(home, embedded(home), flower=False)
    with pytest.raises(InputError, match="lemfarm down"):
        up(home, resolve(home, broker=NOWHERE, environ={}))


def test_joining_keeps_both_urls_for_the_owner_only(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    services = up(home, embedded(home), flower=False)
    broker = str(services.connections.broker)
    joined = join(other, database=services.connections.database, broker=broker.replace("redis://", "valkey://"))
    assert joined.schema == "current"
    assert stat.S_IMODE(joined.file.stat().st_mode) == 0o600
    assert resolve(other, environ={}) == Connections(services.connections.database, broker, embedded_broker=False)


def test_joining_writes_nothing_when_a_service_is_away(home: Home, tmp_path: Path) -> None:
    url = valkey.ensure(home).url
    database = f"sqlite:///{tmp_path / 'farm.db'}"
    with pytest.raises(BrokerDown):
        join(home, database=database, broker=NOWHERE)
    with pytest.raises(DatabaseDown):
        join(home, database="postgresql://a:hidden@127.0.0.1:1/x", broker=url)
    assert not home.join_file.exists()


def test_joining_a_newer_farm_is_refused(home: Home, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'farm.db'}"
    database = open_database(url, migrate=True)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(VersionError, match="9999"):
        join(home, database=url, broker=valkey.ensure(home).url)
    assert not home.join_file.exists()


def test_up_and_down_tell_what_they_did(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "up", "--no-flower", "--home", home.root)
    assert said.code == 0
    for text in ("started", "redis://farm:***@127.0.0.1", "secrets.json", "was created", "lemfarm join"):
        assert text in said.out
    secret = json.loads((home.valkey / "secrets.json").read_text())["farm"]
    assert secret not in said.out + said.err
    again = lemfarm(capsys, "up", "--no-flower", "--home", home.root, "--json").data
    assert (again["started"], again["database_was"]) == ([], "current")
    assert lemfarm(capsys, "down", "--home", home.root).out == "Valkey stopped; all data stay.\n"
    assert "Nothing runs" in lemfarm(capsys, "down", "--home", home.root).out


def test_down_tells_about_workers_that_go_on(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    lock = take_name(home, "mac-1")
    try:
        said = lemfarm(capsys, "down", "--home", home.root)
        assert "still at work: mac-1" in said.err
        assert lemfarm(capsys, "down", "--home", home.root, "--json").data["workers"] == ["mac-1"]
    finally:
        os.close(lock)


def test_join_takes_urls_from_the_environment_and_hides_passwords(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = valkey.ensure(home).url
    monkeypatch.setenv("LEMFARM_DATABASE", f"sqlite:///{tmp_path / 'farm.db'}")
    monkeypatch.setenv("LEMFARM_BROKER", broker)
    said = lemfarm(capsys, "join", "--home", tmp_path / "other")
    assert said.code == 0
    assert "join.json" in said.out
    assert broker not in said.out
    assert "no current tables yet" in said.err


def test_join_without_urls_and_without_a_terminal_says_which(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lemfarm", "join", "--home", str(tmp_path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "LEMFARM_DATABASE" in done.stderr


def test_flower_serves_in_the_foreground_until_it_is_asked_to_end(home: Home) -> None:
    valkey.ensure(home)
    command = [sys.executable, "-m", "lemfarm", "flower", "--home", str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert wait_until(lambda: flower.find_running(home) is not None, SECONDS)
        found = flower.find_running(home)
        assert found is not None
        assert wait_until(lambda: answer(found.url, f"{found.user}:{found.password}")[0] == 200, SECONDS)
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, said
    assert found.url in shown
    assert str(home.flower / "secrets.json") in shown
    assert found.password not in shown + said
    assert flower.find_running(home) is None


def test_flower_without_a_broker_says_how_to_start_one(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "flower", "--home", home.root)
    assert said.code == 4
    assert "lemfarm up" in said.err


def test_doctor_tells_what_is_bad_and_how_to_fix_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "doctor", "--home", home.root, "--broker", NOWHERE)
    assert said.code == 1
    assert "→ start it, or check its URL" in said.out
    assert "1 bad" in said.out
    assert "hidden" not in said.out + said.err


def test_doctor_forgets_where_memory_ran_short_when_it_is_told_to(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    record = EngineRecord.of(home, "owner/model")
    record.note_shortage(16, "a worker was aborted")
    for words in ("forgot the limits of 1 model", "no limits had been learnt"):
        said = lemfarm(capsys, "doctor", "--home", home.root, "--forget-limits")
        assert words in said.err
    assert record.read().shortages == ()


def test_doctor_as_json_is_worst_first_to_know(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    data = lemfarm(capsys, "doctor", "--home", home.root, "--json").data
    assert data["worst"] in ("ok", "warn")
    assert {"python", "memory", "broker", "database", "model"} <= {finding["name"] for finding in data["findings"]}
    assert not home.root.exists()
