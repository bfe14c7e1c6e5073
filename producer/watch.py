"""The watcher: reaps, sends waves, closes quotas, hands full phases to training, measures, and ends runs.

Every worker process carries one and so does `lemfarm run`; a turn in the database lets one act. It keeps nothing that
matters in memory: killed at any point, the next one goes on from the rows.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from sqlmodel import Session, col, select

from lemfarm import __version__
from lemfarm.broker import ensure_nonce
from lemfarm.config import RunConfig, config_from_data
from lemfarm.database import Database
from lemfarm.errors import LemfarmError, Unavailable
from lemfarm.home import Home
from lemfarm.ledger import Ledger
from lemfarm.records import Run, RunState
from producer.handover import Handover
from producer.messenger import Messenger
from producer.reaper import Reaper
from producer.turn import leave_turn, take_turn
from producer.waves import Waves

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger()
TURN = "watcher"
LOOK_VARIABLE = "LEMFARM_WATCH_SECONDS"
LOOK_SECONDS = 1.0
IDLE_LOOKS = 5  #: of the one that acts, to one of each that waits for its turn: a farm has one per process
TURN_SECONDS = 15.0
END_SECONDS = 5.0  #: in which a command that is being told something may end with its watcher
LARGEST_SHARE = 0.1  #: of the time that watching may take; one slow look alone, as the first is, delays no wave


@dataclass
class Watcher:
    """One watcher of a process; `owner` names it, `run_until` is its life."""

    database: Database
    app: "Celery"
    owner: str
    home: Home
    _configs: dict[str, RunConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.database)
        self.waves = Waves(self.database, self.ledger, self.app)
        self.reaper = Reaper(self.database, self.ledger, self.home)
        self.handover = Handover(self.database, self.ledger, self.app, self.waves)
        self.messenger = Messenger(self.database, self.home)

    def run_until(self, wait: Callable[[float], bool]) -> None:
        """Look again and again until `wait` says to end. Services that are away are waited for."""
        pause = float(os.environ.get(LOOK_VARIABLE) or LOOK_SECONDS)
        took = before = 0.0
        acted = True
        while not wait(max(pause if acted else pause * IDLE_LOOKS, min(took, before) / LARGEST_SHARE)):
            began = time.monotonic()
            acted = self.look_in_turn()
            took, before = time.monotonic() - began, took
        self.leave()
        self.messenger.finish(END_SECONDS)

    def look_in_turn(self) -> bool:
        """Look, if it is our turn, and say whether it was; never raises: what is away now may be back at the next
        look."""
        ours = False
        try:
            ours = take_turn(self.database, TURN, self.owner, TURN_SECONDS)
            if ours:
                self.look()
        except LemfarmError as error:
            log.warning("the watcher will look again", error=str(error))
        except Exception:
            log.exception("the watcher met an unexpected error")
        self.messenger.look()
        return ours

    def leave(self) -> None:
        """Let another watcher act at once."""
        try:
            leave_turn(self.database, TURN, self.owner)
        except LemfarmError as error:
            log.info("the turn runs out by itself", error=str(error))

    def look(self) -> None:
        """One round over all active runs."""
        runs = [(run, config) for run in self._active_runs() if (config := self._config(run)) is not None]
        self.reaper.look(min((config.farm.lease_seconds for _, config in runs), default=90.0))
        if not runs:
            return
        if ensure_nonce(self.app):
            self._recall_everything([run for run, _ in runs])
        for run, config in runs:
            self._move(run, config)

    def _move(self, run: Run, config: RunConfig) -> None:
        """One run's step; what is wrong with one run does not hold up the others."""
        try:
            self.handover.advance(run, config)
            self.waves.recall_lost(run)
        except Unavailable:
            raise
        except Exception:
            log.exception("a run cannot be moved forward", run=run.name)

    def _recall_everything(self, runs: list[Run]) -> None:
        for run in runs:
            assert run.id is not None
            recalled = self.ledger.forget_messages(run.id)
            if recalled:
                log.warning("the broker lost its data; messages are sent again", run=run.name, samples=recalled)

    def _active_runs(self) -> list[Run]:
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            return list(session.exec(select(Run).where(Run.state == RunState.ACTIVE).order_by(col(Run.id))))

    def _config(self, run: Run) -> RunConfig | None:
        """The run's configuration; none for a run of another lemfarm, or one that cannot be read."""
        if run.lemfarm_version != __version__:
            return None
        try:
            if run.config_hash not in self._configs:
                self._configs[run.config_hash] = config_from_data(run.config)
        except Exception:
            log.exception("the configuration of a run cannot be read", run=run.name)
            return None
        return self._configs[run.config_hash]
