"""Which URLs a command uses, and that no password shows."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from lemfarm.connections import (
    BROKER_VARIABLE,
    DATABASE_VARIABLE,
    Listen,
    child_environment,
    free_port,
    read_private_json,
    redacted,
    resolve,
    write_join_file,
)
from lemfarm.errors import InputError, NoSpace
from lemfarm.home import HOME_VARIABLE, Home

BROKER = "redis://farm:pw@head:6379/0"
DATABASE = "postgresql+psycopg://lemfarm:pw@head/lemfarm"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_without_any_url_a_home_uses_sqlite_and_the_embedded_broker(home: Home) -> None:
    found = resolve(home, environ={})
    assert found.database == f"sqlite:///{home.database}"
    assert found.broker is None
    assert found.embedded_broker


def test_a_flag_goes_before_the_environment_before_the_join_file(home: Home) -> None:
    write_join_file(home, database=f"{DATABASE}_joined", broker="redis://joined/0")
    environ = {DATABASE_VARIABLE: f"{DATABASE}_environ", BROKER_VARIABLE: "redis://environ/0"}
    assert resolve(home, environ={}).broker == "redis://joined/0"
    assert resolve(home, environ=environ).broker == "redis://environ/0"
    assert resolve(home, environ=environ, broker="redis://flag/0").broker == "redis://flag/0"
    assert resolve(home, environ=environ, broker="redis://flag/0").database == f"{DATABASE}_environ"
    assert not resolve(home, environ={}).embedded_broker


def test_an_empty_variable_counts_as_absent(home: Home) -> None:
    assert resolve(home, environ={BROKER_VARIABLE: ""}).embedded_broker


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:////d/x.db", "sqlite:////d/x.db"),
    ],
)
def test_usual_spellings_of_a_database_are_understood(home: Home, written: str, used: str) -> None:
    assert resolve(home, database=written, environ={}).database == used


def test_a_valkey_url_is_spelled_as_the_client_wants_it(home: Home) -> None:
    assert resolve(home, broker="valkeys://u:p@h/0", environ={}).broker == "rediss://u:p@h/0"


@pytest.mark.parametrize("url", ["amqp://u:secret@h/", "head:6379", "redis://u:secret@h:port/0"])
def test_a_url_that_cannot_work_is_refused_without_its_password(home: Home, url: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(home, broker=url, environ={})
    assert "secret" not in str(caught.value)


def test_the_join_file_is_for_its_owner_only(home: Home) -> None:
    path = write_join_file(home, database=DATABASE, broker=BROKER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_join_file_open_to_others_is_not_read(home: Home, mode: int) -> None:
    write_join_file(home, database=DATABASE, broker=BROKER).chmod(mode)
    with pytest.raises(InputError, match=f"chmod 600 {home.join_file}"):
        resolve(home, environ={})


@pytest.mark.parametrize("text", ["{", "[]", '{"database": 1, "broker": "redis://h"}', '{"broker": "redis://h/0"}'])
def test_a_damaged_join_file_is_named(home: Home, text: str) -> None:
    home.ensure()
    home.join_file.write_text(text)
    home.join_file.chmod(0o600)
    with pytest.raises(InputError, match=r"join\.json"):
        resolve(home, environ={})


def test_a_join_file_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoSpace, match=HOME_VARIABLE):
        write_join_file(Home(tmp_path / "file" / "home"), database=DATABASE, broker=BROKER)


def test_a_child_finds_the_same_farm_through_its_environment(home: Home) -> None:
    parent = resolve(home, environ={}).with_broker(BROKER)
    environment = child_environment(parent, home)
    child = resolve(Home(Path(environment[HOME_VARIABLE])), environ=environment)
    assert (child.database, child.broker) == (parent.database, parent.broker)


def test_a_child_is_told_no_broker_before_there_is_one(home: Home) -> None:
    assert BROKER_VARIABLE not in child_environment(resolve(home, environ={}), home)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@h:1/0", "redis://:***@h:1/0"),
        ("redis://u:p@w@h/0", "redis://u:***@h/0"),
        ("redis://h:6379/0", "redis://h:6379/0"),
        (
            "postgresql+psycopg://a:b?c@h/d?sslmode=require&sslpassword=x",
            "postgresql+psycopg://a:***@h/d?sslmode=require&sslpassword=***",
        ),
        ("postgresql://u@h/d?password=a@b", "postgresql://u@h/d?password=***"),
        ("sqlite:////homes/a:b@c/x.db", "sqlite:////homes/a:b@c/x.db"),
    ],
)
def test_a_shown_url_keeps_everything_but_its_passwords(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_secrets_open_to_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"password": "x"}))
    path.chmod(0o644)
    with pytest.raises(InputError, match="0644"):
        read_private_json(path)


def test_a_port_in_use_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_resolving_leaves_nothing_on_disk(home: Home) -> None:
    resolve(home, environ=os.environ)
    assert not home.root.exists()


def test_the_artifact_store_comes_from_the_environment_else_from_the_join_file(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_join_file(home, database=DATABASE, broker=BROKER, artifacts="http://head:1", artifacts_token="secret")
    joined = resolve(home, environ={})
    assert (joined.artifacts, joined.artifacts_token) == ("http://head:1", "secret")
    given = resolve(home, environ={"LEMFARM_ARTIFACTS": "/share"})
    assert (given.artifacts, given.artifacts_token) == ("/share", "secret")
    child = resolve(home, environ=child_environment(joined, home))
    assert (child.artifacts, child.artifacts_token) == ("http://head:1", "secret")


def test_another_database_keeps_the_artifact_store(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_join_file(home, database=DATABASE, broker=BROKER, artifacts="http://head:1", artifacts_token="secret")
    write_join_file(home, database=f"{DATABASE}_moved", broker=BROKER)
    assert resolve(home, environ={}).artifacts == "http://head:1"
    write_join_file(home, database=DATABASE, broker=BROKER, artifacts="/share")
    assert resolve(home, environ={}).artifacts_token is None, "a token belongs to its store"


@pytest.mark.parametrize(
    ("given", "address", "port"),
    [("8777", "127.0.0.1", 8777), ("0.0.0.0:1", "0.0.0.0", 1), ("head:65535", "head", 65535)],
)
def test_where_to_listen_is_a_port_or_an_address_with_one(given: str, address: str, port: int) -> None:
    assert Listen.parse(given) == Listen(address, port)
    assert Listen.parse(str(Listen.parse(given))) == Listen(address, port)


@pytest.mark.parametrize("given", ["", "0", "65536", "-1", "8777 ", "here", "here:", "8777:here", "1.5"])
def test_what_names_no_port_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="write PORT, or ADDRESS:PORT"):
        Listen.parse(given)
