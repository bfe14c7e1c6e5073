"""CPU time of `lemfarm --help`, and which heavy libraries it imports on the way.

    python bench/startup.py [--repetitions 7] [--json]

Every repetition is a process of its own that finds compiled bytecode, as an installed program does. A Python that does
nothing is measured beside it. The median is reported.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import Aim, compiled_once, report, spawn, table

CPU_SECONDS = 0.4
HELP = "import sys; sys.argv = ['lemfarm', '--help']; from lemfarm.cli import main; main()"
HEAVY = ("alembic", "celery", "huggingface_hub", "kombu", "mlx", "mlx_lm", "numpy", "pydantic", "redis", "sqlalchemy",
         "sqlmodel", "transformers")  # fmt: skip
IMPORTS = f"""
import json, sys, lemfarm.cli
print(json.dumps({{"imported": sorted(set(sys.modules) & set({HEAVY!r}))}}))
"""
PROGRAMS = {"python, nothing": "pass", "import lemfarm.cli": "import lemfarm.cli", "lemfarm --help": HELP}


def measure(repetitions: int) -> dict[str, Any]:
    """Median CPU seconds of each program, and what the last one imports."""
    with tempfile.TemporaryDirectory(prefix="lemfarm-bench-") as folder:
        environment = compiled_once(Path(folder))
        spawn(["-c", HELP], environment)
        seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
        for _ in range(repetitions):
            for name, program in PROGRAMS.items():
                seconds[name].append(spawn(["-c", program], environment)[1].cpu_seconds)
        imported = spawn(["-c", IMPORTS], environment)[0]["imported"]
    return {"cpu_seconds": {name: median(found) for name, found in seconds.items()}, "heavy_imports": imported}


def lines_of(result: dict[str, Any]) -> Sequence[str]:
    """The table."""
    rows = [[name, seconds] for name, seconds in result["cpu_seconds"].items()]
    heavy = ", ".join(result["heavy_imports"]) or "none"
    return [*table(["start", "CPU s"], rows), f"of the heavy libraries it imports: {heavy}"]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args()
    result = measure(options.repetitions)
    aim = Aim("startup: lemfarm --help", result["cpu_seconds"]["lemfarm --help"], CPU_SECONDS, "s of CPU")
    report(result, [aim], as_json=options.json, lines=lines_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
