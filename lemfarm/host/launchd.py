"""A worker as a LaunchDaemon: the file that macOS's launchd reads, and the commands that put it in its place.

A daemon, not an agent: since macOS 15 a program that launchd starts in a user's session may talk to the local network
only after a prompt that nobody may be there to answer ("No route to host", errno 65). Apple's technical note TN3179
exempts any daemon started by launchd, and names programs that run as root apart from them, so that a daemon may run as
an ordinary user. Written after Apple's documentation; nothing here was run on a Mac.
"""

import plistlib
import pwd
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lemfarm.connections import resolve
from lemfarm.errors import InputError, Unavailable
from lemfarm.home import Home
from lemfarm.host.manners import Manners

LABEL = "lemfarm.worker"
DAEMONS = Path("/Library/LaunchDaemons")

#: `lemfarm worker` takes its grace, ten seconds for its supervisor and five for a kill; then launchd may kill.
_EXIT_SLACK_SECONDS = 30
_THROTTLE_SECONDS = 30
_OPEN_FILES = 4096  # launchd gives 256; a worker has a connection a thread and two threads a slot
_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
#: Where models lie, and whether to go online for them. Never a token, never a URL: everyone can read a daemon's file.
_KEPT_VARIABLES = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE")
_GUARDED = ("Desktop", "Documents", "Downloads", "Library/Mobile Documents")
_LABEL_PART = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Account:
    """The person whose farm it is: the daemon runs as this user, not as root."""

    name: str
    home: Path


@dataclass(frozen=True, slots=True)
class Daemon:
    """One worker that launchd keeps alive. `options` are those of `lemfarm worker`; times in seconds."""

    label: str
    account: Account
    home: Home
    options: tuple[str, ...] = ()
    grace_seconds: float = 20.0
    variables: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def file(self) -> Path:
        """Where launchd looks for it."""
        return DAEMONS / f"{self.label}.plist"

    @property
    def log(self) -> Path:
        """What `lemfarm worker` says; the worker itself has its own log beside it."""
        return self.home.logs / f"{self.label}.log"

    @property
    def plist(self) -> dict[str, Any]:
        """The keys of launchd.plist(5).

        KeepAlive starts it again after a failure, but not one that was drained. ProcessType: anything less than
        Interactive has its CPU and I/O throttled by macOS, for days of computing that somebody asked for.
        """
        return {
            "Label": self.label,
            "UserName": self.account.name,
            "ProgramArguments": [self.python, "-m", "lemfarm", "worker", "--home", str(self.home.root), *self.options],
            "EnvironmentVariables": {
                "HOME": str(self.account.home),
                "PATH": f"{Path(self.python).parent}:{_PATH}",
                **self.variables,
            },
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _THROTTLE_SECONDS,
            "ExitTimeOut": int(self.grace_seconds) + _EXIT_SLACK_SECONDS,
            "ProcessType": "Interactive",
            "SoftResourceLimits": {"NumberOfFiles": _OPEN_FILES},
            "StandardOutPath": str(self.log),
            "StandardErrorPath": str(self.log),
        }

    @property
    def xml(self) -> bytes:
        """The file's content."""
        return plistlib.dumps(self.plist, sort_keys=False)

    @property
    def notes(self) -> list[str]:
        """What will keep it from working, as far as that can be seen from here."""
        places = [Path(self.python), self.home.root, *(Path(option.partition("=")[2]) for option in self.options)]
        guarded = [self.account.home / name for name in _GUARDED]
        found = {place for place in places if any(place.is_relative_to(folder) for folder in guarded)}
        return [
            f"{place}: macOS keeps daemons out of Desktop, Documents, Downloads and iCloud; move it elsewhere, "
            "or give this Python Full Disk Access in the privacy settings."
            for place in sorted(found)
        ]


def is_mac() -> bool:
    """Whether there is a launchd here."""
    return sys.platform == "darwin"


