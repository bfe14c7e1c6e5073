"""The promoted pointer: who may move it, and the rows that say why it moved.

    measuring -> trained | held | rejected        its gates, once
    held      -> trained | rejected               a person
    rejected  -> trained                          a person, against the gates
    trained   -> rejected                         a person takes it back, and with it what was trained on top of it
    held, rejected -> untrained                   trained again: a further attempt

Every change is one transaction that starts with a guarded UPDATE of the phase, so that a death in between, or two
watchers at once, decide once. Decisions are added and never changed; adapters and attempts stay.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig
from lemfarm.database import Database
from lemfarm.decisions import newest_stage
from lemfarm.errors import InputError
from lemfarm.notices import write_notice
from lemfarm.records import (
    BLOCKED,
    Adapter,
    GateDecision,
    GateOutcome,
    NoticeKind,
    Phase,
    PhaseState,
    Run,
    RunState,
    StageState,
    TrainingStage,
)
from lemfarm.training.attempts import add_attempt, wake

BASE = "base"
"""Stands for the untrained model where an adapter or a phase could be named."""

_AFTER = {
    GateOutcome.PASSED: PhaseState.TRAINED,
    GateOutcome.HELD: PhaseState.HELD,
    GateOutcome.FAILED: PhaseState.REJECTED,
    GateOutcome.ROLLED_BACK: PhaseState.REJECTED,
}


def is_gated(run: Run, phase: Phase) -> bool:
    """Whether a phase's adapter is measured before it is promoted: its run evaluates without a kernel, and the phase
    has gates."""
    conditions = (run.config.get("evaluate") or {}).get("conditions", {})
    return phase.config.get("gate_after") is not None and None in conditions.values()


def hand_in(session: Session, database: Database, run: Run, phase: Phase, adapter: str) -> None:
    """A finished adapter: it waits for its gates, or is promoted at once where none are asked. In the transaction that
    ends its training."""
    if is_gated(run, phase):
        phase.state = PhaseState.MEASURING
        return
    phase.state = PhaseState.TRAINED
    _add(session, database, phase, adapter, GateOutcome.PASSED, note="no gates were asked")
    _promote(session, database, run, phase, adapter)


def decide(
    database: Database, phase_id: int, outcome: GateOutcome, details: Mapping[str, Any], *, said: str, note: str = ""
) -> bool:
    """What the gates say of the adapter that is measured; False when that was decided already. `said`: for people."""
    with database.session() as session:
        if not _moved(session, phase_id, {PhaseState.MEASURING}, _AFTER[outcome]):
            return False
        phase, run, adapter = _of(session, phase_id)
        _add(session, database, phase, adapter, outcome, details=details, note=note)
        if outcome == GateOutcome.PASSED:
            _promote(session, database, run, phase, adapter)
        else:
            kind = NoticeKind.HELD if outcome == GateOutcome.HELD else NoticeKind.FAILED
            write_notice(session.connection(), database, phase.run_id, kind, said, phase=phase.name)
        return True


def judge_anew(phase: Phase, config: PhaseConfig) -> None:
    """Other gates in the run file than when an adapter was held or rejected: they decide again."""
    wanted = config.model_dump(mode="json")["gate_after"]
    if phase.state in BLOCKED and phase.config.get("gate_after") != wanted:
        phase.state = PhaseState.MEASURING


def is_blocked(session: Session, run_id: int) -> bool:
    """Whether an adapter of the run waits for a person's word: starting the run again changes nothing about that."""
    query = select(Phase.id).where(Phase.run_id == run_id, col(Phase.retired).is_(False))
    return session.exec(query.where(col(Phase.state).in_(BLOCKED))).first() is not None


def find_phase(database: Database, run: Run, name: str | None, states: Iterable[str]) -> Phase:
    """The phase that a person means: its name or an unmistakable beginning of it; left out: the first one in one of
    these states. Raises InputError."""
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False))
        phases = session.exec(query.order_by(col(Phase.position))).all()
    if name is None:
        found = [phase for phase in phases if phase.state in states][:1]
        wanted = f"run {run.name} has no phase that is {' or '.join(states)}"
    else:
        found = [phase for phase in phases if phase.name == name]
        found = found or [phase for phase in phases if phase.name.startswith(name)]
        wanted = f"--phase {name}: {'several phases begin so' if found else 'there is no such phase'}"
    if len(found) == 1:
        return found[0]
    standing = ", ".join(f"{phase.name} ({phase.state})" for phase in phases)
    raise InputError(f"{wanted}; phases of run {run.name}: {standing}.")


