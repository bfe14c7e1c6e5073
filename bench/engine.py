"""The MLX engine against a plain `mlx_lm.generate` loop, over the same samples.

    python bench/engine.py [--model FOLDER] [--slots 16] [--repetitions 3] [--json]

A kernel of 2,000 tokens, questions of about 60, ten samples of each, 128 new tokens, temperature 0.8, top_p 0.95. Stop
tokens are off on both sides, so that all answers are equally long. Every repetition times one sample of the loop with
mlx-lm's defaults, one with `prefill_step_size=256`, and then a full load of the engine, so that a busy machine slows
all three. The engine's time includes its kernel prefill once and every question's; loading is left out everywhere.
Reported are medians over the repetitions, and ratios of them; on a GPU the ratios will be others.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # read at import; without it Linux compiles kernels while we measure
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mlx.core as mx
import mlx_lm
from mlx_lm.sample_utils import make_sampler

from lemfarm.dialogue import Message
from lemfarm.engines.base import Request, Sampling
from lemfarm.engines.mlx import MlxEngine
from lemfarm.engines.mlx_model import LoadedModel
from lemfarm.engines.simulated_text import write

KERNEL_TOKENS = 2000
QUESTION_TOKENS = 60
SAMPLES_OF_A_QUESTION = 10
NEW_TOKENS = 128
SAMPLING = Sampling(temperature=0.8, top_p=0.95, max_tokens=NEW_TOKENS)
DEMO_MODEL = Path(__file__).resolve().parents[1] / "demo" / "model"


@dataclass(frozen=True, slots=True)
class Result:
    """Samples per second of the three ways, and how many times faster the engine is."""

    model: str
    slots: int
    repetitions: int
    engine_samples: int
    versions: dict[str, str]
    loop_per_second: float
    loop_step_256_per_second: float
    engine_per_second: float
    against_loop: float
    against_step_256: float
    ratios_of_each_repetition: list[tuple[float, float]]


def with_room(folder: Path, spare: Path) -> Path:
    """The folder, or a copy that claims a longer context: speed is measured here, not what the model says."""
    config = json.loads((folder / "config.json").read_text())
    needed = KERNEL_TOKENS + 2 * QUESTION_TOKENS + NEW_TOKENS
    if config.get("max_position_embeddings", needed) >= needed:
        return folder
    copied = Path(shutil.copytree(folder, spare / folder.name))
    (copied / "config.json").write_text(json.dumps(config | {"max_position_embeddings": needed}))
    return copied


def cut(tokenizer: Any, seed: int, tokens: int) -> str:
    """Made-up prose of a number of tokens."""
    encoded = tokenizer.encode(write(random.Random(seed), 0.3, 2 * tokens), add_special_tokens=False)
    return str(tokenizer.decode(encoded[:tokens]))


class Loop:
    """What a script would do: `mlx_lm.generate`, one sample after the other."""

    def __init__(self, model: Any, tokenizer: Any, kernel: str) -> None:
        self.model, self.tokenizer, self.kernel = model, tokenizer, kernel

    def sample(self, question: str, **options: Any) -> float:
        """Seconds for one sample."""
        turns = [{"role": "system", "content": self.kernel}, {"role": "user", "content": question}]
        prompt = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True)
        sampler = make_sampler(SAMPLING.temperature, SAMPLING.top_p)
        started = perf_counter()
        mlx_lm.generate(self.model, self.tokenizer, prompt, max_tokens=NEW_TOKENS, sampler=sampler, **options)
        return perf_counter() - started


def drive(engine: MlxEngine, requests: list[Request]) -> float:
    """Seconds for all requests together; raises if one did not run its full length."""
    started = perf_counter()
    for request in requests:
        engine.add(request)
    left = len(requests)
    while left:
        for finished in engine.step():
            left -= 1
            if finished.completion is None or len(finished.completion.token_ids) != NEW_TOKENS:
                raise RuntimeError(f"{finished.sample_id} did not run to its end: {finished}")
    return perf_counter() - started


def run(folder: Path, *, slots: int, repetitions: int, waves: int, say: Callable[[str], None]) -> Result:
    """Measure; every repetition sends `waves` times the slots through the engine."""
    loaded: Any = mlx_lm.load(str(folder))
    model, tokenizer = loaded[0], loaded[1]
    kernel = cut(tokenizer, 0, KERNEL_TOKENS)
    engine = MlxEngine(folder, slots=slots)
    facts = engine.load()
    loop = Loop(model, tokenizer, kernel)
    count = waves * slots
    times: list[tuple[float, float, float]] = []
    for repetition in range(repetitions):
        requests = [
            Request(
                f"{repetition}-{n}",
                (Message("user", cut(tokenizer, 1000 * repetition + n // SAMPLES_OF_A_QUESTION + 1, QUESTION_TOKENS)),),
                SAMPLING,
                seed=1000 * repetition + n,
                kernel=kernel,
            )
            for n in range(count)
        ]
        question = requests[0].messages[0].content
        seconds = (loop.sample(question), loop.sample(question, prefill_step_size=256), drive(engine, requests) / count)
        times.append(seconds)
        say(f"repetition {repetition + 1}: {' '.join(f'{value:.3f}' for value in seconds)} s per sample")
    engine.close()
    default, step_256, farm = (median(column) for column in zip(*times, strict=True))
    return Result(
        model=folder.name,
        slots=slots,
        repetitions=repetitions,
        engine_samples=count * repetitions,
        versions=facts.versions,
        loop_per_second=round(1 / default, 3),
        loop_step_256_per_second=round(1 / step_256, 3),
        engine_per_second=round(1 / farm, 3),
        against_loop=round(default / farm, 1),
        against_step_256=round(step_256 / farm, 1),
        ratios_of_each_repetition=[(round(a / c, 1), round(b / c, 1)) for a, b, c in times],
    )


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--model", type=Path, default=DEMO_MODEL, help="a model folder (default: the demo's)")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--waves", type=int, default=3, help="samples of a repetition, as a multiple of the slots")
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    chosen = parser.parse_args()
    # No stop tokens, on either side: answers of equal length are what makes seconds comparable.
    LoadedModel.stop_tokens = property(lambda _: [])  # type: ignore[method-assign, assignment]
    mlx_lm.tokenizer_utils.TokenizerWrapper.eos_token_ids = property(lambda _: set())
    mx.random.seed(0)
    silent = chosen.json

    def say(line: str) -> None:
        if not silent:
            print(line, flush=True)

    say("                loop | loop, prefill_step_size=256 | engine")
    with tempfile.TemporaryDirectory() as spare:
        folder = with_room(chosen.model, Path(spare))
        result = run(folder, slots=chosen.slots, repetitions=chosen.repetitions, waves=chosen.waves, say=say)
    if chosen.json:
        print(json.dumps(asdict(result)))
        return
    print(f"samples/s: {result.loop_per_second} | {result.loop_step_256_per_second} | {result.engine_per_second}")
    print(f"the engine with {result.slots} slots is {result.against_loop} times as fast as the loop,")
    print(f"and {result.against_step_256} times as fast as the loop with prefill_step_size=256")


if __name__ == "__main__":
    main()
