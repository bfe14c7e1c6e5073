"""Which adapter a person means, where it lies here, and what it came of: the phases, rows and model behind it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.connections import Connections
from lemfarm.database import Database
from lemfarm.decisions import newest_stage
from lemfarm.errors import InputError, ModelError, NotFound
from lemfarm.home import Home
from lemfarm.models import FoundModel, find_model, is_hub_id, verify_model
from lemfarm.records import Adapter, LossPoint, Model, Phase, Purpose, Run, Sample, TrainingStage
from lemfarm.runs import find_run
from lemfarm.training.adapters import verify
from lemfarm.training.artifacts import fetch, open_store

_SHORTEST_ID = 6


@dataclass(frozen=True, slots=True)
class TrainedPhase:
    """One adapter on the way to the chosen one: its phase, its rows, its settings, what came of them.

    `rows` are those that trained and those that validated; `loss` is the first and the lowest validation loss;
    `updates` is the one whose weights the adapter has.
    """

    phase: str
    adapter: str
    dataset: str
    rows: tuple[int, int] | None
    updates: int | None
    loss: tuple[float, float] | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an adapter comes from, in words that mean the same on every machine: no paths.

    `model` is a hub id, or the name of a folder; `model_hash` is the content of its weights and tokenizer, `commit`
    the hub's. `phases` are in the order of training and end with the adapter itself.
    """

    run: str
    phase: str
    adapter: str
    model: str
    model_hash: str
    commit: str | None
    on_hub: bool
    kernels: tuple[str, ...]
    config_hash: str
    sampling: Mapping[str, Any]
    phases: tuple[TrainedPhase, ...]
    versions: Mapping[str, str]
    lemfarm: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Origin":
        """What `to_dict` gave, read back from JSON. Raises KeyError, TypeError."""
        phases = tuple(TrainedPhase(**{**phase, **_pairs(phase)}) for phase in fields["phases"])
        return cls(**{**fields, "phases": phases, "kernels": tuple(fields["kernels"])})


@dataclass(frozen=True, slots=True)
class ChosenAdapter:
    """An adapter with its run and its origin."""

    id: str
    run: Run
    origin: Origin


def choose_adapter(database: Database, given: str | None, phase: str | None = None) -> ChosenAdapter:
    """The adapter that a run has promoted, or the newest of one of its phases, or the one whose id begins so.

    Nothing given: the latest run. Raises NotFound and InputError, saying what there is.
    """
    adapter_id = _adapter_named(database, given) if given else None
    if adapter_id is None:
        run = _find_run(database, given)
        adapter_id = _of_phase(database, run, phase) if phase else _promoted(run)
    elif phase:
        raise InputError(f"{given} is an adapter, which is of one phase: leave --phase out.")
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        adapter = session.get_one(Adapter, adapter_id)
        run = session.get_one(Run, adapter.run_id)
        return ChosenAdapter(adapter_id, run, _origin(session, run, adapter))


def adapter_folder(chosen: ChosenAdapter, home: Home, connections: Connections) -> Path:
    """Where the adapter lies in this home, verified; fetched from the artifact store if it is not here.

    Raises ModelError when it can be had nowhere, or was changed; Unavailable while the store is away.
    """
    folder = home.adapters / chosen.id
    if not folder.is_dir() and connections.artifacts:
        fetch(chosen.id, open_store(connections.artifacts, connections.artifacts_token), home.ensure(home.adapters))
    if not folder.is_dir():
        raise ModelError(
            f"adapter {chosen.id} does not lie in {home.adapters}"
            f"{' nor in the artifact store' if connections.artifacts else ''}. Run this on the machine that trained "
            f"it, or copy the folder here."
        )
    verify(folder)
    return folder


def base_model(chosen: ChosenAdapter, home: Home, mapping: Mapping[str, Path]) -> FoundModel:
    """The model that the adapter was trained on, found on this machine.

    Raises ModelError when it is not here, ModelMismatch when it is another one.
    """
    model = chosen.run.config["model"]
    if model["engine"] != "mlx":
        raise InputError(f"run {chosen.run.name} works with a {model['engine']} model: there is nothing to fuse into.")
    found = find_model(model["path"], mapping=mapping, revision=model.get("revision"), home=home)
    verify_model(found, chosen.origin.model_hash)
    return found


