"""The facts of a report once more, on PostgreSQL: the same queries, the same answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemfarm.report import compose, html_page, read_report
from tests.ground import Ground
from tests.postgres import postgres, postgres_url  # noqa: F401
from tests.reported_run import reported_run


@pytest.fixture
def ground(tmp_path: Path, postgres_url: str) -> Iterator[Ground]:  # noqa: F811
    made = reported_run(tmp_path, postgres_url)
    yield made
    made.database.close()


def test_a_report_reads_the_same_of_postgresql(ground: Ground) -> None:
    report = read_report(ground.database, "tiny")
    keys = [chapter.key for chapter in compose(report).chapters]
    assert keys == ["glance", "quotas", "scores", "training", "gates", "evaluation", "domains", "answers", "cost",
                    "reproducibility"]  # fmt: skip
    assert report.evaluation is not None and report.evaluation.answers is not None
    assert len(report.evaluation.answers.worst) == 5
    assert report.phases[0].spread is not None and len(report.phases[0].spread.accepted) == 4
    assert html_page(compose(report)).startswith("<!doctype html>")
