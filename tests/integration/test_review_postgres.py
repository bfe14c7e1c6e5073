"""Reviewers' decisions on PostgreSQL: a decision of each kind, the books, and the files."""

import pytest

from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401
from tests.unit.producer.conftest import ground  # noqa: F401
from tests.unit.producer.test_reviewing import (  # noqa: F401
    exported,
    held,
    test_a_disagreement_waits_for_a_third_word_or_somebody_who_settles_it,
    test_a_file_of_decisions_is_taken_once,
    test_an_edited_answer_is_judged_as_it_is_now_and_the_original_is_kept,
    test_the_books_balance_after_every_kind_of_decision,
    test_the_last_answer_that_is_needed_wakes_the_run_which_fills_the_phase,
    test_undo_takes_the_last_own_decision_back_and_keeps_the_record,
)


@pytest.fixture
def ground_url(postgres_url: str) -> str:  # noqa: F811
    """In place of the SQLite of the unit tests."""
    return postgres_url
