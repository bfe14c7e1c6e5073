"""Keeps processes alive: workers, Flower, the embedded Valkey.

One that dies unexpectedly is started again, after a pause that doubles with each quick death. One that ends with a
final code has said all there is to say: 0 (asked to end, nothing left to do) or 2 (wrong input, which another start
does not cure). Children live in sessions of their own, so that Ctrl-C reaches them once, through us.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal, Protocol

from lemfarm.connections import no_space
from lemfarm.errors import LemfarmError
from lemfarm.rotation import LOG_VARIABLE, rotate

FINAL_CODES = frozenset({0, 2})
SUPERVISOR_VARIABLE = "LEMFARM_SUPERVISOR"

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
_HEALTHY_SECONDS = 60.0  # who lived this long starts again with the first pause
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.1
_INTERRUPTED = 130


class Member(Protocol):
    """Something that a supervisor keeps alive."""

    @property
    def name(self) -> str:
        """What logs and the command line call it."""

    def start(self) -> None:
        """Start it; raises LemfarmError or OSError when that cannot be done now."""

    def exit_code(self) -> int | None:
        """None while it lives, else how it ended (negative: by which signal)."""

    def end(self, *, at_once: bool) -> None:
        """Ask it to end (SIGTERM), or end it and all it started at once (SIGKILL); may return before it has ended."""


@dataclass(frozen=True, slots=True)
class Event:
    """What `Supervisor.poll` saw: a member died, was started again, could not be started, or has ended for good."""

    member: str
    kind: Literal["died", "restarted", "not started", "ended"]
    code: int | None = None
    text: str = ""


@dataclass(slots=True)
class Child:
    """A process. `environment` comes over ours; output is appended to `log`, which is rotated at each start;
    one of ours is told its name and goes on rotating it."""

    name: str
    argv: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the last start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process. Raises NoSpace when its log cannot be written, OSError when there is no such program."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            rotate(self.log)
            log = self.log.open("ab")
        except OSError as error:
            raise no_space(self.log, error) from error
        told = {SUPERVISOR_VARIABLE: str(os.getpid()), LOG_VARIABLE: str(self.log)}
        with log:
            self._process = subprocess.Popen(
                list(self.argv),
                cwd=self.folder,
                env={**os.environ, **told, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def exit_code(self) -> int | None:
        """None while it lives. What it left behind in its session is killed, so that nothing runs twice."""
        if self._process is None:
            return 0
        code = self._process.poll()
        if code is not None:
            self._kill_session()
        return code

    def end(self, *, at_once: bool) -> None:
        """SIGTERM to the process, or SIGKILL to its whole session."""
        if self._process is None or self._process.poll() is not None:
            return
        if at_once:
            self._kill_session()
        else:
            self._process.terminate()

    def _kill_session(self) -> None:
        assert self._process is not None
        # Nobody is left in it, or (macOS) only a zombie that may not be signalled.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


@dataclass
class KeptServer:
    """A server as a supervisor's member; one that lives already (its supervisor was killed) is adopted. `stop` ends
    such a one, with a grace in seconds."""

    name: str
    lives: Callable[[], bool]
    command: Callable[[], Child]
    stop: Callable[[float], object]
    grace_seconds: float = 15.0
    _child: Child | None = None

    def start(self) -> None:
        """Start it where it was, unless one lives. Raises NoSpace, BrokerDown, OSError."""
        if self._child is None and self.lives():
            return
        self._child = self.command()
        self._child.start()

    def exit_code(self) -> int | None:
        """None while it lives; an adopted one that is gone counts as killed."""
        if self._child is not None:
            return self._child.exit_code()
        return None if self.lives() else -int(signal.SIGKILL)

    def end(self, *, at_once: bool) -> None:
        """SIGTERM, or SIGKILL; an adopted one has ended when this returns."""
        if self._child is not None:
            self._child.end(at_once=at_once)
        else:
            self.stop(0.0 if at_once else self.grace_seconds)


@dataclass(slots=True)
class _Kept:
    member: Member
    pause: float
    ended: bool = False
    code: int | None = None
    started_at: float = 0.0
    start_at: float | None = None  # when it is to be started again; None while it lives


class Supervisor:
    """Starts services, then members; restarts both from `poll`; ends the members, then the services they need."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        services: Sequence[Member] = (),
        final_codes: frozenset[int] = FINAL_CODES,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._final_codes = final_codes
        self._first_pause = first_pause_seconds
        self._clock = clock
        self._services = [_Kept(service, first_pause_seconds) for service in services]
        self._members = [_Kept(member, first_pause_seconds) for member in members]
        self._stopping = False
        self._waiting = False
        self._hurry = False

    def start(self) -> None:
        """Start everything; when one cannot be started, end the others and raise its error."""
        try:
            for kept in (*self._services, *self._members):
                kept.member.start()
                kept.started_at = self._clock()
        except BaseException:
            self.stop(grace_seconds=_KILL_SECONDS)
            raise

    @property
    def all_ended(self) -> bool:
        """Whether every member (services aside) has ended with a final code."""
        return all(kept.ended for kept in self._members)

    @property
    def codes(self) -> dict[str, int]:
        """How the members that have ended for good ended, by name."""
        return {kept.member.name: kept.code for kept in self._members if kept.code is not None}

    def poll(self) -> list[Event]:
        """Look at every one once, start again what is due, and say what happened. Never blocks, never raises."""
        if self._stopping:
            return []
        every = (*self._services, *self._members)
        return [event for kept in every if not kept.ended for event in self._look(kept)]

    def ask_to_end(self) -> None:
        """A signal to each member; who hears a second one hurries. `stop` follows."""
        self._stopping = True
        for kept in reversed(self._members):
            kept.member.end(at_once=False)

    def stop(self, grace_seconds: float) -> bool:
        """Ask all to end, wait, kill what is left; True when nothing had to be killed.

        A second call, from a signal handler while the first one waits, kills at once; after a first one that an
        exception unwound, it asks again and waits anew.
        """
        if self._waiting:
            self._hurry = True
            return False
        self._stopping = self._waiting = True
        try:
            members_ended = self._end(self._members, grace_seconds)
            return self._end(self._services, grace_seconds) and members_ended
        finally:
            self._waiting = False

    def _end(self, group: Sequence[_Kept], grace_seconds: float) -> bool:
        for kept in reversed(group):
            kept.member.end(at_once=self._hurry)
        if self._wait_for(group, grace_seconds, patient=False):
            return True
        for kept in reversed(group):
            kept.member.end(at_once=True)
        self._wait_for(group, _KILL_SECONDS, patient=True)
        return False

    def _look(self, kept: _Kept) -> Iterator[Event]:
        if kept.start_at is not None:
            yield from self._start_when_due(kept, kept.start_at)
            return
        code = kept.member.exit_code()
        if code is None:
            return
        if code in self._final_codes:
            kept.ended, kept.code = True, code
            yield Event(kept.member.name, "ended", code)
            return
        if self._clock() - kept.started_at >= _HEALTHY_SECONDS:
            kept.pause = self._first_pause
        self._schedule(kept)
        yield Event(kept.member.name, "died", code)

    def _start_when_due(self, kept: _Kept, due: float) -> Iterator[Event]:
        if self._clock() < due:
            return
        try:
            kept.member.start()
        except (LemfarmError, OSError) as error:
            self._schedule(kept)
            yield Event(kept.member.name, "not started", text=str(error))
            return
        kept.start_at = None
        kept.started_at = self._clock()
        yield Event(kept.member.name, "restarted")

    def _schedule(self, kept: _Kept) -> None:
        kept.start_at = self._clock() + kept.pause
        kept.pause = min(kept.pause * 2, _LONGEST_PAUSE_SECONDS)

    def _wait_for(self, group: Sequence[_Kept], seconds: float, *, patient: bool) -> bool:
        deadline = time.monotonic() + seconds
        while any(kept.member.exit_code() is None for kept in group):
            if (self._hurry and not patient) or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def run(supervisor: Supervisor, *, grace_seconds: float, on_event: Callable[[Event], None]) -> int:
    """Start, watch until all have ended or a signal comes, stop. Returns 130 after Ctrl-C, else the highest final code.

    The first SIGINT or SIGTERM passes SIGTERM on to the members and waits for the grace; the second kills them.
    """
    interrupted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        interrupted.append(number)
        if len(interrupted) > 1:
            supervisor.stop(0.0)

    with _signals_to(note):
        supervisor.start()
        while not interrupted and not supervisor.all_ended:
            for event in supervisor.poll():
                on_event(event)
            time.sleep(_POLL_SECONDS)
        supervisor.stop(grace_seconds)
    return _INTERRUPTED if signal.SIGINT in interrupted else max(supervisor.codes.values(), default=0)


def orphaned(environ: Mapping[str, str]) -> bool:
    """Whether the supervisor that started this process is gone (kill -9); a new one would start a second process."""
    supervisor = environ.get(SUPERVISOR_VARIABLE)
    return supervisor is not None and os.getppid() != int(supervisor)


@contextlib.contextmanager
def _signals_to(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
