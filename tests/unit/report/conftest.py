"""Runs to report of, made once: reading changes nothing."""

from collections.abc import Iterator

import pytest

from lemfarm.report import read_report
from lemfarm.report.facts import Report
from tests.ground import Ground
from tests.reported_run import in_progress, reported_run


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = reported_run(tmp_path_factory.mktemp("reported"))
    yield made
    made.database.close()


@pytest.fixture(scope="session")
def report(ground: Ground) -> Report:
    return read_report(ground.database, "tiny")


@pytest.fixture(scope="session")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    made = in_progress(tmp_path_factory.mktemp("unfinished"))
    yield read_report(made.database)
    made.database.close()
