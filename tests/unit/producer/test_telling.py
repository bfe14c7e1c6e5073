"""The command of `notify:` and its message; whatever it does, it ends in time and is accounted for."""

from pathlib import Path

import psutil
import pytest

from lemfarm.locks import wait_until
from lemfarm.notices import LONGEST_TEXT, Message, one_line
from producer.telling import Telling, as_data
from tests.notify_script import keeping, python, told

MESSAGE = Message("full", "lek-1b", "1-deep-axiom", 'phase 1-deep-axiom is full: "300" accepted; $HOME `id`', 1.5)


def test_the_command_reads_the_message_on_its_input_and_in_its_environment(tmp_path: Path) -> None:
    file = tmp_path / "told here.jsonl"
    outcome = Telling(keeping(file), MESSAGE).wait()
    assert (outcome.text, outcome.good) == ("told", True)
    (line,) = told(file)
    assert line["given"] == as_data(MESSAGE)
    assert line["given"]["time"] == "1970-01-01T00:00:01+00:00"
    assert (line["event"], line["run"], line["phase"]) == ("full", "lek-1b", "1-deep-axiom")
    assert line["message"] == MESSAGE.text, "no shell has changed it"


def test_no_shell_stands_between(tmp_path: Path) -> None:
    outcome = Telling(f"{python('import sys; print(sys.argv[1:])')} $HOME ';' touch {tmp_path / 'x'}", MESSAGE).wait()
    assert outcome.said == f"['$HOME', ';', 'touch', '{tmp_path / 'x'}']"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (python("import sys; sys.exit('the server said no')"), "ended with code 1: the server said no"),
        (python("import sys; sys.exit(7)"), "ended with code 7"),
        ("no-such-program-here --at all", "cannot be started: No such file or directory"),
        ("/etc/passwd", "cannot be started: Permission denied"),
    ],
)
def test_a_failure_is_an_outcome_in_words(command: str, text: str) -> None:
    outcome = Telling(command, MESSAGE).wait()
    assert (outcome.text, outcome.good) == (text, False)


def test_one_that_does_not_end_is_killed_with_what_it_started() -> None:
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    outcome = Telling(python(code), MESSAGE, seconds=3.0).wait()
    assert outcome.text.startswith("did not end within 3 s")
    pid = int(outcome.said)
    assert wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", 30.0)


def test_a_command_that_neither_reads_nor_says_little_is_no_trouble() -> None:
    outcome = Telling(python("print('x' * 1_000_000); print('the end')"), MESSAGE).wait()
    assert outcome.good
    assert outcome.said.endswith("the end")
    assert len(outcome.said) < 5_000


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("two\nlines\r\n", "two lines"),
        ("a\x00b\x1b[31mc", "a b [31mc"),
        ("x" * 2_000, "x" * (LONGEST_TEXT - 3) + "..."),
        ("Überführung", "Überführung"),
    ],
)
def test_a_message_is_one_line_that_an_environment_can_hold(said: str, line: str) -> None:
    assert one_line(said) == line
