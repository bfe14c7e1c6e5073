"""Rephrasings as farm work: which probe wants which kind, and the run of one phase that asks for them.

The Python twin of `lemfarm probes rephrase`:

    plan = plan_rephrasing(files, kinds)
    config = rephrasing_run(plan, load_config(run_file), name="rephrase-ethics", samples=4, home=home)
    campaign.start(config); ...                             as any other run
    found = gather(campaign.database, plan, config)         producer.rephrased
    save(found, plan, out, home=home, run=config.run)       producer.rephrased_file
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session, col, select

from lemfarm.config import RunConfig, config_data, config_from_data
from lemfarm.config.base import Name
from lemfarm.database import Database
from lemfarm.errors import InputError, NoSpace
from lemfarm.home import Home, write_whole
from lemfarm.identity import canonical_json
from lemfarm.probes import Probe, read_probes
from lemfarm.records import Phase, Run
from lemfarm.rephrasing import Kind, request

PHASE = "rephrase"
SCORER = "rephrasing"
FIELD = "rephrased"
"""The free field of a probe that says where its rephrasings come from and whether somebody has looked at them."""

_OTHER_NAMES = {"cultural": Kind.CULTURE}  # as LEM's files call it
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_STEM = 80


@dataclass(frozen=True, slots=True)
class Pair:
    """One rephrasing that is wanted."""

    probe: str
    kind: Kind
    source: str

    @property
    def name(self) -> str:
        """What the farm calls it, as the id of a probe of its own."""
        return f"{self.probe}:{self.kind}"

    @property
    def prompt(self) -> str:
        """What the model is asked."""
        return request(self.kind, self.source)


@dataclass(frozen=True, slots=True)
class RephrasingPlan:
    """The probes in their order, what is wanted of them, and those that cannot be rephrased: scripted dialogues."""

    probes: tuple[Probe, ...]
    pairs: tuple[Pair, ...]
    dialogues: tuple[str, ...]


def plan_rephrasing(files: Iterable[Path], kinds: Collection[Kind], *, again: bool = False) -> RephrasingPlan:
    """Every kind for every probe that has it not, or all of them `again`.

    A dialogue is left as it is: its earlier turns fix who speaks, where and when, which is what a rephrasing changes.
    Raises ProbeError, and InputError for a probe whose field `rephrased` is somebody else's.
    """
    found = read_probes(files)
    for probe in found:
        _refuse_foreign_field(probe)
    single = [probe for probe in found if len(probe.variants[0].messages) == 1]
    pairs = (
        Pair(probe.id, kind, probe.variants[0].messages[0].content)
        for probe in single
        for kind in Kind
        if kind in kinds and (again or kind not in _kinds_of(probe))
    )
    known = {probe.id for probe in single}
    return RephrasingPlan(found, tuple(pairs), tuple(probe.id for probe in found if probe.id not in known))


def run_name(out: Path, given: str | None = None) -> str:
    """The name of the run that fills a file. Raises InputError for a given one that no run can have."""
    if given is None:
        return f"rephrase-{_NOT_IN_NAMES.sub('-', out.stem)[:_LONGEST_STEM]}"
    try:
        return TypeAdapter(Name).validate_python(given)
    except ValidationError as error:
        raise InputError(
            f"--run {given!r}: a name begins with a letter or digit and has no blanks or slashes"
        ) from error


def rephrasing_run(plan: RephrasingPlan, base: RunConfig, *, name: str, samples: int, home: Home) -> RunConfig:
    """A run of one phase with the model, sampling and farm of another run: one good answer for each pair of the plan,
    which must have some. What it asks is written to the home, as the probe file of this run.

    Raises NoSpace.
    """
    path = folder_of(home) / f"{name}.jsonl"
    phase = {
        "name": PHASE,
        "probes": [str(path)],
        "kernel": None,
        "samples": samples,
        "gates": [{"truncated": "reject"}, {"looping": "reject"}, {"scorer": SCORER, "at_least": 1.0}],
        "quota": {"accepted": len({pair.prompt for pair in plan.pairs}), "at_most_per_probe": 1},
    }
    data = config_data(base) | {"run": name, "kernel": None, "phases": [phase], "train": None, "evaluate": None}
    _write_requests(path, plan.pairs)
    return config_from_data(data)


def folder_of(home: Home) -> Path:
    """Where a home keeps what its rephrasing runs ask, and what they have written."""
    return home.root / "rephrasings"


def refuse_other_run(database: Database, name: str) -> None:
    """A run of that name that is no rephrasing would be planned anew as one. Raises InputError."""
    query = select(Phase.name).join(Run, col(Run.id) == Phase.run_id).where(Run.name == name)
    with database.read() as connection, Session(bind=connection) as session:
        phases = set(session.exec(query))
    if not phases <= {PHASE}:
        raise InputError(f"run {name} exists and is no rephrasing; give this one another name with --run")


def _write_requests(path: Path, pairs: Iterable[Pair]) -> None:
    lines = [{"id": pair.name, "domain": pair.kind, "prompt": pair.prompt} for pair in pairs]
    try:
        write_whole(path, "".join(canonical_json(line) + "\n" for line in lines).encode())
    except OSError as error:
        raise NoSpace(f"{path}: {error.strerror or error}. Free some space, or choose another home.") from error


def _kinds_of(probe: Probe) -> set[str]:
    given = {variant.kind.casefold() for variant in probe.variants[1:]}
    return {_OTHER_NAMES.get(kind, kind) for kind in given}


def _refuse_foreign_field(probe: Probe) -> None:
    entries = probe.fields.get(FIELD, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f"probe {probe.id} has a field `{FIELD}` that is no list of rephrasings; give that field another name"
        )
