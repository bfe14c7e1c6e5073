"""The training of one phase on a worker: free the engine's memory, run the trainer, promote, load the model again."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlmodel import Session

from lemfarm.config import PhaseConfig, RunConfig, config_from_data
from lemfarm.curation.training_set import freeze_training_set
from lemfarm.database import Database
from lemfarm.errors import InputError, LemfarmError, ModelError, Unavailable
from lemfarm.home import Home
from lemfarm.host import display
from lemfarm.models import FoundModel
from lemfarm.records import Phase, Run, TrainingStage, WorkerState
from lemfarm.training.attempts import with_overrides
from lemfarm.training.child import TrainingFailed, TrainingStopped, run_lora
from lemfarm.training.guard import FORECAST
from lemfarm.training.job import Event, LoraJob
from lemfarm.training.phases import (
    StageClaim,
    add_loss,
    claim_stage,
    fail_stage,
    finish_stage,
    note_forecast,
    release_stage,
    renew_stage,
)
from workers.artifacts import Adapters
from workers.engine_thread import EngineThread
from workers.host import say
from workers.sample import LOOK_SECONDS, HandBack
from workers.shutdown import Shutdown

log = structlog.get_logger()


@dataclass
class TrainRunner:
    """Trains at most one phase at a time; `renew` is called by the keeper."""

    worker_id: str
    database: Database
    home: Home
    engine: EngineThread
    model: FoundModel | None
    shutdown: Shutdown
    lease_seconds: float
    stop_consuming: Callable[[], None]
    start_consuming: Callable[[], None]
    start_again: Callable[[], None]
    adapters: Adapters
    taken: threading.Lock = field(default_factory=threading.Lock)  #: held by what has taken the engine from the samples
    _claim: StageClaim | None = None
    _lost: bool = False

    def run(self, stage_id: int) -> str:
        """Do what a train message hints at; returns a word for Flower. Raises HandBack when it ends or rests."""
        if self.shutdown.asked or not self.taken.acquire(blocking=False):
            raise HandBack(str(stage_id))
        try:
            claim = claim_stage(self.database, stage_id, self.worker_id, self.lease_seconds)
            if claim is None:
                return "nothing to do"
            self._claim, self._lost = claim, False
            return self._train(claim)
        finally:
            self._claim = None
            self.taken.release()

    def renew(self) -> None:
        """Keep the lease while the trainer works; a lost one stops it."""
        claim = self._claim
        if claim is not None and not renew_stage(self.database, claim, self.lease_seconds):
            self._lost = True

    def _train(self, claim: StageClaim) -> str:
        try:
            self._clear_the_machine()
            return self._train_phase(claim)
        except TrainingStopped:
            release_stage(self.database, claim)
            raise HandBack(str(claim.stage_id)) from None
        except Unavailable as error:
            log.warning("the training waits: its lease runs out by itself", stage=claim.stage_id, error=str(error))
            return "a service is away"
        except Exception as error:
            fail_stage(self.database, claim, _reason(error), final=_is_final(error))
            log.exception("a training failed", stage=claim.stage_id)
            return "failed"
        finally:
            if not self.shutdown.asked:
                self._back_to_work()

    def _clear_the_machine(self) -> None:
        """Leave the queues to others, let answers that are nearly made end, free the model's memory."""
        self.stop_consuming()
        self.engine.refuse_new()
        while self.engine.busy and not self.shutdown.asked and not self._lost:
            time.sleep(LOOK_SECONDS)
        self.engine.suspend()
        say(self.database, self.worker_id, state=WorkerState.TRAINING)

    def _back_to_work(self) -> None:
        """Load the model again; a worker that cannot is better replaced than deaf."""
        try:
            self.engine.resume()
            say(self.database, self.worker_id, state=WorkerState.READY)
            self.start_consuming()
        except Exception:
            log.exception("cannot go back to generating after a training; starting again")
            self.start_again()

    def _train_phase(self, claim: StageClaim) -> str:
        config, phase, parent = self._read(claim)
        if config.train is None:
            raise InputError(f"run {config.run} has no `train` section")
        datasets = self.home.ensure(self.home.datasets)
        frozen = freeze_training_set(self.database, claim.phase_id, config, phase, datasets, self.home.identity)
        job = self._job(config, phase, frozen.folder, frozen.manifest.hash, parent)
        if said := display.advice():
            log.warning("training", said=said)
        log.info("training begins", run=config.run, phase=phase.name, dataset=frozen.manifest.hash, parent=parent)
        manifest = run_lora(
            job,
            on_event=lambda event: self._note(claim, event),
            should_stop=lambda: self._lost or self.shutdown.hurried,
            log=self.home.ensure(self.home.logs) / f"train-{config.run}-{phase.name}.log",
        )
        done = finish_stage(self.database, claim, manifest, self.home.identity, frozen.summary)
        log.info("training done", phase=phase.name, adapter=manifest.id, promoted=done)
        self.adapters.share(manifest.id)
        return "trained" if done else "fenced off"

    def _read(self, claim: StageClaim) -> tuple[RunConfig, PhaseConfig, str | None]:
        with self.database.read() as connection, Session(bind=connection) as session:
            run = session.get_one(Run, claim.run_id)
            name = session.get_one(Phase, claim.phase_id).name
            config = config_from_data(run.config)
            phase = next(phase for phase in config.phases if phase.name == name)
            overrides = session.get_one(TrainingStage, claim.stage_id).overrides
            if overrides:
                phase = phase.model_copy(update={"train": with_overrides(phase, overrides)})
            return config, phase, run.promoted

    def _job(
        self, config: RunConfig, phase: PhaseConfig, dataset: Path, dataset_hash: str, parent: str | None
    ) -> LoraJob:
        if self.model is None or phase.train is None or config.train is None:
            raise InputError(f"phase {phase.name}: a {config.model.engine} model cannot be trained")
        return LoraJob(
            model=self.model.folder,
            model_hash=self.model.content_hash,
            dataset=dataset,
            dataset_hash=dataset_hash,
            adapters=self.home.ensure(self.home.adapters),
            seed=config.sampling.seed,
            parent=self.adapters.folder(parent) if parent else None,
            parent_id=parent,
            label=f"{config.run} {phase.name}",
            **phase.train.model_dump(),
            **config.train.model_dump(),
        )

    def _note(self, claim: StageClaim, event: Event) -> None:
        """Put losses into the database; a curve with a gap is better than a training that stops for it."""
        try:
            self._store(claim, event)
        except Unavailable as error:
            log.warning("a loss point could not be stored", error=str(error))

    def _store(self, claim: StageClaim, event: Event) -> None:
        kind = event["event"]
        if kind in ("train_loss", "valid_loss"):
            details = {key: value for key, value in event.items() if key not in ("event", "iteration", "loss")}
            add_loss(self.database, claim, kind.removesuffix("_loss"), event["iteration"], event["loss"], details)
        elif kind == "progress" and event["stage"] == "training":
            note_forecast(self.database, claim, {key: value for key, value in event.items() if key in FORECAST})
        elif kind == "warning":
            log.warning("training", stage=claim.stage_id, said=event["message"])
        elif kind in ("resumed", "enough"):
            log.info(f"training {kind}", stage=claim.stage_id, after=event["iteration"])


def _reason(error: Exception) -> str:
    if isinstance(error, LemfarmError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _is_final(error: Exception) -> bool:
    """Whether trying again would end the same way: wrong input does, a full disk or a surprise may not."""
    if isinstance(error, TrainingFailed):
        return error.final
    return isinstance(error, InputError | ModelError)
