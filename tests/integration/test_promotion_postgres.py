"""The decisions about adapters once more, on PostgreSQL: guarded updates, row locks, the dialect's own SQL."""

import pytest

from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401
from tests.unit.producer.conftest import ground  # noqa: F401
from tests.unit.producer.test_gatekeeping import (  # noqa: F401
    course,
    test_a_death_before_the_decision_is_followed_by_the_same_decision,
    test_a_person_promotes_what_is_held,
    test_a_phase_is_trained_again_with_other_settings_and_the_old_attempt_stays,
    test_a_training_on_top_of_what_is_taken_back_is_fenced_off,
    test_phases_behind_the_one_that_is_taken_back_are_trained_again,
    test_two_watchers_decide_once,
)
from tests.unit.producer.test_generators import (  # noqa: F401
    test_what_the_untrained_model_answered_before_the_run_file_changed_counts_no_more,
    test_without_a_phase_that_trains_before_it_the_untrained_model_answers,
)


@pytest.fixture
def ground_url(postgres_url: str) -> str:  # noqa: F811
    """In place of the SQLite of the unit tests."""
    return postgres_url
