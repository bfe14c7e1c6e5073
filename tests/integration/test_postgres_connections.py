"""How many connections one process opens to PostgreSQL, however many of its threads want one."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from lemfarm.database import Database
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
