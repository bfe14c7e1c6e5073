"""The processes that work."""

from typing import Any

from sqlmodel import Field, SQLModel

from lemfarm.records.columns import json_column, time_column
from lemfarm.records.states import WorkerState


class Worker(SQLModel, table=True):
    """One worker process. A restarted process is a new row of the same name."""

    id: str = Field(primary_key=True)
    name: str = Field(index=True)
    host: str
    pid: int
    boot_id: str
    home_id: str
    state: str = WorkerState.STARTING
    message: str = ""
    model_key: str = ""
    slots: int = 0
    facts: dict[str, Any] = json_column()
    lemfarm_version: str
    command: str = ""  #: what a person asked of it: drain
    tokens_per_second: float = 0.0
    in_flight: int = 0
    started: float = time_column()
    last_seen: float = time_column()
