"""An evaluation outside of a campaign: one model or adapter, a probe file, conditions; an ordinary run whose rows all
measure.

The Python twin of `lemfarm evaluate`:

    subject = find_subject(database, "lek-27b")
    config = evaluation_run(subject, Questions(probes, conditions), name="evaluate-lek-27b-P100")
    campaign.start(config, limit=0, trains=False); ...     as any other run
    save(campaign.database, config.run, out)               producer.ab_answers
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session, col, select

from lemfarm.config import RunConfig, check_config, config_data, config_from_data, load_config
from lemfarm.config.base import Name
from lemfarm.database import Database
from lemfarm.errors import ConfigError, InputError
from lemfarm.evaluation.comparison import BASELINE
from lemfarm.models import is_hub_id
from lemfarm.probes import read_probes
from lemfarm.records import Adapter, Phase, Run
from lemfarm.scorers import get_scorer

PHASE = "evaluate"
_RUN_FILES = (".yaml", ".yml")
_SHORTEST_ADAPTER = 6
_LONGEST_NAME = 80
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a model with its engine, sampling and farm, and perhaps an adapter on it."""

    name: str
    data: Mapping[str, Any]  #: a configuration's data; phases and the like are replaced
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """What it is asked, and how. `conditions` map a name to a kernel file, or to None for the bare prompt."""

    probes: Path
    conditions: Mapping[str, Path | None] = field(default_factory=lambda: {BASELINE: None})
    samples: int = 1
    greedy: bool = True
    max_tokens: int = 1024
    wordings: str = "original"
    scorer: str = "v2"


def find_subject(database: Database, given: str, overrides: Mapping[str, object]) -> Subject:
    """What a person means by MODEL|ADAPTER: a run file (its untrained model), a model's folder, an adapter's id or its
    beginning, a run (the adapter that it has promoted), or a model's id on the hub. Raises InputError, ConfigError."""
    path = Path(given).expanduser()
    if path.suffix in _RUN_FILES:
        config = load_config(path, overrides=overrides)
        return Subject(config.run, config_data(config))
    if path.is_dir():
        return _model(path.name, str(path.resolve()))
    found = _adapter(database, given) or _promoted(database, given)
    if found is not None:
        return found
    if is_hub_id(given):
        return _model(given.rpartition("/")[2], given)
    raise InputError(
        f"{given}: neither a run file, a model's folder or hub id, an adapter, nor a run of this farm. "
        "`lemfarm status` names its runs and their adapters."
    )


def conditions_of(given: Sequence[str]) -> dict[str, Path | None]:
    """Conditions as flags spell them: `baseline`, `NAME=FILE`, or a FILE, whose name is taken. Raises InputError."""
    found: dict[str, Path | None] = {}
    for text in given or (BASELINE,):
        name, path = _condition(text)
        if name in found:
            raise InputError(f"--condition {text}: there is a condition {name!r} already")
        found[name] = path
    return found


def evaluation_run(subject: Subject, questions: Questions, name: str) -> RunConfig:
    """A run with the subject's model, sampling and farm, which measures and does nothing else: start it with limit 0.

    Raises ProbeError for a probe file that cannot be read, InputError for a scorer that is not there and for greedy
    answers that would be all the same, ConfigError for what no run may ask.
    """
    read_probes([questions.probes])
    get_scorer(questions.scorer)
    if questions.greedy and questions.samples > 1:
        raise InputError(
            f"--samples {questions.samples}: greedy answers to one prompt are all the same; add --no-greedy"
        )
    probes = str(questions.probes.expanduser().absolute())
    phase = {"name": PHASE, "probes": [probes], "kernel": None, "samples": 1, "quota": {"accepted": 1}}
    kernels = [str(path.absolute()) for path in questions.conditions.values() if path]
    data = {key: value for key, value in subject.data.items() if key not in ("train", "notify")} | {
        "run": name,
        "phases": [phase],
        "kernel": _kernel(subject, kernels),
        "evaluate": {
            "probes": probes,
            "conditions": {key: path and str(path.absolute()) for key, path in questions.conditions.items()},
            "adapter": subject.adapter,
            "samples": questions.samples,
            "greedy": questions.greedy,
            "max_tokens": questions.max_tokens,
            "wordings": questions.wordings,
            "scorer": questions.scorer,
        },
    }
    config = config_from_data(data)
    problems = check_config(config)
    if problems:
        raise ConfigError(problems)
    return config


def run_name(subject: Subject, probes: Path, given: str | None = None) -> str:
    """The name of the run that measures. Raises InputError for a given one that no run can have."""
    if given is None:
        who = f"{subject.name}-{subject.adapter[:10]}" if subject.adapter else subject.name
        return _NOT_IN_NAMES.sub("-", f"evaluate-{who}-{probes.stem}")[:_LONGEST_NAME]
    try:
        return TypeAdapter(Name).validate_python(given)
    except ValidationError as error:
        raise InputError(
            f"--run {given!r}: a name begins with a letter or digit and has no blanks or slashes"
        ) from error


def refuse_other_run(database: Database, name: str) -> None:
    """A run of that name that samples for training would be planned anew as one that measures. Raises InputError."""
    query = select(Phase.name).join(Run, col(Run.id) == Phase.run_id).where(Run.name == name)
    with database.read() as connection, Session(bind=connection) as session:
        phases = set(session.exec(query))
    if not phases <= {PHASE}:
        raise InputError(f"run {name} exists and is no evaluation; give this one another name with --run")


def _kernel(subject: Subject, files: Sequence[str]) -> dict[str, Any] | None:
    """Nothing is generated with it: it says where the conditions' kernels are placed, as in the subject's own run."""
    own = subject.data.get("kernel")
    return {"file": files[0], "placement": own["placement"]} if own and files else None


def _model(name: str, path: str) -> Subject:
    return Subject(name, {"model": {"engine": "mlx", "path": path}})


def _adapter(database: Database, given: str) -> Subject | None:
    if len(given) < _SHORTEST_ADAPTER or not given.isalnum():
        return None
    with database.read() as connection, Session(bind=connection) as session:
        found = session.exec(select(Adapter).where(col(Adapter.id).startswith(given))).all()
        if len(found) > 1:
            raise InputError(f"{given}: {len(found)} adapters begin so: {', '.join(one.id for one in found)}")
        return _subject(session, found[0].run_id, found[0].id) if found else None


def _promoted(database: Database, given: str) -> Subject | None:
    with database.read() as connection, Session(bind=connection) as session:
        run = session.exec(select(Run).where(Run.name == given)).one_or_none()
        if run is None:
            return None
        if run.promoted is None:
            raise InputError(f"run {given} has promoted no adapter yet; name its run file to measure its model")
        assert run.id is not None
        return _subject(session, run.id, run.promoted)


def _subject(session: Session, run_id: int, adapter: str) -> Subject:
    run = session.get_one(Run, run_id)
    return Subject(run.name, run.config, adapter)


def _condition(text: str) -> tuple[str, Path | None]:
    name, equals, file = text.partition("=")
    if not equals:
        name, file = (BASELINE, "") if text == BASELINE else (Path(text).stem, text)
    if not file and name == BASELINE:
        return name, None
    path = Path(file).expanduser()
    if not file or not path.is_file():
        raise InputError(f"--condition {text}: write baseline, or NAME=FILE with a kernel file that exists")
    return name, path
