"""One worker process from start to end: wait for a run, find its model, load it, serve the queues, leave cleanly."""

import os
import sys
import warnings
from typing import Any

import structlog

from lemfarm.config import RunConfig, config_from_data
from lemfarm.connections import resolve
from lemfarm.database import Database, open_database
from lemfarm.engine_record import EngineRecord, Shortage, describe, model_name
from lemfarm.engines import open_engine
from lemfarm.engines.base import EngineFacts
from lemfarm.errors import LemfarmError, ModelMismatch, NotFound, Unavailable
from lemfarm.estimates import longest_sample
from lemfarm.gates import required_scorers
from lemfarm.home import Home, open_home
from lemfarm.host.manners import Manners
from lemfarm.journal import write_to_stderr
from lemfarm.local_workers import WorkerPlace, take_name
from lemfarm.models import FoundModel, find_model
from lemfarm.records import Model, Run, WorkerState
from producer.text_scores import versions_of
from workers.consumption import hear_signals
from workers.engine_thread import EngineThread
from workers.host import Identity, add_facts, new_identity, register, say
from workers.rest import Watch
from workers.service import Loaded, Service
from workers.settings import Settings
from workers.shutdown import Shutdown
from workers.vitals import VitalsFile, new_vitals, note_death, session_of
from workers.wanted import Wanted, insist

log = structlog.get_logger()


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
    """A worker from its name to its last word."""

    def __init__(self, settings: Settings, home: Home, shutdown: Shutdown) -> None:
        self.settings, self.home, self.shutdown = settings, home, shutdown
        self.connections = resolve(home, environ=os.environ)
        self.manners = Manners.read(os.environ)
        self.watch = Watch(self.manners)
        self.database: Database
        self.who: Identity

    def run(self) -> int:
        if self.connections.broker is None:
            raise Unavailable(
                "no broker is known here. Start this worker with `lemfarm worker`, or set LEMFARM_BROKER."
            )
        self._register()
        wanted = Wanted(self.who.id, self.database, self.settings.run, self.watch, self.shutdown)
        run = wanted.wait()
        if run is None:
            say(self.database, self.who.id, state=WorkerState.STOPPED, message="")
            return 0
        loaded = self._load(run, config_from_data(run.config))
        try:
            self._service(wanted, loaded).run()
        finally:
            loaded.engine.stop()
            loaded.vitals.close()
        return self.shutdown.exit_code

    def _register(self) -> None:
        self.home.ensure()
        take_name(self.home, self.settings.name)
        self.database = insist(self.shutdown, lambda: open_database(self.connections.database))
        self.who = new_identity(self.settings.name, self.home.identity)
        note_death(self.home, WorkerPlace(self.home, self.who.name), self.who.boot_id)
        insist(self.shutdown, lambda: register(self.database, self.who))

    def _load(self, run: Run, config: RunConfig) -> Loaded:
        try:
            found = self._find_model(config, run.model_key)
            record = EngineRecord.of(self.home, model_name(found.folder if found else None, config.model.path))
            shortage = record.read().shortage(asked=self.settings.slots, session=session_of(os.environ))
            engine = self._open_engine(config, found, record, shortage)
            facts = engine.start()
            _load_scorers(config)
        except LemfarmError as error:
            say(self.database, self.who.id, state=WorkerState.REFUSED, message=str(error))
            raise
        log.info("model loaded", model=config.model.path, slots=facts.slots, details=facts.details)
        limited = describe(shortage) if shortage and facts.slots == shortage.left else ""
        message = limited or _canary_says(facts)
        self._say_ready(run.model_key, facts, limited, message)
        vitals = self._open_vitals(engine, facts, record)
        return Loaded(config, run.model_key, found, engine, facts.slots, vitals, message)

    def _find_model(self, config: RunConfig, model_key: str) -> FoundModel | None:
        if config.model.engine != "mlx":
            return None
        found = find_model(
            config.model.path, mapping=self.settings.models, revision=config.model.revision, home=self.home
        )
        with self.database.session() as session:
            model = session.get(Model, model_key)
            if model is None:
                raise NotFound(f"the farm knows no model {model_key}: start the run again.")
            if model.content_hash is None:
                model.content_hash, model.commit = found.content_hash, found.commit
            elif model.content_hash != found.content_hash:
                raise ModelMismatch(
                    f"{found.folder} has weights {found.content_hash}, the run began with {model.content_hash}. "
                    f"Give this worker the right ones: lemfarm worker --model {config.model.path}=FOLDER"
                )
        return found

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

    def _say_ready(self, model_key: str, facts: EngineFacts, shortage: str, message: str) -> None:
        shown: dict[str, Any] = {
            "engine": facts.engine,
            "versions": facts.versions,
            "weights_bytes": facts.weights_bytes,
            "bytes_per_sample": facts.bytes_per_sample,
            "context_tokens": facts.context_tokens,
            **facts.details,
            "shortage": shortage,
        }
        say(
            self.database,
            self.who.id,
            state=WorkerState.READY,
            slots=facts.slots,
            model_key=model_key,
            facts=shown,
            message=message,
        )

    def _open_vitals(self, engine: EngineThread, facts: EngineFacts, record: EngineRecord) -> VitalsFile:
        def remember(peak: int, slots: int) -> None:
            record.note_peak(peak, slots)
            add_facts(self.database, self.who.id, peak_bytes=peak)

        def tell(slots: int) -> None:
            say(self.database, self.who.id, slots=slots)

        limit = int(facts.details.get("memory_limit", 0))
        now = new_vitals(self.who.id, self.who.boot_id, record.model, facts.slots, limit)
        vitals = VitalsFile(WorkerPlace(self.home, self.who.name), now, remember, tell)
        engine.on_company = vitals.company
        vitals.open()
        return vitals

    def _service(self, wanted: Wanted, loaded: Loaded) -> Service:
        return Service(
            self.who,
            self.home,
            self.connections,
            self.database,
            wanted,
            self.shutdown,
            loaded,
            caffeinate=self.manners.caffeinate,
            grace_seconds=self.settings.grace_seconds,
        )


def _load_scorers(config: RunConfig) -> None:
    """Import what the run's answers are scored with, so that who is ready need not: it takes up to a second. What
    cannot be had is told of each answer that wants it."""
    asked = [name for phase in config.phases for name in required_scorers(phase.gates)]
    versions_of([*asked, *([config.evaluate.scorer] if config.evaluate else [])])


def _canary_says(facts: EngineFacts) -> str:
    """What people should know of how the engine batches; nothing where all is well."""
    says = str(facts.details.get("canary", {}).get("says", ""))
    return f"one slot: {says}" if "one_slot_because" in facts.details else says
