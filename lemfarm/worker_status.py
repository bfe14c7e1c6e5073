"""How the workers of a farm stand, from the rows that they beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.host.power import PowerState
from lemfarm.records import Worker, WorkerState

ALIVE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class WorkerMemory:
    """What a worker's slots rest on, in bytes: what it may use, what it planned to, the most it has held so far.

    `slots_by_memory` would fit, `slots_by_knee` pay; `shortage` says where fewer are used because memory ran short.
    """

    limit: int
    planned: int
    peak: int
    slots_by_memory: int
    slots_by_knee: int | None
    shortage: str


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process that is, or was lately, alive. Ages in seconds."""

    id: str
    name: str
    host: str
    state: str
    model_key: str
    slots: int
    in_flight: int
    tokens_per_second: float
    seen_ago: float
    message: str
    power: PowerState | None = None  #: none before its first look
    memory: WorkerMemory | None = None  #: none for an engine that holds no model


def read_workers(database: Database, *, all_of_them: bool = False) -> list[WorkerStatus]:
    """Workers that live, or also those that are gone."""
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        now = float(connection.execute(text(f"SELECT {database.now}")).scalar_one())
        return workers_seen(session, now, all_of_them=all_of_them)


def workers_seen(session: Session, now: float, *, all_of_them: bool = False) -> list[WorkerStatus]:
    """Those that beat lately at this time of the database, or all."""
    gone = (WorkerState.STOPPED, WorkerState.DIED)
    query = select(Worker).order_by(col(Worker.host), col(Worker.name), col(Worker.started))
    if not all_of_them:
        query = query.where(col(Worker.state).not_in(gone), Worker.last_seen > now - ALIVE_SECONDS)
    return [
        WorkerStatus(
            id=row.id,
            name=row.name,
            host=row.host,
            state=row.state,
            model_key=row.model_key,
            slots=row.slots,
            in_flight=row.in_flight,
            tokens_per_second=row.tokens_per_second,
            seen_ago=max(0.0, now - row.last_seen),
            message=row.message,
            memory=_memory(row.facts),
            power=PowerState.from_facts(row.facts),
        )
        for row in session.exec(query)
    ]


def _memory(facts: Mapping[str, Any]) -> WorkerMemory | None:
    """None for an engine that holds no model."""
    if not facts.get("memory_limit"):
        return None
    return WorkerMemory(
        limit=facts["memory_limit"],
        planned=facts.get("planned_bytes", 0),
        peak=facts.get("peak_bytes", 0),
        slots_by_memory=facts.get("slots_by_memory", 0),
        slots_by_knee=facts.get("slots_by_knee"),
        shortage=facts.get("shortage", ""),
    )
