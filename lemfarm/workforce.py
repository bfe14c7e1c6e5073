"""What a person asks of workers from anywhere in the farm: drain, forget."""

from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.errors import InputError, NotFound
from lemfarm.ledger import Ledger
from lemfarm.records import Worker, WorkerState

DRAIN = "drain"
_GONE = (WorkerState.STOPPED, WorkerState.DIED, WorkerState.REFUSED)
_LIVING_SECONDS = 30.0


def drain(database: Database, name: str) -> int:
    """Ask workers of that name to finish what they hold and end. Raises NotFound."""
    with database.session() as session:
        found = session.exec(select(Worker).where(Worker.name == name, col(Worker.state).not_in(_GONE))).all()
        for worker in found:
            worker.command = DRAIN
    if not found:
        raise NotFound(f"no worker named {name!r} is at work; `lemfarm workers list` shows them.")
    return len(found)


def forget(database: Database, name: str) -> int:
    """Take back what a lost worker holds, without blame. Raises NotFound, and InputError for one that is alive."""
    with database.read() as connection, Session(bind=connection) as session:
        found = session.exec(select(Worker).where(Worker.name == name, col(Worker.state).not_in(_GONE))).all()
        ids = [(worker.id, worker.last_seen) for worker in found]
    if not ids:
        raise NotFound(f"no worker named {name!r} is waiting to be forgotten.")
    now = database.clock()
    if any(now - seen < _LIVING_SECONDS for _, seen in ids):
        raise InputError(f"worker {name} was heard of less than {_LIVING_SECONDS:.0f} s ago: drain it instead.")
    return sum(Ledger(database).bury(worker_id, rebooted=True) for worker_id, _ in ids)
