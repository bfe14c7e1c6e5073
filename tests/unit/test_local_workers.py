"""Worker processes of one home: names, locks, orphans that are adopted, workers that two commands share."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemfarm import local_workers
from lemfarm.errors import InputError
from lemfarm.home import Home
from lemfarm.local_workers import KeptWorker, WorkerPlace, living_workers, take_name, worker_members
from lemfarm.supervisor import SUPERVISOR_VARIABLE

PATIENCE = 60.0
DEAD = 2**22 + 1
"""No process has this id: the kernel's largest is smaller."""

HOLD = """
import os, signal, sys, time
from lemfarm.home import Home
from lemfarm.local_workers import take_name
from pathlib import Path
take_name(Home(Path(sys.argv[1])), os.environ["LEMFARM_WORKER_NAME"])
print("ready", flush=True)
signal.pause()
"""
"""A process that holds a worker's name and ends with the first signal."""

Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def begin(home: Home) -> Iterator[Begin]:
    """Start a process of a worker name as a supervisor would, here or (killed since) elsewhere."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *, supervisor: int, run: str = "") -> "subprocess.Popen[str]":
        environment = {"LEMFARM_WORKER_NAME": name, SUPERVISOR_VARIABLE: str(supervisor), "LEMFARM_RUN": run}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(home.root)],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], KeptWorker]]:
    """Members whose processes only hold the name."""
    made: list[KeptWorker] = []
    original = local_workers.Child

    def child(name: str, _argv: object, log: Path, environment: dict[str, str]) -> object:
        return original(name, [sys.executable, "-c", HOLD, str(home.root)], log, environment)

    monkeypatch.setattr(local_workers, "Child", child)

    def make(name: str) -> KeptWorker:
        made.append(KeptWorker(WorkerPlace(home, name), {}))
        return made[-1]

    yield make
    for worker in made:
        if worker._child is not None:
            worker._child.end(at_once=True)
            wait(lambda one=worker: one._child is None or one._child.exit_code() is not None)  # type: ignore[misc]


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def names(members: list[KeptWorker]) -> list[str]:
    return [member.name for member in members]


# ---- names


def test_a_name_is_held_by_one_process_while_it_lives(home: Home, begin: Begin) -> None:
    process = begin("mac-1", supervisor=os.getpid())
    with pytest.raises(InputError, match=rf"mac-1 runs in .* already \(process {process.pid}\)"):
        take_name(home, "mac-1")
    process.kill()
    process.wait()
    lock = take_name(home, "mac-1")
    assert WorkerPlace(home, "mac-1").pid == os.getpid()
    os.close(lock)


def test_who_lives_is_seen_by_its_lock_not_by_its_file(home: Home, begin: Begin) -> None:
    assert living_workers(home) == []
    process = begin("mac-1", supervisor=os.getpid(), run="tiny")
    (place,) = living_workers(home)
    assert (place.name, place.pid, place.supervisor, place.run) == ("mac-1", process.pid, os.getpid(), "tiny")
    process.kill()
    process.wait()
    assert (living_workers(home), place.pid, place.ids.exists()) == ([], None, True)


def test_a_damaged_file_beside_the_lock_does_no_harm(home: Home, begin: Begin) -> None:
    begin("mac-1", supervisor=os.getpid())
    place = WorkerPlace(home, "mac-1")
    place.ids.write_text("{")
    assert (place.lives, place.pid, place.supervisor, place.run) == (True, None, 0, "")


# ---- whom a command supervises


def test_new_workers_get_the_free_names(home: Home, begin: Begin) -> None:
    base = worker_members(home, 1, {})[0].name.removesuffix("-1")
    begin(f"{base}-1", supervisor=os.getpid())
    assert names(worker_members(home, 2, {})) == [f"{base}-2", f"{base}-3"]


def test_orphans_are_adopted_first(home: Home, begin: Begin) -> None:
    begin("lost", supervisor=DEAD)
    assert names(worker_members(home, 2, {}))[0] == "lost"
    assert len(worker_members(home, 2, {})) == 2


def test_an_orphan_of_another_run_is_left_to_it(home: Home, begin: Begin) -> None:
    """It has that run's model in memory and serves nothing else."""
    begin("lost", supervisor=DEAD, run="other")
    assert "lost" not in names(worker_members(home, 2, {"LEMFARM_RUN": "tiny"}))
    assert "lost" in names(worker_members(home, 2, {"LEMFARM_RUN": "other"}))


