"""The life of one sample on a worker, with a real ledger and an engine that the test decides."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from lemfarm.config import FarmConfig
from lemfarm.database import Database
from lemfarm.dialogue import Message
from lemfarm.engines.base import Request, Sampling
from lemfarm.errors import DatabaseDown, EngineFailure, PromptTooLong
from lemfarm.locks import wait_until
from lemfarm.work import Claim, Result
from tests.ledger_world import World, make_world, sqlite_url
from tests.unit.workers.engine_double import EngineDouble, one_phase
from workers.engine_thread import EngineThread
from workers.leases import Leases
from workers.library import Rules, Wording
from workers.sample import HandBack, SampleRunner
from workers.shutdown import Shutdown
from workers.spool import Spool, read_result

SECONDS = 30.0


class Shelf:
    """Stands in for the library: one question, one phase with one gate."""

    def __init__(self, deadline: float = 600.0) -> None:
        self.farm = FarmConfig(retries=1, deadline_seconds=deadline)

    def request(self, claim: Claim) -> Request:
        return Request(claim.sample_id, (Message("user", "Why?"),), Sampling(), claim.seed)

    def wording(self, variant_id: str) -> Wording:
        return Wording("P0", 0, (Message("user", "Why?"),))

    def rules(self, phase_id: int) -> Rules:
        return Rules("tiny", one_phase([{"min_chars": 5}]), self.farm, None)


class Bench:
    """A runner with all its parts; `start` runs a sample as a task thread would."""

    def __init__(self, folder: Path, deadline: float = 600.0) -> None:
        self.world: World = make_world(sqlite_url(folder))
        self.worker = self.world.worker("w1")
        self.engine = EngineDouble()
        self.thread = EngineThread(self.engine)
        self.thread.start()
        self.leases, self.shutdown = Leases(), Shutdown()
        self.spool = Spool(folder / "spool", self.worker)
        self.tokens: list[int] = []
        self.runner = SampleRunner(
            self.worker, self.world.ledger, Shelf(deadline), self.thread, self.spool,  # type: ignore[arg-type]
            self.leases, self.shutdown, 60.0, self.tokens.append,
        )  # fmt: skip
        self.pool = ThreadPoolExecutor(8)

    def start(self, sample_id: str) -> "Future[str]":
        return self.pool.submit(self.runner.run, sample_id)

    def wait_live(self, sample_id: str) -> None:
        assert wait_until(lambda: sample_id in self.engine.live, SECONDS)

    def close(self) -> None:
        self.shutdown.begin(0.0)
        self.thread.stop()
        self.pool.shutdown()
        self.spool.close()
        self.world.database.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_an_answer_is_scored_judged_and_stored(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    ended = bench.start(sample)
    bench.wait_live(sample)
    bench.engine.answer(sample, "long enough an answer")
    assert ended.result(SECONDS) == "accepted"
    row = bench.world.sample(sample)
    assert (row["state"], row["outcome"], row["owner"]) == ("done", "accepted", "w1")
    assert bench.tokens == [4]
    assert bench.spool.waiting() == []
    assert len(bench.leases) == 0


def test_a_rejected_answer_is_kept_with_its_reason(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    ended = bench.start(sample)
    bench.wait_live(sample)
    bench.engine.answer(sample, "no")
    assert ended.result(SECONDS) == "rejected"
    assert "2 of 5 characters" in bench.world.sample(sample)["reason"]
    assert bench.world.query("SELECT content FROM text")[0]["content"] == "no"


def test_a_message_for_a_sample_that_is_not_free_is_forgotten(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    bench.world.claim(sample, bench.world.worker("w2"))
    assert bench.start(sample).result(SECONDS) == "nothing to do"


def test_a_second_message_for_a_sample_in_hand_does_not_reach_the_engine(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    first = bench.start(sample)
    bench.wait_live(sample)
    assert bench.start(sample).result(SECONDS) == "in hand already"
    bench.engine.answer(sample)
    assert first.result(SECONDS) == "accepted"


def test_an_error_of_the_engine_spends_a_retry_and_then_fails(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    for state in ("pending", "failed"):
        ended = bench.start(sample)
        bench.wait_live(sample)
        bench.engine.break_sample(sample, EngineFailure("odd shape"))
        assert ended.result(SECONDS) == "failed: engine"
        assert bench.world.sample(sample)["state"] == state
        bench.world.now(sample)


def test_an_error_that_retrying_cannot_mend_fails_at_once(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    ended = bench.start(sample)
    bench.wait_live(sample)
    bench.engine.break_sample(sample, PromptTooLong("9000 tokens"))  # type: ignore[arg-type]
    assert ended.result(SECONDS) == "failed: prompt_too_long"
    assert bench.world.sample(sample)["state"] == "failed"


def test_a_sample_that_takes_too_long_is_taken_out_and_counts_as_failed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, deadline=0.01)
    (sample,) = bench.world.plan(1)
    assert bench.start(sample).result(SECONDS) == "failed: deadline"
    assert wait_until(lambda: sample not in bench.engine.live, SECONDS)
    bench.close()


def test_a_lost_lease_ends_the_generation_without_a_word(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    ended = bench.start(sample)
    bench.wait_live(sample)
    bench.leases.renewed(bench.leases.snapshot(), {})
    with pytest.raises(HandBack):
        ended.result(SECONDS)
    assert sample not in bench.engine.live


def test_the_end_of_the_worker_releases_what_it_holds_without_spending_a_retry(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    ended = bench.start(sample)
    bench.wait_live(sample)
    bench.shutdown.begin(0.0)
    with pytest.raises(HandBack):
        ended.result(SECONDS)
    row = bench.world.sample(sample)
    assert (row["state"], row["failures"]) == ("pending", 0)
    assert bench.world.endings(sample) == ["released"]


def test_a_worker_that_ends_takes_nothing_new(bench: Bench) -> None:
    (sample,) = bench.world.plan(1)
    bench.shutdown.begin(60.0)
    with pytest.raises(HandBack):
        bench.start(sample).result(SECONDS)
    assert bench.world.sample(sample)["state"] == "pending"


def test_with_the_database_away_the_result_waits_in_the_spool(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = bench.world.plan(1)
    ended = bench.start(sample)
    bench.wait_live(sample)

    def away(_result: Result) -> bool:
        raise DatabaseDown("gone")

    monkeypatch.setattr(bench.world.ledger, "record", away)
    bench.engine.answer(sample, "kept for later")
    assert ended.result(SECONDS) == "spooled"
    (path,) = bench.spool.waiting()
    kept = read_result(path)
    assert kept is not None
    assert (kept.sample_id, kept.content) == (sample, "kept for later")


def test_with_the_disk_full_the_database_still_takes_the_result(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = bench.world.plan(1)

    def full(_result: Result) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench.spool, "write", full)
    ended = bench.start(sample)
    bench.wait_live(sample)
    bench.engine.answer(sample)
    assert ended.result(SECONDS) == "accepted"
    assert bench.world.sample(sample)["state"] == "done"


def test_with_neither_disk_nor_database_a_result_is_held_until_one_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample,) = bench.world.plan(1)
    back, tried = threading.Event(), threading.Event()
    record = bench.world.ledger.record

    def full(_result: Result) -> Path:
        raise OSError(28, "No space left on device")

    def sometimes(result: Result) -> bool:
        tried.set()
        if not back.is_set():
            raise DatabaseDown("gone")
        return record(result)

    monkeypatch.setattr(bench.spool, "write", full)
    monkeypatch.setattr(bench.world.ledger, "record", sometimes)
    ended = bench.start(sample)
    bench.wait_live(sample)
    bench.engine.answer(sample)
    assert tried.wait(SECONDS)
    back.set()
    assert ended.result(SECONDS) == "accepted"


def test_a_claim_waits_for_a_database_that_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = bench.world.plan(1)
    write, answers = Database.write, iter([False, False])

    def sometimes(self: Database, **how: bool) -> object:
        if not next(answers, True):
            raise DatabaseDown("gone")
        return write(self, **how)

    monkeypatch.setattr(Database, "write", sometimes)
    bench.engine.answer_everything()
    assert bench.start(sample).result(SECONDS) == "accepted"
