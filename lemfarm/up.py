"""The services of this machine, kept alive in the background; the Python twin of `lemfarm up`, `down` and `join`.

`python -m lemfarm.up` is the supervisor: in a session of its own, it keeps the embedded Valkey, Flower and, where it is
wanted, the adapters' store alive until SIGTERM. Only one runs per home. When it ends it leaves Valkey running, so that
one supervisor can take over from another without a gap; `down` stops everything.
"""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lemfarm import flower as web
from lemfarm import valkey
from lemfarm.broker import ping
from lemfarm.connections import (
    Connections,
    Listen,
    child_environment,
    free_port,
    no_space,
    redacted,
    resolve,
    write_join_file,
)
from lemfarm.errors import InputError, LemfarmError, Unavailable, VersionError
from lemfarm.home import Home, open_home
from lemfarm.locks import end_holder, is_locked, read_number, take_lock, wait_until
from lemfarm.rotation import LOG_VARIABLE, keep_own_output_small, rotate
from lemfarm.supervisor import Event, KeptServer, Member, Supervisor
from lemfarm.supervisor import run as supervise
from lemfarm.training import artifact_service as store

VALKEY, FLOWER, ARTIFACTS = "valkey", "flower", "artifacts"
EMBEDDED = "embedded"

_GRACE_SECONDS = 15.0
_END_SECONDS = 30.0  # the grace, then what a kill takes
_READY_SECONDS = 90.0
_NO_FLOWER = "--no-flower"
_ARTIFACTS = "--artifacts="

log = logging.getLogger("lemfarm.up")


@dataclass(frozen=True, slots=True)
class Services:
    """What runs after `up`. `started` names what this call started; what is in neither field is not kept here."""

    connections: Connections
    valkey: valkey.EmbeddedValkey | None
    flower: web.RunningFlower | None
    artifacts: store.RunningArtifacts | None
    started: tuple[str, ...]
    database: str  #: created, migrated or current


@dataclass(frozen=True, slots=True)
class Joined:
    """A home that talks to a farm on other machines. `schema` as doctor calls it: current, empty or older."""

    file: Path
    connections: Connections
    schema: str


def up(home: Home, connections: Connections, flower: bool = True, artifacts: Listen | None = None) -> Services:
    """Make sure that broker, database, (unless not wanted) Flower and (where wanted) the adapters' store run, and keep
    running after this process.

    A broker with a URL is asked for an answer, never started. Raises BrokerDown, NoSpace, DatabaseDown, VersionError;
    InputError when a supervisor keeps services for another broker, or the store listens elsewhere; Unavailable when
    Flower or the store does not start.
    """
    home.ensure()
    _refuse_other_broker(home, connections)
    if artifacts:
        _refuse_other_place(home, artifacts)
    before = running(home)
    if not connections.embedded_broker:
        ping(str(connections.broker))
    database = _migrate(connections.database)
    server = valkey.ensure(home) if connections.embedded_broker else None
    served = connections.with_broker(server.url) if server else connections
    _keep(home, connections, flower, artifacts)
    found, kept = web.find_running(home), store.find_running(home)
    now = {VALKEY: server is not None, FLOWER: found is not None, ARTIFACTS: kept is not None}
    started = tuple(name for name, runs in now.items() if runs and name not in before)
    return Services(served, server, found, kept, started, database)


def down(home: Home) -> tuple[str, ...]:
    """Stop what `up` (or a run) left running in this home, keeping all data; returns the names of what was stopped.

    Raises Unavailable when a process outlives even a kill.
    """
    before = running(home)
    _end_supervisor(home)
    web.stop(home)
    store.stop(home)
    valkey.stop(home)
    return tuple(before)


def running(home: Home) -> list[str]:
    """Which services of this home live now."""
    lives = {
        VALKEY: valkey.is_running(home),
        FLOWER: web.find_running(home) is not None,
        ARTIFACTS: store.find_running(home) is not None,
    }
    return [name for name, is_alive in lives.items() if is_alive]


def is_kept(home: Home) -> bool:
    """Whether a supervisor of `up` keeps services of this home."""
    return is_locked(_Place(home).lock)


