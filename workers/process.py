"""One worker process from start to end: find the model that is wanted, load it, serve the queue, leave cleanly."""

import os
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlmodel import Session, col, select

from lemfarm import __version__
from lemfarm.broker import generate_queue, make_app, train_queue
from lemfarm.config import RunConfig, config_from_data
from lemfarm.connections import resolve
from lemfarm.database import Database, open_database
from lemfarm.engine_record import EngineRecord, Shortage, describe, model_name
from lemfarm.engines import open_engine
from lemfarm.engines.base import EngineFacts
from lemfarm.errors import LemfarmError, ModelMismatch, NotFound, Unavailable, VersionError
from lemfarm.estimates import longest_sample
from lemfarm.home import Home, open_home
from lemfarm.host.manners import Manners
from lemfarm.journal import write_to_stderr
from lemfarm.ledger import Ledger
from lemfarm.local_workers import NAME_VARIABLE, RUN_VARIABLE, WorkerPlace, take_name
from lemfarm.models import FoundModel, find_model
from lemfarm.records import Model, Run, RunState, WorkerState
from lemfarm.supervisor import orphaned
from lemfarm.training.artifacts import ArtifactStore, open_store
from lemfarm.workforce import DRAIN
from producer.watch import Watcher
from workers.artifacts import Adapters
from workers.awake import KeepAwake
from workers.consumption import Consumption, hear_signals
from workers.engine_thread import EngineThread
from workers.host import Identity, add_facts, beat, new_identity, register, say
from workers.keeper import Keeper, TokenRate
from workers.leases import Leases
from workers.library import Library
from workers.rest import Rest, Watch
from workers.sample import SampleRunner
from workers.shutdown import RELOAD, Shutdown
from workers.spool import Spool
from workers.tasks import register_tasks
from workers.train import TrainRunner
from workers.vitals import VitalsFile, new_vitals, note_death, session_of

log = structlog.get_logger()
SLOTS_VARIABLE = "LEMFARM_SLOTS"
MODELS_VARIABLE = "LEMFARM_MODELS"
GRACE_VARIABLE = "LEMFARM_GRACE_SECONDS"
GRACE_SECONDS = 20.0
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker is told by its supervisor, through the environment."""

    name: str
    slots: int | None
    models: Mapping[str, Path]
    run: str | None
    grace_seconds: float

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Take the settings from the environment; `LEMFARM_MODELS` holds ID=FOLDER, separated by the path separator."""
        pairs = filter(None, environ.get(MODELS_VARIABLE, "").split(os.pathsep))
        return cls(
            name=environ.get(NAME_VARIABLE) or f"{os.uname().nodename.split('.')[0]}-1",
            slots=int(environ[SLOTS_VARIABLE]) if environ.get(SLOTS_VARIABLE) else None,
            models={name: Path(folder) for name, _, folder in (pair.partition("=") for pair in pairs)},
            run=environ.get(RUN_VARIABLE) or None,
            grace_seconds=float(environ.get(GRACE_VARIABLE) or GRACE_SECONDS),
        )


def main() -> int:
    """Run a worker; returns its exit code: 0 asked to end, 2 cannot serve, 4 a service is away, 75 start me again."""
    write_to_stderr()
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")  # JSON only
    if sys.platform == "linux":
        os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # else every fused kernel is compiled by g++ when first used
    settings = Settings.read(os.environ)
    shutdown = Shutdown()
    hear_signals(shutdown, settings.grace_seconds, then=lambda _number, _frame: None)
    try:
        return _Process(settings, open_home(), shutdown).run()
    except LemfarmError as error:
        log.error("this worker cannot serve", reason=str(error))
        return error.exit_code


