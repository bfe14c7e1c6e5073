"""The MLX engine against the other ways to make the same samples, on models with random weights built here.

    python bench/engine.py [--quick] [--model FOLDER] [--slots 16] [--turns 3] [--waves 3] [--stock-blas] [--json]

A kernel of 2,000 tokens, questions of about 60, ten samples of each, 128 new tokens, temperature 0.8, top_p 0.95. The
ways: a plain `mlx_lm.generate` loop and `mlx_lm.batch_generate`, both with mlx-lm's defaults and with the engine's
`prefill_step_size`; mlx-lm's `BatchGenerator` driven by hand with the same prefix caches; the engine. How they take
turns is said in `lemfarm/engines/mlx_comparison.py`, which `lemfarm bench engine` runs on any model. Models: 3.8 and
19 million parameters with 4,096 and 8,192 tokens; on the larger one `batch_generate` is left out, for it takes minutes.
On Linux a faster BLAS is put under MLX where there is one (`blas.py`), and named. There, ratios by processor time stand
beside those by the clock: on a busy machine they are the ones to trust.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # read at import; without it Linux compiles kernels while we measure

from blas import blas_name, restart_with_openblas
from common import Aim, report, table

SHAPES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"hidden_size": 192, "intermediate_size": 768, "sliding_window": 64, "vocabulary": 4096},
    "small": {
        "hidden_size": 320,
        "num_hidden_layers": 12,
        "intermediate_size": 1024,
        "head_dim": 128,
        "query_pre_attn_scalar": 128,
        "sliding_window": 256,
        "vocabulary": 8192,
    },
}
#: The engine keeps up with the best that can be made by hand; where drawing takes a quarter of a step, it is ahead.
BY_HAND_LIMITS = {"tiny": 1.15}
KEEPS_UP = 0.97
#: Turns of `batch_generate`, and the most waves: on the larger model both take minutes.
SLOW_TURNS, MOST_WAVES = {"tiny": 1}, {"small": 2}
GEMMA_VOCABULARY = 262_144
STALL_STEPS = 5.0


def random_model(name: str, folder: Path) -> Path:
    """A Gemma-3 of that shape with random weights."""
    from tests.tiny_model import make_tiny_model

    shape = dict(SHAPES[name])
    return make_tiny_model(folder / name, vocabulary=shape.pop("vocabulary"), **shape)


def measure(name: str, folder: Path, options: argparse.Namespace) -> Any:
    """Everything on one model."""
    from lemfarm.engines.mlx_comparison import Comparison, Work

    work = Work(kernel=512, answer=64) if options.quick else Work()
    comparison = Comparison(folder, slots=options.slots, work=work)
    try:
        say = (lambda _: None) if options.json else (lambda line: print(f"  {line}", file=sys.stderr, flush=True))
        waves = min(options.waves, MOST_WAVES.get(name, options.waves))
        slow_turns = 0 if options.quick else SLOW_TURNS.get(name, 0)
        return comparison.run(turns=options.turns, waves=waves, slow_turns=slow_turns, say=say)
    finally:
        comparison.close()


def wide_drawing(slots: int) -> Any:
    """Drawing alone, from as many tokens as Gemma has."""
    from lemfarm.engines.mlx_comparison import Work
    from lemfarm.engines.mlx_timing import time_drawing

    return time_drawing(slots, GEMMA_VOCABULARY, Work().sampling)


def aims_of(results: Mapping[str, Any]) -> list[Aim]:
    """What the engine is held to on every model."""
    from lemfarm.engines.mlx_comparison import BATCHES, BATCHES_IN_STEPS, BY_HAND, LOOP, LOOP_IN_STEPS

    limits = {LOOP: 10.0, LOOP_IN_STEPS: 6.0, BATCHES: 8.0, BATCHES_IN_STEPS: 3.0}
    aims = []
    for name, result in results.items():
        limits[BY_HAND] = BY_HAND_LIMITS.get(name, KEEPS_UP)
        for way in result.ways[:-1]:
            what = f"engine, {name} model, {result.slots} slots, against {way}"
            aims.append(Aim(what, result.ratio(way), limits[way], "times", at_least=True))
        aims.append(Aim(f"engine, {name} model, stall by a question", result.stall.question, STALL_STEPS, "steps"))
    return aims


def lines_of(results: Mapping[str, Any], wide: Any, blas: str) -> list[str]:
    """The tables."""
    from lemfarm.engines.mlx_comparison import BY_HAND

    lines = [f"BLAS: {blas}"]
    for name, result in results.items():
        rows = [[way, result.per_second(way), result.ratio(way), result.processor_ratio(way)] for way in result.ways]
        heads = [f"{name} model, {result.slots} slots", "samples/s", "engine is times faster", "by processor time"]
        lines += ["", *table(heads, rows)]
        pairs = [f"{turn.ratio(BY_HAND):.2f} ({turn.processor_ratio(BY_HAND):.2f})" for turn in result.turns]
        lines += [f"against {BY_HAND}, each turn (by processor time): {', '.join(pairs)}"]
        lines += [f"{result.stall}", f"counts: {dict(result.counts)}"]
    drawings = [*(result.drawing for result in results.values()), *([wide] if wide else [])]
    rows = [[f"{one.vocabulary:,}", one.here, one.mlx_lm, one.mlx_lm_row_by_row] for one in drawings]
    return [*lines, "", *table(["drawing, ms by vocabulary", "here", "mlx-lm", "mlx-lm, row by row"], rows)]


def as_data(result: Any) -> dict[str, Any]:
    """One model's figures as JSON takes them."""
    return asdict(result) | {"engine_is_times_faster": {way: result.ratio(way) for way in result.ways}}


def names_and_folders(options: argparse.Namespace, spare: Path) -> Sequence[tuple[str, Path]]:
    """The models to measure."""
    if options.model:
        return [(options.model.name, options.model)]
    names = ["tiny"] if options.quick else list(SHAPES)
    return [(name, random_model(name, spare)) for name in names]


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--model", type=Path, help="a model folder instead of the two random ones")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--waves", type=int, default=3, help="samples of a turn, as a multiple of the slots")
    parser.add_argument("--quick", action="store_true", help="a look: one small model, shorter work, no batch_generate")
    parser.add_argument("--stock-blas", action="store_true", help="with the BLAS that MLX brings")
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    options = parser.parse_args()
    if not options.stock_blas:
        restart_with_openblas()
    with tempfile.TemporaryDirectory(prefix="lemfarm-bench-") as spare:
        results = {name: measure(name, folder, options) for name, folder in names_and_folders(options, Path(spare))}
    wide = None if options.quick else wide_drawing(options.slots)
    data = {"blas": blas_name(), "models": {name: as_data(result) for name, result in results.items()}}
    data["wide_drawing"] = asdict(wide) if wide else None
    aims = [] if options.quick else aims_of(results)
    report(data, aims, as_json=options.json, lines=lines_of(results, wide, blas_name()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
