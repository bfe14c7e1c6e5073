"""Alembic's entry: runs the migrations on the engine that `lemfarm.database` hands over."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import lemfarm.records  # noqa: F401  the tables register themselves

engine = context.config.attributes["engine"]
is_sqlite = engine.dialect.name == "sqlite"


@contextmanager
def foreign_keys_rest(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew and dropping the old one, which foreign keys that point at it forbid.

    They are looked at once, before the commit. Outside of a transaction only can they be switched off.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()  # of a failure; after a commit there is nothing left to take back
        driver.execute("PRAGMA foreign_keys=ON")


def migrate(connection: Connection) -> None:
    """Every step that is wanted, in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=is_sqlite,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    if is_sqlite and (broken := connection.execute(text("PRAGMA foreign_key_check")).all()):
        raise RuntimeError(f"the migration would leave rows that point at nothing: {broken[:3]}")
    connection.commit()


with engine.connect() as opened:
    if is_sqlite:
        opened.execution_options(lemfarm_writes="FULL")
        with foreign_keys_rest(opened):
            migrate(opened)
    else:
        migrate(opened)
