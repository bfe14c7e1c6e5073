"""Results on local disk: whole or not at all, kept until stored, taken over from the dead."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lemfarm.work import Result, ScoredBy
from workers.spool import Spool, read_result, sample_of

RESULT = Result(
    sample_id="0f" * 16,
    epoch=3,
    worker_id="w",
    content="Ünïcödé \u2028 and a line\nbreak",
    thoughts="hm",
    token_ids=bytes(range(256)),
    generation={"finish_reason": "stop", "seconds": 1.5, "batch_mates": ["a"]},
    scores=[ScoredBy("v2", "1", 21.5, {"words": 3.0}), ScoredBy("v2-distill", "1", 18.0, {})],
    outcome="accepted",
    reason="passed every gate",
    gate_hash="b2:gates",
)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool", "w")
    yield made
    made.close()


def test_a_result_comes_back_as_it_went(spool: Spool) -> None:
    path = spool.write(RESULT)
    assert read_result(path) == RESULT
    assert sample_of(path) == RESULT.sample_id
    assert path.stat().st_mode & 0o077 == 0, "answers are nobody else's business"


def test_results_wait_oldest_first_and_a_second_attempt_is_a_file_of_its_own(spool: Spool) -> None:
    first, second = spool.write(RESULT), spool.write(replace(RESULT, epoch=4))
    os.utime(second, (1.0, 1.0))
    assert spool.waiting() == [second, first]
    first.unlink()
    assert spool.waiting() == [second]


@pytest.mark.parametrize("content", ["", "{", '{"sample_id": "x"}', "[]", '{"token_ids": 5}'])
def test_what_is_no_result_is_set_aside_and_kept(spool: Spool, content: str) -> None:
    path = spool.write(RESULT)
    path.write_text(content)
    assert read_result(path) is None
    assert path.with_suffix(".broken").read_text() == content
    assert spool.waiting() == []


def test_a_result_that_another_keeper_stored_meanwhile_is_none(spool: Spool) -> None:
    path = spool.write(RESULT)
    path.unlink()
    assert read_result(path) is None


def test_the_living_keep_their_results_and_the_dead_leave_them(tmp_path: Path) -> None:
    # Given two workers of one home, each with a result
    root = tmp_path / "spool"
    mine, other = Spool(root, "mine"), Spool(root, "other")
    mine.write(RESULT)
    left = other.write(RESULT)
    # When both live, then nobody's results are taken
    assert list(mine.orphans()) == []
    # When the other ends without storing (its lock is free), then its results are found
    other.close()
    assert list(mine.orphans()) == [(other.folder, [left])]
    # When they are stored, then nothing is left of it
    left.unlink()
    assert [paths for _, paths in mine.orphans()] == [[]]
    assert not other.folder.exists()
    mine.close()


def test_half_a_file_of_a_killed_worker_is_no_result(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    dead = Spool(root, "dead")
    unfinished = dead.folder / f".{RESULT.sample_id}-3.json.x1y2"
    unfinished.write_text('{"sample_')
    dead.close()
    mine = Spool(root, "mine")
    assert [paths for _, paths in mine.orphans()] == [[]]
    assert not unfinished.exists()
    mine.close()


def test_an_empty_spool_leaves_no_folder_behind(tmp_path: Path) -> None:
    made = Spool(tmp_path / "spool", "w")
    made.close()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_spool_with_results_stays_for_others(tmp_path: Path) -> None:
    made = Spool(tmp_path / "spool", "w")
    path = made.write(RESULT)
    made.close()
    assert path.exists()


def test_a_disk_that_cannot_be_written_is_told(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        spool.write(RESULT)
    assert spool.waiting() == []
    assert [path.name for path in spool.folder.iterdir()] == [".alive"], "no half file is left"
