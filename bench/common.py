"""What the benchmarks share: made-up runs, farms in a temporary folder, children and what they used, tables."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lemfarm import valkey
from lemfarm.connections import Connections, child_environment, resolve
from lemfarm.engines.simulated_text import write
from lemfarm.home import Home, open_home

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = 4
SCORING, STAND_IN = "scoring", "the stand-in engine's texts"
PROMPT_WORDS = 40
KERNEL_WORDS = 1_500
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should be, and what it is."""

    what: str
    measured: float
    limit: float
    unit: str
    at_least: bool = False  #: else at most

    @property
    def met(self) -> bool:
        """Whether it is what it should be."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def line(self) -> str:
        """One line of the summary; `run.py` collects those that begin with `aim`."""
        word, side = "met   " if self.met else "MISSED", "at least" if self.at_least else "at most"
        return f"aim {word}  {self.what}: {self.measured:.3g} {self.unit} ({side} {self.limit:g})"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the kernel counted of a child that has ended."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Farm:
    """A farm in a temporary folder, with its embedded Valkey running."""

    folder: Path
    home: Home
    connections: Connections
    valkey_pid: int

    @property
    def environment(self) -> dict[str, str]:
        """For children that are to work in this farm."""
        return compiled_once(self.folder) | child_environment(self.connections, self.home)


def compiled_once(folder: Path) -> dict[str, str]:
    """The environment for children that find bytecode as an installed program does, whatever is set here."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


@contextmanager
def temporary_farm() -> Iterator[Farm]:
    """A farm that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lemfarm-bench-") as name:
        folder = Path(name)
        home = open_home(folder / "home")
        home.ensure()
        server = valkey.ensure(home)
        try:
            yield Farm(folder, home, resolve(home, environ={}).with_broker(server.url), server.pid)
        finally:
            valkey.stop(home)


def write_run(folder: Path, name: str, *, probes: int, samples: int, quota: Mapping[str, Any]) -> Path:
    """A run file with made-up probes of four wordings and an engine that costs next to nothing; returns its path."""
    dice = random.Random(name)
    kernel, library = folder / f"{name}-kernel.txt", folder / f"{name}-probes.jsonl"
    kernel.write_text(write(dice, 0.3, KERNEL_WORDS))
    library.write_text("".join(json.dumps(_probe(dice, number)) + "\n" for number in range(probes)))
    config = {
        "run": name,
        "model": {"engine": "simulated", "tokens_per_second": 0},
        "kernel": {"file": str(kernel), "placement": "system"},
        "sampling": {"temperature": 0.8, "top_p": 0.95, "max_tokens": 1024, "seed": 42},
        "phases": [
            {
                "name": "phase",
                "probes": [str(library)],
                "samples": samples,
                "gates": [{"scorer": "v2-distill", "at_least": 24.0}, {"truncated": "reject"}],
                "quota": {"enough": 1, "when_exhausted": "train", **quota},
            }
        ],
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(config, indent=2))  # JSON is YAML
    return path


def _probe(dice: random.Random, number: int) -> dict[str, Any]:
    wordings = [write(dice, 0.0, PROMPT_WORDS) for _ in range(VARIANTS)]
    variants = [{"kind": f"wording-{index}", "prompt": text} for index, text in enumerate(wordings[1:], 1)]
    return {"id": f"P{number:04}", "domain": "made-up", "prompt": wordings[0], "variants": variants}


def spawn(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, Any], Usage]:
    """Run a Python program to its end; what it printed last as JSON, and what it used. Raises SystemExit if it fails.

    The peak is never below what this process held when the child began: a measuring process stays small.
    """
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, *arguments], env=dict(environment), stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with code {child.returncode}")
    usage = Usage(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * _MAXRSS_UNIT / (1 << 20))
    lines = said.strip().splitlines()
    return (json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}), usage


def report(result: Mapping[str, Any], aims: Sequence[Aim], *, as_json: bool, lines: Sequence[str]) -> None:
    """Print the table and how the aims were met, or everything as one object."""
    if as_json:
        print(json.dumps({**result, "aims": [asdict(aim) for aim in aims]}, indent=2))
        return
    print("\n".join([*lines, "", *(aim.line() for aim in aims)]))


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Aligned columns: the first to the left, figures to the right."""
    cells = [[_shown(cell) for cell in row] for row in [list(heads), *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in cells
    ]  # fmt: skip


def _shown(cell: object) -> str:
    return f"{cell:,.3f}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else str(cell)
