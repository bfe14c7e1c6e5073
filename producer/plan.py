"""Plan -> rows: create a run, or bring an existing one to what its configuration says now. Idempotent."""

from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from lemfarm import __version__
from lemfarm.config import config_data, config_hash
from lemfarm.curation.settling import settle_run
from lemfarm.database import Database
from lemfarm.errors import InputError, ModelMismatch, VersionError
from lemfarm.gates import gate_hash
from lemfarm.identity import content_hash
from lemfarm.ledger import Ledger
from lemfarm.models import FoundModel
from lemfarm.records import (
    UNTRAINED,
    Adapter,
    Kernel,
    Model,
    Phase,
    PhaseState,
    Probe,
    Purpose,
    Run,
    RunState,
    Sample,
    SampleState,
    Variant,
)
from lemfarm.training.phases import retry_trainings
from lemfarm.training.promotion import is_blocked, judge_anew
from producer.course import Course, as_json, probe_key, variant_key
from producer.evaluation import measured_adapter_rows
from producer.external import ImportedAnswers, import_configured, require_sources
from producer.generators import fixed_adapters
from producer.rejudging import rejudge_unscored, reopen


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What planning found and did. `created`: the run is new; `changed`: its configuration differs from last time;
    `external`: what became of the answers from elsewhere that it names."""

    run_id: int
    created: bool
    changed: bool
    added: int = 0
    superseded: int = 0
    restored: int = 0
    external: tuple[ImportedAnswers, ...] = ()


def apply_plan(
    database: Database, course: Course, *, found: FoundModel | None, limit: int | None, trains: bool
) -> PlanResult:
    """Write run, phases, probes, kernels and sample rows; a second call with the same course changes nothing.

    Raises ModelMismatch when the weights are not those the run began with, VersionError for a run of another lemfarm,
    InputError for a cancelled one, and for one that takes answers from a run which is not there.
    """
    require_sources(database, course.config)
    wanted = content_hash([config_hash(course.config), course.model_key, limit, trains])
    with database.session() as session:
        _refuse_foreign_adapter(session, course)
        _save_model(session, database, course, found)
        run, created, changed = _save_run(session, course, wanted, limit=limit, trains=trains)
        if created:
            run.created = run.activated = database.clock()
        run_id = _key(run)
        phase_ids = _save_phases(session, run_id, course) if changed else {}
        if changed:
            _save_texts(session, course)
    if not changed:
        external = import_configured(database, run_id, files=False)
        if any(one.added for one in external):
            settle_run(database, run_id)
        _wake(database, run_id, changed=rejudge_unscored(database, run_id) > 0)
        return PlanResult(run_id, created, changed, external=external)
    ledger = Ledger(database)
    rows = course.distil_rows(run_id, phase_ids, limit, fixed_adapters(database, run_id))
    distil = ledger.plan(run_id, Purpose.DISTIL, rows)
    base = course.evaluation_rows(run_id, phase_ids[course.config.phases[0].name])
    ledger.plan(run_id, Purpose.EVALUATE, base + measured_adapter_rows(database, run_id, base))
    external = import_configured(database, run_id, files=True)
    reopen(database, run_id)
    with database.session() as session:
        session.get_one(Run, run_id).planned_hash = wanted
    _wake(database, run_id, changed=True)
    return PlanResult(run_id, created, changed, distil.added, distil.superseded, distil.restored, external)


def _save_run(
    session: Session, course: Course, wanted: str, *, limit: int | None, trains: bool
) -> tuple[Run, bool, bool]:
    """The run's row with this configuration; whether it is new, and whether anything is different from last time."""
    run = session.exec(select(Run).where(Run.name == course.config.run)).one_or_none()
    created = run is None
    if run is None:
        run = Run(name=course.config.run, config_hash="", model_key="", lemfarm_version=__version__)
    refuse_foreign(run)
    changed = run.planned_hash != wanted
    if run.config_hash != config_hash(course.config):
        run.config, run.config_hash = config_data(course.config), config_hash(course.config)
    _refuse_lower_limit(session, run, limit)
    run.model_key, run.sample_limit, run.trains = course.model_key, limit, trains
    session.add(run)
    session.flush()
    return run, created, changed


def _refuse_lower_limit(session: Session, run: Run, limit: int | None) -> None:
    """A limit keeps a run small from the start; taking planned samples away again would throw done ones out."""
    if limit is None or run.id is None:
        return
    planned = session.exec(
        select(func.count()).where(
            Sample.run_id == run.id, Sample.purpose == Purpose.DISTIL, col(Sample.superseded).is_(False)
        )
    ).one()
    if limit < planned:
        raise InputError(
            f"run {run.name} has {planned} samples planned already: --limit can be raised or left out, not lowered. "
            "Give a smaller trial another name in the run file."
        )


