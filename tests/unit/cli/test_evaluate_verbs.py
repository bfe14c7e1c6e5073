"""`lemfarm compare` on files, and what `lemfarm evaluate` refuses before it starts anything."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lemfarm.cli import app
from lemfarm.errors import InputError, LemfarmError, Unavailable
from tests.run_files import GOOD, write_files
from tests.unit.scoring.shapes import LONG, PLAIN, SHORT, ab_record, condition, summary, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEMFARM_HOME", str(tmp_path / "home"))
    write_files(tmp_path)
    (tmp_path / "run.yaml").write_text(GOOD)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def ab_file(path: Path, *texts: tuple[str, str]) -> Path:
    records = [
        ab_record(f"P{number}", {"baseline": condition(bare), "json": condition(kernel)})
        for number, (bare, kernel) in enumerate(texts)
    ]
    return write(path, [*records, summary()])


def test_files_are_compared_without_a_farm(folder: Path) -> None:
    first = ab_file(folder / "first.jsonl", (PLAIN, LONG), (PLAIN, LONG))
    second = ab_file(folder / "second.jsonl", (LONG, LONG), (SHORT, LONG))
    found = run("compare", first, second)
    assert found.exit_code == 0
    assert "kernel effect: first" in found.output
    assert "change: second against first" in found.output
    assert "fewer than 6 probes claim nothing" in found.output
    assert "do not say whether they were trained on" in found.output
    assert not (folder / "home" / "lemfarm.db").exists()


def test_the_json_of_a_comparison_has_every_figure(folder: Path) -> None:
    first = ab_file(folder / "first.jsonl", (PLAIN, LONG), (PLAIN, LONG))
    found = json.loads(run("compare", first, "--json").output)
    assert (found["kind"], found["scorer"]) == ("comparison", "v2")
    (model,) = found["models"]
    assert {(row["condition"], row["split"], row["interval"]["n"]) for row in model["standings"]} == {
        ("baseline", "held_out", 2),
        ("json", "held_out", 2),
    }
    (difference,) = found["differences"]
    assert (difference["kind"], difference["better"], difference["sign"]["up"]) == ("kernel effect", 2, 2)
    assert set(difference["by_probe"]) == {"P0", "P1"}


def test_domains_are_shown_when_asked_for(folder: Path) -> None:
    file = ab_file(folder / "first.jsonl", (PLAIN, LONG))
    assert "craft" in run("compare", file, "--domains").output
    assert "craft" not in run("compare", file).output


def test_lines_that_cannot_be_read_are_told(folder: Path) -> None:
    record = ab_record("P0", {"baseline": condition(LONG)})
    found = run("compare", write(folder / "ab.jsonl", [b"{no json\n", record]))
    assert found.exit_code == 0
    assert f"{folder / 'ab.jsonl'}:1: " in found.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "neither a run file, a model's folder"),
        (("run.yaml", "--condition", "json=nowhere"), "write baseline, or NAME=FILE"),
        (("run.yaml", "--condition", "a=kernel.txt", "--condition", "b=kernel.txt"), "has the kernel of 'a' again"),
        (("run.yaml", "--samples", "2"), "add --no-greedy"),
        (("run.yaml", "--scorer", "nope"), "no scorer named 'nope'"),
        (("run.yaml", "--run", "a b"), "--run 'a b'"),
        (("run.yaml", "--out", "probes.jsonl"), "is read and cannot be written"),
        (("run.yaml", "--out", "nowhere/ab.jsonl"), "there is no folder"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        run("evaluate", *arguments, "--probes", "probes.jsonl")
    assert not (folder / "home" / "valkey").exists()


@pytest.mark.parametrize(
    ("source", "said"), [("nowhere.jsonl", "cannot be read"), ("probes.jsonl", "no answers of A/B")]
)
def test_a_source_that_is_none_is_refused(folder: Path, source: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        run("compare", folder / source)


def test_a_store_is_asked_before_a_machine_joins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEMFARM_ARTIFACTS_TOKEN", raising=False)
    services = ("--database", "postgresql://nobody/x", "--broker", "redis://nobody/0")
    for place, said, kind in (
        (folder / "nowhere", "mount it", Unavailable),
        ("http://127.0.0.1:9", "LEMFARM_ARTIFACTS_TOKEN", InputError),
    ):
        with pytest.raises(LemfarmError, match=said) as raised:
            run("join", *services, "--artifacts", place)
        assert isinstance(raised.value, kind)
    assert not (folder / "home" / "join.json").exists()


def test_a_port_that_is_taken_is_said(folder: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be listened on"):
        run("artifacts", "--address", "192.0.2.1", "--port", "1")
