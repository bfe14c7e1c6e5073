"""The runs of a farm, by name."""

from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.errors import NotFound
from lemfarm.records import Run


def find_run(database: Database, name: str | None) -> Run:
    """The run of that name, or the latest. Raises NotFound, naming those that exist."""
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        query = select(Run).order_by(col(Run.activated).desc(), col(Run.id).desc())
        runs = session.exec(query).all()
    if not runs:
        raise NotFound("there is no run in this farm yet. Start one with `lemfarm run CONFIG`.")
    if name is None:
        return runs[0]
    for run in runs:
        if run.name == name:
            return run
    raise NotFound(f"there is no run {name!r}; known: {', '.join(run.name for run in runs)}")


def list_runs(database: Database) -> list[Run]:
    """All runs, the latest first."""
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        return list(session.exec(select(Run).order_by(col(Run.activated).desc())))
