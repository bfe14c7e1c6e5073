"""compose.yaml: complete, without default passwords, and its options work in the servers that it names.

Docker is not needed: the file is parsed and its variables are resolved as compose does it; then the same commands
run from the servers of the wheels, with the paths, ports and host names of the containers replaced.
"""

import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy.engine import make_url

from lemfarm import valkey
from lemfarm.broker import QueuedSample, make_app, open_client, ping, queue_length, send_generate
from lemfarm.connections import free_port
from lemfarm.errors import BrokerDown
from lemfarm.locks import wait_until
from lemfarm.supervisor import Child
from tests.postgres import libpq_url, postgres_server
from tests.web import answer

SECONDS = 60.0
FILE = Path(__file__).parents[2] / "compose.yaml"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<word>[^}]*))?\}")
PASSWORDS = (
    "LEMFARM_VALKEY_PASSWORD",
    "LEMFARM_VALKEY_ADMIN_PASSWORD",
    "LEMFARM_POSTGRES_PASSWORD",
    "LEMFARM_FLOWER_PASSWORD",
)


class Missing(Exception):
    """A variable that compose would refuse to do without."""


def interpolate(value: Any, environ: Mapping[str, str]) -> Any:
    """Resolve ${NAME}, ${NAME:-default} and ${NAME:?message} everywhere in a parsed file, as compose does."""
    if isinstance(value, dict):
        return {key: interpolate(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, environ) for item in value]
    return VARIABLE.sub(lambda found: _value(found, environ), value) if isinstance(value, str) else value


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if environ.get(found["name"]):
        return environ[found["name"]]
    if found["kind"] == ":-":
        return found["word"]
    raise Missing(f"{found['name']}: {found['word']}")


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    return {name: secrets.token_hex(24) for name in PASSWORDS}


@pytest.fixture(scope="module")
def compose(environ: dict[str, str]) -> dict[str, Any]:
    parsed: dict[str, Any] = interpolate(yaml.safe_load(FILE.read_text()), environ)
    return parsed


# ---- the file


@pytest.mark.parametrize("name", PASSWORDS)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_or_empty_password_is_refused(environ: dict[str, str], name: str, value: str | None) -> None:
    short = {**environ, name: value} if value is not None else {k: v for k, v in environ.items() if k != name}
    with pytest.raises(Missing, match=f"{name}: set it to a long random password"):
        interpolate(yaml.safe_load(FILE.read_text()), short)


def test_only_addresses_and_ports_have_defaults() -> None:
    found = [match.groupdict() for match in VARIABLE.finditer(FILE.read_text())]
    assert {each["name"] for each in found if each["kind"] == ":?"} == set(PASSWORDS)
    others = {each["name"]: each["kind"] for each in found if each["name"] not in PASSWORDS}
    assert all(kind == ":-" and name.endswith(("_ADDRESS", "_PORT")) for name, kind in others.items())


def test_every_dollar_is_a_variable_that_is_resolved(compose: dict[str, Any]) -> None:
    assert "$" not in yaml.safe_dump(compose)


def test_every_service_is_watched_restarted_and_keeps_its_data(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"valkey", "postgres", "flower"}
    for service in compose["services"].values():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert service["restart"] == "unless-stopped"
        for volume in service["volumes"]:
            assert volume.split(":")[0] in compose["volumes"]


def test_nothing_is_open_to_the_network_unless_an_address_is_given(environ: dict[str, str]) -> None:
    def addresses(extra: dict[str, str]) -> dict[str, str]:
        services = interpolate(yaml.safe_load(FILE.read_text()), {**environ, **extra})["services"]
        return {name: port.split(":")[0] for name, service in services.items() for port in service["ports"]}

    assert set(addresses({}).values()) == {"127.0.0.1"}
    lan = addresses({"LEMFARM_ADDRESS": "192.168.1.10"})
    assert lan == {"valkey": "192.168.1.10", "postgres": "192.168.1.10", "flower": "127.0.0.1"}


def test_no_password_stands_in_a_command(compose: dict[str, Any], environ: dict[str, str]) -> None:
    for service in compose["services"].values():
        line = " ".join([*service["command"], *service["healthcheck"]["test"]])
        assert not any(password in line for password in environ.values())


def test_the_image_copies_only_what_exists(compose: dict[str, Any]) -> None:
    dockerfile = compose["services"]["flower"]["build"]["dockerfile_inline"]
    sources = [name for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE) for name in line.split()]
    assert "lemfarm" in sources
    assert [name for name in sources if not (FILE.parent / name).exists()] == []


