"""The home: where things lie, made when needed, written whole or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from lemfarm.errors import NoSpace
from lemfarm.home import HOME_VARIABLE, Home, open_home, write_private, write_whole


def test_the_home_is_named_by_argument_then_environment_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "from environment"))
    assert open_home(tmp_path / "named").root == tmp_path / "named"
    assert open_home().root == tmp_path / "from environment"
    monkeypatch.delenv(HOME_VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_home().root == tmp_path / ".lemfarm"


def test_a_relative_home_does_not_move_with_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_home("farm").root == tmp_path / "farm"


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    home = Home(tmp_path / "farm")
    assert home.database == tmp_path / "farm" / "lemfarm.db"
    assert not home.root.exists()
    assert home.ensure(home.logs) == tmp_path / "farm" / "logs"
    assert home.logs.is_dir()


def test_a_home_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NoSpace, match=f"file/farm.*{HOME_VARIABLE}"):
        Home(tmp_path / "file" / "farm").ensure()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_says_what_to_set(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(NoSpace, match=HOME_VARIABLE):
            Home(tmp_path / "farm").ensure()
        with pytest.raises(NoSpace, match=HOME_VARIABLE):
            Home(tmp_path).ensure()
    finally:
        tmp_path.chmod(0o700)


def test_a_home_has_one_identity_for_ever(tmp_path: Path) -> None:
    first = Home(tmp_path / "a").identity
    assert Home(tmp_path / "a").identity == first
    assert Home(tmp_path / "b").identity != first


def test_processes_that_ask_at_once_agree_on_the_identity(tmp_path: Path) -> None:
    for round_number in range(20):
        root = tmp_path / str(round_number)
        gate = threading.Barrier(8)
        found: list[str] = []

        def ask(gate: threading.Barrier = gate, root: Path = root, found: list[str] = found) -> None:
            gate.wait()
            found.append(Home(root).identity)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(found) == {Home(root).identity}


def test_a_private_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    write_private(tmp_path / "deep" / "secret", "word")
    assert stat.S_IMODE((tmp_path / "deep" / "secret").stat().st_mode) == 0o600
    assert (tmp_path / "deep" / "secret").read_text() == "word"


def test_writing_replaces_a_file_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"a long first version")
    write_whole(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "file", b"first")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