def join(
    home: Home, *, database: str, broker: str, artifacts: str | None = None, artifacts_token: str | None = None
) -> Joined:
    """Make this home part of a farm on other machines, once both services have answered; the artifact store is noted as
    it was named.

    Raises InputError for a URL of another kind, BrokerDown, DatabaseDown, NoSpace; VersionError for a newer schema.
    """
    from lemfarm.database import open_database, schema_status

    connections = resolve(home, database=database, broker=broker, environ={})
    ping(str(connections.broker))
    schema = schema_status(connections.database)
    if schema in ("newer", "moved"):
        open_database(connections.database)  # raises, and says which
        raise VersionError(f"{redacted(database)} belongs to a newer lemfarm: update this machine.")
    file = write_join_file(
        home,
        database=connections.database,
        broker=str(connections.broker),
        artifacts=artifacts,
        artifacts_token=artifacts_token,
    )
    return Joined(file, connections, schema)


def _migrate(url: str) -> str:
    from lemfarm.database import open_database, schema_status

    before = {"empty": "created", "older": "migrated"}.get(schema_status(url), "current")
    open_database(url, migrate=True).close()
    return before


@dataclass(frozen=True, slots=True)
class _Place:
    """Names of the supervisor's files."""

    home: Home

    @property
    def folder(self) -> Path:
        return self.home.root / "up"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def pid(self) -> Path:
        return self.folder / "up.pid"

    @property
    def keeps(self) -> Path:
        """Which broker the supervisor serves, and what it keeps alive; written once it is ready to be found."""
        return self.folder / "keeps"

    @property
    def log(self) -> Path:
        return self.home.logs / "up.log"

    @property
    def kept(self) -> list[str]:
        """The words of `keeps`; empty when no supervisor lives."""
        if not is_locked(self.lock) or not self.keeps.exists():
            return []
        return self.keeps.read_text().split()


def _broker_name(connections: Connections) -> str:
    return EMBEDDED if connections.embedded_broker else redacted(str(connections.broker))


def _refuse_other_broker(home: Home, connections: Connections) -> None:
    kept, wanted = _Place(home).kept, _broker_name(connections)
    if kept and kept[0] != wanted:
        raise InputError(
            f"{home.root}: services run here for another broker ({kept[0]}, wanted {wanted}): `lemfarm down` first."
        )


def _refuse_other_place(home: Home, wanted: Listen) -> None:
    found = store.find_running(home)
    if found is not None and found.url != f"http://{wanted}":
        raise InputError(f"{home.root}: the artifact store listens at {found.url}: `lemfarm down` first.")
    try:
        is_free = found is not None or free_port(wanted.port, wanted.address) == wanted.port
    except OSError as error:
        raise Unavailable(f"{wanted} cannot be listened on: {error.strerror or error}") from error
    if not is_free:
        raise Unavailable(f"{wanted} cannot be listened on: somebody else does; name another port.")


def _keep(home: Home, connections: Connections, flower: bool, artifacts: Listen | None) -> None:
    """Start the supervisor, or one that keeps more; return when all it keeps answers."""
    if not connections.embedded_broker and not flower and artifacts is None:
        return  # nothing of ours to keep alive
    place = _Place(home)
    wanted = {FLOWER: flower, ARTIFACTS: artifacts is not None}
    if place.kept and any(is_wanted and name not in place.kept for name, is_wanted in wanted.items()):
        flower, artifacts = flower or FLOWER in place.kept, artifacts or _served(home)
        _end_supervisor(home)
    process = None if place.kept else _spawn(home, connections, flower, artifacts)

    def ready() -> bool:
        return bool(place.kept) and (not flower or _flower_answers(home)) and (not artifacts or _store_answers(home))

    def failed() -> bool:
        return process is not None and process.poll() not in (None, 0)

    if not wait_until(lambda: ready() or failed(), _READY_SECONDS) or not ready():
        names = {"flower.log": flower, "artifacts.log": artifacts is not None}
        logs = [place.log, *(home.logs / name for name, is_wanted in names.items() if is_wanted)]
        raise Unavailable(f"the services do not come up: {_last_line(logs)} See {' and '.join(map(str, logs))}.")


