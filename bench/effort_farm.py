"""The farm's part of `effort.py`: generations spent and probes filled by a worker, a watcher and the ledger.

Every prompt of the simulated engine has a quality of its own, and each probe here is one prompt with 40 samples, so
that probes differ as they do in the simulation. One run goes three ways, its answers the same each time, for they
depend on the seed: first it gives up below 0.1; then nobody is given up, and the probes come back; at last it makes the
whole grid, from which the least work without foresight is reckoned. Workers keep 16 answers in the making.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, pvariance
from typing import Any

from common import Farm, temporary_farm, write_run
from sqlalchemy import text

from lemfarm.config import load_config
from lemfarm.database import open_database
from lemfarm.journal import write_to_file
from producer.campaign import open_campaign
from producer.watch import LOOK_VARIABLE

PROBES, SAMPLES, SHARE = 101, 40, 5
GRID = PROBES * SAMPLES
SLOTS, TOKENS_PER_SECOND, LOOK_SECONDS = 16, 400, 0.25
#: Spread of the prompts' quality, and the quality at which about 35 % of the answers pass.
ENGINES = ((0.30, 0.40), (0.14, 0.40), (0.06, 0.40))
QUOTA = {"accepted": PROBES * SHARE, "at_most_per_probe": SHARE}
WAYS: dict[str, dict[str, Any]] = {
    "farm, give_up_below 0.1": {"give_up_below": 0.1},
    "farm": {},
    "whole grid": {"stop_when_full": False},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Generations spent, and probes whose share was filled."""

    generations: int
    filled: int


def farm_lines() -> Iterator[str]:
    """The rows of a Markdown table, as they come."""
    os.environ[LOOK_VARIABLE] = str(LOOK_SECONDS)
    yield "| spread of prompts | mean pass rate | as a Beta of concentration | policy | generations | saved | filled |"
    yield "|---|---|---|---|---|---|---|"
    for spread, quality in ENGINES:
        with temporary_farm() as farm:
            outcomes, answers = three_ways(farm, spread, quality)
        outcomes["one at a time"] = least(answers)
        rates = [mean(found) for found in answers.values()]
        for policy, one in outcomes.items():
            yield (
                f"| {spread} | {mean(rates):.0%} | {concentration(rates):.1f} | {policy} | {one.generations:,} "
                f"| {1 - one.generations / GRID:.1%} | {one.filled / PROBES:.1%} |"
            )


def three_ways(farm: Farm, spread: float, quality: float) -> tuple[dict[str, Outcome], dict[str, list[bool]]]:
    """One run in its three ways; and all answers by probe, in the order of their indices."""
    write_to_file(farm.home.logs / "effort.log")
    path = one_wording_each(farm, spread, quality)
    open_database(farm.connections.database, migrate=True).close()
    outcomes, answers = {}, dict[str, list[bool]]()
    for way, quota in WAYS.items():
        answers = run_to_its_end(farm, path, QUOTA | {"enough": 1, "when_exhausted": "train"} | quota)
        filled = sum(sum(found) >= SHARE for found in answers.values())
        outcomes[way] = Outcome(sum(map(len, answers.values())), filled)
    return outcomes, answers


def one_wording_each(farm: Farm, spread: float, quality: float) -> Path:
    """A run file whose probes have one wording, and whose engine lets them differ as much as is asked."""
    path = write_run(farm.folder, "effort", probes=PROBES, samples=SAMPLES, quota=QUOTA)
    library = farm.folder / "effort-probes.jsonl"
    probes = [json.loads(line) for line in library.read_text().splitlines()]
    library.write_text("".join(json.dumps(probe | {"variants": []}) + "\n" for probe in probes))
    config = json.loads(path.read_text())
    config["model"] |= {"quality": quality, "prompt_spread": spread}
    config["model"] |= {"slots": SLOTS, "tokens_per_second": TOKENS_PER_SECOND}
    path.write_text(json.dumps(config))
    return path


def run_to_its_end(farm: Farm, path: Path, quota: dict[str, Any]) -> dict[str, list[bool]]:
    """What `lemfarm run` does with this quota; which answers passed by then, by probe."""
    config = json.loads(path.read_text())
    config["phases"][0]["quota"] = quota
    path.write_text(json.dumps(config))
    campaign = open_campaign(farm.home, farm.connections, workers=1, leave_services=True)
    try:
        campaign.start(load_config(path), trains=False)
        for _ in campaign.follow():
            pass
        return passed(campaign.database)
    finally:
        campaign.close(30.0)


def passed(database: Any) -> dict[str, list[bool]]:
    """Whether each finished sample was accepted."""
    found: dict[str, list[bool]] = defaultdict(list)
    with database.read() as connection:
        query = "SELECT probe_id, outcome FROM sample WHERE state = 'done' ORDER BY probe_id, sample_index"
        for row in connection.execute(text(query)):
            found[row.probe_id].append(row.outcome == "accepted")
    return dict(found)


def least(answers: dict[str, list[bool]]) -> Outcome:
    """One sample at a time, on to the next probe as soon as the share is accepted."""
    generations = filled = 0
    for found in answers.values():
        accepted = used = 0
        while used < len(found) and accepted < SHARE:
            accepted += found[used]
            used += 1
        generations += used
        filled += accepted >= SHARE
    return Outcome(generations, filled)


def concentration(rates: list[float]) -> float:
    """The Beta whose rates would differ as much, the chance of finite samples taken off."""
    middle = mean(rates)
    between = pvariance(rates) - middle * (1 - middle) / SAMPLES
    return middle * (1 - middle) / between - 1 if between > 0 else float("inf")
