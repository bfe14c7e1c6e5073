"""`worker install|uninstall` as a person meets them; launchd, root and /Library stand aside for folders of the test."""

import os
import plistlib
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from lemfarm.home import Home
from lemfarm.host import launchd
from tests.command import Ran, lemfarm

Say = Callable[..., Ran]
SOMEONE = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != 0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.ensure(made.valkey)
    made.ensure(made.logs)
    return made


@pytest.fixture
def say(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LEMFARM_HOME", str(home.root))
    return lambda *words: lemfarm(capsys, "worker", *words)


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Mac without root's rights; returns its folder of daemons."""
    daemons = tmp_path / "LaunchDaemons"
    daemons.mkdir()
    monkeypatch.setattr(launchd, "DAEMONS", daemons)
    monkeypatch.setattr(launchd, "is_mac", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 501)
    return daemons


@pytest.fixture
def root(tmp_path: Path, mac: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same Mac under sudo, with `install` and `launchctl` that note what they are told; returns the note."""
    told, programs = tmp_path / "told", tmp_path / "bin"
    programs.mkdir()
    copy = 'for last; do before="$file"; file="$last"; done; /bin/cp "$before" "$file"'
    for name, more in (("install", copy), ("launchctl", "")):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {told}\n{more}\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SUDO_USER", SOMEONE)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return told


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_where_there_is_no_launchd_it_says_what_to_do(say: Say, verb: str) -> None:
    ran = say(verb)
    assert (ran.code, ran.out, "service manager" in ran.err) == (2, "", True)


def test_the_file_can_be_seen_anywhere(say: Say, home: Home) -> None:
    ran = say("install", "--print", "--user", SOMEONE, "--hours", "22:00-07:00", "--on-battery", "pause")
    file = plistlib.loads(ran.out.encode())
    assert (ran.code, file["UserName"]) == (0, SOMEONE)
    assert file["ProgramArguments"][-4:] == ["--hours", "22:00-07:00", "--on-battery", "pause"]
    assert not (home.root / "launchd").exists(), "nothing is written"


def test_without_sudo_it_writes_a_draft_and_shows_the_commands(say: Say, home: Home, mac: Path) -> None:
    ran = say("install", "--user", SOMEONE)
    draft = home.root / "launchd" / "lemfarm.worker.plist"
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"sudo install -o root -g wheel -m 644 {draft} {mac}/lemfarm.worker.plist",
        f"sudo launchctl bootstrap system {mac}/lemfarm.worker.plist",
    ]
    assert plistlib.loads(draft.read_bytes())["Label"] == "lemfarm.worker"


def test_json_has_the_file_and_what_is_left_to_do(say: Say, mac: Path) -> None:
    found = say("install", "--user", SOMEONE, "--name", "mac-1", "--json").data
    assert (found["kind"], found["installed"], len(found["commands"])) == ("daemon", False, 2)
    assert found["plist"]["Label"] == found["label"] == "lemfarm.worker.mac-1"


def test_with_sudo_it_installs_and_uninstalls_itself(say: Say, mac: Path, root: Path) -> None:
    ran = say("install")
    file = mac / "lemfarm.worker.plist"
    assert (ran.code, "runs now" in ran.out) == (0, True)
    assert plistlib.loads(file.read_bytes())["UserName"] == SOMEONE
    assert [line.split()[0] for line in root.read_text().splitlines()] == ["install", "launchctl"]
    again = say("install")
    assert (again.code, "is there already" in again.err) == (2, True)

    ran = say("uninstall")
    assert (ran.code, ran.out) == (0, "lemfarm.worker is gone.\n")
    assert not file.exists()
    assert root.read_text().splitlines()[-1] == "launchctl bootout system/lemfarm.worker"


def test_under_sudo_the_farm_is_the_users_and_not_roots(
    say: Say, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEMFARM_HOME")
    ran = say("install")
    assert (ran.code, f"{pwd.getpwnam(SOMEONE).pw_dir}/.lemfarm belongs to no farm" in ran.err) == (2, True)


def test_what_is_not_installed_cannot_be_uninstalled(say: Say, mac: Path) -> None:
    ran = say("uninstall", "--name", "mac-1")
    assert (ran.code, "no worker is installed" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--hours", "at night"), "write 22:00-07:30"),
        (("--name", "mac 1"), "letters, digits"),
        (("--model", "a=/nowhere"), "ID=FOLDER"),
        (("--user", "nobody-at-all"), "no user nobody-at-all"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    say: Say, home: Home, mac: Path, options: tuple[str, str], words: str
) -> None:
    ran = say("install", "--user", SOMEONE, *options)
    assert (ran.code, words in ran.err) == (2, True)
    assert not (home.root / "launchd").exists()


def test_options_before_the_verb_are_not_dropped_silently(say: Say) -> None:
    ran = say("--hours", "22:00-07:00", "install")
    assert (ran.code, "lemfarm worker install --hours" in ran.err) == (2, True)