def _served(home: Home) -> Listen | None:
    """Where the store listens that the supervisor before kept."""
    found = store.find_running(home)
    return Listen.parse(found.url.removeprefix("http://")) if found else None


def _spawn(home: Home, connections: Connections, flower: bool, artifacts: Listen | None) -> subprocess.Popen[bytes]:
    place = _Place(home)
    options = [*([] if flower else [_NO_FLOWER]), *([f"{_ARTIFACTS}{artifacts}"] if artifacts else [])]
    home.ensure(home.logs)
    rotate(place.log)
    try:
        output = place.log.open("ab")
    except OSError as error:
        raise no_space(place.log, error) from error
    with output:
        return subprocess.Popen(
            [sys.executable, "-m", "lemfarm.up", *options],
            cwd=home.root,
            env={**os.environ, **child_environment(connections, home), LOG_VARIABLE: str(place.log)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _end_supervisor(home: Home) -> None:
    place = _Place(home)
    if is_locked(place.lock) and not end_holder(place.lock, place.pid, grace_seconds=_END_SECONDS):
        raise Unavailable(
            f"{place.folder}: the supervisor (process {read_number(place.pid)}) does not end; end it by hand."
        )
    place.keeps.unlink(missing_ok=True)


def _flower_answers(home: Home) -> bool:
    found = web.find_running(home)
    return found is not None and _answers(found.url)


def _store_answers(home: Home) -> bool:
    found = store.find_running(home)
    return found is not None and _answers(found.url)


def _answers(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=1.0).close()
    except OSError:
        return False
    return True


def _last_line(logs: Sequence[Path]) -> str:
    lines = [line for path in logs if path.exists() for line in path.read_text(errors="replace").splitlines()]
    return lines[-1] if lines else "they wrote nothing to their logs."


def main(arguments: Sequence[str]) -> int:
    """Be the supervisor until SIGTERM; 0 at once when another one is."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
    keep_own_output_small()
    home = open_home()
    connections = resolve(home, environ=os.environ)
    place = _Place(home)
    home.ensure(place.folder)
    lock = take_lock(place.lock)
    if lock is None:
        return 0
    served = next((Listen.parse(one.removeprefix(_ARTIFACTS)) for one in arguments if one.startswith(_ARTIFACTS)), None)
    members = _members(home, connections, flower=_NO_FLOWER not in arguments, artifacts=served)
    try:
        place.pid.write_text(f"{os.getpid()}\n")
        place.keeps.write_text(" ".join([_broker_name(connections), *(member.name for member in members)]))
        log.info("keeping alive: %s", ", ".join(member.name for member in members))
        return supervise(Supervisor(members), grace_seconds=_GRACE_SECONDS, on_event=_note)
    except (LemfarmError, OSError) as error:
        log.error("%s", error)
        return getattr(error, "exit_code", 1)
    finally:
        os.close(lock)


def _members(home: Home, connections: Connections, *, flower: bool, artifacts: Listen | None) -> list[Member]:
    """Members, not services: a supervisor without members would have nothing to wait for."""
    members: list[Member] = []
    if connections.embedded_broker:
        members.append(valkey.KeptValkey(home, leave_running=True))
    if flower:
        members.append(_kept_flower(home, connections))
    if artifacts:
        members.append(_kept_store(home, artifacts))
    return members


def _kept_flower(home: Home, connections: Connections) -> KeptServer:
    return KeptServer(
        FLOWER,
        lives=lambda: web.find_running(home) is not None,
        command=lambda: web.flower_command(home, connections.broker or valkey.ensure(home).url).child(),
        stop=lambda grace: web.stop(home, grace_seconds=grace),
    )


def _kept_store(home: Home, place: Listen) -> KeptServer:
    return KeptServer(
        ARTIFACTS,
        lives=lambda: store.find_running(home) is not None,
        command=lambda: store.server_process(home, place.address, place.port),
        stop=lambda grace: store.stop(home, grace_seconds=grace),
    )


def _note(event: Event) -> None:
    code = "" if event.code is None else f" with code {event.code}"
    log.info("%s %s%s %s", event.member, event.kind, code, event.text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
