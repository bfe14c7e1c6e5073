"""`lemfarm try`: a few probes through the real farm, in a home of their own, and what they promise for the run."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from lemfarm import probes
from lemfarm.config import RunConfig, config_data, config_from_data
from lemfarm.connections import Connections
from lemfarm.database import Database, decoded
from lemfarm.home import Home
from lemfarm.identity import canonical_json
from lemfarm.planning import expected_generations, grid
from lemfarm.status import read_status
from producer.campaign import Campaign, open_campaign
from producer.course import Course, as_json


@dataclass(frozen=True, slots=True)
class PhaseTrial:
    """What one phase did on trial. `generations` and `seconds` are for its whole quota at this pass rate and
    pace; none where the grid would not fill it."""

    name: str
    done: int
    accepted: int
    pass_rate: float
    mean_tokens: float
    truncated: int
    generations: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a trial measured on this machine."""

    phases: tuple[PhaseTrial, ...]
    seconds: float
    tokens_per_second: float
    samples_per_minute: float


@dataclass(frozen=True)
class Trial:
    """A shrunken run and the full one it stands for, in a temporary home."""

    full: RunConfig
    config: RunConfig
    home: Home

    def campaign(self, *, workers: int, **options: Any) -> Campaign:
        """Open the trial's own farm."""
        connections = Connections(f"sqlite:///{self.home.database}", None, True)
        return open_campaign(self.home, connections, workers=max(workers, 1), **options)

    def measure(self, database: Database) -> TrialResult:
        """Read off what the trial came to."""
        status = read_status(database, self.config.run)
        seconds, tokens = _pace(database)
        done = sum(phase.done for phase in status.phases)
        per_sample = seconds / max(done, 1)
        phases = tuple(self._phase(database, phase, per_sample) for phase in status.phases)
        return TrialResult(
            phases, seconds, tokens / seconds if seconds else 0.0, 60.0 / per_sample if per_sample else 0.0
        )

    def _phase(self, database: Database, phase: Any, per_sample: float) -> PhaseTrial:
        config = next(one for one in self.full.phases if one.name == phase.name)
        cells = grid(Course(self.full, "").phase_probes[phase.name], config.samples)
        rate = phase.pass_rate or 0.0
        needed = (
            expected_generations(cells, config.quota.accepted, rate, config.quota.at_most_per_probe) if rate else None
        )
        tokens, truncated = _lengths(database, phase.name)
        seconds = None if needed is None else needed * per_sample
        return PhaseTrial(phase.name, phase.done, phase.accepted, rate, tokens, truncated, needed, seconds)


@contextmanager
def open_trial(config: RunConfig, *, probes: int, samples: int) -> Iterator[Trial]:
    """A trial of so many probes and samples in a temporary home, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="lemfarm-try-"))
    try:
        yield Trial(config, _shrunk(config, folder, probes, samples), Home(folder / "home"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _shrunk(config: RunConfig, folder: Path, count: int, samples: int) -> RunConfig:
    """The same run with a few probes, all of whose samples are made, and neither training nor evaluation."""
    data, course = config_data(config), Course(config, "")
    data |= {"run": f"try-{config.run}", "evaluate": None, "notify": None}
    for number, phase in enumerate(data["phases"]):
        chosen = _spread(course.phase_probes[phase["name"]], count)
        path = folder / f"{number}.jsonl"
        path.write_text("".join(canonical_json(_probe_line(probe)) + "\n" for probe in chosen), encoding="utf-8")
        size = sum(len(probe.variants) for probe in chosen) * samples
        quota = {"accepted": size, "enough": 1, "stop_when_full": False, "when_exhausted": "train"}
        phase |= {"probes": [str(path)], "samples": samples, "quota": phase["quota"] | quota}
        phase |= {"train": None, "external": {}}
        phase["quota"]["at_most_per_probe"] = None
    return config_from_data(data)


def _spread(found: tuple[probes.Probe, ...], count: int) -> list[probes.Probe]:
    """Probes evenly spaced over the file, so that several domains are met."""
    step = max(len(found) / max(count, 1), 1.0)
    return [found[int(number * step)] for number in range(min(count, len(found)))]


def _probe_line(probe: probes.Probe) -> dict[str, Any]:
    first, *others = probe.variants
    variants = [{"kind": variant.kind, "messages": as_json(variant)} for variant in others]
    return {"id": probe.id, "domain": probe.domain, "messages": as_json(first), "variants": variants}


def _pace(database: Database) -> tuple[float, int]:
    """Seconds from the first claim to the last result, and tokens generated in them."""
    with database.read() as connection:
        row = connection.execute(
            text("SELECT min(started) AS first, max(ended) AS last FROM attempt WHERE ending = 'done'")
        ).one()
    tokens = sum(_token_counts(database))
    return (row.last - row.first if row.first is not None else 0.0), tokens


def _lengths(database: Database, phase: str) -> tuple[float, int]:
    counts = _token_counts(database, phase)
    with database.read() as connection:
        truncated = connection.execute(
            text(
                """SELECT count(*) FROM sample s JOIN phase p ON p.id = s.phase_id
                   WHERE p.name = :phase AND s.reason LIKE 'truncated%'"""
            ),
            {"phase": phase},
        ).scalar_one()
    return sum(counts) / max(len(counts), 1), int(truncated)


def _token_counts(database: Database, phase: str | None = None) -> list[int]:
    where = "AND p.name = :phase" if phase else ""
    with database.read() as connection:
        rows = connection.execute(
            text(
                f"""SELECT a.generation FROM attempt a JOIN sample s ON s.id = a.sample_id
                    JOIN phase p ON p.id = s.phase_id WHERE a.ending = 'done' {where}"""
            ),
            {"phase": phase} if phase else {},
        ).scalars()
        records = list(map(decoded, rows))
    return [int(record.get("completion_tokens", 0)) for record in records]
