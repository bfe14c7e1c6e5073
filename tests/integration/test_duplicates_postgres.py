"""Duplicates on PostgreSQL: what the dialects spell differently, and twins that are stored at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from lemfarm.engines.base import Completion, FinishReason
from tests.ground import Ground
from tests.postgres import PostgresServer, postgres, postgres_url  # noqa: F401
from tests.unit.producer.conftest import ground, plugins  # noqa: F401
from tests.unit.producer.test_duplicates import (  # noqa: F401
    COMPARING,
    holds,
    ranked,
    test_a_better_one_takes_the_place_and_both_verdicts_stay_as_history,
    test_a_gate_added_later_finds_what_was_stored_before,
    test_a_reviewer_who_rejects_the_kept_one_brings_its_twin_back,
    test_an_external_answer_that_is_worse_is_rejected,
    text,
)
from workers.library import Library
from workers.results import make_result
from workers.storing import store


@pytest.fixture
def ground_url(postgres_url: str) -> str:  # noqa: F811
    """In place of the SQLite of the unit tests."""
    return postgres_url


def test_of_twins_that_are_stored_at_the_same_moment_one_is_kept(ground: Ground) -> None:  # noqa: F811
    ground.plan(COMPARING)
    library, ids = Library(ground.database, ground.home), ranked(ground, 8)
    results = []
    for number, sample_id in enumerate(ids):
        claim = ground.claim(sample_id)
        completion = Completion(text(number % 2), FinishReason.STOP, token_ids=(1,))
        wording, rules = library.wording(claim.variant_id), library.rules(claim.phase_id)
        results.append(make_result(claim, "w", wording, completion, rules))
    ready = Barrier(len(results))

    def at_once(result: object) -> bool:
        ready.wait()
        return store(ground.ledger, result)  # type: ignore[arg-type]

    with ThreadPoolExecutor(len(results)) as threads:
        assert all(threads.map(at_once, results))
    assert ground.balance().accepted == 2
    kept = {row["id"] for row in ground.rows("SELECT id FROM sample WHERE outcome = 'accepted'")}
    assert kept == set(ids[:2])
    assert holds(ground)
