"""A campaign from the outside: start or continue a run, follow it, pause it, take it back, and stop its workers.

The Python twin of `lemfarm run` and its neighbours:

    campaign = open_campaign(home, connections, workers=2)
    campaign.start(config)
    for status in campaign.follow(): ...
    campaign.close(grace_seconds=20)
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import uuid_utils
from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.broker import make_app, ping
from lemfarm.config import RunConfig, config_from_data
from lemfarm.connections import Connections, child_environment
from lemfarm.database import Database, open_database
from lemfarm.errors import InputError, ModelError, Unavailable
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from lemfarm.local_workers import living_workers, worker_members
from lemfarm.models import FoundModel, check_architecture, find_model, is_hub_id, model_key
from lemfarm.notices import tell_here
from lemfarm.records import BLOCKED, Phase, PhaseState, Run, RunState
from lemfarm.report import WrittenReport, read_report, write_report
from lemfarm.runs import find_run
from lemfarm.status import RunStatus, read_status
from lemfarm.supervisor import Event, Supervisor
from lemfarm.training.phases import open_stage, retry_trainings
from lemfarm.up import is_kept
from lemfarm.valkey import KeptValkey, ensure, stop
from producer.course import Course
from producer.messenger import Messenger
from producer.plan import PlanResult, apply_plan
from producer.standing import read_standing
from producer.watch import Watcher

log = structlog.get_logger()

FOLLOW_SECONDS = 1.0
_BETWEEN_SIGNALS = 0.3  #: two that come at once are heard as one
ENDED = frozenset({RunState.DONE, RunState.STARVED, RunState.HELD, RunState.STOPPED, RunState.CANCELLED})
EXIT_CODES = {RunState.DONE: 0, RunState.STOPPED: 1, RunState.STARVED: 3, RunState.HELD: 3, RunState.CANCELLED: 1}


@dataclass
class Campaign:
    """An open farm: its services run, its database is current. Workers are started by `start`."""

    home: Home
    connections: Connections
    database: Database
    workers: int
    worker_environment: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)
    leave_services: bool = False
    on_event: Callable[[Event], None] = lambda _event: None
    interrupted: bool = False  #: a person asked for the end
    _supervisor: Supervisor | None = None
    _watcher: Watcher | None = None
    _run: str = ""
    _away: bool = False

    def start(self, config: RunConfig, *, limit: int | None = None, trains: bool = True) -> PlanResult:
        """Plan the run (again) and start local workers. Raises what `apply_plan` and the model's checks raise."""
        found = self.find_model(config)
        course = Course(config, key_of(config, found))
        result = apply_plan(self.database, course, found=found, limit=limit, trains=trains)
        self._run = config.run
        tell_here(self.database, result.run_id, self.home.identity)
        if find_run(self.database, config.run).state in ENDED:
            return result
        environment = child_environment(self.connections, self.home) | dict(self.worker_environment)
        members = worker_members(self.home, self.workers, environment, shares=True)
        services = [KeptValkey(self.home, leave_running=True)] if self.connections.embedded_broker else []
        self._supervisor = Supervisor(members, services=services)
        self._supervisor.start()
        app = make_app(str(self.connections.broker))
        self._watcher = Watcher(self.database, app, owner=uuid_utils.uuid7().hex, home=self.home)
        return result

    @property
    def state(self) -> str:
        """The state of the run that `start` planned."""
        return find_run(self.database, self._run).state

    @property
    def is_at_work(self) -> bool:
        """Whether `start` found something to do."""
        return self._supervisor is not None

    def find_model(self, config: RunConfig) -> FoundModel | None:
        """The model on this machine. A head node without workers may do without; others raise ModelError."""
        if config.model.engine != "mlx":
            return None
        try:
            found = find_model(config.model.path, mapping=self.models, revision=config.model.revision, home=self.home)
        except ModelError:
            if self.workers == 0 and is_hub_id(config.model.path):
                return None
            raise
        check_architecture(found.folder)
        return found

    def follow(self) -> Iterator[RunStatus]:
        """Watch, and yield the status about once a second until the run has ended; a database that is away is waited
        for. Raises ModelError when all local workers gave up and nobody else is at work, KeyboardInterrupt once
        `interrupted` is set: an exception that a signal raises is lost where it falls into a callback of the garbage
        collector."""
        while True:
            if self.interrupted:
                raise KeyboardInterrupt
            if self._watcher is not None:
                self._watcher.look_in_turn()
            for event in self._supervisor.poll() if self._supervisor else ():
                self.on_event(event)
            status = self._look()
            if status is not None:
                yield status
                if status.state in ENDED:
                    return
                self._require_workers(status)
            time.sleep(FOLLOW_SECONDS)

    def _look(self) -> RunStatus | None:
        """None while the database is away: workers keep their results meanwhile, so nothing needs to end."""
        try:
            status = read_status(self.database, self._run)
        except Unavailable as error:
            if not self._away:
                self.on_event(Event("database", "not started", text=f"is away, waiting for it: {error}"))
            self._away = True
            return None
        if self._away:
            self.on_event(Event("database", "restarted"))
        self._away = False
        return status

    def _require_workers(self, status: RunStatus) -> None:
        if not self.workers or self._supervisor is None or not self._supervisor.all_ended:
            return
        if any(worker.state in ("ready", "training", "starting", "resting") for worker in status.workers):
            return
        said = {worker.message for worker in status.workers if worker.message}
        logs = ", ".join(str(self.home.logs / f"{name}.log") for name in self._supervisor.codes)
        raise ModelError("\n".join(sorted(said)) or f"all workers ended; see {logs}")

    def write_report(self) -> WrittenReport | None:
        """Write the report of the run that `start` planned into the home. None, and a word, where that fails: a run
        of days must not end as failed for the sake of a page that can be written again."""
        try:
            return write_report(read_report(self.database, self._run), self.home)
        except Exception as error:
            log.exception("the report cannot be written", run=self._run)
            again = f"`lemfarm report {self._run}` tries again"
            self.on_event(Event("report", "not started", text=f"cannot be written: {error}; {again}"))
            return None

    def close(self, grace_seconds: float) -> None:
        """End the workers that were started here, with a grace for what they have in hand."""
        if self._watcher is not None:
            self._watcher.leave()
        if self._supervisor is not None:
            self._supervisor.stop(grace_seconds)
        messenger = self._watcher.messenger if self._watcher else Messenger(self.database, self.home)
        messenger.finish(grace_seconds)
        if self._may_stop_valkey():
            stop(self.home)
        self.database.close()

    def hurry(self) -> None:
        """Ask the workers once more than `close` will: the first signal may not have reached them when a person lost
        patience, and it is the second that makes them let go."""
        if self._supervisor is not None:
            self._supervisor.ask_to_end()
            time.sleep(_BETWEEN_SIGNALS)

    def _may_stop_valkey(self) -> bool:
        """Nobody asked for it to go on: neither `--keep-services` nor `lemfarm up`, and no worker here needs it."""
        if self.leave_services or not self.connections.embedded_broker:
            return False
        return not is_kept(self.home) and not living_workers(self.home)


