"""Answers from elsewhere on PostgreSQL: what the dialects spell differently."""

import pytest

from tests.postgres import postgres, postgres_url  # noqa: F401
from tests.unit.producer.conftest import ground, plugins  # noqa: F401
from tests.unit.producer.test_external import (  # noqa: F401
    test_an_import_that_was_killed_goes_on_to_the_same_rows,
    test_another_run_gives_what_it_has_accepted_to_the_same_wordings,
    test_other_gates_judge_external_answers_again,
    test_the_frozen_set_and_its_card_say_where_every_row_is_from,
)


@pytest.fixture
def ground_url(postgres_url: str) -> str:  # noqa: F811
    """In place of the SQLite of the unit tests."""
    return postgres_url
