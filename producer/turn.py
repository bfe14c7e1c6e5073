"""One acts at a time: a named row with an expiry, taken by the database's clock, works alike on both dialects."""

from sqlalchemy import text

from lemfarm.database import Database, prepared


def take_turn(database: Database, name: str, owner: str, seconds: float) -> bool:
    """True when the turn is ours, for at least half of so many seconds: it was free, expired, or ours before.

    Renewed, which is a write, only when half of it is over; whoever has to wait only reads.
    """
    query = prepared(f"SELECT owner, expires - {database.now} AS left_over FROM turn WHERE name = :name")
    with database.read() as connection:
        turn = connection.execute(query, {"name": name}).one_or_none()
    if turn is not None and turn.left_over > (seconds / 2 if turn.owner == owner else 0.0):
        return bool(turn.owner == owner)
    return _take(database, name, owner, seconds)


def _take(database: Database, name: str, owner: str, seconds: float) -> bool:
    with database.write() as connection:
        connection.execute(
            text("INSERT INTO turn (name, owner, expires) VALUES (:name, '', 0) ON CONFLICT DO NOTHING"), {"name": name}
        )
        taken = connection.execute(
            text(
                f"""UPDATE turn SET owner = :owner, expires = {database.now} + :seconds
                    WHERE name = :name AND (owner = :owner OR expires < {database.now})"""
            ),
            {"name": name, "owner": owner, "seconds": seconds},
        )
        return taken.rowcount > 0


def leave_turn(database: Database, name: str, owner: str) -> None:
    """Let the next one act at once."""
    with database.write() as connection:
        connection.execute(
            text("UPDATE turn SET expires = 0 WHERE name = :name AND owner = :owner"), {"name": name, "owner": owner}
        )
