"""A file that is there whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from lemfarm.errors import InputError, NoSpace
from lemfarm.output_files import check_output, whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_there_once_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with whole_file(target) as write:
        write(b"one\n")
        assert not target.exists()
        write(b"two\n")
    assert target.read_bytes() == b"one\ntwo\n"
    assert names(tmp_path) == ["out.jsonl"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    with pytest.raises(error), whole_file(target) as write:
        write(b"half")
        raise error
    assert (target.read_text(), names(tmp_path)) == ("old", ["out.jsonl"])


def test_a_file_that_was_there_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.touch(mode=0o600)
    with whole_file(target) as write:
        write(b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.jsonl"
    link.symlink_to(tmp_path / "real" / "out.jsonl")
    with whole_file(link) as write:
        write(b"new")
    assert link.is_symlink()
    assert (tmp_path / "real" / "out.jsonl").read_bytes() == b"new"


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(NoSpace, match=r"out.jsonl cannot be written: No space left"),
        whole_file(tmp_path / "out.jsonl") as write,
    ):
        write(b"new")
    assert names(tmp_path) == []


def test_the_file_that_is_read_is_never_written(tmp_path: Path) -> None:
    source, link = tmp_path / "in.jsonl", tmp_path / "link.jsonl"
    source.touch()
    link.symlink_to(source)
    for out in (source, link):
        with pytest.raises(InputError, match="is read and cannot be written"):
            check_output(out, [tmp_path, source])
    check_output(tmp_path / "other.jsonl", [tmp_path, source])


def test_a_place_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        check_output(tmp_path, [])
    with pytest.raises(InputError, match="is not a file"):
        check_output(Path("/dev/null"), [])
    with pytest.raises(InputError, match="there is no folder"):
        check_output(tmp_path / "none" / "out.jsonl", [])


def test_a_name_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    source, endless = tmp_path / "in.jsonl", tmp_path / ("x" * 5_000)
    source.touch()
    with pytest.raises(InputError, match="name too long"):
        check_output(endless, [source])
    with pytest.raises(InputError, match="is read"):
        check_output(source, [endless, source])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_in_which_nothing_may_be_written_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(InputError, match="nothing may be written in"):
        check_output(locked / "out.jsonl", [])