def promote(database: Database, phase_id: int, *, by: str, note: str = "") -> str:
    """A person takes an adapter that is held, or one that was rejected; returns its id. Raises InputError."""
    with database.session() as session:
        phase, run, adapter = _of(session, phase_id)
        _refuse_other(phase, {PhaseState.HELD, PhaseState.REJECTED}, "promoted")
        if phase.state == PhaseState.REJECTED and not note:
            raise InputError(
                f"the adapter of phase {phase.name} was rejected: say with --note why it is good after all."
            )
        parent = session.get_one(Adapter, adapter).parent_id
        if parent != run.promoted:
            raise InputError(
                f"{adapter} was trained on top of {parent or BASE}, and {run.promoted or BASE} is promoted now: "
                f"`lemfarm train {run.name} --phase {phase.name} --retry` trains the phase on top of that."
            )
        _move(session, phase, PhaseState.TRAINED)
        _add(session, database, phase, adapter, GateOutcome.PASSED, by=by, note=note)
        _promote(session, database, run, phase, adapter)
        wake(database, run)
        return adapter


def reject(database: Database, phase_id: int, *, by: str, note: str = "") -> str:
    """A person does not want an adapter that is held; returns its id. Raises InputError."""
    with database.session() as session:
        phase, run, adapter = _of(session, phase_id)
        _refuse_other(phase, {PhaseState.HELD}, "rejected")
        _move(session, phase, PhaseState.REJECTED)
        _add(session, database, phase, adapter, GateOutcome.FAILED, by=by, note=note)
        _stop(run, f"the adapter of phase {phase.name} was rejected by {by}. {next_steps(run, phase)}")
        return adapter


def roll_back(database: Database, run_id: int, to: str | None, *, by: str, note: str = "") -> list[str]:
    """Move the pointer back to an adapter, a phase's adapter, or the untrained model (BASE); left out: one step.

    The first phase that is taken back is rejected; later ones, trained on top of it, will be trained again. Returns
    the adapters that were taken back, newest first. Raises InputError for what the pointer never came through.
    """
    with database.session() as session:
        _let_nobody_else_decide(session, run_id)
        run = session.get_one(Run, run_id)
        taken = _taken_back(session, run, to)
        run.promoted = taken[-1].parent_id
        for adapter in taken:
            phase = session.get_one(Phase, adapter.phase_id)
            _add(session, database, phase, adapter.id, GateOutcome.ROLLED_BACK, by=by, note=note)
        first = session.get_one(Phase, taken[-1].phase_id)
        _train_again_after(session, first)
        first.state = PhaseState.REJECTED
        said = f"{len(taken)} taken back by {by}, {run.promoted or BASE} is promoted"
        _stop(run, f"phase {first.name}: {said}. {next_steps(run, first)}")
        return [adapter.id for adapter in taken]


def next_steps(run: Run, phase: Phase) -> str:
    """What a person can do about a phase whose adapter is not promoted."""
    verb = f"{run.name} --phase {phase.name}"
    again = f"`lemfarm train {verb} --retry --learning-rate X` trains it again with what you change."
    if phase.state == PhaseState.HELD:
        return f"`lemfarm promote {verb}` takes it, `lemfarm reject {verb}` does not; {again}"
    return f"{again[:-1]}; `lemfarm promote {verb} --note WHY` takes it all the same."


def _of(session: Session, phase_id: int) -> tuple[Phase, Run, str]:
    """A phase with its run and the adapter in question. Raises InputError where it has none."""
    phase = session.get_one(Phase, phase_id)
    run, stage = session.get_one(Run, phase.run_id), newest_stage(session, phase_id)
    if stage is None or stage.state != StageState.DONE or stage.adapter_id is None:
        raise InputError(f"phase {phase.name} of run {run.name} has no adapter yet: it is {phase.state}.")
    return phase, run, stage.adapter_id


def _refuse_other(phase: Phase, allowed: Iterable[str], what: str) -> None:
    if phase.state not in allowed:
        raise InputError(f"phase {phase.name} is {phase.state}: its adapter cannot be {what} now.")


