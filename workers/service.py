"""A worker that serves its queues: the parts that share one loaded engine, and the order of their begin and end."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import structlog

from lemfarm.broker import generate_queue, make_app, train_queue
from lemfarm.config import RunConfig
from lemfarm.connections import Connections
from lemfarm.database import Database
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from lemfarm.models import FoundModel
from lemfarm.records import RunState, WorkerState
from lemfarm.training.artifacts import open_store
from producer.watch import Watcher
from workers.artifacts import Adapters
from workers.awake import KeepAwake
from workers.consumption import Consumption
from workers.engine_thread import EngineThread
from workers.host import Identity, say
from workers.keeper import Keeper, TokenRate
from workers.leases import Leases
from workers.library import Library
from workers.rest import Rest
from workers.sample import SampleRunner
from workers.shutdown import RELOAD, Shutdown
from workers.spool import Spool
from workers.tasks import register_tasks
from workers.train import TrainRunner
from workers.vitals import VitalsFile
from workers.wanted import Wanted

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory, and what it was loaded for. `usual_message`: what `status` says of this worker at work."""

    config: RunConfig
    model_key: str
    model: FoundModel | None
    engine: EngineThread
    slots: int
    vitals: VitalsFile
    usual_message: str


class Service:
    """The parts of one worker, each made when first asked for, from those that it stands on."""

    def __init__(
        self,
        who: Identity,
        home: Home,
        connections: Connections,
        database: Database,
        wanted: Wanted,
        shutdown: Shutdown,
        loaded: Loaded,
        *,
        caffeinate: bool,
        grace_seconds: float,
    ) -> None:
        self.who, self.home, self.connections, self.database = who, home, connections, database
        self.wanted, self.shutdown, self.loaded = wanted, shutdown, loaded
        self.caffeinate, self.grace_seconds = caffeinate, grace_seconds
        self.ledger, self.leases, self.rate = Ledger(database), Leases(), TokenRate()
        self.spool = Spool(home.spool, who.id)
        self.app = make_app(str(connections.broker))
        self.lease_seconds = loaded.config.farm.lease_seconds

    def run(self) -> None:
        """Serve until asked to end; what is in hand then is finished within the grace, or handed back."""
        register_tasks(self.app, self.samples.run, lambda stage: self.training.run(int(stage)))
        try:
            with self._helpers():
                self.consumption.run()
        finally:
            self.spool.close()
            say(
                self.database, self.who.id, state=WorkerState.STOPPED, in_flight=0, message=self.loaded.usual_message
            )  # fmt: skip
            log.info("worker ended", code=self.shutdown.exit_code)

    @cached_property
    def adapters(self) -> Adapters:
        """Where adapters travel: as this machine was told, else as the run says."""
        place = self.connections.artifacts or self.loaded.config.farm.artifacts
        store = open_store(place, self.connections.artifacts_token) if place else None
        return Adapters(self.database, self.home, store)

    @cached_property
    def consumption(self) -> Consumption:
        """Messages of this model, and of this model in this home."""
        key, home = self.loaded.model_key, self.who.home_id
        queues = [generate_queue(key), generate_queue(key, home), train_queue(key), train_queue(key, home)]
        name, threads = f"{self.who.name}@{self.who.host}", 2 * self.loaded.slots
        return Consumption(self.app, name, queues, threads, self.shutdown, self.grace_seconds)

    @cached_property
    def rest(self) -> Rest:
        """Working hours and the battery."""
        return Rest(
            self.who.id,
            self.database,
            self.wanted.watch,
            KeepAwake(self.caffeinate and sys.platform == "darwin"),
            self.loaded.engine,
            self.leases,
            self.consumption,
            threading.Lock(),
            self.shutdown,
            has_run=lambda: self.wanted.run(self.loaded.model_key, [RunState.ACTIVE]) is not None,
            start_again=self._start_again,
            usual_message=self.loaded.usual_message,
        )

    @cached_property
    def samples(self) -> SampleRunner:
        """What a generate message asks for."""
        return SampleRunner(
            self.who.id,
            self.ledger,
            Library(self.database, self.home, self.adapters),
            self.loaded.engine,
            self.spool,
            self.leases,
            self.shutdown,
            self.lease_seconds,
            self.rate.add,
            self.rest.may_claim,
        )

    @cached_property
    def training(self) -> TrainRunner:
        """What a train message asks for."""
        return TrainRunner(
            self.who.id,
            self.database,
            self.home,
            self.loaded.engine,
            self.loaded.model,
            self.shutdown,
            self.lease_seconds,
            stop_consuming=self.consumption.leave_queues,
            start_consuming=self.consumption.return_to_queues,
            start_again=self._start_again,
            adapters=self.adapters,
            taken=self.rest.taken,
        )

    @cached_property
    def keeper(self) -> Keeper:
        """Heartbeats, leases, the spool."""
        return Keeper(
            self.who.id,
            self.database,
            self.ledger,
            self.leases,
            self.spool,
            self.rate,
            self.shutdown,
            self.lease_seconds,
            renew_training=self.training.renew,
            is_wanted=lambda: self.wanted.still(self.loaded.model_key),
            on_drain=self._drain,
            watch_memory=self._watch_memory,
        )

    @contextmanager
    def _helpers(self) -> Iterator[None]:
        """The threads beside those of the samples; the keeper works on while the last samples finish."""
        watcher = Watcher(self.database, self.app, owner=self.who.id, home=self.home)
        self.keeper.start()
        self.rest.start()
        watching = threading.Thread(target=watcher.run_until, args=(self.shutdown.wait,), name="watcher", daemon=True)
        watching.start()
        threading.Thread(target=self.adapters.share_own, name="share adapters", daemon=True).start()
        try:
            yield
        finally:
            self.shutdown.begin(0.0)
            self.keeper.close()
            watching.join(timeout=10)
            self.rest.close()

    def _watch_memory(self) -> None:
        engine = self.loaded.engine.engine
        self.loaded.vitals.look(engine.peak_bytes, engine.slots)

    def _drain(self) -> None:
        """Finish what is in hand, however long it takes, and end."""
        say(self.database, self.who.id, state=WorkerState.DRAINING)
        self.shutdown.begin(float("inf"))
        self.consumption.end()

    def _start_again(self) -> None:
        """Something is broken in here that a fresh process will not have: let the supervisor start one."""
        self.shutdown.begin(0.0, exit_code=RELOAD)
        self.consumption.end()
