"""How long `probes import` takes for a large file of seeds, and how much memory, next to the size of the file.

    python bench/importing.py [--json] [--mib N]

The seeds are made up here from a fixed seed, with the habits of real ones: half of the texts repeat, ids are used
again, domains are missing, keys are spelled in several ways, some texts are nearly the same as an earlier one.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Aim, compiled_once, report, spawn, table

from lemfarm.engines.simulated_text import write

MIB = 1 << 20
SHAPES = ("array", "lines")
WORDS = 65
NEAR = 0.02
TENSIONS = ("ethical_tension", "ethic_tension", "ethical_dimension", "why_it_matters")
CHILD = """
import json, sys
from pathlib import Path
from lemfarm.importing import import_probes
found = import_probes([sys.argv[1]], Path(sys.argv[2]))
print(json.dumps({"entries": found.entries, "distinct": found.distinct, "near": len(found.near)}))
"""


def seeds(size: int) -> Iterator[dict[str, Any]]:
    """Entries of about so many bytes as JSON."""
    dice = random.Random(7)
    texts: list[str] = []
    while size > 0:
        again = dice.random()
        if texts and again < 0.5:
            text = dice.choice(texts)
        elif texts and again < 0.5 + NEAR:
            text = f"{dice.choice(texts)} And then?"
        else:
            text = write(dice, 0.0, WORDS)
            texts.append(text)
        entry = _entry(dice, text)
        size -= len(json.dumps(entry)) + 2
        yield entry


def _entry(dice: random.Random, text: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": dice.randrange(25_000)}
    if dice.random() < 0.9:
        entry["domain"] = f"DOMAIN_{dice.randrange(2_000)}"
    entry[dice.choice(TENSIONS)] = "one good thing against another"
    entry["prompt"] = text
    return entry


def write_seeds(folder: Path, shape: str, size: int) -> Path:
    """A file of seeds as one array, or an entry a line."""
    path = folder / (f"{shape}-seeds.json" if shape == "array" else f"{shape}-seeds.jsonl")
    with path.open("w", encoding="utf-8") as file:
        file.write("[\n" if shape == "array" else "")
        for number, entry in enumerate(seeds(size)):
            file.write((",\n" if shape == "array" else "\n") if number else "")
            file.write(json.dumps(entry, ensure_ascii=False))
        file.write("\n]\n" if shape == "array" else "\n")
    return path


def measure(folder: Path, shape: str, size: int) -> dict[str, Any]:
    """One import in a process of its own."""
    path = write_seeds(folder, shape, size)
    found, used = spawn(["-c", CHILD, str(path), str(folder / f"{shape}-probes.jsonl")], compiled_once(folder))
    mib = path.stat().st_size / MIB
    path.unlink()
    return {
        "shape": shape,
        "MiB": mib,
        **found,
        "seconds": used.wall_seconds,
        "processor s": used.cpu_seconds,
        "peak MiB": used.peak_mib,
        "peak per size": used.peak_mib / mib,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    parser.add_argument("--mib", type=int, default=100, metavar="N", help="size of each file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lemfarm-bench-") as name:
        rows = [measure(Path(name), shape, options.mib * MIB) for shape in SHAPES]
    aims = [
        aim
        for row in rows
        for aim in (
            Aim(f"{row['shape']}: seconds per 100 MiB", row["seconds"] * 100 / row["MiB"], 60.0, "s"),
            Aim(f"{row['shape']}: memory beside the file's size", row["peak per size"], 10.0, "times"),
        )
    ]
    lines = table(list(rows[0]), [list(row.values()) for row in rows])
    report({"files": rows}, aims, as_json=options.json, lines=lines)


if __name__ == "__main__":
    main()