def _move(session: Session, phase: Phase, to: PhaseState) -> None:
    """A person's word counts for what the person has seen."""
    assert phase.id is not None
    if not _moved(session, phase.id, {phase.state}, to):
        raise InputError(f"phase {phase.name} has changed in this moment: look again with `lemfarm phases`.")


def _let_nobody_else_decide(session: Session, run_id: int) -> None:
    """PostgreSQL: what trains, judges or promotes in this run waits for us, in the order in which those lock rows too.
    SQLite has one writer anyway."""
    session.exec(
        select(TrainingStage).where(TrainingStage.run_id == run_id).order_by(col(TrainingStage.id)).with_for_update()
    ).all()
    session.exec(select(Phase).where(Phase.run_id == run_id).order_by(col(Phase.id)).with_for_update()).all()
    session.exec(select(Run).where(Run.id == run_id).with_for_update()).all()


def _moved(session: Session, phase_id: int, allowed: Iterable[str], to: PhaseState) -> bool:
    """Change the state of a phase if it still is what we took it for; the row is ours until the transaction ends."""
    states = ", ".join(f"'{PhaseState(state)}'" for state in allowed)
    changed = session.execute(
        text(f"UPDATE phase SET state = :to WHERE id = :id AND state IN ({states}) RETURNING id"),
        {"to": to, "id": phase_id},
    ).one_or_none()
    if changed is not None:
        session.expire_all()
    return changed is not None


def _add(
    session: Session,
    database: Database,
    phase: Phase,
    adapter: str,
    outcome: GateOutcome,
    *,
    by: str = "",
    note: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    assert phase.id is not None
    session.add(
        GateDecision(
            run_id=phase.run_id,
            phase_id=phase.id,
            adapter_id=adapter,
            outcome=outcome,
            decided_by=by,
            note=note,
            gates=dict(details or {}),
            created=database.clock(),
        )
    )


def _promote(session: Session, database: Database, run: Run, phase: Phase, adapter: str) -> None:
    run.promoted = adapter
    said = f"phase {phase.name} is trained: {adapter} is promoted."
    write_notice(session.connection(), database, phase.run_id, NoticeKind.TRAINED, said, phase=phase.name)


def _stop(run: Run, reason: str) -> None:
    """A run that waited, or was done, is stopped; one at work ends by itself when nothing is left to do."""
    if run.state in (RunState.HELD, RunState.DONE, RunState.STARVED):
        run.state, run.reason = RunState.STOPPED, reason


def _taken_back(session: Session, run: Run, to: str | None) -> list[Adapter]:
    """The adapters from the promoted one down to, and without, the wanted one."""
    chain = _chain(session, run)
    if not chain:
        raise InputError(f"run {run.name} has promoted no adapter: there is nothing to take back.")
    if to is None:
        return chain[:1]
    if to == BASE:
        return chain
    names = [session.get_one(Phase, adapter.phase_id).name for adapter in chain]
    for place, (adapter, name) in enumerate(zip(chain, names, strict=True)):
        if to == name or adapter.id.startswith(to):
            if place == 0:
                raise InputError(f"{to} is what run {run.name} has promoted: there is nothing to take back.")
            return chain[:place]
    known = ", ".join(f"{name} ({adapter.id})" for adapter, name in zip(chain, names, strict=True))
    raise InputError(f"--to {to}: run {run.name} came through {known}, from {BASE}.")


def _chain(session: Session, run: Run) -> list[Adapter]:
    """The promoted adapter and those that it continues, newest first; another run's are no part of it."""
    found: list[Adapter] = []
    name = run.promoted
    while name is not None:
        adapter = session.get_one(Adapter, name)
        if adapter.run_id != run.id:
            break
        found.append(adapter)
        name = adapter.parent_id
    return found


def _train_again_after(session: Session, first: Phase) -> None:
    """Phases behind one that is taken back lose what they built on it: those that were trained get a further attempt,
    one that is being trained is begun again."""
    query = select(Phase).where(Phase.run_id == first.run_id, col(Phase.retired).is_(False))
    for phase in session.exec(query.where(col(Phase.position) > first.position)).all():
        stage = newest_stage(session, phase.id)
        if stage is None:
            continue
        if stage.state == StageState.DONE:
            add_attempt(session, phase, stage.overrides)
            phase.state = PhaseState.OPEN  # the watcher closes it again by its samples
        elif stage.state == StageState.LEASED:
            stage.state, stage.owner, stage.sent = StageState.WAITING, None, 0.0
