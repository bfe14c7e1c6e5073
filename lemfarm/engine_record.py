"""What this machine has learnt about running a model: where memory ran short, the knee, the most it ever took.

One small JSON file in the home for each model and machine, so that a worker begins with what the last one found out,
and `plan`, `status` and `doctor` can show it. Losing the file costs time, never a sample: it may be deleted.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lemfarm.home import Home, write_private
from lemfarm.identity import content_hash, short
from lemfarm.locks import take_lock
from lemfarm.machine import chip, memory

#: The largest batch that is tried. Throughput was measured up to 32 rows, where it had stopped growing on the CPU.
MOST_SLOTS = 64
#: Tokens of a prompt with its kernel, as they are reckoned before either is known: 2,000 of kernel and a short probe.
LONG_PROMPT = 2048
#: With an answer of 4,096 tokens, the longest of the curriculum.
LONG_SAMPLE = LONG_PROMPT + 4096
_SHORTEST_LENGTH = 256
_GIB = 1 << 30
_KEPT_SHORTAGES = 16


@dataclass(frozen=True, slots=True)
class Shortage:
    """Memory ran short with so many slots; `left` is with how many the worker went on.

    `session` is the process id of the supervisor under which it happened (0: none), `worker` the id of the worker
    process, so that one death is noted once.
    """

    when: str
    slots: int
    left: int
    why: str
    session: int = 0
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Knee:
    """The batch size beyond which tokens per second stop growing, with the rate at each size that was measured.

    `most` is the size beyond which it was not looked for. It is not `sure` where time ended the search while the rate
    still grew, or where two measurements of one size differed so much that something else was at work on the machine.
    Sequences held `tokens` tokens, under that `version` of the libraries.
    """

    slots: int
    rates: Mapping[int, float]
    most: int
    sure: bool
    tokens: int
    version: str
    when: str


@dataclass(frozen=True, slots=True)
class Peak:
    """The most bytes that the engine held, and with how many slots."""

    bytes: int
    slots: int
    when: str


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that is known of one model on one machine."""

    shortages: tuple[Shortage, ...] = ()
    knees: Mapping[int, Knee] = field(default_factory=dict)  #: by length, rounded up to a power of two
    peak: Peak | None = None

    def shortage(self, *, asked: int | None = None, session: int = 0) -> Shortage | None:
        """The one that decides how many slots may be used; none where memory never ran short.

        `asked` is what a person wants with `--slots`: that overrides what was learnt before, but not what happens to
        this very worker afterwards, under the same supervisor.
        """
        counted = [one for one in self.shortages if asked is None or (session and one.session == session)]
        return min(counted, key=lambda one: one.left, default=None)

    def knee(self, tokens: int) -> Knee | None:
        """The knee for sequences of that length."""
        return self.knees.get(length_bucket(tokens))


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """The file of one model on one machine."""

    path: Path
    model: str

    @classmethod
    def of(cls, home: Home, model: str) -> "EngineRecord":
        """The record of a model on this machine; `model` as `model_name` says it. The file is named by chip and memory
        too, because a home on a shared disk serves several machines."""
        machine = {"chip": chip(), "memory": memory()[0]}
        return cls(_folder(home) / f"{short(content_hash([model, machine]))}.json", model)

    def read(self) -> Learnt:
        """What is known; nothing where the file is missing or damaged."""
        try:
            return _learnt(json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Learnt()

    def note_shortage(self, slots: int, why: str, *, session: int = 0, worker: str = "") -> Shortage:
        """Remember that memory ran short, and go on with half the slots. A worker's death is noted once."""
        noted = Shortage(_now(), slots, max(1, slots // 2), why, session, worker)

        def add(known: Learnt) -> Learnt:
            if worker and any(one.worker == worker for one in known.shortages):
                return known
            return replace(known, shortages=(*known.shortages, noted)[-_KEPT_SHORTAGES:])

        self._change(add)
        return noted

    def note_knee(self, knee: Knee) -> None:
        """Remember a knee in place of an earlier one for the same length."""
        self._change(lambda known: replace(known, knees={**known.knees, length_bucket(knee.tokens): knee}))

    def note_peak(self, size: int, slots: int) -> None:
        """Remember the most memory that was ever held."""

        def higher(known: Learnt) -> Learnt:
            if known.peak is not None and known.peak.bytes >= size:
                return known
            return replace(known, peak=Peak(size, slots, _now()))

        self._change(higher)

    def forget_shortages(self) -> int:
        """Let the next worker try again with all its slots; returns how many shortages were forgotten."""
        forgotten = len(self.read().shortages)
        if forgotten:
            self._change(lambda known: replace(known, shortages=()))
        return forgotten

    def _change(self, change: Callable[[Learnt], Learnt]) -> None:
        """Read, change, write: one process at a time. A full disk loses the knowledge, not the worker."""
        with contextlib.suppress(OSError), _locked(self.path):
            known = self.read()
            changed = change(known)
            if changed != known:
                write_private(self.path, json.dumps({"model": self.model, **asdict(changed)}, indent=1))


def forget_shortages(home: Home) -> int:
    """Forget where memory ran short, for every model of this home; returns how many records that changed."""
    records = [EngineRecord(path, _model_of(path)) for path in sorted(_folder(home).glob("*.json"))]
    return sum(record.forget_shortages() > 0 for record in records)


def model_name(folder: Path | None, path: str) -> str:
    """Under what a model's record is kept: memory and speed follow from its configuration and the sizes of its weights,
    so fine-tuned siblings share one record; a model without a folder goes by the name in the run file."""
    if folder is None:
        return path
    with contextlib.suppress(OSError):
        sizes = sorted((file.name, file.stat().st_size) for file in folder.glob("model*.safetensors"))
        return content_hash([(folder / "config.json").read_text(), sizes])
    return str(folder)


def length_bucket(tokens: int) -> int:
    """A length rounded up to a power of two, 256 at least: knees of neighbouring lengths hardly differ."""
    return max(_SHORTEST_LENGTH, 1 << (max(1, tokens) - 1).bit_length())


def describe(shortage: Shortage) -> str:
    """A shortage for people, with the way back."""
    return (
        f"{shortage.left} slots instead of {shortage.slots}: {shortage.why} on {shortage.when[:10]}. "
        "`lemfarm doctor --forget-limits` lets the next worker try again, `--slots N` overrides"
    )


def findings(learnt: Learnt) -> list[str]:
    """What was measured, for people; empty before the first worker."""
    said = []
    if learnt.peak is not None:
        said.append(f"measured peak {_size(learnt.peak.bytes)} with {learnt.peak.slots} slots")
    return said + [_knee_text(knee) for _, knee in sorted(learnt.knees.items())]


def _knee_text(knee: Knee) -> str:
    """The knee and what one slot and the knee bring."""
    if not knee.sure:
        return f"no sure knee for {knee.tokens:,} tokens yet: time was short, or the machine busy"
    rates = f"{knee.rates[knee.slots]:,.0f} tokens/s, {knee.rates[min(knee.rates)]:,.0f} at {min(knee.rates)}"
    return f"knee at {knee.slots} of up to {knee.most} slots for {knee.tokens:,} tokens ({rates})"


def _size(amount: int) -> str:
    return f"{amount / _GIB:.1f} GiB" if amount >= _GIB else f"{amount / (1 << 20):.0f} MiB"


def _folder(home: Home) -> Path:
    return home.root / "engines"


def _model_of(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["model"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _learnt(data: Mapping[str, Any]) -> Learnt:
    knees = {int(tokens): Knee(**_with_sizes(knee)) for tokens, knee in data.get("knees", {}).items()}
    peak = data.get("peak")
    return Learnt(
        tuple(Shortage(**shortage) for shortage in data.get("shortages", ())), knees, Peak(**peak) if peak else None
    )


def _with_sizes(knee: Mapping[str, Any]) -> dict[str, Any]:
    """JSON turns the sizes into text."""
    return {**knee, "rates": {int(size): float(rate) for size, rate in knee["rates"].items()}}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = take_lock(path.with_suffix(".lock"))
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
