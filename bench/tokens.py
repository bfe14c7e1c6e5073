"""Tokens that a model computes for each token that is trained on: what reused prefixes, cut loops and waves each spare.

    python bench/tokens.py [--kernel FILE] [--samples 10] [--accepted 240] [--json]

A phase with the demo model through the whole farm: real MLX, one worker, every generation in the ledger. From what
the ledger holds the work is reckoned four times: as a plain loop would do it that makes the whole grid, each answer
with its whole prompt, loops running to the longest length; then with one saving after the other, until what was really
computed is left. What was never made counts as the mean of what was made, and a cut loop as if it had run on to its
limit: the first is a guess, the second an upper bound. Kept are the answers that the phase trains on.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, Farm, table, temporary_farm
from sqlalchemy import text
from sqlmodel import Session

from lemfarm.config import load_config
from lemfarm.curation.selection import choose_answers
from lemfarm.database import Database, open_database
from lemfarm.journal import write_to_file
from producer.campaign import open_campaign

PER_PROBE = 12


@dataclass(frozen=True, slots=True)
class Made:
    """One generation, in tokens. `limit`: how long it might have become."""

    prompt: int
    cached: int
    answer: int
    looped: bool
    limit: int


@dataclass(frozen=True, slots=True)
class Work:
    """What a way of working computes for the same kept answers."""

    way: str
    generations: int
    prompt: float
    answer: float

    def per_kept(self, kept: int) -> float:
        """Tokens computed for each token that is trained on."""
        return (self.prompt + self.answer) / kept


def measure(kernel: Path, samples: int, accepted: int) -> dict[str, Any]:
    """Run the phase, and reckon."""
    with temporary_farm() as farm:
        path = _write_run(farm, kernel, samples, accepted)
        write_to_file(farm.home.logs / "tokens.log")
        open_database(farm.connections.database, migrate=True).close()
        campaign = open_campaign(farm.home, farm.connections, workers=1, leave_services=True)
        try:
            campaign.start(load_config(path), trains=False)
            for _ in campaign.follow():
                pass
            made, grid = _made(campaign.database)
            kept, answers = _kept(campaign.database, path)
        finally:
            campaign.close(30.0)
    if not kept:
        raise SystemExit(f"no answer of {len(made)} was kept: is the kernel too long for the demo model?")
    works = ways_of(made, grid)
    return {
        "grid": grid,
        "made": len(made),
        "kept_answers": answers,
        "kept_tokens": kept,
        "prompt_tokens": sum(one.prompt for one in made) / len(made),
        "loops": sum(one.looped for one in made),
        "ways": [
            {"way": work.way, "generations": work.generations, "prompt": work.prompt / kept,
             "answer": work.answer / kept, "computed_per_kept": work.per_kept(kept)} for work in works
        ],
    }  # fmt: skip


def ways_of(made: Sequence[Made], grid: int) -> list[Work]:
    """The same work, with one saving more each time."""
    scale = grid / len(made)
    whole, computed = sum(one.prompt for one in made), sum(one.prompt - one.cached for one in made)
    endless = sum(one.limit if one.looped else one.answer for one in made)
    ended = sum(one.answer for one in made)
    return [
        Work("a plain loop over the whole grid", grid, whole * scale, endless * scale),
        Work("with reused prefixes", grid, computed * scale, endless * scale),
        Work("and loops cut", grid, computed * scale, ended * scale),
        Work("and waves that stop when the phase is full", len(made), computed, ended),
    ]


def _write_run(farm: Farm, kernel: Path, samples: int, accepted: int) -> Path:
    phase = {
        "name": "phase",
        "probes": [str(ROOT / "demo" / "probes.jsonl")],
        "samples": samples,
        "gates": [{"scorer": "v2-distill", "at_least": 15.0}, {"truncated": "reject"}, {"looping": "reject"}],
        "quota": {"accepted": accepted, "at_most_per_probe": PER_PROBE, "enough": 1, "when_exhausted": "train",
                  "give_up_below": 0.1},
    }  # fmt: skip
    config = {
        "run": "tokens",
        "model": {"engine": "mlx", "path": str(ROOT / "demo" / "model")},
        "kernel": {"file": str(kernel), "placement": "system"},
        "sampling": {"temperature": 0.8, "top_p": 1.0, "max_tokens": 256, "seed": 42},
        "phases": [phase],
    }
    path = farm.folder / "tokens.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def _made(database: Database) -> tuple[list[Made], int]:
    """Every generation that an answer came of, and how many the grid has."""
    query = """SELECT attempt.generation, sample.sampling FROM sample JOIN attempt ON attempt.sample_id = sample.id
        WHERE sample.state = 'done' AND attempt.ending = 'done'"""
    with database.read() as connection:
        rows = connection.execute(text(query)).all()
        grid = int(connection.execute(text("SELECT count(*) FROM sample")).scalar_one())
    return [_made_of(json.loads(row.generation), json.loads(row.sampling)) for row in rows], grid


def _made_of(generation: dict[str, Any], sampling: dict[str, Any]) -> Made:
    return Made(
        generation["prompt_tokens"],
        generation["cached_tokens"],
        generation["completion_tokens"],
        generation["finish_reason"] == "repetition",
        sampling["max_tokens"],
    )


def _kept(database: Database, path: Path) -> tuple[int, int]:
    """Tokens of the answers that the phase trains on, and how many answers they are."""
    query = """SELECT attempt.sample_id, attempt.generation FROM attempt WHERE attempt.ending = 'done'"""
    with database.read() as connection, Session(bind=connection) as session:
        phase = connection.execute(text("SELECT id FROM phase")).scalar_one()
        chosen = {one.sample_id for one in choose_answers(session, phase, load_config(path).phases[0])}
        rows = connection.execute(text(query)).all()
    lengths = {row.sample_id: json.loads(row.generation)["completion_tokens"] for row in rows}
    return sum(lengths[sample] for sample in chosen), len(chosen)


def lines_of(result: dict[str, Any]) -> list[str]:
    """The table."""
    heads = ["way of working", "generations", "prompt tokens", "answer tokens", "computed per token kept"]
    keys = ("way", "generations", "prompt", "answer", "computed_per_kept")
    said = (
        f"{result['made']:,} generations of {result['grid']:,}, {result['loops']:,} loops, prompts of "
        f"{result['prompt_tokens']:.0f} tokens; "
        f"{result['kept_answers']:,} answers kept, {result['kept_tokens']:,} tokens"
    )
    return [said, "", *table(heads, [[way[key] for key in keys] for way in result["ways"]])]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kernel", type=Path, default=ROOT / "demo" / "kernel.txt")
    parser.add_argument("--samples", type=int, default=10, help="of each wording")
    parser.add_argument("--accepted", type=int, default=240, help="answers that the phase wants")
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    options = parser.parse_args()
    os.environ.pop("LEMFARM_HOME", None)
    result = measure(options.kernel, options.samples, options.accepted)
    print(json.dumps(result, indent=2) if options.json else "\n".join(lines_of(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