def open_campaign(home: Home, connections: Connections, *, workers: int, **options: Any) -> Campaign:
    """Make sure that broker and database answer (starting the embedded Valkey, migrating the tables).

    Raises BrokerDown, DatabaseDown, NoSpace, VersionError.
    """
    home.ensure()
    database = open_database(connections.database, migrate=True)
    if connections.broker is None:
        connections = connections.with_broker(ensure(home).url)
    ping(str(connections.broker))
    return Campaign(home, connections, database, workers, **options)


def key_of(config: RunConfig, found: FoundModel | None) -> str:
    """The key under which the farm knows the model of a configuration."""
    if config.model.engine == "simulated":
        return f"simulated:{config.model.path}"
    if config.model.engine == "openai":
        return f"openai:{config.model.model}@{config.model.base_url}"
    return model_key(config.model.path, found, config.model.revision)


def pause(database: Database, name: str | None) -> Run:
    """Leased samples finish, none is claimed. Raises InputError for a run that is not active."""
    run = find_run(database, name)
    again = f"`lemfarm resume {run.name}` lets it go on."
    return _set_state(database, run.name, RunState.PAUSED, {RunState.ACTIVE}, reason=again)


def resume(database: Database, name: str | None) -> Run:
    """Undo `pause` and `cancel`. Raises InputError for a run that is neither."""
    run = _set_state(database, name, RunState.ACTIVE, {RunState.PAUSED, RunState.CANCELLED})
    assert run.id is not None
    ledger = Ledger(database)
    ledger.unskip(run.id, "cancelled")
    ledger.forget_messages(run.id)
    return run


