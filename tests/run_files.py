"""Run files in a folder of their own, with the probes and kernels that they name."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from lemfarm.config import RunConfig, load_config
from lemfarm.errors import ConfigError

GOOD = """\
run: tiny
model: {engine: simulated}
kernel: {file: kernel.txt}
sampling: {temperature: 0.8, top_p: 0.95, max_tokens: 64, seed: 42}
phases:
  - name: first
    probes: [probes.jsonl]
    samples: 10
    gates: [{scorer: v2-distill, at_least: 24}, {truncated: reject}, {looping: reject}, {min_chars: 20}]
    quota: {accepted: 20, at_most_per_probe: 12, enough: 12}
    train: {iterations: 10, learning_rate: 1e-5, max_seq_length: 256}
train: {rank: 4}
evaluate: {probes: other.jsonl, held_out: 0.5, trained: 0.0, conditions: {baseline: null, text: kernel.txt}}
"""
"""A run file with nothing wrong: a grid of 3 probes x 2 variants x 10 samples = 60."""


def write_files(folder: Path) -> None:
    """The files that GOOD names."""
    others = [{"id": name, "domain": "d", "prompt": f"What is {name}?"} for name in ("X1", "X2")]
    (folder / "other.jsonl").write_text("".join(json.dumps(other) + "\n" for other in others))
    (folder / "kernel.txt").write_text("Be kind.\n")
    (folder / "other.txt").write_text("Be brief.\n")
    write_probes(folder / "probes.jsonl", count=3)


def write_probes(path: Path, count: int, prompt: str = "What is in a name?") -> None:
    """Probes with two variants each."""
    lines = [
        {
            "id": f"P{number}",
            "domain": "d",
            "prompt": f"{prompt} {number}",
            "variants": [{"kind": "k", "prompt": "Eh?"}],
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def load(folder: Path, text: str = GOOD, environ: Mapping[str, str] | None = None, **overrides: object) -> RunConfig:
    """Load a run file from the folder, by default without any environment."""
    (folder / "run.yaml").write_text(text)
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_config(folder / "run.yaml", environ=environ or {}, overrides=dotted)


def problems(
    folder: Path, text: str = GOOD, environ: Mapping[str, str] | None = None, **overrides: object
) -> list[str]:
    """Every problem of a run file that is refused, with places as `line:column:`."""
    with pytest.raises(ConfigError) as refused:
        load(folder, text, environ, **overrides)
    return [problem.removeprefix(f"{folder / 'run.yaml'}:") for problem in refused.value.problems]


def spot(text: str, part: str, occurrence: int = 0) -> str:
    """Where a part of the text stands, as `line:column`."""
    offset = -1
    for _ in range(occurrence + 1):
        offset = text.index(part, offset + 1)
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"