def _pairs(phase: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists only."""
    return {name: tuple(phase[name]) if phase[name] else None for name in ("rows", "loss")}


def _adapter_named(database: Database, given: str) -> str | None:
    """A run of that name goes first; else ids are matched by their beginning."""
    with database.read() as connection, Session(bind=connection) as session:
        if session.exec(select(Run.id).where(Run.name == given)).first() is not None:
            return None
        if len(given) < _SHORTEST_ID or not given.isalnum():
            return None
        found = session.exec(select(Adapter.id).where(col(Adapter.id).startswith(given))).all()
    if len(found) > 1:
        raise InputError(f"{given}: {len(found)} adapters begin so: {', '.join(sorted(found))}")
    return found[0] if found else None


def _find_run(database: Database, given: str | None) -> Run:
    try:
        return find_run(database, given)
    except NotFound as error:
        raise NotFound(f"{error}; nor does an adapter's id begin so." if given else str(error)) from None


def _promoted(run: Run) -> str:
    if run.promoted is None:
        raise InputError(f"run {run.name} has promoted no adapter yet; --phase NAME takes the one of a phase.")
    return run.promoted


def _of_phase(database: Database, run: Run, name: str) -> str:
    with database.read() as connection, Session(bind=connection) as session:
        phases = session.exec(select(Phase).where(Phase.run_id == run.id).order_by(col(Phase.position))).all()
        trained = {}
        for phase in phases:
            stage = newest_stage(session, phase.id)
            if stage is not None and stage.adapter_id is not None:
                trained[phase.name] = stage.adapter_id
    if name not in trained:
        raise NotFound(f"phase {name} of run {run.name} has no adapter; phases that have: {', '.join(trained) or '-'}")
    return trained[name]


def _origin(session: Session, run: Run, adapter: Adapter) -> Origin:
    path = str(run.config["model"].get("path", ""))
    model = session.get(Model, run.model_key)
    return Origin(
        run=run.name,
        phase=session.get_one(Phase, adapter.phase_id).name,
        adapter=adapter.id,
        model=path if is_hub_id(path) else Path(path).name,
        model_hash=str(adapter.manifest["config"].get("model", "")),
        commit=model.commit if model else None,
        on_hub=is_hub_id(path),
        kernels=_kernels(session, run),
        config_hash=run.config_hash,
        sampling=run.config.get("sampling", {}),
        phases=tuple(_trained(session, one) for one in _chain(session, adapter)),
        versions=adapter.manifest.get("versions", {}),
        lemfarm=version("lemfarm"),
    )


def _kernels(session: Session, run: Run) -> tuple[str, ...]:
    """Hashes of the system prompts under which the run generated what it trains on."""
    query = select(Sample.kernel_hash).where(
        Sample.run_id == run.id, Sample.purpose == Purpose.DISTIL, col(Sample.superseded).is_(False)
    )
    return tuple(sorted({found for found in session.exec(query.distinct()) if found}))


def _chain(session: Session, adapter: Adapter) -> list[Adapter]:
    """The adapter and those that it continues, in the order of training."""
    found = [adapter]
    while (parent := found[0].parent_id) is not None:
        found.insert(0, session.get_one(Adapter, parent))
    return found


def _trained(session: Session, adapter: Adapter) -> TrainedPhase:
    stage = session.exec(select(TrainingStage).where(TrainingStage.adapter_id == adapter.id)).first()
    phase, run = session.get_one(Phase, adapter.phase_id), session.get_one(Run, adapter.run_id)
    dataset = stage.dataset if stage else {}
    settings = (run.config.get("train") or {}) | (phase.config.get("train") or {}) | (stage.overrides if stage else {})
    losses = _losses(session, stage)
    return TrainedPhase(
        phase=phase.name,
        adapter=adapter.id,
        dataset=str(dataset.get("hash", "")),
        rows=(dataset["train"], dataset["valid"]) if {"train", "valid"} <= dataset.keys() else None,
        updates=adapter.manifest.get("record", {}).get("used"),
        loss=(losses[0], min(losses)) if losses else None,
        settings=settings,
    )


def _losses(session: Session, stage: TrainingStage | None) -> list[float]:
    """The validation losses of a training, in order."""
    if stage is None:
        return []
    query = select(LossPoint.loss).where(
        LossPoint.stage_id == stage.id, LossPoint.epoch == stage.epoch, LossPoint.kind == "valid"
    )
    return list(session.exec(query.order_by(col(LossPoint.iteration))))
