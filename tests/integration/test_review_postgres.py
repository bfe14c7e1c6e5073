"""The tests of reviewers' decisions once more, on PostgreSQL."""

import pytest

from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401
from tests.unit.producer.conftest import ground  # noqa: F401
from tests.unit.producer.test_reviewing import *  # noqa: F403  every test, with the fixture below


@pytest.fixture
def ground_url(postgres_url: str) -> str:  # noqa: F811
    """In place of the SQLite of the unit tests."""
    return postgres_url
