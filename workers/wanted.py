"""Which run a worker serves: waited for until there is one and the machine may work, and asked for ever after."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeVar

import structlog
from sqlmodel import Session, col, select

from lemfarm import __version__
from lemfarm.database import Database
from lemfarm.errors import Unavailable, VersionError
from lemfarm.records import Run, RunState, WorkerState
from lemfarm.supervisor import orphaned
from lemfarm.workforce import DRAIN
from workers.host import beat, say
from workers.rest import Watch
from workers.shutdown import RELOAD, Shutdown

log = structlog.get_logger()
LOOK_SECONDS = 2.0
Value = TypeVar("Value")


def insist(shutdown: Shutdown, action: Callable[[], Value]) -> Value:
    """Wait for a database that is not up yet, as after a power cut, unless this worker is asked to end."""
    while True:
        try:
            return action()
        except Unavailable as error:
            log.warning("waiting for the database", error=str(error))
            if shutdown.wait(LOOK_SECONDS):
                raise


@dataclass(frozen=True, slots=True)
class Wanted:
    """The runs that this worker may serve; `only` names the one that it was started for."""

    worker_id: str
    database: Database
    only: str | None
    watch: Watch
    shutdown: Shutdown

    def wait(self) -> Run | None:
        """The run to serve, once there is one and this machine may work; None when asked to end before that.

        Raises VersionError where the run belongs to another version of lemfarm.
        """
        said = ""
        while not self.shutdown.asked:
            reason = self.watch.reason_to_rest
            run = None if reason else insist(self.shutdown, self.run)
            waits_for = reason or ("" if run else "a run to be started")
            if waits_for != said:
                insist(self.shutdown, partial(self._say_waiting, waits_for, reason))
                said = waits_for
            if run is not None:
                _require_same_version(run)
                return run
            insist(self.shutdown, self._stand_by)
        return None

    def run(
        self, model_key: str | None = None, states: Sequence[RunState] = (RunState.ACTIVE, RunState.PAUSED)
    ) -> Run | None:
        """The run that was started last, of this model if one is named."""
        query = select(Run).where(col(Run.state).in_(states)).order_by(col(Run.activated).desc())
        if self.only:
            query = query.where(Run.name == self.only)
        if model_key:
            query = query.where(Run.model_key == model_key)
        with self.database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
            return session.exec(query).first()

    def still(self, model_key: str) -> bool:
        """Whether this model still has a run; where only another model has, this process starts again with that one.
        A worker that was started for one run, and whose supervisor was killed, ends with that run."""
        if self.run(model_key):
            return True
        if not self.run():
            if not (self.only and orphaned(os.environ)):
                return True
            log.info("the run is over, and nobody supervises this worker any more")
            return False
        log.info("another model is wanted now")
        self.shutdown.begin(float("inf"), exit_code=RELOAD)
        return False

    def _say_waiting(self, waits_for: str, reason_to_rest: str) -> None:
        if reason_to_rest:
            log.info("resting", reason=reason_to_rest)
        elif waits_for:
            log.info(f"waiting for {waits_for}")
        state = WorkerState.RESTING if reason_to_rest else WorkerState.STARTING
        facts = {"power": asdict(self.watch.power)}
        say(self.database, self.worker_id, state=state, message=reason_to_rest, facts=facts)

    def _stand_by(self) -> None:
        """Stay in the list of those alive, hear whether to drain, and look again a little later."""
        said = beat(self.database, self.worker_id, in_flight=0, tokens_per_second=0.0)
        if said["command"] == DRAIN:
            self.shutdown.begin(0.0)
        self.shutdown.wait(LOOK_SECONDS)


def _require_same_version(run: Run) -> None:
    if run.lemfarm_version != __version__:
        raise VersionError(
            f"run {run.name} belongs to lemfarm {run.lemfarm_version}, this worker is {__version__}: "
            "install the same version on all machines."
        )
