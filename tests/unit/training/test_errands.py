"""Programs that work for a while: their lines are told as they come, and the end of them when they fail."""

import os
import signal
import subprocess
import sys

import pytest

from lemfarm.training.errands import ErrandFailed, run_errand

STOPPED = """

from lemfarm.training.errands import run_errand
def hear(line):
    print(line, flush=True)
    raise KeyboardInterrupt
run_errand("waiting", ["sh", "-c", "echo $$; exec sleep 600"], hear)
"""


def run(script: str, heard: list[str] | None = None) -> None:
    run_errand("the work", [sys.executable, "-c", script], (heard if heard is not None else []).append)


def test_lines_of_both_streams_are_told_without_colours_and_blanks() -> None:
    heard: list[str] = []
    run("import sys; print('\\x1b[1mone\\x1b[0m'); print(); print('two', file=sys.stderr)", heard)
    assert heard == ["one", "two"]


def test_a_bar_that_is_drawn_over_itself_is_told_step_by_step() -> None:
    heard: list[str] = []
    run("print('10%', end='\\r'); print('20%', end='\\r'); print('done')", heard)
    assert heard == ["10%", "20%", "done"]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("print('so far'); raise ValueError('no such kind')", ("so far", "ValueError: no such kind")),
        (
            "def a(n): return b(n - 1)\ndef b(n): return a(n) if n else 1 / 0\nprint('far')\na(20)",
            ("ZeroDivisionError: division by zero",),
        ),
        ("print('a'); print('b'); raise SystemExit(3)", ("a", "b")),
        ("raise SystemExit(3)", ()),
    ],
)
def test_a_failure_is_explained_by_the_last_lines_without_a_traceback(script: str, says: tuple[str, ...]) -> None:
    with pytest.raises(ErrandFailed, match="the work ended with code") as raised:
        run(script)
    assert raised.value.tail == says
    assert "Traceback" not in str(raised.value) and raised.value.exit_code == 1


def test_a_program_that_is_killed_is_told_by_its_signal() -> None:
    with pytest.raises(ErrandFailed, match="was ended by signal 9"):
        run(f"import os; os.kill(os.getpid(), {signal.SIGKILL})")


def test_an_interruption_ends_the_program_too() -> None:
    done = subprocess.run([sys.executable, "-c", STOPPED], capture_output=True, text=True, check=False)
    child = int(done.stdout.split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
