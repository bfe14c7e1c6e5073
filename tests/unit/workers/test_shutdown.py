"""How a worker is asked to end, and what each word means for what it has in hand."""

from workers.shutdown import RELOAD, Shutdown

LONG = 1000.0


def test_the_first_signal_begins_the_grace_and_the_second_ends_it() -> None:
    shutdown = Shutdown()
    shutdown.hear(LONG)
    assert shutdown.asked
    assert not shutdown.now
    shutdown.hear(LONG)
    assert shutdown.now


def test_a_drain_has_no_end_to_its_patience_even_after_its_own_signal() -> None:
    shutdown = Shutdown()
    shutdown.begin(float("inf"))
    shutdown.own_signal = True
    shutdown.hear(LONG)
    assert shutdown.asked
    assert not shutdown.now
    assert not shutdown.hurried


def test_a_signal_from_outside_hurries_a_drain() -> None:
    shutdown = Shutdown()
    shutdown.begin(float("inf"))
    shutdown.hear(LONG)
    assert shutdown.hurried
    assert not shutdown.now


def test_a_worker_that_wants_to_start_again_says_so_by_its_code() -> None:
    shutdown = Shutdown()
    shutdown.begin(0.0, exit_code=RELOAD)
    shutdown.hear(LONG)
    assert (shutdown.exit_code, shutdown.now) == (RELOAD, True)


def test_waiting_ends_when_asked() -> None:
    shutdown = Shutdown()
    assert not shutdown.wait(0.0)
    shutdown.begin(LONG)
    assert shutdown.wait(60.0)
