"""A log moves aside when it has grown, while its process writes: no line is lost, and there are two files at most."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.locks import wait_until
from lemfarm.rotation import LIMIT_VARIABLE, LOG_VARIABLE, begin_anew, keep_small, rotate
from lemfarm.supervisor import Child

SECONDS = 30.0


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(LIMIT_VARIABLE, "10")
    return tmp_path / "worker.log"


def test_a_log_that_has_grown_becomes_the_older_one(log: Path) -> None:
    log.write_text("x" * 11)
    rotate(log)
    assert not log.exists()
    assert log.with_name("worker.log.1").read_text() == "x" * 11
    log.write_text("x" * 10)
    rotate(log)
    assert log.exists()


def test_an_open_log_goes_on_in_a_new_file(log: Path) -> None:
    with log.open("a", buffering=1) as stream, log.open("a", buffering=1) as other:
        stream.write("a long first line\n")
        begin_anew(log, stream.fileno(), other.fileno())
        stream.write("second\n")
        other.write("third\n")
    assert log.with_name("worker.log.1").read_text() == "a long first line\n"
    assert log.read_text() == "second\nthird\n"


def test_who_writes_to_a_log_that_another_process_moved_follows(log: Path) -> None:
    with log.open("a", buffering=1) as ours, log.open("a", buffering=1) as theirs:
        theirs.write("a long first line\n")
        begin_anew(log, theirs.fileno())
        ours.write("too late\n")
        begin_anew(log, ours.fileno())
        ours.write("ours\n")
        theirs.write("theirs\n")
    assert log.with_name("worker.log.1").read_text() == "a long first line\ntoo late\n"
    assert log.read_text() == "ours\ntheirs\n"


def test_a_file_that_takes_the_number_of_a_closed_log_is_left_alone(log: Path, tmp_path: Path) -> None:
    # Given a log that is looked after, and closed
    before = set(threading.enumerate())
    stream = log.open("a")
    number = stream.fileno()
    keep_small(log, stream, seconds=0.05)
    (care,) = set(threading.enumerate()) - before
    stream.close()
    # When another file gets its number, and the care for the log has ended
    with (tmp_path / "other").open("a") as other:
        assert other.fileno() == number
        log.unlink()
        care.join(SECONDS)
        other.write("mine")
    # Then what is written to that file is there
    assert (tmp_path / "other").read_text() == "mine" and not care.is_alive()


CHATTY = """
import os, sys
from lemfarm.rotation import keep_own_output_small
keep_own_output_small(seconds=0.01)
for number in range(100_000):
    os.write(1 + number % 2, f"{number}\\n".encode())
    if os.path.exists(sys.argv[1] + ".1"):
        break
os.write(2, b"the end\\n")
"""


@pytest.fixture
def child(log: Path) -> Iterator[Child]:
    made = Child("worker", (sys.executable, "-c", CHATTY, str(log)), log, {LIMIT_VARIABLE: "1000"})
    yield made
    made.end(at_once=True)


def test_a_supervised_process_looks_after_its_own_log(child: Child, log: Path) -> None:
    child.start()
    assert wait_until(lambda: child.exit_code() == 0, SECONDS)
    older = log.with_name("worker.log.1").read_text()
    newer = log.read_text() if log.exists() else ""  # it may have ended before it began the new one
    *numbers, end = (older + newer).split("\n")[:-1]
    assert end == "the end"
    assert [int(number) for number in numbers] == list(range(len(numbers))), "every line of both streams, in order"


def test_a_process_whose_output_is_something_else_leaves_the_named_log_alone(log: Path) -> None:
    """The variable is inherited by whatever a worker starts."""
    log.write_text("x" * 2_000)
    code = "import threading; from lemfarm.rotation import keep_own_output_small; keep_own_output_small()"
    code += "; print(threading.active_count())"
    done = subprocess.run(
        [sys.executable, "-c", code], env={LOG_VARIABLE: str(log)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
