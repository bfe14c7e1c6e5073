"""What a watcher does with an adapter that has been measured, killed at a chosen write.

    python -m tests.chaos.deciding_process FOLDER NUMBER

FOLDER is a ground with its database; before its NUMBER-th write the process kills itself, as `kill -9` does. 0: never.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlmodel import Session, select

from lemfarm.database import Database, open_database
from lemfarm.ledger import Ledger
from lemfarm.records import Run
from producer import handover, waves
from tests.gated_course import GATED
from tests.ground import Queue
from tests.run_files import load

LOOKS = 3
"""The verdict, the hand-over of the next phase, and one in which nothing is left to do."""


def die_before(number: int, engine: Any) -> None:
    """Kill this process before its n-th write, a commit being one."""
    left = [number]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            count()

    event.listen(engine, "before_cursor_execute", execute)
    event.listen(engine, "commit", lambda _connection: count())


def look(folder: Path, die_at: int = 0) -> None:
    """Look, and look again; messages go nowhere."""
    queue = Queue()
    waves.send_generate, waves.queue_length = queue.send_generate, queue.queue_length  # type: ignore[assignment]
    handover.send_train, handover.queue_length = queue.send_train, queue.queue_length  # type: ignore[assignment]
    app: Any = None
    database = open_database(f"sqlite:///{folder / 'farm.db'}")
    ledger = Ledger(database)
    watching = handover.Handover(database, ledger, app, waves.Waves(database, ledger, app))
    die_before(die_at, database.engine)
    for _ in range(LOOKS):
        watching.advance(_run(database), load(folder, GATED))
    database.close()


def _run(database: Database) -> Run:
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        return session.exec(select(Run)).one()


if __name__ == "__main__":
    look(Path(sys.argv[1]), int(sys.argv[2]))
