"""The LaunchDaemon of a worker: what its file says, whom it runs as, and what puts it in its place."""

import os
import plistlib
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from lemfarm.connections import write_join_file
from lemfarm.errors import InputError, Unavailable
from lemfarm.home import Home
from lemfarm.host import launchd
from lemfarm.host.launchd import (
    Account,
    Daemon,
    carry_out,
    find_account,
    install_commands,
    is_loaded,
    label_of,
    uninstall_commands,
    worker_daemon,
)
from lemfarm.host.manners import Manners, OnBattery
from lemfarm.host.working_hours import Hours

SECRET = "hush"
ME = Account("ada", Path("/Users/ada"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that joined a farm on other machines."""
    made = Home(tmp_path / "farm")
    write_join_file(
        made, database=f"postgresql://lemfarm:{SECRET}@head.local/lemfarm", broker=f"redis://farm:{SECRET}@head.local/0"
    )
    return made


@pytest.fixture
def daemons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /Library/LaunchDaemons."""
    folder = tmp_path / "LaunchDaemons"
    folder.mkdir()
    monkeypatch.setattr(launchd, "DAEMONS", folder)
    return folder


def daemon(home: Home, **options: object) -> Daemon:
    return worker_daemon(home, ME, **options)  # type: ignore[arg-type]


# ---- the file


def test_the_file_starts_this_python_as_the_farms_user_and_keeps_it_alive(home: Home) -> None:
    file = plistlib.loads(daemon(home).xml)
    command = [sys.executable, "-m", "lemfarm", "worker", "--home", str(home.root), "--grace", "20"]
    assert file["ProgramArguments"] == command
    assert Path(file["ProgramArguments"][0]).is_absolute()
    assert (file["Label"], file["UserName"], file["RunAtLoad"]) == ("lemfarm.worker", "ada", True)
    assert file["KeepAlive"] == {"SuccessfulExit": False}, "a worker that was drained stays away"
    assert file["ThrottleInterval"] == 30
    assert file["ProcessType"] == "Interactive", "the others are throttled by macOS"
    assert file["StandardOutPath"] == file["StandardErrorPath"] == str(home.logs / "lemfarm.worker.log")
    assert "SessionCreate" not in file


def test_the_file_holds_every_option_that_a_worker_was_given(home: Home, tmp_path: Path) -> None:
    manners = Manners(Hours.parse(["22:00-07:00"]), OnBattery.PAUSE, caffeinate=False)
    made = daemon(home, name="mac-1", slots=6, models={"o/m": tmp_path}, run="lek", grace_seconds=90.0, manners=manners)
    said = " ".join(made.plist["ProgramArguments"])
    assert f"--name mac-1 --slots 6 --model o/m={tmp_path} --run lek --grace 90" in said
    assert said.endswith("--hours 22:00-07:00 --on-battery pause --no-caffeinate")
    assert made.label == "lemfarm.worker.mac-1"


@pytest.mark.parametrize("grace", [0.0, 20.0, 600.0])
def test_launchd_waits_longer_than_the_grace_and_its_supervisor(home: Home, grace: float) -> None:
    assert daemon(home, grace_seconds=grace).plist["ExitTimeOut"] > grace + 15


def test_no_password_and_no_token_stand_in_the_file(home: Home) -> None:
    environ = {"HF_HOME": "/Volumes/models", "HF_TOKEN": SECRET, "LEMFARM_DATABASE": SECRET, "LEMFARM_BROKER": SECRET}
    made = daemon(home, environ=environ)
    assert SECRET not in made.xml.decode()
    assert made.plist["EnvironmentVariables"]["HF_HOME"] == "/Volumes/models"
    assert made.plist["EnvironmentVariables"]["HOME"] == "/Users/ada"
    assert "/usr/bin" in made.plist["EnvironmentVariables"]["PATH"]


def test_folders_that_macos_keeps_daemons_out_of_are_noted(home: Home) -> None:
    assert daemon(home).notes == []
    hidden = Daemon("l", ME, Home(Path("/Users/ada/Documents/farm")), python="/Users/ada/Desktop/venv/bin/python")
    assert [note.partition(":")[0] for note in hidden.notes] == [
        "/Users/ada/Desktop/venv/bin/python",
        "/Users/ada/Documents/farm",
    ]


# ---- what is refused


def test_a_home_without_a_farm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lemfarm join"):
        daemon(Home(tmp_path / "nothing"))


def test_a_home_with_services_of_its_own_will_do(tmp_path: Path) -> None:
    home = Home(tmp_path / "own")
    home.ensure(home.valkey)
    assert daemon(home).home == home


@pytest.mark.parametrize("name", ["mac 1", "../../etc", "", "a/b"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="letters, digits"):
        label_of(name)


# ---- whom it runs as


def test_the_user_is_the_one_named_else_who_called_sudo_else_this_one() -> None:
    someone = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    expected = Account(someone.pw_name, Path(someone.pw_dir))
    assert find_account(someone.pw_name, {"SUDO_USER": "root"}, 0) == expected
    assert find_account(None, {"SUDO_USER": someone.pw_name}, 0) == expected
    assert find_account(None, {}, someone.pw_uid) == expected


@pytest.mark.parametrize(("name", "environ"), [("root", {}), (None, {"SUDO_USER": "root"}), (None, {})])
def test_root_is_refused(name: str | None, environ: dict[str, str]) -> None:
    with pytest.raises(InputError, match="--user NAME"):
        find_account(name, environ, 0)


def test_a_user_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="no user nobody-at-all"):
        find_account("nobody-at-all", {}, os.getuid())


# ---- the commands


def test_installing_is_copying_as_root_and_telling_launchd(home: Home, daemons: Path, tmp_path: Path) -> None:
    home.ensure(home.logs)
    assert install_commands(daemon(home), tmp_path / "draft") == [
        ["install", "-o", "root", "-g", "wheel", "-m", "644", f"{tmp_path}/draft", f"{daemons}/lemfarm.worker.plist"],
        ["launchctl", "bootstrap", "system", f"{daemons}/lemfarm.worker.plist"],
    ]


def test_a_missing_folder_for_logs_is_made_for_the_user(home: Home, daemons: Path, tmp_path: Path) -> None:
    first = install_commands(daemon(home), tmp_path / "draft")[0]
    assert first == ["install", "-d", "-o", "ada", "-m", "755", str(home.logs)]


def test_a_daemon_that_is_there_is_not_overwritten(home: Home, daemons: Path, tmp_path: Path) -> None:
    (daemons / "lemfarm.worker.plist").touch()
    with pytest.raises(InputError, match="lemfarm worker uninstall"):
        install_commands(daemon(home), tmp_path / "draft")
    assert install_commands(daemon(home, name="second"), tmp_path / "draft")


def test_uninstalling_removes_the_file_and_ends_what_runs(
    daemons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = daemons / "lemfarm.worker.plist"
    with pytest.raises(InputError, match="is not there"):
        uninstall_commands("lemfarm.worker")
    file.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert uninstall_commands("lemfarm.worker") == [["rm", str(file)]], "nothing runs where there is no launchctl"
    launchctl(tmp_path, code=0)
    assert is_loaded("lemfarm.worker")
    assert uninstall_commands("lemfarm.worker") == [
        ["launchctl", "bootout", "system/lemfarm.worker"],
        ["rm", str(file)],
    ]
    launchctl(tmp_path, code=113)
    assert not is_loaded("lemfarm.worker")


def launchctl(folder: Path, code: int) -> None:
    """A program of that name that ends with this code."""
    program = folder / "launchctl"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)


def test_commands_run_in_order_up_to_the_first_that_fails(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    carry_out([["mkdir", str(mark)], ["rmdir", str(mark)], ["mkdir", str(mark)]])
    assert mark.is_dir()
    with pytest.raises(Unavailable, match=r"rmdir .* failed"):
        carry_out([["rmdir", str(tmp_path / "nothing")], ["rmdir", str(mark)]])
    assert mark.is_dir()


def test_the_file_is_what_plutil_would_read(home: Home, tmp_path: Path) -> None:
    """An XML property list with Apple's header; any parser of them reads it back."""
    made = daemon(home)
    (tmp_path / "file").write_bytes(made.xml)
    code = "import plistlib, sys; print(plistlib.load(open(sys.argv[1], 'rb'))['Label'])"
    said = subprocess.run([sys.executable, "-c", code, tmp_path / "file"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == made.label
    assert b'"-//Apple//DTD PLIST 1.0//EN"' in made.xml