def cancel(database: Database, name: str | None) -> Run:
    """Leased samples stop, pending ones are skipped; what is done stays."""
    run = _set_state(database, name, RunState.CANCELLED, set(RunState) - {RunState.CANCELLED, RunState.DONE})
    assert run.id is not None
    Ledger(database).cancel(run.id)
    return run


def requeue_failed(database: Database, name: str | None) -> tuple[Run, int]:
    """Give failed samples a fresh retry budget; a stopped run goes on at its next start."""
    run = find_run(database, name)
    assert run.id is not None
    return run, Ledger(database).requeue_failed(run.id)


def train_now(database: Database, name: str | None) -> Run:
    """A person lets a held run train with what it has, and lets a failed training be tried again."""
    run = find_run(database, name)
    assert run.id is not None
    ripe = _ripe_phases(database, run)
    if not ripe:
        raise InputError(
            f"run {run.name} has no phase to train: none is full, and none ran out with `enough` accepted. "
            "A phase whose adapter did not pass is trained again with --retry; `lemfarm phases` shows it."
        )
    for phase_id in ripe:
        open_stage(database, run.id, phase_id)
    retry_trainings(database, run.id)
    with database.write() as connection:
        connection.execute(
            text(
                f"""UPDATE run SET state = 'active', reason = '', trains = true, activated = {database.now},
                    finished = NULL WHERE id = :run"""
            ),
            {"run": run.id},
        )
    return run


def _ripe_phases(database: Database, run: Run) -> list[int]:
    """Phases that ran out with enough, else the first full one that trains, unless an adapter before it waits."""
    with database.read() as connection, Session(bind=connection) as session:
        query = select(Phase).where(Phase.run_id == run.id, col(Phase.retired).is_(False))
        phases = {phase.name: (phase.id, phase.state) for phase in session.exec(query)}
    exhausted, full, blocked = [], [], False
    for config in config_from_data(run.config).phases:
        phase_id, state = phases.get(config.name, (None, ""))
        if phase_id is None or config.train is None:
            continue
        blocked = blocked or state in BLOCKED
        if state == PhaseState.EXHAUSTED:
            if read_standing(database, phase_id).accepted(config.quota) >= config.quota.enough:
                exhausted.append(phase_id)
        elif state == PhaseState.FULL and not blocked:
            full.append(phase_id)
    return exhausted or full[:1]


def _set_state(
    database: Database, name: str | None, state: RunState, allowed: set[RunState], *, reason: str = ""
) -> Run:
    run = find_run(database, name)
    if run.state == state:
        return run
    if run.state not in allowed:
        raise InputError(f"run {run.name} is {run.state}: it cannot become {state}.")
    with database.write() as connection:
        connection.execute(
            text(
                f"""UPDATE run SET state = :state, reason = :reason, activated = {database.now}
                    WHERE id = :id AND state = :was"""
            ),
            {"state": state, "id": run.id, "was": run.state, "reason": reason},
        )
    return find_run(database, run.name)
