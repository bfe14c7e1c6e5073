"""Run one training job in a child process and keep its result, or nothing.

The child works in a locked folder of its own (`workplace.py`); when its manifest stands, the folder is renamed to the
adapter's id. Killed at any moment, the same job run again on this machine goes on from its last checkpoint, or finds
its adapter finished. The child's standard input is the leash: it ends by itself when this process is gone.
"""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from lemfarm.errors import LemfarmError
from lemfarm.host.display import WATCHDOG_WORDS
from lemfarm.training.adapters import AdapterManifest, find_finished, is_complete, read_manifest
from lemfarm.training.checkpoints import remove_checkpoints
from lemfarm.training.job import JOB_FILE, Event, LoraJob, write_job
from lemfarm.training.workplace import Workplace, WorkplaceBusy, deliver, workplace

GRACE_SECONDS = 30.0

_POLL_SECONDS = 0.1
_TAIL_LINES = 20
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class TrainingFailed(LemfarmError):
    """The child ended without an adapter; `sample_ids` are the rows to blame, where it named any.

    `final` says that the same job would fail again (a wrong setting, a broken loss); a death is not final.
    """

    def __init__(self, message: str, sample_ids: tuple[str, ...] = (), *, final: bool = False) -> None:
        super().__init__(message)
        self.sample_ids = sample_ids
        self.final = final


class TrainingStopped(TrainingFailed):
    """It was asked to stop and did; the same job, run again, goes on from there."""


def run_lora(
    job: LoraJob,
    *,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
    log: Path,
    grace_seconds: float = GRACE_SECONDS,
) -> AdapterManifest:
    """Train, and return the manifest of the finished adapter, which lies in `job.adapters / manifest.id`.

    Every event of the child is handed to `on_event` in this thread; `should_stop` is asked several times a second.
    A job whose adapter is already there is not trained again: its curve is handed out once more. Raises
    TrainingStopped, TrainingFailed with the reason and the end of the log, and whatever `on_event` raises (the child
    is ended first).
    """
    try:
        with workplace(job, patience=grace_seconds) as place:
            finished = find_finished(job.adapters, job.key)
            if finished is not None:
                return _replay(finished, on_event)
            _run_or_discard(_Child(job, place, on_event, should_stop, log, grace_seconds))
            return deliver(place.folder, job.adapters)
    except WorkplaceBusy as error:
        raise TrainingFailed(f"{job.label}: {error}") from error


def _run_or_discard(child: "_Child") -> None:
    """Checkpoints of a training that cannot succeed are of no use; those of any other are gone on with."""
    try:
        child.run()
    except TrainingFailed as failure:
        if failure.final:
            remove_checkpoints(child.place.folder)
        raise


class _Child:
    """One child process from start to end."""

    def __init__(
        self,
        job: LoraJob,
        place: Workplace,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
        log: Path,
        grace_seconds: float,
    ) -> None:
        self.job, self.place, self.log, self.grace = job, place, log, grace_seconds
        self.on_event, self.should_stop = on_event, should_stop
        self.last: Event = {}
        self.stopping_since: float | None = None

    def run(self) -> None:
        """Returns when a whole adapter lies in the folder; raises TrainingStopped or TrainingFailed otherwise."""
        write_job(self.job, self.place.folder / JOB_FILE)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log_start = log.tell()
            process = self._start(log)
            try:
                self._follow(process)
                code = process.wait(timeout=self.grace)
            except subprocess.TimeoutExpired:
                code = -signal.SIGKILL  # it closed its output and does not end; judged by what it left
            finally:
                _end(process)
        if not is_complete(self.place.folder):
            raise self._failure(code, log_start)

    def _start(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "lemfarm.training.lora", JOB_FILE],
            cwd=self.place.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            pass_fds=(self.place.lock,),
            env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONFAULTHANDLER": "1"},
        )

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Hand on events until the child closes its output, passing on a wish to stop."""
        assert process.stdout is not None
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
        while True:
            with contextlib.suppress(queue.Empty):  # a quiet child is a busy one
                line = lines.get(timeout=_POLL_SECONDS)
                if line is None:
                    return
                self._hear(line)
            self._look_at_stop(process)

    def _hear(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = {"event": "error", "message": f"the child said {line[:200]!r}", "sample_ids": []}
        self.last = event
        self.on_event(event)

    def _look_at_stop(self, process: subprocess.Popen[bytes]) -> None:
        if self.stopping_since is None:
            if self.should_stop():
                self.stopping_since = time.monotonic()
                _say_stop(process)
        elif time.monotonic() - self.stopping_since > self.grace:
            process.kill()

    def _failure(self, code: int, log_start: int) -> TrainingFailed:
        if self.stopping_since is not None and self.last.get("event") != "error":
            return TrainingStopped(f"{self.job.label}: stopped as asked; run it again to go on.")
        tail = _tail(self.log, log_start)
        told = self.last if self.last.get("event") == "error" else {"message": _describe_end(code, tail)}
        reason = f"{self.job.label}: {told['message']}\nIts log, {self.log}, ends:\n{tail}"
        return TrainingFailed(reason, tuple(told.get("sample_ids", ())), final=bool(told.get("final")))


def _replay(finished: Path, on_event: Callable[[Event], None]) -> AdapterManifest:
    manifest = read_manifest(finished)
    if manifest.refused:
        on_event(
            {"event": "refused", "rows": dict(manifest.refused), "limit": manifest.record["settings"]["max_seq_length"]}
        )
    for point in manifest.curve:
        on_event(point)
    last = manifest.curve[-1]["iteration"] if manifest.curve else 0
    on_event(
        {"event": "done", "iteration": last, "adapter": manifest.id, "used": manifest.record["used"], "seconds": 0.0}
    )
    return manifest


def _pump(source: IO[bytes], lines: "queue.SimpleQueue[bytes | None]") -> None:
    for line in source:
        lines.put(line)
    lines.put(None)


def _say_stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has just ended by itself
        process.stdin.write(b"stop\n")
        process.stdin.flush()


def _end(process: subprocess.Popen[Any]) -> None:
    """Make sure that nothing of the child's session lives on."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone already
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # unread words to a dead child
                stream.close()


def _describe_end(code: int, tail: str) -> str:
    if WATCHDOG_WORDS in tail:
        return "macOS ended the training's GPU work because the display is on; let it sleep (`pmset displaysleepnow`)."
    if code >= 0:
        return f"the training process ended with code {code} and without an adapter."
    name = signal.Signals(-code).name
    hint = (
        " It may have run out of memory: lower batch_size, max_seq_length or num_layers." if name != "SIGTERM" else ""
    )
    return f"the training process was ended by {name}.{hint}"


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        text = _TERMINAL_CODES.sub("", file.read().decode(errors="replace"))
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-_TAIL_LINES:]) or "(empty)"
