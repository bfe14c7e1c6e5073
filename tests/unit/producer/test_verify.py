"""Every rule of `lemfarm verify` can fail: a row is broken by hand, and its id is named."""

import pytest

from producer.verify import Finding, verify_run
from tests.ground import SHORT_ANSWER, Ground


@pytest.fixture
def worked(ground: Ground) -> Ground:
    """Samples in every state."""
    ground.plan()
    ids = ground.ids()
    ground.finish(ids[:3])
    ground.finish(ids[3:4], SHORT_ANSWER)
    ground.fail(ids[4:5])
    ground.claim(ids[5])
    ground.execute("UPDATE sample SET state = 'skipped', reason = 'quota full' WHERE id = :id", id=ids[6])
    return ground


def broken(ground: Ground) -> dict[str, Finding]:
    return {finding.name: finding for finding in verify_run(ground.database, "tiny") if not finding.holds}


def first(ground: Ground, where: str) -> str:
    return ground.ids(where)[0]


def test_nothing_is_wrong_with_a_run_at_work(worked: Ground) -> None:
    assert broken(worked) == {}


BREAKS = {
    "every done sample has exactly one answer from its engine": (
        "state = 'done'",
        ["DELETE FROM score", "DELETE FROM verdict WHERE sample_id = :id", "DELETE FROM text WHERE sample_id = :id"],
    ),
    "no answer belongs to a sample that is not done": (
        "state = 'pending'",
        ["""INSERT INTO text (sample_id, revision, content, thoughts, token_ids, created)
            VALUES (:id, 0, '', '', '', 0)"""],
    ),
    "every done sample was stored once": (
        "state = 'done'",
        ["""INSERT INTO attempt (sample_id, epoch, worker_id, alone, started, ending, error, generation)
            VALUES (:id, 9, 'w', false, 0, 'done', '', '{}')"""],
    ),
    "every done sample has an outcome, no other has": (
        "state = 'pending'", ["UPDATE sample SET outcome = 'accepted' WHERE id = :id"],
    ),
    "the outcome is that of the newest verdict": (
        "outcome = 'rejected'", ["UPDATE sample SET outcome = 'accepted' WHERE id = :id"],
    ),
    "only leased samples have a lease": (
        "state = 'pending'", ["UPDATE sample SET lease_expires = 5.0 WHERE id = :id"],
    ),
    "a failed sample says why": (
        "state = 'failed'", ["UPDATE sample SET error_class = NULL WHERE id = :id"],
    ),
    "a skipped sample says why": (
        "state = 'skipped'", ["UPDATE sample SET reason = '' WHERE id = :id"],
    ),
    "every attempt of a sample that is not leased has ended": (
        "state = 'failed'", ["UPDATE attempt SET ending = '' WHERE sample_id = :id"],
    ),
    "ids, fingerprints and seeds derive from their content": (
        "state = 'pending'", ["UPDATE sample SET seed = seed + 1 WHERE id = :id"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_row_is_named(worked: Ground, rule: str) -> None:
    where, statements = BREAKS[rule]
    sample = first(worked, where)
    for statement in statements:
        worked.execute(statement, **({"id": sample} if ":id" in statement else {}))
    assert sample in broken(worked)[rule].offenders
    assert sample in broken(worked)[rule].said


def test_a_done_sample_that_no_attempt_stored_is_named(worked: Ground) -> None:
    sample = first(worked, "state = 'done'")
    worked.execute("UPDATE attempt SET ending = 'released' WHERE sample_id = :id", id=sample)
    assert broken(worked)["every done sample was stored once"].offenders == (sample,)


def test_a_done_sample_without_a_verdict_is_named(worked: Ground) -> None:
    sample = first(worked, "state = 'done'")
    worked.execute("DELETE FROM verdict WHERE sample_id = :id", id=sample)
    assert broken(worked)["the outcome is that of the newest verdict"].offenders == (sample,)


def test_books_that_do_not_balance_are_told(worked: Ground) -> None:
    worked.execute("UPDATE sample SET outcome = NULL WHERE state = 'done'")
    assert "done = 0 accepted" in broken(worked)["the distil books balance"].said


def test_a_kernel_that_was_edited_in_the_database_is_named(worked: Ground) -> None:
    worked.execute("UPDATE kernel SET text = 'Be unkind.'")
    kernel = worked.value("SELECT hash FROM kernel")
    assert broken(worked)["kernels are what their hashes say"].offenders == (kernel,)


def test_an_edited_wording_is_found_by_its_fingerprint(worked: Ground) -> None:
    worked.execute("""UPDATE variant SET messages = '[{"role": "user", "content": "other"}]' WHERE position = 0""")
    assert len(broken(worked)["ids, fingerprints and seeds derive from their content"].offenders) == 12


def test_a_hole_in_the_indices_is_named(worked: Ground) -> None:
    worked.execute("DELETE FROM sample WHERE id = :id", id=first(worked, "sample_index = 1 AND state = 'pending'"))
    (hole,) = broken(worked)["no sample index is missing below the largest"].offenders
    assert "3 rows, highest index 3" in hole


def test_many_offenders_are_shortened_in_words_only(worked: Ground) -> None:
    worked.execute("UPDATE sample SET outcome = 'accepted' WHERE state <> 'done'")
    worked.plan(phases__0__samples=8)
    worked.execute("UPDATE sample SET lease_expires = 1.0")
    found = broken(worked)["only leased samples have a lease"]
    assert len(found.offenders) == 47 and found.said.endswith("...")


def test_superseded_rows_are_not_derived_again(worked: Ground) -> None:
    """Their kernel, sampling or wording left the configuration; they keep what they were."""
    worked.plan(sampling__temperature=0.1)
    assert broken(worked) == {}
