"""How the tables spell what many of them have: JSON, times, and the names of constraints."""

from typing import Any

from sqlalchemy import JSON, Column, Float
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def json_column() -> Any:
    """An object that is read in one place only, empty unless set."""
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


def time_column(default: float | None = 0.0) -> Any:
    """Seconds since 1970 by the database's clock; None where something has not happened yet."""
    return Field(default=default, sa_type=Float(53))
