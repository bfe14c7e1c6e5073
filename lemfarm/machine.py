"""Facts about this computer that decide what it can do.

Every fact may be unknown: a missing tool or a locked-down system yields None, never an exception. Questions to other
programs are asked through `ask`, so that tests can answer for a Mac.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_ANSWER_SECONDS = 5.0
_LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LINUX_CPUS = Path("/proc/cpuinfo")
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")

Ask = Callable[[Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What doctor shows, `plan` reckons with, and worker rows keep. Memory in bytes; `apple` means Apple silicon."""

    name: str
    system: str
    system_version: str
    chip: str
    apple: bool
    cores: int
    memory: int
    memory_free: int
    boot_id: str


def ask(command: Sequence[str]) -> str | None:
    """What a program prints, or None when it is missing, fails, or does not answer within five seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def machine_facts(*, system: str | None = None, ask: Ask = ask) -> MachineFacts:
    """All facts at once; takes a few tens of milliseconds, so workers ask once."""
    system = system or platform.system()
    total, free = memory()
    return MachineFacts(
        name=platform.node(),
        system="macOS" if system == "Darwin" else system,
        system_version=_system_version(system, ask),
        chip=chip(system=system, ask=ask),
        apple=system == "Darwin" and platform.machine() == "arm64",
        cores=_cores(),
        memory=total,
        memory_free=free,
        boot_id=boot_id(system=system, ask=ask),
    )


def boot_id(*, system: str | None = None, ask: Ask = ask, linux_file: Path = _LINUX_BOOT_ID) -> str:
    """A name for the time since the machine was last started: a death with another boot id was a reboot.

    The boot time, the last resort, may move by a second with the clock; that then passes for a reboot, which blames
    no sample.
    """
    system = system or platform.system()
    if system == "Darwin":
        found = ask(["sysctl", "-n", "kern.bootsessionuuid"])
        return found.lower() if found else _boot_time()
    try:
        return linux_file.read_text().strip() or _boot_time()
    except OSError:
        return _boot_time()


def chip(*, system: str | None = None, ask: Ask = ask, linux_file: Path = _LINUX_CPUS) -> str:
    """The processor by its selling name, such as "Apple M3 Ultra"; the architecture where nothing better is known."""
    if (system or platform.system()) == "Darwin":
        return ask(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.machine()
    try:
        lines = linux_file.read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def memory(*, limit_file: Path = _CGROUP_MEMORY) -> tuple[int, int]:
    """Total and available bytes; a container's limit counts where it is lower than the machine."""
    import psutil

    found = psutil.virtual_memory()
    total, available = int(found.total), int(found.available)
    try:
        limit = int(limit_file.read_text())
    except (OSError, ValueError):
        return total, available
    return min(total, limit), min(available, limit)


def free_disk(place: Path) -> int:
    """Free bytes where a folder is, or would be once it is created. Raises OSError."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def _cores() -> int:
    """Cores this process may use: a container may have fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _system_version(system: str, ask: Ask) -> str:
    if system == "Darwin":
        return platform.mac_ver()[0] or ask(["sw_vers", "-productVersion"]) or platform.release()
    return platform.release()


def _boot_time() -> str:
    import psutil

    return f"booted-{int(psutil.boot_time())}"
