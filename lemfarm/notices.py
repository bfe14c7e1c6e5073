"""What a person is told of: written in the transaction of the change itself, claimed once before it is told.

A notice waits in the database until a process of the run's home claims it: the home in which `lemfarm run` was typed
last, so that no machine runs another one's command. Whoever claims one starts the command after that: a death in
between costs the notice, and nothing tells it twice.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlmodel import Session

from lemfarm.database import Database, prepared
from lemfarm.records import Notice, NoticeKind, Run

LONGEST_TEXT = 1_000  #: characters: an error that a server wrote may have pages


@dataclass(frozen=True, slots=True)
class Message:
    """What a command is told. `phase` is empty where it is about the whole run; `created` by the database's clock."""

    kind: str
    run: str
    phase: str
    text: str
    created: float


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice that is ours to tell; without a command nobody wants to know."""

    id: int
    message: Message
    command: str | None


def write_notice(
    connection: Connection, database: Database, run_id: int, kind: NoticeKind, said: str, *, phase: str = ""
) -> None:
    """Let something be told, once for each activation of the run. To be called in the transaction that makes it so,
    and only where that changed a row."""
    connection.execute(
        text(
            f"""INSERT INTO notice (run_id, kind, subject, activation, text, created, outcome)
                SELECT id, :kind, :phase, activated, :said, {database.now}, '' FROM run WHERE id = :run
                ON CONFLICT DO NOTHING"""
        ),
        {"kind": kind, "phase": phase, "said": one_line(said), "run": run_id},
    )


def claim_notice(database: Database, home_id: str) -> ClaimedNotice | None:
    """The oldest notice that nobody has taken on, now ours; none where none waits for this home."""
    with database.read() as connection:
        oldest = connection.execute(
            prepared(
                """SELECT min(notice.id) FROM notice JOIN run ON run.id = notice.run_id
                   WHERE notice.told IS NULL AND run.home_id = :home"""
            ),
            {"home": home_id},
        ).scalar()
    return None if oldest is None else _claim(database, oldest)


def note_outcome(database: Database, notice_id: int, outcome: str) -> None:
    """Keep what became of the command."""
    with database.session() as session:
        session.get_one(Notice, notice_id).outcome = outcome


def tell_here(database: Database, run_id: int, home_id: str) -> None:
    """From now on, what a run has to tell is told in this home."""
    with database.session() as session:
        session.get_one(Run, run_id).home_id = home_id


def one_line(said: str) -> str:
    """A text that fits into a notification, a mail's subject, and the environment of a process."""
    plain = " ".join("".join(mark if mark.isprintable() else " " for mark in said).split())
    return plain if len(plain) <= LONGEST_TEXT else f"{plain[: LONGEST_TEXT - 3]}..."


def _claim(database: Database, notice_id: int) -> ClaimedNotice | None:
    with database.write() as connection, Session(bind=connection) as session:
        claimed = connection.execute(
            prepared(f"UPDATE notice SET told = {database.now} WHERE id = :id AND told IS NULL"), {"id": notice_id}
        )
        if claimed.rowcount == 0:
            return None
        notice = session.get_one(Notice, notice_id)
        run = session.get_one(Run, notice.run_id)
        message = Message(notice.kind, run.name, notice.subject, notice.text, notice.created)
        return ClaimedNotice(notice_id, message, run.config.get("notify"))
