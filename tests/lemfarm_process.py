"""The command line as processes of their own, in a farm of their own: what a person types, signals, and what is left.

Nothing waits for a fixed time: `wait` asks until it is so. Leaving the `with` ends what the commands started, by
process id.
"""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lemfarm import valkey
from lemfarm.home import Home
from lemfarm.local_workers import living_workers
from tests.command import Ran
from tests.farm import ROOT, end, write_probes

PATIENCE_SECONDS = 120.0
"""No test depends on speed: this is only how long a test that will fail is allowed to hope."""

RUN_FILE = """\
run: tiny
model: {{engine: simulated, tokens_per_second: {speed}, mean_tokens: 100, slots: 4}}
sampling: {{max_tokens: 1024}}
farm: {{lease_seconds: 3}}
phases:
  - name: only
    probes: [probes.jsonl]
    samples: 2
    gates: [{{min_chars: 50}}]
    quota: {{accepted: {accepted}, stop_when_full: false}}
"""


@dataclass
class Command:
    """One command that was started; `said` is what it printed, results and words for people together."""

    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to this one process, as a terminal does with Ctrl-C: its children are in other sessions."""
        self.process.send_signal(number)

    def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end; returns the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.arguments} goes on after {seconds:g} s:\n{self.said}") from None


@dataclass
class Site:
    """A folder with a run file, a home, and the commands that were started in it."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)

    def __enter__(self) -> "Site":
        write_probes(self.folder / "probes.jsonl", 10)
        self.write()
        return self

    def __exit__(self, *_: object) -> None:
        for command in self.commands:
            end(command.process)
        for place in living_workers(self.home):
            _kill(place.pid)
        valkey.stop(self.home, grace_seconds=5.0)

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @property
    def run_file(self) -> Path:
        return self.folder / "run.yaml"

    def write(self, *, speed: float = 2000.0, accepted: int = 40) -> None:
        """The run file: 10 probes x 2 variants x 2 samples = 40."""
        self.run_file.write_text(RUN_FILE.format(speed=speed, accepted=accepted))

    def start(self, *arguments: object, **popen: Any) -> Command:
        """Start a command in a session of its own."""
        words = tuple(map(str, arguments))
        log = self.folder / f"command-{len(self.commands)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "lemfarm", *words],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **popen,
            )
        self.commands.append(Command(words, process, log))
        return self.commands[-1]

    def run(self, *arguments: object, typed: str = "", **popen: Any) -> Ran:
        """A command to its end, results and words for people apart; `typed` comes through a pipe."""
        done = subprocess.run(
            [sys.executable, "-m", "lemfarm", *map(str, arguments)],
            cwd=self.folder,
            env=self._environment(),
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            start_new_session=True,
            **popen,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Ask until it is so; else fail with what the commands and workers said."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds:g} s in vain: {what}\n{self.story()}")
            time.sleep(0.05)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the SQLite database; none before its tables are there."""
        if not self.home.database.exists():
            return []
        with contextlib.closing(sqlite3.connect(self.home.database, timeout=30.0)) as connection:
            try:
                return connection.execute(sql, values).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def kill(self, command: Command) -> None:
        """kill -9, and let its turn as the watcher be over, which would take up to a quarter of a minute."""
        command.signal(signal.SIGKILL)
        command.ended()
        with contextlib.closing(sqlite3.connect(self.home.database, timeout=30.0)) as connection:
            connection.execute("UPDATE turn SET expires = 0")
            connection.commit()

    def count(self, where: str = "1 = 1") -> int:
        """How many samples are so."""
        return sum(row[0] for row in self.rows(f"SELECT count(*) FROM sample WHERE {where}"))

    def wait_done(self, count: int) -> None:
        """Wait until so many samples are done."""
        self.wait(lambda: self.count("state = 'done'") >= count, f"{count} samples to be done")

    def story(self) -> str:
        """What the commands and the workers said last."""
        logs = [command.log for command in self.commands] + sorted(self.home.logs.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEMFARM_")}
        return kept | {"LEMFARM_HOME": str(self.home.root), "PYTHONPATH": str(ROOT), **self.environ}


def _kill(pid: int | None) -> None:
    if pid is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself meanwhile
        process = psutil.Process(pid)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
