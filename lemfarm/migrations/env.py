"""Alembic's entry: runs the migrations on the engine that `lemfarm.database` hands over."""

from alembic import context
from sqlmodel import SQLModel

import lemfarm.records  # noqa: F401  the tables register themselves

engine = context.config.attributes["engine"]
is_sqlite = engine.dialect.name == "sqlite"
with engine.connect() as connection:
    if is_sqlite:
        connection.execution_options(lemfarm_writes="FULL")
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=is_sqlite,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
