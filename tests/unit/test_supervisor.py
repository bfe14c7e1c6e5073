"""A supervisor restarts what dies, leaves alone what has ended for good, and ends everything it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from lemfarm.errors import BrokerDown, NoSpace
from lemfarm.locks import wait_until
from lemfarm.supervisor import SUPERVISOR_VARIABLE, Child, Event, Supervisor, orphaned

SECONDS = 30.0  # the longest that a condition may take on a busy machine


@dataclass
class Puppet:
    """A member whose life the test writes."""

    name: str = "puppet"
    code: int | None = None
    starts: int = 0
    refuses: bool = False
    obeys: bool = True
    ends: list[bool] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    on_wait: Callable[[], object] = lambda: None

    def start(self) -> None:
        if self.refuses:
            raise BrokerDown("not now")
        self.starts += 1
        self.code = None

    def exit_code(self) -> int | None:
        if self.ends:
            self.on_wait()
        return self.code

    def end(self, *, at_once: bool) -> None:
        self.ends.append(at_once)
        self.order.append(self.name)
        if self.obeys or at_once:
            self.code = 0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def supervise(*members: Puppet, clock: Clock) -> Supervisor:
    supervisor = Supervisor(members, clock=clock, first_pause_seconds=1.0)
    supervisor.start()
    return supervisor


def test_a_member_that_dies_is_started_again_after_a_pause() -> None:
    puppet, clock = Puppet(), Clock()
    supervisor = supervise(puppet, clock=clock)
    puppet.code = -9
    assert supervisor.poll() == [Event("puppet", "died", -9)]
    assert supervisor.poll() == []
    assert puppet.starts == 1
    clock.now += 1.0
    assert kinds(supervisor.poll()) == ["restarted"]
    assert puppet.starts == 2


def test_the_pause_doubles_with_each_quick_death_and_ends_after_a_healthy_life() -> None:
    puppet, clock = Puppet(), Clock()
    supervisor = supervise(puppet, clock=clock)

    def pause_after_death() -> float:
        puppet.code = 1
        assert kinds(supervisor.poll()) == ["died"]
        died = clock.now
        while supervisor.poll() == []:
            clock.now += 0.5
        return clock.now - died

    assert [pause_after_death() for _ in range(4)] == [1.0, 2.0, 4.0, 8.0]
    clock.now += 3600
    assert pause_after_death() == 1.0
    assert max(pause_after_death() for _ in range(10)) == 60.0


@pytest.mark.parametrize("code", [0, 2])
def test_a_final_code_is_not_answered_by_a_restart(code: int) -> None:
    puppet, clock = Puppet(), Clock()
    supervisor = supervise(puppet, clock=clock)
    puppet.code = code
    assert supervisor.poll() == [Event("puppet", "ended", code)]
    clock.now += 3600
    assert supervisor.poll() == []
    assert puppet.starts == 1
    assert supervisor.all_ended
    assert supervisor.codes == {"puppet": code}


def test_a_member_that_cannot_be_started_does_not_end_the_watch_over_the_others() -> None:
    stuck, other, clock = Puppet("stuck"), Puppet("other"), Clock()
    supervisor = supervise(stuck, other, clock=clock)
    stuck.code, stuck.refuses = 1, True
    supervisor.poll()
    clock.now += 1.0
    other.code = 1
    assert supervisor.poll() == [Event("stuck", "not started", text="not now"), Event("other", "died", 1)]
    stuck.refuses = False
    clock.now += 60.0
    assert kinds(supervisor.poll()) == ["restarted", "restarted"]


def test_when_one_cannot_be_started_at_first_the_others_are_ended() -> None:
    first, second = Puppet("first"), Puppet("second", refuses=True)
    with pytest.raises(BrokerDown):
        Supervisor([first, second]).start()
    assert first.ends == [False]


def test_services_end_after_the_members_that_need_them() -> None:
    order: list[str] = []
    service, member = Puppet("service", order=order), Puppet("member", order=order)
    supervisor = Supervisor([member], services=[service])
    supervisor.start()
    assert supervisor.stop(grace_seconds=SECONDS)
    assert order == ["member", "service"]


def test_a_member_that_outlives_the_grace_is_killed() -> None:
    deaf = Puppet(obeys=False)
    supervisor = Supervisor([deaf])
    supervisor.start()
    assert not supervisor.stop(grace_seconds=0.0)
    assert deaf.ends == [False, True]


def test_a_second_stop_kills_at_once() -> None:
    deaf = Puppet(obeys=False)
    supervisor = Supervisor([deaf])
    supervisor.start()
    deaf.on_wait = lambda: supervisor.stop(SECONDS)  # as a signal handler would, while the first one waits
    assert not supervisor.stop(grace_seconds=10 * SECONDS)
    assert deaf.ends == [False, True]


def test_nothing_is_restarted_after_a_stop() -> None:
    puppet, clock = Puppet(), Clock()
    supervisor = supervise(puppet, clock=clock)
    supervisor.stop(grace_seconds=0.0)
    puppet.code = -9
    assert supervisor.poll() == []


# Real processes from here on.


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[[str], Child]]:
    made: list[Child] = []

    def make(code: str) -> Child:
        made.append(Child("child", (sys.executable, "-u", "-c", code), tmp_path / "child.log", {"FROM_US": "yes"}))
        return made[-1]

    yield make
    for process in made:
        process.end(at_once=True)
        assert wait_until(lambda process=process: process.exit_code() is not None, SECONDS)  # type: ignore[misc]


def says(child: Child, text: str) -> bool:
    return wait_until(lambda: text in child.log.read_text(), SECONDS)


def test_a_child_gets_its_environment_and_appends_to_its_log(child: Callable[[str], Child]) -> None:
    process = child("import os; print('environment', os.environ['FROM_US'], 'PATH' in os.environ)")
    for _ in range(2):
        process.start()
        assert wait_until(lambda: process.exit_code() == 0, SECONDS)
    assert process.log.read_text() == "environment yes True\n" * 2


def test_a_child_lives_in_a_session_of_its_own(child: Callable[[str], Child]) -> None:
    process = child("import time; print('up'); time.sleep(600)")
    process.start()
    assert process.pid is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_a_killed_child_is_started_again_and_stop_passes_sigterm_on(child: Callable[[str], Child]) -> None:
    process = child(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))\n"
        "print('up')\ntime.sleep(600)"
    )
    supervisor = Supervisor([process], first_pause_seconds=0.0)
    supervisor.start()
    assert says(process, "up\n")
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: "restarted" in kinds(supervisor.poll()), SECONDS)
    assert process.pid != first
    assert says(process, "up\nup\n")
    assert supervisor.stop(grace_seconds=SECONDS)
    assert process.log.read_text().endswith("bye\n")


def test_what_a_dead_child_left_running_is_ended_too(child: Callable[[str], Child], tmp_path: Path) -> None:
    process = child(
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, 'started', flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    process.start()
    assert says(process, "started")
    grandchild = psutil.Process(int(process.log.read_text().split()[0]))
    assert wait_until(lambda: process.exit_code() == -9, SECONDS)
    assert wait_until(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE, SECONDS)


def test_a_child_whose_log_cannot_be_written_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file, not a folder")
    with pytest.raises(NoSpace, match=r"child\.log"):
        Child("child", (sys.executable, "-c", ""), tmp_path / "logs" / "child.log").start()


def test_a_child_sees_that_its_supervisor_is_gone(tmp_path: Path) -> None:
    assert not orphaned({})
    assert not orphaned({SUPERVISOR_VARIABLE: str(os.getppid())})
    assert orphaned({SUPERVISOR_VARIABLE: str(os.getpid())})


RUNNER = """
import sys
from pathlib import Path
from lemfarm.supervisor import Child, Supervisor, run
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
child = Child("deaf", (sys.executable, "-c", code), Path(sys.argv[1]))
sys.exit(run(Supervisor([child]), grace_seconds=600, on_event=lambda event: None))
"""


def test_ctrl_c_once_waits_for_the_children_and_twice_kills_them(tmp_path: Path) -> None:
    log = tmp_path / "deaf.log"
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(log)], start_new_session=True)
    try:
        assert wait_until(lambda: log.exists() and "deaf" in log.read_text(), SECONDS)
        [deaf] = psutil.Process(runner.pid).children()
        runner.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            runner.wait(1.0)
        assert deaf.is_running()
        runner.send_signal(signal.SIGINT)
        assert runner.wait(SECONDS) == 130
        assert not deaf.is_running()
    finally:
        runner.kill()
        runner.wait()
