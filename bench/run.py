"""All benchmarks, one after the other, and how their aims were met: what `make bench` does.

    python bench/run.py [--only NAME]... [--strict]

Takes some minutes, best on a machine that does nothing else. `bench/RESULTS.md` keeps what was measured.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from common import ROOT

BENCHES: dict[str, Sequence[str]] = {
    "startup": (),
    "scorers": (),
    "score_files": (),
    "importing": (),
    "effort": ("--seeds", "3"),
    "gates": (),
    "duplicates": (),
    "loops": (),
    "planning": (),
    "farm": (),
    "engine": (),
    "farm_engine": (),
    "tokens": ("--samples", "4", "--accepted", "96"),
    "evaluation": ("--quick",),
    "export": (),
}


def run(name: str, arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Run one, showing what it prints; its exit code, and its lines."""
    print(f"\n== {name} ".ljust(100, "="), flush=True)
    script = Path(__file__).with_name(f"{name}.py")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, str(script), *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line.rstrip("\n"))
        print(lines[-1], flush=True)
    return child.wait(), lines


def main() -> int:
    """Run what is asked for; 1 when one failed, or with --strict when an aim was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--strict", action="store_true", help="a missed aim is a failure")
    options = parser.parse_args()
    aims: list[str] = []
    failed: list[str] = []
    began = time.monotonic()
    for name in options.only or BENCHES:
        code, lines = run(name, BENCHES[name])
        if code != 0:
            failed.append(name)
            continue
        aims += [line for line in lines if line.startswith("aim ")]
    print(f"\n== summary, after {time.monotonic() - began:.0f} s ".ljust(100, "="))
    print("\n".join([*aims, *(f"failed: {name}" for name in failed)]))
    missed = any(line.startswith("aim MISSED") for line in aims)
    return 1 if failed or (options.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
