"""Flower, Celery's own web view of the queue, fenced: loopback, a password, read only.

It is a view of events, not of the truth: counts, history and estimates come from the database. `/metrics` and
`/healthcheck` stay open even with a password (Flower's choice), which is why it listens on 127.0.0.1 unless told
otherwise. Run as `python -m lemfarm.flower`: everything secret comes through the environment, nothing through argv.
"""

import os
import secrets
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from lemfarm.broker import make_app
from lemfarm.connections import BROKER_VARIABLE, free_port, no_space, read_private_json, write_private_json
from lemfarm.errors import InputError, LemfarmError, Unavailable
from lemfarm.home import HOME_VARIABLE, Home, open_home
from lemfarm.locks import end_holder, is_locked, read_number, take_lock
from lemfarm.rotation import keep_own_output_small
from lemfarm.supervisor import Child

USER = "lemfarm"
OPTIONS = {  # the same for every farm, as Flower reads them from the environment
    "FLOWER_READ_ONLY": "true",  # else a password is enough to revoke tasks and shut workers down
    "FLOWER_PERSISTENT": "true",
    "FLOWER_STATE_SAVE_INTERVAL": "60000",  # milliseconds; each save writes everything
    "FLOWER_MAX_TASKS": "5000",  # some 15 KiB each, measured; counts and history come from the database
    "FLOWER_PURGE_OFFLINE_WORKERS": "3600",  # seconds
}

_USUAL_PORT = 5555


@dataclass(frozen=True, slots=True)
class FlowerCommand:
    """How to start Flower, and where to look at it. `environment` holds the password: never log it."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    folder: Path
    url: str
    user: str
    password: str

    def child(self) -> Child:
        """The command for a supervisor."""
        return Child("flower", self.argv, self.log, self.environment, self.folder)


@dataclass(frozen=True, slots=True)
class RunningFlower:
    """A Flower of this home that lives."""

    pid: int
    url: str
    user: str
    password: str


def flower_command(home: Home, broker: str, *, address: str = "127.0.0.1", port: int | None = None) -> FlowerCommand:
    """Flower for one farm: password and port of last time. Raises NoSpace; InputError for an open secrets file."""
    home.ensure(home.flower)
    place = _Place(home.flower)
    kept = _secrets(place)
    chosen = port or free_port(read_number(place.port) or _USUAL_PORT, address)
    environment = {
        HOME_VARIABLE: str(home.root),
        BROKER_VARIABLE: broker,
        "FLOWER_ADDRESS": address,
        "FLOWER_PORT": str(chosen),
        "FLOWER_BASIC_AUTH": f"{USER}:{kept['password']}",
        "FLOWER_COOKIE_SECRET": kept["cookie"],
        "FLOWER_DB": str(home.flower / "flower.db"),
        **OPTIONS,
    }
    argv = (sys.executable, "-m", "lemfarm.flower")
    url = f"http://{address}:{chosen}"
    return FlowerCommand(argv, environment, home.logs / "flower.log", home.flower, url, USER, kept["password"])


def find_running(home: Home) -> RunningFlower | None:
    """The Flower of this home, or None when none lives."""
    place = _Place(home.flower)
    pid = read_number(place.pid)
    if pid is None or not is_locked(place.lock):
        return None
    return RunningFlower(pid, place.url.read_text().strip(), USER, _secrets(place)["password"])


def stop(home: Home, *, grace_seconds: float = 10.0) -> bool:
    """End the Flower of this home; False when none lived. Raises Unavailable when it outlives even a kill."""
    place = _Place(home.flower)
    if not is_locked(place.lock):
        return False
    if not end_holder(place.lock, place.pid, grace_seconds=grace_seconds):
        raise Unavailable(f"{place.folder}: Flower (process {read_number(place.pid)}) does not end; end it by hand.")
    return True


def serve(environ: MutableMapping[str, str]) -> None:
    """Be Flower until SIGTERM. Raises InputError without a broker or a password, or when one lives in this home."""
    broker = environ.get(BROKER_VARIABLE)
    if not broker:
        raise InputError(f"Flower needs {BROKER_VARIABLE}; `lemfarm flower` sets it.")
    if not environ.get("FLOWER_BASIC_AUTH", "").partition(":")[2]:
        raise InputError("Flower needs FLOWER_BASIC_AUTH=user:password; it is not served to everyone.")
    environ.update({"FLOWER_READ_ONLY": "true"})
    for name, value in OPTIONS.items():
        environ.setdefault(name, value)
    home = open_home(environ.get(HOME_VARIABLE))
    lock = _take_folder(home, environ)
    try:
        app = make_app(broker)
        app.conf.broker_transport = None  # its page on the broker knows transports by Kombu's names only
        app.start(["--quiet", "flower"])
    finally:
        os.close(lock)


@dataclass(frozen=True, slots=True)
class _Place:
    """Names of the files in Flower's folder."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def pid(self) -> Path:
        return self.folder / "flower.pid"

    @property
    def port(self) -> Path:
        return self.folder / "port"

    @property
    def url(self) -> Path:
        return self.folder / "url"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets.json"


def _take_folder(home: Home, environ: Mapping[str, str]) -> int:
    home.ensure(home.flower)
    place = _Place(home.flower)
    lock = take_lock(place.lock)
    if lock is None:
        raise InputError(f"{place.folder}: Flower runs here already (process {read_number(place.pid)}).")
    address, port = environ.get("FLOWER_ADDRESS") or "127.0.0.1", environ.get("FLOWER_PORT") or str(_USUAL_PORT)
    try:
        place.url.write_text(f"http://{address}:{port}\n")
        place.port.write_text(f"{port}\n")
        place.pid.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise no_space(place.folder, error) from error
    return lock


def _secrets(place: _Place) -> dict[str, str]:
    """Password and cookie key, made once."""
    if not place.secrets.exists():
        fresh = {"password": secrets.token_urlsafe(18), "cookie": secrets.token_urlsafe(48)}
        write_private_json(place.secrets, fresh)
    return read_private_json(place.secrets)


def _main() -> int:
    keep_own_output_small()
    try:
        serve(os.environ)
    except LemfarmError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main())
