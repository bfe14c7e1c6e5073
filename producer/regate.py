"""`lemfarm gates apply`: a run gets other gates. What is stored is judged again and nothing is generated; what is
wanted again because of it is generated later. `producer.gate_trial` shows beforehand what would come of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from lemfarm.config import config_data, config_from_data
from lemfarm.database import Database
from lemfarm.gates import gate_hash
from lemfarm.identity import content_hash
from lemfarm.records import UNTRAINED, Phase, PhaseState, Run, RunState, StageState, TrainingStage
from lemfarm.runs import find_run
from producer.gate_change import ChangedGates, Difference, GateChange, change_gates
from producer.judging import Progress, count_done
from producer.plan import refuse_foreign
from producer.quotas import state_of
from producer.rejudging import Rejudged, live_phases, reopen
from producer.standing import read_standing

#: Ends that other gates may undo; a run that was stopped or cancelled needs a person's word.
_MAY_GO_ON = frozenset({RunState.STARVED, RunState.HELD, RunState.DONE})


@dataclass(frozen=True, slots=True)
class AppliedPhase:
    """A phase after its gates were applied. `counted` of `wanted`: accepted samples that count for the quota; `state`:
    as the counts have it, or trained."""

    phase: str
    state: str
    counted: int
    wanted: int
    judged: Rejudged

    @property
    def is_trained(self) -> bool:
        """Its adapter stays, whatever the gates say now."""
        return self.state not in UNTRAINED


@dataclass(frozen=True, slots=True)
class AppliedGates:
    """What became of a run. `woken`: it had ended and may go on."""

    run: str
    state: str
    woken: bool
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    phases: tuple[AppliedPhase, ...]


def apply_gates(
    database: Database,
    run: str | None,
    change: GateChange,
    *,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> AppliedGates:
    """Change the gates of a run, judge again what is stored, want again what is needed again, and let a run that had
    ended go on where that may change its end. Without a change, what waited for a scorer is judged again.

    A farm at work takes it up within seconds. Killed anywhere and done again, it goes on. Raises InputError for a
    change that fits no gate and for a cancelled run, VersionError for one of another lemfarm, NotFound, Unavailable.
    """
    row = find_run(database, run)
    refuse_foreign(row)
    assert row.id is not None
    changed = _store(database, row.id, change)
    meant = [phase.id for phase, _ in live_phases(database, row.id) if phase.name in changed.phases]
    progress = Progress(on_progress, sum(count_done(database, phase_id) for phase_id in meant if phase_id is not None))
    judged = reopen(database, row.id, names=changed.phases, processes=processes, on_judged=progress.advance)
    phases = _as_they_stand(database, row.id, judged)
    woken = _wake(database, row.id, phases)
    notes = (*changed.notes, *_training_notes(database, row.id, phases))
    state = find_run(database, row.name).state
    return AppliedGates(row.name, state, woken, changed.differences, notes, phases)


def _store(database: Database, run_id: int, change: GateChange) -> ChangedGates:
    """Write the changed configuration. The run's plan counts as unmade: the next `lemfarm run` makes it by its file."""
    with database.session() as session:
        run = session.get_one(Run, run_id, with_for_update=True)
        changed = change_gates(config_from_data(run.config), change)
        if not changed.differences:
            return changed
        run.config = config_data(changed.config)
        # By its values alone: the files that it names need not lie on this machine.
        run.config_hash, run.planned_hash = content_hash(run.config), ""
        gates = {phase.name: phase for phase in changed.config.phases}
        for row in session.exec(select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False))):
            hashed = gate_hash(gates[row.name].gates, gates[row.name].review)
            if hashed == row.gate_hash:
                continue
            row.config, row.gate_hash = gates[row.name].model_dump(mode="json"), hashed
            if row.state in UNTRAINED and run.state not in _MAY_GO_ON:
                row.state = PhaseState.OPEN  # the watcher closes it again once nothing is judged by older gates
        return changed


def _as_they_stand(database: Database, run_id: int, judged: Sequence[Rejudged]) -> tuple[AppliedPhase, ...]:
    found = {one.phase: one for one in judged}
    phases = []
    for row, config in live_phases(database, run_id):
        if row.name in found:
            assert row.id is not None
            standing = read_standing(database, row.id)
            state = row.state if row.state not in UNTRAINED else state_of(standing, config.quota)
            counted, wanted = standing.accepted(config.quota), config.quota.accepted
            phases.append(AppliedPhase(row.name, str(state), counted, wanted, found[row.name]))
    return tuple(phases)


def _wake(database: Database, run_id: int, phases: Sequence[AppliedPhase]) -> bool:
    """Let an ended run go on; its phases are looked at anew."""
    with database.session() as session:
        run = session.get_one(Run, run_id)
        if run.state not in _MAY_GO_ON or not any(_may_change_the_end(run.state, phase) for phase in phases):
            return False
        run.state, run.reason, run.activated, run.finished = RunState.ACTIVE, "", database.clock(), None
        names = [phase.phase for phase in phases if not phase.is_trained]
        for row in session.exec(select(Phase).where(Phase.run_id == run_id, col(Phase.name).in_(names))):
            row.state = PhaseState.OPEN
        return True


def _may_change_the_end(ended: str, phase: AppliedPhase) -> bool:
    if phase.is_trained or not (phase.judged.changed or phase.judged.reopened):
        return False
    return not (ended == RunState.DONE and phase.state == PhaseState.FULL)


def _training_notes(database: Database, run_id: int, phases: Sequence[AppliedPhase]) -> Iterator[str]:
    """What a change of gates does not change any more."""
    with database.read() as connection, Session(bind=connection) as session:
        leased = select(Phase.name).join(TrainingStage, col(TrainingStage.phase_id) == Phase.id)
        query = leased.where(Phase.run_id == run_id, TrainingStage.state == StageState.LEASED)
        training = set(session.exec(query))
    for phase in phases:
        if phase.is_trained and phase.judged.written:
            yield f"phase {phase.phase} is trained: its samples are judged again, its adapter stays"
        elif phase.phase in training:
            yield f"phase {phase.phase} is being trained on what had passed when that began; that goes on"
