"""What `lemfarm compare` looks at: the models of runs, and A/B files, as models that can be compared.

The Python twin of the verb:

    models = models_of(database, ["lek-27b", "theirs.jsonl"], scorer="v2")
    for before, after in pairs_of(models): changes(before, after, Split.HELD_OUT)     lemfarm.evaluation.comparison
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col

from lemfarm.database import Database
from lemfarm.errors import InputError
from lemfarm.evaluation.comparison import Model
from lemfarm.evaluation.measurement import Split
from lemfarm.records import Adapter, Phase
from lemfarm.runs import find_run
from lemfarm.scorers import get_scorer
from lemfarm.scoring.ab_files import read_ab_file
from producer.measured_answers import EvaluationAnswers, evaluation_answers

BASE = "base"


@dataclass(frozen=True, slots=True)
class Compared:
    """One model of a comparison, and where it comes from. `problems`: lines of a file that were left out."""

    model: Model
    source: str
    run: str | None = None  #: None: a file
    adapter: str | None = None  #: of a run; None: its base model
    parent: str | None = None  #: the adapter that this one goes on from
    knows_training: bool = True  #: whether its answers say which probes were trained on
    problems: tuple[str, ...] = ()


def compared(database: Database | None, sources: Sequence[str], scorer: str) -> list[Compared]:
    """The models of every source, in order: of a run its base model and its adapters as they were trained, of an A/B
    file the one it is about. Labels are made different where they are the same.

    Raises InputError for a source that is neither, or that has nothing to compare, and for no such scorer; NotFound for
    no such run.
    """
    get_scorer(scorer)
    found: list[Compared] = []
    for source in dict.fromkeys(sources):
        found += [_of_file(source, scorer)] if is_file(source) else _of_run(database, source, scorer)
    return _labelled(found)


def pairs_of(models: Sequence[Compared]) -> list[tuple[Compared, Compared]]:
    """Which models are compared: each adapter with its base model and with the adapter that it goes on from; the first
    models of further sources with the first of all."""
    pairs: list[tuple[Compared, Compared]] = []
    for place, one in enumerate(models):
        own = [earlier for earlier in models[:place] if earlier.source == one.source]
        if not own:
            pairs += [(models[0], one)] if place else []
            continue
        pairs.append((own[0], one))
        pairs += [(other, one) for other in own[1:] if other.adapter == one.parent]
    return pairs


def is_file(source: str) -> bool:
    """Whether a source is meant as a file: runs have no slashes in their names."""
    return "/" in source or source.endswith(".jsonl") or source == "-"


def _of_file(source: str, scorer: str) -> Compared:
    found = read_ab_file(source, scorer)
    name = Path(source).stem if source != "-" else "standard input"
    return Compared(Model(name, found.answers), source, knows_training=found.knows_training, problems=found.problems)


def _of_run(database: Database | None, name: str, scorer: str) -> list[Compared]:
    if database is None:
        raise InputError(f"{name}: no such file, and there is no farm here whose run it could be")
    run = find_run(database, name)
    assert run.id is not None
    answers = evaluation_answers(database, run.id, scorer)
    if not answers.scored:
        raise InputError(f"run {name} has no scored answer in its evaluation yet")
    present = {answer.model for answer in answers.scored}
    adapters = [one for one in _adapters(database) if one.id in present]
    models = [("", BASE, None)] if "" in present else []
    models += [(one.id, f"{one.phase} {one.id[:8]}", one.parent_id) for one in adapters]
    return [
        Compared(_model(f"{run.name} {label}", model, answers), run.name, run.name, model or None, parent)
        for model, label, parent in models
    ]


def _model(label: str, model: str, found: EvaluationAnswers) -> Model:
    answers = tuple(answer for answer in found.scored if answer.model == model)
    conditions = {answer.condition for answer in answers}
    missing = {(name, split): found.without_score(model, name, split) for name in conditions for split in Split}
    return Model(label, answers, missing)


def _adapters(database: Database) -> Sequence[Any]:
    """Every adapter of the farm with the phase that it came of, in the order in which they were trained."""
    query: Any = (
        columns(col(Adapter.id), col(Adapter.parent_id), col(Phase.name).label("phase"))
        .join(Phase, col(Phase.id) == Adapter.phase_id)
        .order_by(col(Adapter.created), col(Adapter.id))
    )
    with database.read() as connection, Session(bind=connection) as session:
        return session.execute(query).all()


def _labelled(found: Sequence[Compared]) -> list[Compared]:
    """Two files of one name get their paths as labels."""
    labels = [one.model.label for one in found]
    return [
        one if labels.count(one.model.label) == 1 else replace(one, model=replace(one.model, label=one.source))
        for one in found
    ]
