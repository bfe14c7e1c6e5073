"""The worker's own row: what this process is, where it runs, and what became of its predecessors."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
import uuid_utils
from sqlalchemy import text
from sqlmodel import col, select

from lemfarm import __version__
from lemfarm.database import Database
from lemfarm.ledger import Ledger
from lemfarm.machine import boot_id
from lemfarm.records import Worker, WorkerState

log = structlog.get_logger()
GONE = (WorkerState.STOPPED, WorkerState.DIED, WorkerState.REFUSED)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker process is. The name is kept over restarts, the id is not."""

    id: str
    name: str
    host: str
    pid: int
    boot_id: str
    home_id: str


def new_identity(name: str, home_id: str) -> Identity:
    """An identity for this process."""
    return Identity(uuid_utils.uuid7().hex, name, socket.gethostname(), os.getpid(), boot_id(), home_id)


def register(database: Database, who: Identity) -> None:
    """Write this process's row and bury earlier processes of the same name in the same home."""
    bury_predecessors(database, who)
    with database.session() as session:
        now = database.clock()
        session.add(
            Worker(
                id=who.id,
                name=who.name,
                host=who.host,
                pid=who.pid,
                boot_id=who.boot_id,
                home_id=who.home_id,
                lemfarm_version=__version__,
                started=now,
                last_seen=now,
            )
        )


def bury_predecessors(database: Database, who: Identity) -> None:
    """A supervisor starts one process of a name at a time: any earlier one that did not say goodbye is dead."""
    with database.read() as connection:
        earlier = connection.execute(
            select(Worker.id, Worker.boot_id).where(
                Worker.name == who.name,
                Worker.home_id == who.home_id,
                Worker.id != who.id,
                col(Worker.state).not_in(GONE),
            )
        ).all()
    for worker_id, its_boot in earlier:
        taken = Ledger(database).bury(worker_id, rebooted=its_boot != who.boot_id)
        log.warning("an earlier process of this worker died", died=worker_id, samples_taken_back=taken)


def say(database: Database, worker_id: str, **fields: Any) -> None:
    """Change this worker's row."""
    with database.session() as session:
        worker = session.get_one(Worker, worker_id)
        for name, value in fields.items():
            setattr(worker, name, value)
        session.add(worker)


def add_facts(database: Database, worker_id: str, **facts: Any) -> None:
    """Put facts beside those that this worker's row has."""
    with database.session() as session:
        worker = session.get_one(Worker, worker_id, with_for_update=True)  # several threads note theirs
        worker.facts = {**worker.facts, **facts}
        session.add(worker)


def beat(database: Database, worker_id: str, *, in_flight: int, tokens_per_second: float) -> Mapping[str, str]:
    """Say that the worker lives; returns its state and what a person asked of it."""
    with database.write() as connection:
        row = connection.execute(
            text(
                f"""UPDATE worker SET last_seen = {database.now}, in_flight = :busy, tokens_per_second = :rate
                    WHERE id = :id RETURNING state, command"""
            ),
            {"id": worker_id, "busy": in_flight, "rate": tokens_per_second},
        ).one()
        return {"state": row.state, "command": row.command}