class _Process:
    """The parts of one worker, put together in the order in which they depend on each other."""

    def __init__(self, settings: Settings, home: Home, shutdown: Shutdown) -> None:
        self.settings, self.home, self.shutdown = settings, home, shutdown
        self.connections = resolve(home, environ=os.environ)
        self.manners = Manners.read(os.environ)
        self.watch = Watch(self.manners)
        self.database: Database
        self.consumption: Consumption
        self.who: Identity
        self.usual_message = ""

    def run(self) -> int:
        if self.connections.broker is None:
            raise Unavailable(
                "no broker is known here. Start this worker with `lemfarm worker`, or set LEMFARM_BROKER."
            )
        self.home.ensure()
        take_name(self.home, self.settings.name)
        self.database = self._insist(lambda: open_database(self.connections.database))
        self.who = new_identity(self.settings.name, self.home.identity)
        note_death(self.home, WorkerPlace(self.home, self.who.name), self.who.boot_id)
        self._insist(lambda: register(self.database, self.who))
        config = self._wait_for_run()
        if config is None:
            say(self.database, self.who.id, state=WorkerState.STOPPED, message="")
            return 0
        try:
            found = self._find_model(config)
            record = EngineRecord.of(self.home, model_name(found.folder if found else None, config.model.path))
            shortage = record.read().shortage(asked=self.settings.slots, session=session_of(os.environ))
            engine = self._open_engine(config, found, record, shortage)
            facts = engine.start()
        except LemfarmError as error:
            say(self.database, self.who.id, state=WorkerState.REFUSED, message=str(error))
            raise
        log.info("model loaded", model=config.model.path, slots=facts.slots, details=facts.details)
        self._say_ready(facts, shortage)
        vitals = self._open_vitals(engine, facts, record)
        try:
            self._serve(config, found, engine, facts.slots, vitals)
        finally:
            engine.stop()
            vitals.close()
        return self.shutdown.exit_code

    def _open_engine(
        self, config: RunConfig, found: FoundModel | None, record: EngineRecord, shortage: Shortage | None
    ) -> EngineThread:
        engine = open_engine(
            config.model,
            folder=found.folder if found else None,
            slots=self.settings.slots,
            at_most=shortage.left if shortage else None,
            tokens_per_sample=longest_sample(config),
            record=record,
        )
        return EngineThread(engine)

    def _say_ready(self, facts: EngineFacts, shortage: Shortage | None) -> None:
        shown = {"engine": facts.engine, "versions": facts.versions, "weights_bytes": facts.weights_bytes}
        shown |= {"bytes_per_sample": facts.bytes_per_sample, "context_tokens": facts.context_tokens, **facts.details}
        limited = describe(shortage) if shortage and facts.slots == shortage.left else ""
        self.usual_message = limited or _canary_says(facts)
        say(
            self.database,
            self.who.id,
            state=WorkerState.READY,
            slots=facts.slots,
            model_key=self.model_key,
            facts=shown | {"shortage": limited},
            message=self.usual_message,
        )

    def _open_vitals(self, engine: EngineThread, facts: EngineFacts, record: EngineRecord) -> VitalsFile:
        def remember(peak: int) -> None:
            record.note_peak(peak, facts.slots)
            add_facts(self.database, self.who.id, peak_bytes=peak)

        limit = int(facts.details.get("memory_limit", 0))
        now = new_vitals(self.who.id, self.who.boot_id, record.model, facts.slots, limit)
        vitals = VitalsFile(WorkerPlace(self.home, self.who.name), now, remember)
        engine.on_company = vitals.company
        vitals.open()
        return vitals

    def _serve(
        self, config: RunConfig, found: FoundModel | None, engine: EngineThread, slots: int, vitals: VitalsFile
    ) -> None:
        lease = config.farm.lease_seconds
        app = make_app(str(self.connections.broker))
        queues = [generate_queue(self.model_key), generate_queue(self.model_key, self.who.home_id)]
        queues += [train_queue(self.model_key), train_queue(self.model_key, self.who.home_id)]
        consumption = self.consumption = Consumption(
            app, f"{self.who.name}@{self.who.host}", queues, 2 * slots, self.shutdown, self.settings.grace_seconds
        )
        ledger, leases, rate = Ledger(self.database), Leases(), TokenRate()
        adapters = Adapters(self.database, self.home, self._store(config))
        spool = Spool(self.home.spool, self.who.id)
        rest = Rest(
            self.who.id, self.database, self.watch, KeepAwake(self.manners.caffeinate and sys.platform == "darwin"),
            engine, leases, consumption, threading.Lock(), self.shutdown,
            has_run=lambda: self._active_run(model_key=self.model_key, states=[RunState.ACTIVE]) is not None,
            start_again=self._start_again,
            usual_message=self.usual_message,
        )  # fmt: skip
        samples = SampleRunner(
            self.who.id,
            ledger,
            Library(self.database, self.home, adapters),
            engine,
            spool,
            leases,
            self.shutdown,
            lease,
            rate.add,
            rest.may_claim,
        )
        training = TrainRunner(
            self.who.id, self.database, self.home, engine, found, self.shutdown, lease,
            stop_consuming=consumption.leave_queues,
            start_consuming=consumption.return_to_queues,
            start_again=self._start_again,
            adapters=adapters,
            taken=rest.taken,
        )  # fmt: skip
        register_tasks(app, samples.run, lambda stage: training.run(int(stage)))
        keeper = Keeper(
            self.who.id, self.database, ledger, leases, spool, rate, self.shutdown, lease,
            renew_training=training.renew,
            is_wanted=self._is_wanted,
            on_drain=self._drain,
            watch_memory=lambda: vitals.look(engine.engine.peak_bytes),
        )  # fmt: skip
        watcher = Watcher(self.database, app, owner=self.who.id, home=self.home)
        keeper.start()
        rest.start()
        watching = threading.Thread(target=watcher.run_until, args=(self.shutdown.wait,), name="watcher", daemon=True)
        watching.start()
        threading.Thread(target=adapters.share_own, name="share adapters", daemon=True).start()
        try:
            consumption.run()
        finally:
            self.shutdown.begin(0.0)
            keeper.close()
            watching.join(timeout=10)
            rest.close()
            spool.close()
            say(self.database, self.who.id, state=WorkerState.STOPPED, in_flight=0, message=self.usual_message)
            log.info("worker ended", code=self.shutdown.exit_code)

    def _store(self, config: RunConfig) -> ArtifactStore | None:
        """Where adapters travel: as this machine was told, else as the run says."""
        place = self.connections.artifacts or config.farm.artifacts
        return open_store(place, self.connections.artifacts_token) if place else None

    def _drain(self) -> None:
        """Finish what is in hand, however long it takes, and end."""
        say(self.database, self.who.id, state=WorkerState.DRAINING)
        self.shutdown.begin(float("inf"))
        self.consumption.end()

    def _start_again(self) -> None:
        """Something is broken in here that a fresh process will not have: let the supervisor start one."""
        self.shutdown.begin(0.0, exit_code=RELOAD)
        self.consumption.end()

    def _is_wanted(self) -> bool:
        """Whether this model still has a run; where only another model has, this process starts again with that one.
        A worker that was started for one run, and whose supervisor was killed, ends with that run."""
        if self._active_run(model_key=self.model_key):
            return True
        if not self._active_run():
            if not (self.settings.run and orphaned(os.environ)):
                return True
            log.info("the run is over, and nobody supervises this worker any more")
            return False
        log.info("another model is wanted now")
        self.shutdown.begin(float("inf"), exit_code=RELOAD)
        return False

    def _wait_for_run(self) -> RunConfig | None:
        """The run to serve, once there is one and this machine may work; None when asked to end before that."""
        said = ""
        while not self.shutdown.asked:
            reason = self.watch.reason_to_rest
            run = None if reason else self._insist(self._active_run)
            waits_for = reason or ("" if run else "a run to be started")
            if waits_for != said:
                self._insist(partial(self._say_waiting, waits_for, reason))
                said = waits_for
            if run is not None:
                _require_same_version(run)
                self.model_key = run.model_key
                return config_from_data(run.config)
            self._insist(self._stand_by)
        return None

    def _say_waiting(self, waits_for: str, reason_to_rest: str) -> None:
        if reason_to_rest:
            log.info("resting", reason=reason_to_rest)
        elif waits_for:
            log.info(f"waiting for {waits_for}")
        state = WorkerState.RESTING if reason_to_rest else WorkerState.STARTING
        facts = {"power": asdict(self.watch.power)}
        say(self.database, self.who.id, state=state, message=reason_to_rest, facts=facts)

    def _stand_by(self) -> None:
        """Stay in the list of those alive, hear whether to drain, and look again a little later."""
        said = beat(self.database, self.who.id, in_flight=0, tokens_per_second=0.0)
        if said["command"] == DRAIN:
            self.shutdown.begin(0.0)
        self.shutdown.wait(LOOK_SECONDS)

    def _active_run(
        self, model_key: str | None = None, states: Sequence[RunState] = (RunState.ACTIVE, RunState.PAUSED)
    ) -> Run | None:
        query = select(Run).where(col(Run.state).in_(states)).order_by(col(Run.activated).desc())
        if self.settings.run:
            query = query.where(Run.name == self.settings.run)
        if model_key:
            query = query.where(Run.model_key == model_key)
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            return session.exec(query).first()

    def _find_model(self, config: RunConfig) -> FoundModel | None:
        if config.model.engine != "mlx":
            return None
        found = find_model(
            config.model.path, mapping=self.settings.models, revision=config.model.revision, home=self.home
        )
        with self.database.session() as session:
            model = session.get(Model, self.model_key)
            if model is None:
                raise NotFound(f"the farm knows no model {self.model_key}: start the run again.")
            if model.content_hash is None:
                model.content_hash, model.commit = found.content_hash, found.commit
            elif model.content_hash != found.content_hash:
                raise ModelMismatch(
                    f"{found.folder} has weights {found.content_hash}, the run began with {model.content_hash}. "
                    f"Give this worker the right ones: lemfarm worker --model {config.model.path}=FOLDER"
                )
        return found

    def _insist(self, action: Callable[[], Any]) -> Any:
        """Wait for a database that is not up yet, as after a power cut, unless this worker is asked to end."""
        while True:
            try:
                return action()
            except Unavailable as error:
                log.warning("waiting for the database", error=str(error))
                if self.shutdown.wait(LOOK_SECONDS):
                    raise


def _canary_says(facts: EngineFacts) -> str:
    """What people should know of how the engine batches; nothing where all is well."""
    says = str(facts.details.get("canary", {}).get("says", ""))
    return f"one slot: {says}" if "one_slot_because" in facts.details else says


def _require_same_version(run: Run) -> None:
    if run.lemfarm_version != __version__:
        raise VersionError(
            f"run {run.name} belongs to lemfarm {run.lemfarm_version}, this worker is {__version__}: "
            "install the same version on all machines."
        )
