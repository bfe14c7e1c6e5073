"""`lemfarm evaluate` against a plain loop over the same probes, with the demo model.

    python bench/evaluation.py [--quick] [--json]

The plain loop is what an A/B script does: load the model, ask each probe under each condition with mlx-lm, greedily and
one after the other, score with v2, write the file. `evaluate` is the command in an empty home: services, a worker
process, rows, leases, batches, statistics and the same file. Both are timed from the first import to the last byte, in
turns, and the faster of the turns counts: whatever else runs on the machine only adds.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("MLX_DISABLE_COMPILE", "1")

from common import ROOT, Aim, report, spawn, table, temporary_farm

DEMO = ROOT / "demo"
MAX_TOKENS = 256
CONDITIONS = {"baseline": None, "kernel": DEMO / "kernel.txt"}
PLAIN = "--plain-loop"


def plain_loop(out: Path, probes: Path) -> None:
    """The A/B script; prints how many answers and tokens there were."""
    from mlx_lm import load, stream_generate

    from lemfarm.probes import read_probes
    from lemfarm.scorers import get_scorer

    model, tokenizer = load(str(DEMO / "model"))[:2]
    scorer, answers, tokens = get_scorer("v2"), 0, 0
    with out.open("w") as file:
        for probe in read_probes([probes]):
            question = probe.variants[0].messages[-1].content
            held: dict[str, Any] = {}
            for name, kernel in CONDITIONS.items():
                system = [{"role": "system", "content": kernel.read_text()}] if kernel else []
                turns = [*system, {"role": "user", "content": question}]
                prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True)
                pieces = list(stream_generate(model, tokenizer, prompt, max_tokens=MAX_TOKENS))
                text = "".join(piece.text for piece in pieces)
                held[name] = {"response": text, "lek_score": scorer.score(question, text).value}
                answers, tokens = answers + 1, tokens + len(pieces)
            file.write(json.dumps({"type": "probe", "id": probe.id, "conditions": held}) + "\n")
    print(json.dumps({"answers": answers, "tokens": tokens}))


def time_loop(probes: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of the plain loop."""
    with temporary_farm() as farm:
        arguments = [__file__, PLAIN, str(farm.folder / "ab.jsonl"), str(probes)]
        found, used = spawn(arguments, farm.environment | {"PYTHONPATH": str(ROOT)})
        return used.wall_seconds, found


def time_evaluate(probes: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of the command."""
    conditions = [f"{name}={path}" if path else name for name, path in CONDITIONS.items()]
    flags = [word for condition in conditions for word in ("--condition", condition)]
    with temporary_farm() as farm:
        command = ["-m", "lemfarm", "evaluate", str(DEMO / "model"), "--probes", str(probes), "--json", *flags]
        began = time.monotonic()
        spawn([*command, "--max-tokens", str(MAX_TOKENS), "--out", str(farm.folder / "ab.jsonl")], farm.environment)
        seconds = time.monotonic() - began
        lines = (farm.folder / "ab.jsonl").read_text().splitlines()
    held = [json.loads(line)["conditions"] for line in lines[:-1]]
    tokens = sum(one["lemfarm"]["tokens"] for conditions in held for one in conditions.values())
    return seconds, {"answers": sum(len(conditions) for conditions in held), "tokens": tokens}


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one turn")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(PLAIN, nargs=2, metavar=("OUT", "PROBES"), dest="plain", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_loop(*options.plain)
        return 0
    probes = DEMO / "probes.jsonl"
    turns = [(time_loop(probes), time_evaluate(probes)) for _ in range(1 if options.quick else 3)]
    loop, farm = (min((turn[place] for turn in turns), key=lambda one: one[0]) for place in (0, 1))
    ratio = farm[0] / loop[0]
    rows = [[name, one[1]["answers"], one[1]["tokens"], one[0]] for name, one in (("loop", loop), ("evaluate", farm))]
    aims = [Aim("`lemfarm evaluate` of 48 answers, from nothing, against a plain loop", ratio, 1.5, "times")]
    result = {"loop": loop, "evaluate": farm, "ratio": ratio}
    report(result, aims, as_json=options.json, lines=table(["way", "answers", "tokens", "seconds"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
