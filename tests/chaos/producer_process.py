"""What `lemfarm run` does without its workers: plan a run file, then watch until the run has ended.

    python -m tests.chaos.producer_process RUN_FILE turns|no-turns

With `no-turns` it looks without asking whether it is its turn: several at once act at the same time.
"""

import os
import sys
import time
from pathlib import Path

from sqlmodel import Session

from lemfarm.broker import make_app
from lemfarm.config import load_config
from lemfarm.connections import resolve
from lemfarm.database import open_database
from lemfarm.errors import Unavailable
from lemfarm.home import open_home
from lemfarm.records import Run, RunState
from producer.course import Course
from producer.plan import apply_plan
from producer.watch import Watcher


def main(run_file: Path, turns: bool) -> None:
    """Plan and watch."""
    home = open_home()
    connections = resolve(home, environ=os.environ)
    database = open_database(connections.database)
    course = Course(load_config(run_file, environ={}), "simulated")
    result = apply_plan(database, course, found=None, limit=None, trains=False)
    watcher = Watcher(database, make_app(str(connections.broker)), owner=f"producer {os.getpid()}", home=home)

    def ended() -> bool:
        with database.read() as connection, Session(bind=connection) as session:
            return session.get_one(Run, result.run_id).state != RunState.ACTIVE

    while not ended():
        if turns:
            watcher.look_in_turn()
        else:
            look(watcher)
        time.sleep(0.05)


def look(watcher: Watcher) -> None:
    """Act, whoever else acts too. A service that is busy is asked again."""
    try:
        watcher.look()
    except Unavailable as error:
        sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "turns")
