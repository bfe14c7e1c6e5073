"""Which database and which broker a command talks to, and how those URLs travel without being seen.

A URL comes from a flag, else from the environment, else from the home's join file (a farm on several machines), else
from the home itself: SQLite and the embedded Valkey. Children are told through their environment: the arguments of a
process can be read by everyone on the machine. Messages and logs show `redacted` URLs.
"""

import json
import re
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from lemfarm.errors import InputError, NoSpace
from lemfarm.home import HOME_VARIABLE, Home, write_private

DATABASE_VARIABLE = "LEMFARM_DATABASE"
BROKER_VARIABLE = "LEMFARM_BROKER"
ARTIFACTS_VARIABLE = "LEMFARM_ARTIFACTS"
TOKEN_VARIABLE = "LEMFARM_ARTIFACTS_TOKEN"

# The spellings that people write, and the one that the libraries below expect.
_DATABASE_SCHEMES = {
    "sqlite": "sqlite",
    "postgresql+psycopg": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
_BROKER_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
}
_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# Greedy up to the last @, because an unescaped password may hold one itself.
_PASSWORD_IN_AUTHORITY = re.compile(r"^([a-z0-9+.-]+://[^:@/?#]*):.*@", re.IGNORECASE | re.DOTALL)
_PASSWORD_IN_QUERY = re.compile(r"([?&][^=&]*password=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Connections:
    """The services of one farm. `broker` is None until an embedded Valkey has been found or started; `artifacts` is a
    folder or an http(s) address where adapters travel, with its token, or None where they stay in their homes."""

    database: str
    broker: str | None
    embedded_broker: bool
    artifacts: str | None = None
    artifacts_token: str | None = None

    def with_broker(self, url: str) -> "Connections":
        """The same farm, now that its embedded Valkey has a URL."""
        return replace(self, broker=url)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a service listens; 127.0.0.1 keeps other machines out."""

    address: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Listen":
        """`PORT` or `ADDRESS:PORT`. Raises InputError."""
        address, _, port = text.rpartition(":")
        if not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise InputError(f"{text}: write PORT, or ADDRESS:PORT, as 8777 or 0.0.0.0:8777.")
        return cls(address or "127.0.0.1", int(port))

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


def resolve(
    home: Home,
    *,
    database: str | None = None,
    broker: str | None = None,
    environ: Mapping[str, str],
) -> Connections:
    """Find both URLs: flag, environment, join file, home; and the artifact store: environment, join file. Raises
    InputError."""
    database = database or environ.get(DATABASE_VARIABLE)
    broker = broker or environ.get(BROKER_VARIABLE)
    artifacts, token = environ.get(ARTIFACTS_VARIABLE), environ.get(TOKEN_VARIABLE)
    if not (database and broker and artifacts) and home.join_file.exists():
        joined = _read_join_file(home.join_file)
        database, broker = database or joined["database"], broker or joined["broker"]
        artifacts, token = artifacts or joined.get("artifacts"), token or joined.get("artifacts_token")
    return Connections(
        database=_normal(database, _DATABASE_SCHEMES, "database") if database else f"sqlite:///{home.database}",
        broker=_normal(broker, _BROKER_SCHEMES, "broker") if broker else None,
        embedded_broker=not broker,
        artifacts=artifacts or None,
        artifacts_token=token or None,
    )


def write_join_file(
    home: Home, *, database: str, broker: str, artifacts: str | None = None, artifacts_token: str | None = None
) -> Path:
    """Let this home join a farm on other machines; an artifact store that it knew before stays unless another is
    named. Raises InputError, NoSpace."""
    known = read_private_json(home.join_file) if home.join_file.exists() else {}
    store = {"artifacts": artifacts, "artifacts_token": artifacts_token} if artifacts else known
    kept = {name: value for name in ("artifacts", "artifacts_token") if (value := store.get(name))}
    urls = {
        "database": _normal(database, _DATABASE_SCHEMES, "database"),
        "broker": _normal(broker, _BROKER_SCHEMES, "broker"),
    }
    home.ensure()
    write_private_json(home.join_file, urls | kept)
    return home.join_file


def child_environment(connections: Connections, home: Home) -> dict[str, str]:
    """What a child process needs, over its parent's environment, to talk to the same farm."""
    environment = {
        HOME_VARIABLE: str(home.root),
        DATABASE_VARIABLE: connections.database,
    }
    if connections.broker:
        environment[BROKER_VARIABLE] = connections.broker
    if connections.artifacts:
        environment[ARTIFACTS_VARIABLE] = connections.artifacts
    if connections.artifacts_token:
        environment[TOKEN_VARIABLE] = connections.artifacts_token
    return environment


def redacted(url: str) -> str:
    """A URL that may be shown: user and host stay, every password is `***`."""
    if url.startswith("sqlite:"):
        return url
    base, mark, query = url.rpartition("?")
    if not mark or "@" in query:
        base, mark, query = url, "", ""
    shown = _PASSWORD_IN_AUTHORITY.sub(r"\1:***@", base) + mark + query
    return _PASSWORD_IN_QUERY.sub(r"\1***", shown)


def read_private_json(path: Path) -> dict[str, str]:
    """A file of secrets. Raises InputError when others can read it, or when it is not an object of strings."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _READABLE_BY_OTHERS:
        raise InputError(f"{path}: holds passwords and can be read by others (mode {mode:04o}): chmod 600 {path}")
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}. Remove it, or write it again.") from None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InputError(f"{path}: must hold one JSON object of strings. Remove it, or write it again.")
    return value


def write_private_json(path: Path, value: Mapping[str, str]) -> None:
    """Keep secrets in a file that only its owner can read. Raises NoSpace."""
    try:
        write_private(path, json.dumps(dict(value), indent=2) + "\n")
    except OSError as error:
        raise no_space(path, error) from error


def no_space(path: Path, error: OSError) -> NoSpace:
    """The error for a place of the farm that cannot be written, saying what to do."""
    return NoSpace(f"{path}: {error.strerror or error}. Free some space, or set {HOME_VARIABLE} to another folder.")


def free_port(preferred: int | None = None, address: str = "127.0.0.1") -> int:
    """The preferred TCP port when nobody listens on it, else a free one. Raises OSError for a foreign address."""
    if preferred and _can_bind(address, preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _can_bind(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT after a kill counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _read_join_file(path: Path) -> dict[str, str]:
    urls = read_private_json(path)
    missing = [name for name in ("database", "broker") if not urls.get(name)]
    if missing:
        raise InputError(f"{path}: names no {' and no '.join(missing)} URL; write both, or remove the file.")
    return urls


def _normal(url: str, schemes: Mapping[str, str], what: str) -> str:
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in schemes:
        known = ", ".join(f"{name}://" for name in schemes)
        raise InputError(f"{redacted(url)}: not a {what} URL; it begins with one of {known}.")
    try:
        urlsplit(url).port  # noqa: B018 -- reading it is what checks it
    except ValueError as error:
        raise InputError(f"{redacted(url)}: {error}") from None
    return f"{schemes[scheme]}://{rest}"
