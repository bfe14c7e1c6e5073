"""Measure the demo model with stock mlx-lm: scores with and without the kernel, and what passes which gate.

The tables of README.md come from `MLX_DISABLE_COMPILE=1 python demo/measure.py --answers 2`.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm import load
from mlx_lm.generate import BatchGenerator
from mlx_lm.sample_utils import make_sampler

from lemfarm.probes import read_probes
from lemfarm.scorers import get_scorer

DEMO = Path(__file__).parent
GATES = (10, 12, 14, 15, 16, 17, 18, 20)
SLOTS = 16
SEED = 7

log = logging.getLogger("measure")


@dataclass(frozen=True, slots=True)
class Measured:
    """One answer: its scores, its length in tokens, and whether it ended by itself."""

    text: str
    v2: float
    distill: float
    tokens: int
    ended: bool


def main() -> None:
    """Answer every wording of every probe without and with the kernel, and report."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model, tokenizer = load(str(options.model), adapter_path=options.adapter)[:2]
    questions = [
        variant.messages[-1].content
        for probe in read_probes([DEMO / "probes.jsonl"])
        for variant in probe.variants
        for _ in range(options.answers)
    ]
    kernel = (DEMO / "kernel.txt").read_text(encoding="utf-8").strip()
    for name, system in (("without kernel", None), ("with kernel", kernel)):
        began = time.monotonic()
        answers = measure(model, tokenizer, questions, system, options.temperature)
        report(name, answers, time.monotonic() - began)


def measure(
    model: Any, tokenizer: Any, questions: Sequence[str], system: str | None, temperature: float
) -> list[Measured]:
    """One answer per question, in their order; `system` opens each conversation, temperature 0 is greedy."""
    opening = [{"role": "system", "content": system}] if system else []
    prompts = [
        list(tokenizer.apply_chat_template([*opening, {"role": "user", "content": text}], add_generation_prompt=True))
        for text in questions
    ]
    return [
        _score(tokenizer.decode(tokens), len(tokens), ended)
        for tokens, ended in _generate(model, tokenizer, prompts, temperature)
    ]


def report(name: str, answers: Sequence[Measured], seconds: float) -> None:
    """Log means, spread, length and pass rates of one condition."""
    scores = [answer.v2 for answer in answers]
    lengths = sorted(answer.tokens for answer in answers)
    low, middle, high = (lengths[len(lengths) * share // 10] for share in (1, 5, 9))
    half_interval = 1.96 * statistics.stdev(scores) / len(scores) ** 0.5
    log.info("%s: %d answers, %d distinct", name, len(answers), len({answer.text for answer in answers}))
    log.info("  v2 %.2f ± %.2f, sd %.2f", statistics.mean(scores), half_interval, statistics.stdev(scores))
    log.info("  v2-distill %.2f", statistics.mean(answer.distill for answer in answers))
    log.info("  ended by itself %.3f", statistics.mean(answer.ended for answer in answers))
    log.info("  tokens %d / %d / %d, %.0f a second", low, middle, high, sum(lengths) / seconds)
    passing = (statistics.mean(answer.ended and answer.distill >= gate for answer in answers) for gate in GATES)
    log.info("  passes v2-distill at least %s", ", ".join(f"{g}: {p:.2f}" for g, p in zip(GATES, passing, strict=True)))


def _generate(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], temperature: float
) -> list[tuple[list[int], bool]]:
    mx.random.seed(SEED)
    generator = BatchGenerator(
        model,
        completion_batch_size=SLOTS,
        prefill_batch_size=SLOTS,
        max_tokens=256,
        stop_tokens=[[token] for token in tokenizer.eos_token_ids],
        sampler=make_sampler(temperature),
    )
    ids = generator.insert(prompts)
    tokens: dict[int, list[int]] = {key: [] for key in ids}
    ended: dict[int, bool] = {}
    while len(ended) < len(ids):
        for response in generator.next_generated():
            if response.finish_reason != "stop":
                tokens[response.uid].append(response.token)
            if response.finish_reason:
                ended[response.uid] = response.finish_reason == "stop"
    generator.close()
    return [(tokens[key], ended[key]) for key in ids]


def _score(text: str, tokens: int, ended: bool) -> Measured:
    v2, distill = (get_scorer(name).score("", text).value for name in ("v2", "v2-distill"))
    return Measured(text, v2, distill, tokens, ended)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the demo model.")
    parser.add_argument("--model", type=Path, default=DEMO / "model", help="the model's folder")
    parser.add_argument("--adapter", help="the folder of a LoRA adapter to put on it")
    parser.add_argument("--answers", type=int, default=2, help="answers per wording")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 is greedy")
    return parser.parse_args()


if __name__ == "__main__":
    main()
