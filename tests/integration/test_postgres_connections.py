"""How many connections one process opens to PostgreSQL, however many of its threads want one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from lemfarm import database as module
from lemfarm.database import Database
from lemfarm.errors import DatabaseDown
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401

THREADS = 40
MOST = 8


def test_threads_queue_for_the_connections_of_their_process(postgres_url: str) -> None:  # noqa: F811
    database = Database(postgres_url)

    def ask(_number: int) -> int:
        with database.read() as connection:
            connection.execute(text("SELECT pg_sleep(0.02)"))
            mine = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return int(connection.execute(text(mine)).scalar_one())

    with ThreadPoolExecutor(THREADS) as pool:
        seen = list(pool.map(ask, range(5 * THREADS)))
    database.close()
    assert len(seen) == 5 * THREADS
    assert max(seen) <= MOST


def test_a_connection_that_was_lost_while_it_rested_is_replaced(
    postgres_url: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Database(postgres_url)
    monkeypatch.setattr(module, "_TRUSTED_SECONDS", 0.0)
    lost = _own_process(database)
    _end(postgres_url, lost)
    assert _own_process(database) != lost
    database.close()


def test_a_connection_that_is_lost_between_two_uses_fails_one_of_them(
    postgres_url: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not asked each time whether it still works: whoever uses it tries again anyway."""
    database = Database(postgres_url)
    monkeypatch.setattr(module, "_TRUSTED_SECONDS", 600.0)
    lost = _own_process(database)
    _end(postgres_url, lost)
    with pytest.raises(DatabaseDown):
        _own_process(database)
    assert _own_process(database) != lost
    database.close()


def _own_process(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def _end(url: str, process: int) -> None:
    other = Database(url)
    with other.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": process})
    other.close()
