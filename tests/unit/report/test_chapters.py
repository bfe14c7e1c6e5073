"""What the chapters say: figures with their source, and nothing that the figures do not carry."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.main import get_command

from lemfarm.candidates import CellCandidates
from lemfarm.cli import app
from lemfarm.curation.agreement import Agreement
from lemfarm.external_mix import Mix
from lemfarm.report import compose
from lemfarm.report.chapters_course import _binned, _edges
from lemfarm.report.document import Chapter, Document, Picture, Table, Tiles, Words
from lemfarm.report.facts import Report, ScoreSpread


def chapter(document: Document, key: str) -> Chapter:
    return next(one for one in document.chapters if one.key == key)


def tables(document: Document) -> Iterator[Table]:
    for one in document.chapters:
        for block in one.blocks:
            if isinstance(block, Picture):
                yield block.table
            elif isinstance(block, Table):
                yield block


def sources(document: Document) -> set[str]:
    found = {source for one in document.chapters for block in one.blocks if (source := getattr(block, "source", ""))}
    return found | {table.source for table in tables(document) if table.source}


def words(document: Document, key: str) -> list[str]:
    return [block.text for block in chapter(document, key).blocks if isinstance(block, Words)]


def test_a_whole_run_has_every_chapter_but_those_without_data(report: Report) -> None:
    found = compose(report)
    keys = [one.key for one in found.chapters]
    assert keys == ["glance", "quotas", "scores", "training", "gates", "evaluation", "domains", "answers", "cost",
                    "reproducibility"]  # fmt: skip
    assert len(found.left_out) == 1 and found.left_out[0].startswith("Curation: ")


def test_a_run_in_progress_says_what_is_not_there_yet(unfinished: Report) -> None:
    found = compose(unfinished)
    assert [one.key for one in found.chapters] == ["glance", "quotas", "scores", "cost", "reproducibility"]
    assert [line.partition(":")[0] for line in found.left_out] == [
        "Training", "Gates after training", "Before and after", "Domains", "Worst and best answers", "Curation",
    ]  # fmt: skip


def test_every_table_is_rectangular_and_says_where_it_comes_from(report: Report) -> None:
    found = list(tables(compose(report)))
    assert all(len(row) == len(table.columns) for table in found for row in table.rows)
    assert [table.columns for table in found if not table.source] == []


def test_every_command_that_the_report_names_exists(report: Report) -> None:
    root = get_command(app)
    for source in sources(compose(report)):
        program, *given = source.split()
        assert program == "lemfarm"
        command, rest = root, given
        while getattr(command, "commands", None) and rest and rest[0] in command.commands:
            command, rest = command.commands[rest[0]], rest[1:]
        assert not hasattr(command, "commands") or rest == [], source
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= flags, source


def test_the_first_figures_are_those_of_the_run(report: Report) -> None:
    tiles = next(block for block in chapter(compose(report), "glance").blocks if isinstance(block, Tiles)).tiles
    found = {tile.label: tile.value for tile in tiles}
    assert found["phases promoted"] == "1 of 2"
    before, arrow, after = found["untrained → promoted"].split()
    assert (arrow, float(after) > float(before)) == ("→", True)


def test_no_change_is_claimed_from_two_probes(report: Report) -> None:
    assert any("no change can be claimed" in line for line in words(compose(report), "glance"))
    assert not any("higher than before" in line for line in words(compose(report), "glance"))


def test_nothing_is_claimed_where_nothing_is_promoted(report: Report) -> None:
    bare = replace(report, status=replace(report.status, promoted=None))
    assert "No adapter is promoted, so nothing is claimed of one." in words(compose(bare), "glance")


def test_what_was_given_up_is_named(report: Report) -> None:
    cells = (CellCandidates("P7", 0, 9, 0, None, 3), CellCandidates("P8", 0, 9, 2, 4.5, 0))
    first = report.phases[0]
    phase = replace(first, status=replace(first.status, given_up=("P7",), cells=cells))
    found = words(compose(replace(report, phases=(phase, *report.phases[1:]))), "quotas")
    assert found[0] == "first gave up 1 probes that would hardly reach their share: P7"
    assert found[1] == "first has no accepted answer to 1 probes: P7"


def test_a_rejected_phase_shows_the_failing_gates_and_the_worst_probes(report: Report) -> None:
    blocks = chapter(compose(report), "gates").blocks
    rows = [row for block in blocks if isinstance(block, Table) for row in block.rows]
    assert ("✗", "clear_fall", "-2.5", "no interval below 0", "failed") in rows
    assert ("◐", "degeneration_change", "-", "at most 0", "held") in rows
    assert ("P2", "1.00", "3.50") in rows and ("P0", "2.00", "-") in rows
    assert any("clear_fall -2.5" in line for line in words(compose(report), "gates"))


def test_an_adapter_outside_the_course_is_hollow(report: Report) -> None:
    picture = next(block for block in chapter(compose(report), "glance").blocks if isinstance(block, Picture))
    series = dict(picture.chart.series)  # type: ignore[union-attr]
    assert [one.hollow for one in series["bare"] if one] == [False, False, True]


def test_a_loss_that_fell_claims_nothing_of_scores_on_few_probes(report: Report) -> None:
    blocks = chapter(compose(report), "training").blocks
    rows = [row for block in blocks if isinstance(block, Table) for row in block.rows if "→" in row[1]]
    assert [row[-1] for row in rows] == ["the loss fell; of the scores no change can be claimed"] * 2


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30), st.floats(-20, 40))
@settings(max_examples=100)
def test_every_score_falls_into_a_bin_and_none_across_the_threshold(values: list[float], threshold: float) -> None:
    accepted = tuple(sorted(value for value in values if value >= threshold))
    others = tuple(sorted(value for value in values if value < threshold - 1e-3))
    edges = _edges(ScoreSpread("s", threshold, accepted, others))
    at = next(place for place, edge in enumerate(edges) if edge == pytest.approx(threshold))
    assert sum(_binned(accepted, edges)[at:]) == len(accepted)
    assert sum(_binned(others, edges)[:at]) == len(others)


def test_what_reviewers_and_duplicates_did_has_its_chapter(report: Report) -> None:
    status = replace(report.phases[0].status, mix=Mix(share=0.3, own=70, external=7, wanted=30, passed=7))
    outcomes = {"reviewed": {"keep": 5, "drop": 1}, "external": {"accepted": 7}}
    first = replace(report.phases[0], status=status, duplicates=3, **outcomes)
    pair = Agreement("ann", "bob", answers=4, agreed=3, kappa=0.5, counts=())
    found = compose(replace(report, phases=(first, *report.phases[1:]), agreements=(pair,)))
    rows = [row for block in chapter(found, "curation").blocks if isinstance(block, Table) for row in block.rows]
    mix = "wanted 70/30, reachable 91/9: 7 external answers passed, 30 are needed"
    assert ("first", "3", "keep 5, drop 1", "accepted 7", mix) in rows
    assert ("ann and bob", "4", "3", "0.50") in rows


def test_a_second_attempt_has_its_settings_and_its_name(report: Report) -> None:
    first = report.phases[0]
    again = replace(first.trainings[0], attempt=2, overrides={"learning_rate": 4e-6}, error="the loss became nan")
    found = compose(replace(report, phases=(replace(first, trainings=(first.trainings[0], again)), *report.phases[1:])))
    rows = [row for block in chapter(found, "training").blocks if isinstance(block, Table) for row in block.rows]
    assert any(row[:3] == ("first, attempt 2", "done", "learning_rate: 4e-06") for row in rows)
    assert "first, attempt 2: the loss became nan" in words(found, "training")


def test_costs_add_up(report: Report) -> None:
    table = next(block for block in chapter(compose(report), "cost").blocks if isinstance(block, Table))
    *rows, total = [[int(cell.replace(",", "")) for cell in row[2:5]] for row in table.rows]
    assert [sum(column) for column in zip(*rows, strict=True)] == total