# ---- the servers


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Child]]:
    made: list[Child] = []

    def begin(name: str, argv: list[str], environment: dict[str, str] | None = None) -> Child:
        child = Child(name, argv, tmp_path_factory.mktemp(name) / "log", environment or {})
        child.start()
        made.append(child)
        return child

    yield begin
    for child in reversed(made):
        child.end(at_once=True)
        assert wait_until(lambda child=child: child.exit_code() is not None, SECONDS)  # type: ignore[misc]


@pytest.fixture(scope="module")
def valkey_port(compose: dict[str, Any], start: Callable[..., Child], tmp_path_factory: pytest.TempPathFactory) -> int:
    folder, port = tmp_path_factory.mktemp("valkey-data"), free_port()
    users = folder / "users.acl"
    users.write_text(compose["configs"]["valkey-users"]["content"])
    service = compose["services"]["valkey"]
    places = {service["configs"][0]["target"]: str(users), service["volumes"][0].split(":")[1]: str(folder)}
    program, *options = [places.get(word, word) for word in service["command"]]
    assert program == "valkey-server"
    child = start("valkey", [valkey.server_program(), *options, "--port", str(port), "--bind", "127.0.0.1"])
    assert wait_until(lambda: "Ready to accept connections" in child.log.read_text(), SECONDS)
    assert list(folder.rglob("*.aof")), "the data are appended to a file"
    return port


def test_valkey_demands_its_passwords_and_denies_the_farm_a_flush(valkey_port: int, environ: dict[str, str]) -> None:
    place = f"127.0.0.1:{valkey_port}/0"
    farm, admin = (environ[name] for name in PASSWORDS[:2])
    for user in ("", "farm:wrong@", f"default:{farm}@"):
        with pytest.raises(BrokerDown, match="refuses"):
            ping(f"redis://{user}{place}")
    app = make_app(f"redis://farm:{farm}@{place}")
    assert send_generate(app, [QueuedSample("a", "generate.x", "P01 v0 #0")]) == 1
    assert queue_length(app, "generate.x") == 1
    with pytest.raises(Exception, match="no permissions"), open_client(f"redis://farm:{farm}@{place}") as client:
        client.flushall()
    with open_client(f"redis://admin:{admin}@{place}") as client:
        assert client.config_get("append*")["appendonly"] == "yes"


def test_postgres_takes_the_options_and_demands_its_password(compose: dict[str, Any]) -> None:
    service = compose["services"]["postgres"]
    program, *options = service["command"]
    assert program == "postgres"
    initdb = service["environment"]["POSTGRES_INITDB_ARGS"].split()
    with postgres_server(options=tuple(options), initdb=tuple(initdb)) as server:
        if not server.stoppable:
            pytest.skip("the options can be tried on a server of our own only")
        with psycopg.connect(libpq_url(server.url)) as connection:
            found = connection.execute("SELECT name FROM pg_settings WHERE source = 'command line'").fetchall()
        assert {pair.partition("=")[0] for pair in options[1::2]} <= {name for (name,) in found}
        wrong = make_url(server.url).set(password="wrong").render_as_string(hide_password=False)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(libpq_url(wrong))


def test_flower_runs_with_these_options_behind_its_password(
    compose: dict[str, Any], start: Callable[..., Child], valkey_port: int, environ: dict[str, str], tmp_path: Path
) -> None:
    service, port = compose["services"]["flower"], free_port()
    environment = {
        name: value.replace("/var/lib/lemfarm", str(tmp_path)).replace("@valkey:6379", f"@127.0.0.1:{valkey_port}")
        for name, value in service["environment"].items()
    }
    environment |= {"FLOWER_ADDRESS": "127.0.0.1", "FLOWER_PORT": str(port)}
    program, *arguments = service["command"]
    assert program == "python"
    child = start("flower", [sys.executable, *arguments], {"PYTHONPATH": os.pathsep.join(sys.path), **environment})
    url, login = f"http://127.0.0.1:{port}", f"lemfarm:{environ['LEMFARM_FLOWER_PASSWORD']}"
    assert wait_until(lambda: answer(f"{url}/healthcheck")[0] == 200, SECONDS), child.log.read_text()
    assert answer(f"{url}/api/tasks")[0] == answer(f"{url}/")[0] == 401
    assert answer(f"{url}/api/tasks", login)[0] == 200
    assert answer(f"{url}/api/task/async-apply/generate", login, post=True)[0] == 403
