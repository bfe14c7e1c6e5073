"""`evaluate` and `compare` in real processes: a model is measured, the same command goes on, and files are compared."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.scoring.comparison import compare_file
from tests.lemfarm_process import Site

PROBES = 10
INTERRUPTED = 130


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        (tmp_path / "kernel.txt").write_text("Be kind.\n")
        yield made


def command(site: Site, *more: str) -> tuple[str, ...]:
    conditions = ("--condition", "baseline", "--condition", "kind=kernel.txt")
    return ("evaluate", str(site.run_file), "--probes", "probes.jsonl", *conditions, "--out", "ab.jsonl", *more)


def test_an_interrupted_evaluation_goes_on_and_is_measured_once(site: Site) -> None:
    # Given an evaluation that is interrupted once some answers are in
    site.write(speed=300.0)
    first = site.start(*command(site))
    site.wait_done(1)
    first.signal(signal.SIGINT)
    assert first.ended() == INTERRUPTED
    before = site.count("state = 'done'")
    # When the same command is typed again
    second = site.run(*command(site, "--json"))
    # Then it goes on to the end, and nothing is made twice
    assert second.code == 0, second.err
    assert 0 < before <= site.count("state = 'done'") == 2 * PROBES
    found = second.data
    assert {row["condition"] for row in found["models"][0]["standings"]} == {"baseline", "kind"}
    assert {row["interval"]["n"] for row in found["models"][0]["standings"]} == {PROBES}
    assert site.rows("SELECT count(*) FROM attempt WHERE ending = 'done'") == [(2 * PROBES,)]
    # and the file is one that `rescore` takes for LEM's, with the scores that it finds itself
    file = compare_file(str(site.folder / "ab.jsonl"))
    assert (file.probes, file.bad_lines, {row.difference for row in file.conditions}) == (PROBES, 0, {0.0})
    # and the run can be compared with that file: they are the same
    compared = site.run("compare", found["run"], "ab.jsonl", "--json")
    changes = [row for row in compared.data["differences"] if row["kind"] == "change"]
    assert {row["interval"]["mean"] for row in changes} == {0.0}
    assert site.run("verify", found["run"]).code == 0