def label_of(name: str | None) -> str:
    """The label of the daemon for a worker's name, so that two farms may have one each. Raises InputError."""
    if name is None:
        return LABEL
    if not _LABEL_PART.fullmatch(name):
        raise InputError(f"--name {name}: a daemon's name is made of letters, digits, dots, dashes and underscores.")
    return f"{LABEL}.{name}"


def find_account(name: str | None, environ: Mapping[str, str], uid: int) -> Account:
    """The named user, else who called sudo, else the user of this process. Raises InputError, also for root."""
    try:
        wanted = name or environ.get("SUDO_USER") or pwd.getpwuid(uid).pw_name
        entry = pwd.getpwnam(wanted)
    except KeyError:
        raise InputError(f"there is no user {name or environ.get('SUDO_USER') or uid} on this machine.") from None
    if entry.pw_uid == 0:
        raise InputError("a worker should not run as root: name the farm's user with --user NAME.")
    return Account(entry.pw_name, Path(entry.pw_dir))


def worker_daemon(
    home: Home,
    account: Account,
    *,
    name: str | None = None,
    slots: int | None = None,
    models: Mapping[str, Path] | None = None,
    run: str | None = None,
    grace_seconds: float = 20.0,
    manners: Manners | None = None,
    environ: Mapping[str, str] | None = None,
) -> Daemon:
    """A daemon for `lemfarm worker` with these options. Raises InputError for a home that reaches no farm."""
    require_farm(home)
    options = ["--name", name] if name else []
    options += ["--slots", str(slots)] if slots else []
    options += [word for model, folder in (models or {}).items() for word in ("--model", f"{model}={folder}")]
    options += ["--run", run] if run else []
    options += ["--grace", f"{grace_seconds:g}", *(manners or Manners()).arguments()]
    kept = {key: value for key in _KEPT_VARIABLES if (value := (environ or {}).get(key))}
    return Daemon(label_of(name), account, home, tuple(options), grace_seconds, kept)


def require_farm(home: Home) -> None:
    """A daemon gets no URLs but those in the home: refuse one that would have nothing to reach. Raises InputError."""
    if resolve(home, environ={}).broker is None and not home.valkey.is_dir():
        raise InputError(
            f"{home.root} belongs to no farm: `lemfarm join` names one on other machines, "
            "`lemfarm up` starts one here. A daemon gets its URLs from the home only."
        )


def install_commands(daemon: Daemon, draft: Path) -> list[list[str]]:
    """What root does to install a file that lies at `draft`, and to start the worker. Raises InputError when one of
    that label is there."""
    if daemon.file.exists():
        raise InputError(f"{daemon.file} is there already: `lemfarm worker uninstall` first, or choose another --name.")
    folder = ["install", "-d", "-o", daemon.account.name, "-m", "755", str(daemon.home.logs)]
    return [
        *([] if daemon.home.logs.is_dir() else [folder]),
        ["install", "-o", "root", "-g", "wheel", "-m", "644", str(draft), str(daemon.file)],
        ["launchctl", "bootstrap", "system", str(daemon.file)],
    ]


def uninstall_commands(label: str) -> list[list[str]]:
    """What root does to end the worker and to remove its file. Raises InputError when there is none."""
    file = DAEMONS / f"{label}.plist"
    if not file.exists():
        raise InputError(f"{file} is not there: no worker is installed under this name.")
    loaded = ["launchctl", "bootout", f"system/{label}"]
    return [*([loaded] if is_loaded(label) else []), ["rm", str(file)]]


def is_loaded(label: str) -> bool:
    """Whether launchd knows the daemon now."""
    try:
        done = subprocess.run(["launchctl", "print", f"system/{label}"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def carry_out(commands: Sequence[Sequence[str]]) -> None:
    """Run commands as root. Raises Unavailable with what the first one said that failed; the rest is not run."""
    for command in commands:
        done = subprocess.run(list(command), capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip() or f"it ended with {done.returncode}"
            raise Unavailable(f"`{' '.join(command)}` failed: {said}")
