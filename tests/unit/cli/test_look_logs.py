"""`lemfarm logs` and its twin: last lines, names, following through a rotation."""

from pathlib import Path

import pytest

from lemfarm.errors import NotFound
from lemfarm.home import Home
from lemfarm.logs import Line, Log, find_logs, follow, last_lines
from lemfarm.rotation import rotate
from tests.command import lemfarm


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home(tmp_path / "home")
    for folder, name, count in ((place.logs, "mac-1", 30), (place.logs, "up", 1), (place.valkey, "valkey", 2)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.log").write_text("".join(f"{name} says {number}\n" for number in range(count)))
    return place


def test_all_logs_are_found_by_name(home: Home) -> None:
    assert [log.name for log in find_logs(home)] == ["mac-1", "up", "valkey"]


def test_a_name_without_a_log_names_those_that_exist(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="mac-1, up, valkey"):
        find_logs(home, "mac-9")
    with pytest.raises(NotFound, match="none yet"):
        find_logs(Home(tmp_path / "other"), "mac-1")


@pytest.mark.parametrize("count", [0, 1, 29, 30, 31])
def test_last_lines_are_the_last_lines(home: Home, count: int) -> None:
    found = last_lines(find_logs(home, "mac-1")[0], count)
    assert [line.text for line in found] == [f"mac-1 says {number}" for number in range(max(0, 30 - count), 30)]


def test_last_lines_of_a_log_larger_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_text("".join(f"{number:0200}\n" for number in range(2000)))
    assert [int(line.text) for line in last_lines(Log("long", path), 700)] == list(range(1300, 2000))


def test_following_goes_on_through_a_rotation_and_with_a_log_that_is_new(home: Home) -> None:
    path, other = home.logs / "mac-1.log", home.logs / "mac-2.log"

    def write_half() -> None:
        with path.open("a") as file:
            file.write("ad")

    def write_rest_and_other() -> None:
        with path.open("a") as file:
            file.write("ded\n")
        other.write_text("hello\n")

    def rotate_and_write() -> None:
        with path.open("a") as file:
            file.write("before\n")
        rotate(path, max_bytes=1)
        path.write_text("after\n")

    steps = iter([write_half, write_rest_and_other, rotate_and_write])

    def wait(_seconds: float) -> bool:
        step = next(steps, None)
        if step:
            step()
        return step is None

    seen = list(follow(lambda: [log for log in find_logs(home) if log.name.startswith("mac")], 1, wait=wait))
    assert seen == [
        Line("mac-1", "mac-1 says 29"),
        Line("mac-1", "added"),
        Line("mac-2", "hello"),
        Line("mac-1", "before"),
        Line("mac-1", "after"),
    ]


def test_one_log_is_shown_as_it_stands(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "logs", "mac-1", "--lines", "2", "--home", home.root)
    assert said.out == "mac-1 says 28\nmac-1 says 29\n"


def test_all_logs_are_listed_and_shown_with_their_names(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "logs", "-n", "1", "--home", home.root)
    assert said.out.splitlines() == ["mac-1  │ mac-1 says 29", "up     │ up says 0", "valkey │ valkey says 1"]
    assert str(home.logs / "mac-1.log") in said.err


def test_brackets_in_a_log_are_no_markup(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (home.logs / "up.log").write_text("[red]stays[/red] [W 1 a:2]\n")
    assert lemfarm(capsys, "logs", "up", "--home", home.root).out == "[red]stays[/red] [W 1 a:2]\n"


def test_json_holds_the_lines(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    data = lemfarm(capsys, "logs", "-n", "1", "--json", "--home", home.root).data
    assert {log["name"]: log["lines"] for log in data["logs"]}["mac-1"] == ["mac-1 says 29"]


def test_json_cannot_follow(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert lemfarm(capsys, "logs", "--json", "--follow", "--home", home.root).code == 2


def test_a_home_without_logs_says_so_and_creates_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, "logs", "--home", tmp_path / "none")
    assert (said.code, said.out) == (0, "")
    assert "no logs" in said.err
    assert not (tmp_path / "none").exists()
