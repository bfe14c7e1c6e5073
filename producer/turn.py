"""One acts at a time: a named row with an expiry, taken by the database's clock, works alike on both dialects."""

from sqlalchemy import text

from lemfarm.database import Database


def take_turn(database: Database, name: str, owner: str, seconds: float) -> bool:
    """True when the turn is ours for so many seconds: it was free, expired, or ours before."""
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
