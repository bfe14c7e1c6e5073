"""How long `lemfarm export` takes over 100,000 samples, and how much memory: ids are held, texts are not.

    python bench/export.py [--samples 100000] [--words 900] [--format mlx]

The run is made up in a temporary database: 1,000 probes of four wordings, answers of so many words.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from common import ROOT, Aim
from sqlalchemy import insert

from lemfarm.database import open_database
from lemfarm.records import Answer, Phase, Probe, Run, Sample, Variant

PROBES, VARIANTS = 1_000, 4
_CHILD = """
import json, resource, sys, time
from pathlib import Path
from lemfarm.curation.export import ExportOrder, export_run
from lemfarm.curation.formats import Format
from lemfarm.database import open_database
began = time.perf_counter()
done = export_run(open_database(sys.argv[1]), None, Path(sys.argv[2]), ExportOrder(format=Format(sys.argv[3])), "home")
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"seconds": time.perf_counter() - began, "peak": peak, "rows": sum(done.facts.rows.values())}))
"""


def make_farm(url: str, samples: int, words: int) -> None:
    """A run of one phase with so many accepted answers, written straight into the tables."""
    database = open_database(url, migrate=True)
    config = {
        "run": "big",
        "model": {"engine": "simulated"},
        "sampling": {"temperature": 0.8, "top_p": 0.95, "max_tokens": 64, "seed": 42},
        "phases": [{"name": "first", "probes": ["probes.jsonl"], "samples": samples, "quota": {"accepted": samples}}],
    }
    with database.session() as session:
        run = Run(name="big", config=config, config_hash="b2:", model_key="simulated", lemfarm_version="0")
        session.add(run)
        session.flush()
        phase = Phase(run_id=run.id, name="first", position=0)
        session.add(phase)
        for number in range(PROBES):
            session.add(Probe(id=f"p{number}", name=f"P{number:04}", domain="d"))
        session.flush()
        for number in range(PROBES):
            for position in range(VARIANTS):
                turns = [{"role": "user", "content": f"What is {number} in {position} words?"}]
                key = f"p{number}v{position}"
                session.add(Variant(id=key, probe_id=f"p{number}", position=position, kind="k", messages=turns))
        session.flush()
        run_id, phase_id = run.id, phase.id
    dice = Random(1)
    vocabulary = ["".join(dice.choices("aeiourstlnm", k=dice.randint(2, 10))) for _ in range(5_000)]
    for start in range(0, samples, 5_000):
        numbers = range(start, min(start + 5_000, samples))
        with database.write() as connection:
            connection.execute(insert(Sample), [_sample(number, run_id, phase_id) for number in numbers])
            answers = [
                {
                    "sample_id": f"{number:032x}",
                    "revision": 0,
                    "content": " ".join(dice.choices(vocabulary, k=words)),
                    "thoughts": "",
                    "token_ids": b"",
                    "created": 1.0,
                }
                for number in numbers
            ]
            connection.execute(insert(Answer), answers)
    database.close()


def _sample(number: int, run_id: int | None, phase_id: int | None) -> dict[str, object]:
    probe, variant = number % PROBES, number // PROBES % VARIANTS
    return {
        "id": f"{number:032x}",
        "run_id": run_id,
        "phase_id": phase_id,
        "purpose": "distil",
        "probe_id": f"p{probe}",
        "variant_id": f"p{probe}v{variant}",
        "sample_index": number // PROBES // VARIANTS,
        "fingerprint": f"b2:{probe}-{variant}",
        "condition": "",
        "placement": "none",
        "sampling": {},
        "seed": number,
        "superseded": False,
        "state": "done",
        "outcome": "accepted",
        "reason": "",
        "epoch": 1,
        "lease_expires": 0.0,
        "not_before": 0.0,
        "failures": 0,
        "deaths": 0,
        "finished": 1.0,
    }


def main() -> int:
    """Print seconds, peak memory and size; 0 always, aims are `run.py`'s."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=900)
    parser.add_argument("--format", default="mlx")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url, out = f"sqlite:///{folder}/farm.db", Path(folder) / "out"
        began = time.perf_counter()
        make_farm(url, options.samples, options.words)
        print(f"a run of {options.samples:,} answers made in {time.perf_counter() - began:.0f} s")
        command = [sys.executable, "-c", _CHILD, url, str(out), options.format]
        found = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
        size = sum(path.stat().st_size for path in out.iterdir())
        peak = found["peak"] / 2**20
        print(f"{found['rows']:,} rows, {size / 2**20:,.0f} MiB, {found['seconds']:.1f} s, peak {peak:,.0f} MiB")
        print(Aim("export of 100,000 samples", found["seconds"], 60, "s").line())
        print(Aim("its peak memory", peak, 300, "MiB").line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
