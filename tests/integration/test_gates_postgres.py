"""The tests of stored scores and of changed gates once more, on PostgreSQL."""

import pytest

from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401
from tests.unit.producer.conftest import ground, plugins  # noqa: F401
from tests.unit.producer.test_gate_trial import *  # noqa: F403  every test, with the fixtures below
from tests.unit.producer.test_regate import *  # noqa: F403
from tests.unit.producer.test_run_scores import *  # noqa: F403


@pytest.fixture
def url(postgres_url: str) -> str:  # type: ignore[no-redef,unused-ignore]  # noqa: F811
    """In place of the SQLite of the unit tests."""
    return postgres_url


@pytest.fixture
def ground_url(postgres_url: str) -> str:  # noqa: F811
    """The same for tests that plan a run."""
    return postgres_url