def test_who_follows_the_same_run_shares_its_workers(home: Home, begin: Begin) -> None:
    begin("busy", supervisor=os.getpid(), run="tiny")
    begin("other", supervisor=os.getpid(), run="other")
    assert names(worker_members(home, 1, {"LEMFARM_RUN": "tiny"}, shares=True)) == ["busy"]
    more = worker_members(home, 2, {"LEMFARM_RUN": "tiny"}, shares=True)
    assert names(more)[0] == "busy" and "other" not in names(more)
    assert "busy" not in names(worker_members(home, 1, {"LEMFARM_RUN": "tiny"}))


def test_a_name_that_is_taken_is_refused_and_that_of_an_orphan_is_not(home: Home, begin: Begin) -> None:
    begin("mac-1", supervisor=os.getpid())
    begin("lost", supervisor=DEAD)
    with pytest.raises(InputError, match=r"mac-1 runs in .* already; choose another --name"):
        worker_members(home, 1, {}, name="mac-1")
    assert names(worker_members(home, 1, {}, name="lost")) == ["lost"]


# ---- the life of a member


def test_a_member_is_started_and_ended(home: Home, kept: Callable[[str], KeptWorker]) -> None:
    member = kept("mac-1")
    member.start()
    wait(lambda: member.place.lives and member.place.supervisor == os.getpid())
    assert member.exit_code() is None
    member.end(at_once=False)
    wait(lambda: member.exit_code() is not None)
    assert member.exit_code() == -signal.SIGTERM


def test_an_adopted_orphan_is_ended_with_us_and_started_again_when_it_dies(
    home: Home, begin: Begin, kept: Callable[[str], KeptWorker]
) -> None:
    # Given an orphan that is adopted
    orphan = begin("lost", supervisor=DEAD)
    member = kept("lost")
    member.start()
    assert not member.place.is_orphan
    assert member.place.supervisor == os.getpid()
    assert member.exit_code() is None
    # When it dies, then it counts as killed, and a new start makes a process of our own
    orphan.kill()
    orphan.wait()
    wait(lambda: member.exit_code() == -signal.SIGKILL)
    member.start()
    wait(lambda: member.place.lives and member.place.pid not in (None, orphan.pid))
    assert member.exit_code() is None


def test_an_adopted_orphan_hears_the_end(home: Home, begin: Begin, kept: Callable[[str], KeptWorker]) -> None:
    orphan = begin("lost", supervisor=DEAD)
    member = kept("lost")
    member.start()
    member.end(at_once=False)
    assert orphan.wait(PATIENCE) == -signal.SIGTERM


def test_a_shared_worker_is_left_to_who_supervises_it(
    home: Home, begin: Begin, kept: Callable[[str], KeptWorker]
) -> None:
    # Given a worker of another command that lives
    other = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        busy = begin("busy", supervisor=other.pid)
        member = kept("busy")
        member.start()
        assert (member.exit_code(), member.place.supervisor) == (None, other.pid)
        # When we end, then it goes on, and we need not wait for it
        member.end(at_once=False)
        member.end(at_once=True)
        assert (member.exit_code(), busy.poll()) == (0, None)
    finally:
        other.kill()
        other.wait()


def test_of_two_that_start_one_again_the_slower_shares_it(
    home: Home, begin: Begin, kept: Callable[[str], KeptWorker]
) -> None:
    # Given a member whose process ended because another command's has the name
    begin("mac-1", supervisor=os.getpid())
    member = kept("mac-1")
    member._child = local_workers.Child("mac-1", [], home.logs / "mac-1.log", {})  # type: ignore[assignment]
    member._child.start()
    wait(lambda: member._child is None or member._child.exit_code() is not None)
    # Then it counts as alive
    assert member.exit_code() is None
    assert member._child is None


def test_the_file_beside_the_lock_is_private(home: Home, begin: Begin) -> None:
    begin("mac-1", supervisor=os.getpid(), run="tiny")
    place = WorkerPlace(home, "mac-1")
    assert place.ids.stat().st_mode & 0o077 == 0
    assert json.loads(place.ids.read_text()).keys() == {"pid", "supervisor", "run"}
