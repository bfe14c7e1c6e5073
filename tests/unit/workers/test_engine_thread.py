"""The engine thread: admission, cancelling, running alone, training breaks, failures, the end."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from lemfarm.engines.base import Completion
from lemfarm.errors import EngineFailure, ModelError
from lemfarm.locks import wait_until
from tests.unit.workers.engine_double import EngineDouble, request
from workers.engine_thread import EngineThread, Withdrawn

SECONDS = 30.0


@pytest.fixture
def engine() -> EngineDouble:
    return EngineDouble()


@pytest.fixture
def thread(engine: EngineDouble) -> Iterator[EngineThread]:
    started = EngineThread(engine)
    started.start()
    yield started
    started.stop()


def ended(future: "Future[Completion]") -> BaseException | str:
    """What became of a future: its text, or its error."""
    error = future.exception(SECONDS)
    return error if error is not None else future.result().text


def test_an_answer_reaches_the_one_who_asked(thread: EngineThread, engine: EngineDouble) -> None:
    first, second = thread.submit(request("a")), thread.submit(request("b"))
    engine.answer("b", "of b")
    engine.answer("a", "of a")
    assert (ended(first), ended(second)) == ("of a", "of b")


def test_the_model_is_loaded_in_the_thread_that_uses_it(thread: EngineThread, engine: EngineDouble) -> None:
    assert engine.thread != threading.get_ident()


def test_a_model_that_cannot_be_loaded_is_told_to_the_starter() -> None:
    class Broken(EngineDouble):
        def load(self) -> object:  # type: ignore[override]
            raise ModelError("no weights")

    thread = EngineThread(Broken())
    with pytest.raises(ModelError, match="no weights"):
        thread.start()
    thread.stop()


def test_no_more_than_the_slots_are_live_at_once(thread: EngineThread, engine: EngineDouble) -> None:
    futures = [thread.submit(request(str(number))) for number in range(12)]
    engine.answer_everything()
    assert [ended(future) for future in futures] == ["a good answer"] * 12
    assert max(len(together) for together in engine.seen_together) <= engine.slots


def test_a_cancelled_sequence_leaves_and_the_others_go_on(thread: EngineThread, engine: EngineDouble) -> None:
    gone, stays = thread.submit(request("gone")), thread.submit(request("stays"))
    assert wait_until(lambda: len(engine.live) == 2, SECONDS)
    thread.cancel("gone")
    assert isinstance(ended(gone), Withdrawn)
    engine.answer("stays")
    assert ended(stays) == "a good answer"


def test_one_that_waits_can_be_cancelled(thread: EngineThread, engine: EngineDouble) -> None:
    futures = {name: thread.submit(request(name)) for name in "abcdef"}
    thread.cancel("f")
    assert isinstance(ended(futures["f"]), Withdrawn)


def test_cancelling_an_unknown_sample_harms_nobody(thread: EngineThread, engine: EngineDouble) -> None:
    thread.cancel("nobody")
    engine.answer_everything()
    assert ended(thread.submit(request("a"))) == "a good answer"


def test_one_that_must_be_alone_waits_for_an_empty_engine_and_keeps_it(
    thread: EngineThread, engine: EngineDouble
) -> None:
    # Given a sequence that decodes, one that must run alone, and one more behind it
    noted: list[set[str]] = []
    first = thread.submit(request("first"))
    assert wait_until(lambda: "first" in engine.live, SECONDS)
    alone = thread.submit(request("alone"), before_alone=lambda: noted.append(set(engine.live)))
    last = thread.submit(request("last"))
    # When they end one after the other
    engine.answer_everything()
    # Then nothing was beside the lonely one, and it was noted before it began
    assert [ended(future) for future in (first, alone, last)] == ["a good answer"] * 3
    assert noted == [set()]
    assert all(together == {"alone"} for together in engine.seen_together if "alone" in together)


def test_company_is_told_when_it_begins_and_when_it_ends(thread: EngineThread, engine: EngineDouble) -> None:
    told: list[tuple[bool, set[str]]] = []
    thread.on_company = lambda together: told.append((together, set(engine.live)))
    first = thread.submit(request("first"))
    assert wait_until(lambda: "first" in engine.live, SECONDS)
    second = thread.submit(request("second"))
    assert wait_until(lambda: "second" in engine.live, SECONDS)
    engine.answer("first")
    assert ended(first) == "a good answer"
    assert wait_until(lambda: len(told) == 2, SECONDS)
    assert told == [(True, {"first", "second"}), (False, {"second"})]
    engine.answer("second")
    assert ended(second) == "a good answer"


def test_a_sample_that_cannot_be_noted_as_alone_is_withdrawn(thread: EngineThread, engine: EngineDouble) -> None:
    def refuse() -> None:
        raise EngineFailure("the database is away")

    assert isinstance(ended(thread.submit(request("alone"), before_alone=refuse)), Withdrawn)
    assert "alone" not in engine.live


def test_an_error_of_one_sample_is_told_to_its_owner_only(thread: EngineThread, engine: EngineDouble) -> None:
    bad, good = thread.submit(request("bad")), thread.submit(request("good"))
    engine.break_sample("bad", EngineFailure("odd shape"))
    engine.answer("good")
    assert str(ended(bad)) == "odd shape"
    assert ended(good) == "a good answer"


def test_an_engine_that_explodes_fails_what_is_live_and_lives_on(thread: EngineThread, engine: EngineDouble) -> None:
    future = thread.submit(request("a"))
    assert wait_until(lambda: "a" in engine.live, SECONDS)
    engine.explode(RuntimeError("out of cheese"))
    thread.cancel("nobody")  # wakes the thread
    assert isinstance(ended(future), EngineFailure)
    engine.answer_everything()
    assert ended(thread.submit(request("b"))) == "a good answer"


def test_a_training_break_withdraws_everything_and_frees_the_model(thread: EngineThread, engine: EngineDouble) -> None:
    live = [thread.submit(request(str(number))) for number in range(6)]
    thread.suspend()
    assert all(isinstance(ended(future), Withdrawn) for future in live)
    assert engine.calls == ["load", "unload"]
    assert isinstance(ended(thread.submit(request("during"))), Withdrawn)
    thread.resume()
    engine.answer_everything()
    assert ended(thread.submit(request("after"))) == "a good answer"
    assert engine.calls == ["load", "unload", "load"]


def test_the_end_withdraws_what_is_left_and_closes_the_engine_in_its_thread(engine: EngineDouble) -> None:
    thread = EngineThread(engine)
    thread.start()
    future = thread.submit(request("a"))
    thread.stop()
    assert isinstance(ended(future), Withdrawn)
    assert engine.calls[-1] == "close"
    assert isinstance(ended(thread.submit(request("late"))), Withdrawn)