def _wake(database: Database, run_id: int, *, changed: bool = False) -> None:
    """Let an ended run go on where there is something to go on with; a stopped one gets its error rate forgiven."""
    retry_trainings(database, run_id)
    with database.session() as session:
        run = session.get_one(Run, run_id)
        waiting = select(Sample.id).where(
            Sample.run_id == run_id,
            col(Sample.state).in_([SampleState.PENDING, SampleState.LEASED]),
            col(Sample.superseded).is_(False),
        )
        if run.state in (RunState.ACTIVE, RunState.PAUSED):
            return
        goes_on = run.state == RunState.STOPPED and not is_blocked(session, run_id)
        if changed or goes_on or session.exec(waiting).first() is not None:
            run.state, run.reason, run.activated, run.finished = RunState.ACTIVE, "", database.clock(), None


def refuse_foreign(run: Run) -> None:
    """Nothing is changed in a run of another lemfarm, or in a cancelled one. Raises VersionError, InputError."""
    if run.lemfarm_version != __version__:
        raise VersionError(
            f"run {run.name} was made by lemfarm {run.lemfarm_version}, this is {__version__}: "
            f"install {run.lemfarm_version} to go on with it, or give the new campaign another name."
        )
    if run.state == RunState.CANCELLED:
        raise InputError(f"run {run.name} was cancelled. `lemfarm resume {run.name}` takes that back.")


def _refuse_foreign_adapter(session: Session, course: Course) -> None:
    """An adapter fits the model that it was trained on, and no other."""
    wanted = course.config.evaluate.adapter if course.config.evaluate else None
    if wanted is None:
        return
    adapter = session.get(Adapter, wanted)
    if adapter is None:
        raise InputError(f"evaluate.adapter: this farm knows no adapter {wanted}")
    own = session.get_one(Run, adapter.run_id)
    if own.model_key != course.model_key:
        raise InputError(
            f"evaluate.adapter: {wanted} belongs to the model of run {own.name} ({own.model_key}), "
            f"this one is {course.model_key}"
        )


def _save_model(session: Session, database: Database, course: Course, found: FoundModel | None) -> None:
    name = course.config.model.path
    earlier = session.exec(select(Model).where(Model.name == name).order_by(col(Model.created).desc())).first()
    if earlier is not None and earlier.key != course.model_key and earlier.key.startswith("b2:"):
        raise ModelMismatch(
            f"{name} now has weights {course.model_key}, earlier runs used {earlier.key}. Put the old files back, "
            "or copy the new model to another folder and name that one."
        )
    model = session.get(Model, course.model_key)
    if model is None:
        model = Model(key=course.model_key, name=name, engine=course.config.model.engine, created=database.clock())
    if found is not None:
        _refuse_other_weights(model, found)
        model.commit, model.content_hash = found.commit, found.content_hash
    session.add(model)


def _refuse_other_weights(model: Model, found: FoundModel) -> None:
    if model.content_hash and found.content_hash and model.content_hash != found.content_hash:
        raise ModelMismatch(
            f"{model.name} at {found.folder} has weights {found.content_hash}, the farm knows {model.content_hash}. "
            f"Fetch the right ones with `lemfarm model get {model.name}`."
        )


def _save_texts(session: Session, course: Course) -> None:
    for kernel in course.kernels:
        session.merge(Kernel(hash=kernel.hash, name=kernel.name, text=kernel.text))
    for probe in course.all_probes:
        session.merge(Probe(id=probe_key(probe.id), name=probe.id, domain=probe.domain, fields=dict(probe.fields)))
    session.flush()
    for probe in course.all_probes:
        for variant in probe.variants:
            session.merge(
                Variant(
                    id=variant_key(probe.id, variant),
                    probe_id=probe_key(probe.id),
                    position=variant.position,
                    kind=variant.kind,
                    messages=as_json(variant),
                )
            )
    session.flush()


def _save_phases(session: Session, run_id: int, course: Course) -> dict[str, int]:
    known = {phase.name: phase for phase in session.exec(select(Phase).where(Phase.run_id == run_id))}
    for position, config in enumerate(course.config.phases):
        phase = known.pop(config.name, None) or Phase(run_id=run_id, name=config.name, position=position)
        phase.position, phase.retired = position, False
        phase.generator = phase.generator if config.generate_with == "promoted" else None
        judge_anew(phase, config)
        phase.config, phase.gate_hash = config.model_dump(mode="json"), gate_hash(config.gates, config.review)
        if phase.state in UNTRAINED:
            phase.state = PhaseState.OPEN
        session.add(phase)
    for gone in known.values():
        gone.retired = True
        session.add(gone)
    session.flush()
    rows = session.exec(select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False)))
    return {phase.name: _key(phase) for phase in rows}


def _key(row: Run | Phase) -> int:
    """The id of a row that has been flushed."""
    assert row.id is not None
    return row.id
