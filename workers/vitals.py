"""What a worker process leaves on disk of itself, so that the next one can tell whether memory ended it.

Metal aborts a process that runs out of memory in the middle of a step, and a system short of memory kills it; neither
leaves a word. Two files beside the worker's lock do: its vitals, written when they change, and the place to which
Python writes where its threads stood when a signal such as SIGABRT arrived.
"""

import contextlib
import faulthandler
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, BinaryIO

import structlog

from lemfarm.engine_record import EngineRecord, Shortage
from lemfarm.home import Home, write_private
from lemfarm.local_workers import WorkerPlace
from lemfarm.supervisor import SUPERVISOR_VARIABLE

log = structlog.get_logger()
NEAR = 0.85
"""A process that was killed with so much of its limit in use counts as killed for memory: with what was planned it
stays below 0.8, so other kills hardly meet the mark."""

_GROWTH = 1.02
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Vitals:
    """Bytes; `together` while several samples are in the engine, `session` the supervisor's process id."""

    worker: str
    boot_id: str
    model: str
    slots: int
    limit: int
    session: int = 0
    peak: int = 0
    together: bool = False


def session_of(environ: Mapping[str, str]) -> int:
    """The supervisor that this process was started by; 0 without one."""
    return int(environ.get(SUPERVISOR_VARIABLE) or 0)


def note_death(home: Home, place: WorkerPlace, boot_id: str) -> Shortage | None:
    """Look at what the process before this one left; where memory ended it, remember that for its model.

    An abort with several samples in the engine counts, and a kill with memory near its limit; a reboot, any other
    exit, and a death with a single sample do not: fewer slots would not have helped.
    """
    left = _read(place)
    if left is None or not left.together or left.slots < 2 or left.boot_id != boot_id:
        return None
    why = _why(left, place)
    if why is None:
        return None
    noted = EngineRecord.of(home, left.model).note_shortage(left.slots, why, session=left.session, worker=left.worker)
    log.warning("memory ran short", was=left.slots, slots=noted.left, why=why)
    return noted


def _why(left: Vitals, place: WorkerPlace) -> str | None:
    with contextlib.suppress(OSError):
        if "Aborted" in place.fault.read_text(errors="replace"):
            return "a worker was aborted in mid-batch, as Metal does where memory runs out,"
    if left.limit and left.peak > NEAR * left.limit:
        return f"a worker was killed with {left.peak / _GIB:.1f} of {left.limit / _GIB:.1f} GiB in use"
    return None


def _read(place: WorkerPlace) -> Vitals | None:
    try:
        return Vitals(**json.loads(place.vitals.read_text()))
    except (OSError, ValueError, TypeError):
        return None


@dataclass
class VitalsFile:
    """This process's own; engine and keeper thread both tell it. What cannot be written is left out."""

    place: WorkerPlace
    now: Vitals
    on_peak: Callable[[int, int], None] = lambda _bytes, _slots: None
    on_slots: Callable[[int], None] = lambda _slots: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fault: BinaryIO | None = None
    _told: int = 0
    _told_slots: int = 0

    def __post_init__(self) -> None:
        self._told_slots = self.now.slots

    def open(self) -> None:
        """Begin; what the process before this one left is gone then."""
        self._change()
        with contextlib.suppress(OSError):
            self._fault = self.place.fault.open("wb")
            faulthandler.enable(self._fault)

    def company(self, together: bool) -> None:
        """Several samples are in the engine from now on, or no longer."""
        self._change(together=together)

    def look(self, peak: int, slots: int) -> None:
        """Note slots that became fewer, and a peak of memory that is more than a little higher than the last; tell of
        either until it was heard."""
        if slots != self.now.slots:
            self._change(slots=slots)
        if peak > self.now.peak * _GROWTH:
            self._change(peak=peak)
        if slots != self._told_slots:
            self.on_slots(slots)
            self._told_slots = slots
        if peak > self._told * _GROWTH:
            self.on_peak(peak, slots)
            self._told = peak

    def close(self) -> None:
        """The process ends of its own accord."""
        if self._fault is not None:
            faulthandler.disable()
            self._fault.close()
        with contextlib.suppress(OSError):
            self.place.vitals.unlink(missing_ok=True)
            self.place.fault.unlink(missing_ok=True)

    def _change(self, **values: Any) -> None:
        with self._lock, contextlib.suppress(OSError):
            self.now = replace(self.now, **values)
            write_private(self.place.vitals, json.dumps(asdict(self.now)))


def new_vitals(worker: str, boot_id: str, model: str, slots: int, limit: int) -> Vitals:
    """The vitals of a process whose engine has just been loaded."""
    return Vitals(worker, boot_id, model, slots, limit, session=session_of(os.environ))
