"""The training of one phase on a worker: free the engine's memory, run the trainer, promote, load the model again."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlmodel import Session

from lemfarm.candidates import cell_candidates
from lemfarm.config import PhaseConfig, RunConfig, config_from_data
from lemfarm.curation.dataset import split, write_dataset
from lemfarm.database import Database
from lemfarm.errors import InputError, LemfarmError, ModelError, Unavailable
from lemfarm.home import Home
from lemfarm.models import FoundModel
from lemfarm.records import Phase, Run, WorkerState
from lemfarm.training.child import TrainingFailed, TrainingStopped, run_lora
from lemfarm.training.job import LoraJob
from lemfarm.training.phases import (
    StageClaim,
    add_loss,
    claim_stage,
    fail_stage,
    finish_stage,
    release_stage,
    renew_stage,
    training_examples,
)
from workers.engine_thread import EngineThread
from workers.host import say
from workers.sample import LOOK_SECONDS, HandBack
from workers.shutdown import Shutdown

log = structlog.get_logger()
VALID_SHARE = 0.1


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
    _claim: StageClaim | None = None
    _lost: bool = False
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def run(self, stage_id: int) -> str:
        """Do what a train message hints at; returns a word for Flower. Raises HandBack when this worker is to end."""
        if self.shutdown.asked or not self._busy.acquire(blocking=False):
            raise HandBack(str(stage_id))
        try:
            claim = claim_stage(self.database, stage_id, self.worker_id, self.lease_seconds)
            if claim is None:
                return "nothing to do"
            self._claim, self._lost = claim, False
            return self._train(claim)
        finally:
            self._claim = None
            self._busy.release()

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
        folder = self.home.ensure(self.home.root / "datasets" / config.run / phase.name)
        rows = training_examples(self.database, claim.phase_id, phase)
        parts = split(rows, valid_share=VALID_SHARE, batch_size=config.train.batch_size, seed=config.sampling.seed)
        with self.database.read() as connection:
            candidates = cell_candidates(connection, claim.phase_id)
        dataset = write_dataset(parts, folder, candidates)
        job = self._job(config, phase, folder, dataset.hash, parent)
        log.info("training begins", run=config.run, phase=phase.name, rows=len(rows), parent=parent)
        manifest = run_lora(
            job,
            on_event=lambda event: self._note(claim, event),
            should_stop=lambda: self._lost or self.shutdown.hurried,
            log=self.home.ensure(self.home.logs) / f"train-{config.run}-{phase.name}.log",
        )
        summary = {"hash": dataset.hash, "train": len(dataset.train), "valid": len(dataset.valid)}
        summary |= {"train_probes": list(dataset.train_probes), "valid_probes": list(dataset.valid_probes)}
        done = finish_stage(self.database, claim, manifest, self.home.identity, summary)
        log.info("training done", phase=phase.name, adapter=manifest.id, promoted=done)
        return "trained" if done else "fenced off"

    def _read(self, claim: StageClaim) -> tuple[RunConfig, PhaseConfig, str | None]:
        with self.database.read() as connection, Session(bind=connection) as session:
            run = session.get_one(Run, claim.run_id)
            name = session.get_one(Phase, claim.phase_id).name
            config = config_from_data(run.config)
            phase = next(phase for phase in config.phases if phase.name == name)
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
            parent=self.home.adapters / parent.removeprefix("b2:") if parent else None,
            parent_id=parent,
            label=f"{config.run} {phase.name}",
            **phase.train.model_dump(),
            **config.train.model_dump(),
        )

    def _note(self, claim: StageClaim, event: Any) -> None:
        """Put losses into the database; a curve with a gap is better than a training that stops for it."""
        if event["event"] not in ("train_loss", "valid_loss"):
            return
        details = {key: value for key, value in event.items() if key not in ("event", "iteration", "loss")}
        kind = event["event"].removesuffix("_loss")
        try:
            add_loss(self.database, claim, kind, event["iteration"], event["loss"], details)
        except Unavailable as error:
            log.warning("a loss point could not be stored", error=str(error))


def _reason(error: Exception) -> str:
    if isinstance(error, LemfarmError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _is_final(error: Exception) -> bool:
    """Whether trying again would end the same way: wrong input does, a full disk or a surprise may not."""
    if isinstance(error, TrainingFailed):
        return error.final
    return isinstance(error, InputError | ModelError)
