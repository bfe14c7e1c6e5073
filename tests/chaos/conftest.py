"""What every test of a fault needs: a farm in a folder of its own, and chance that can be repeated."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.farm import Farm, random_instants


def pytest_configure(config: pytest.Config) -> None:
    """The quick faults that `make test` tries too."""
    config.addinivalue_line("markers", "subset: a fault that is tried on every change, not in the full matrix only")


@pytest.fixture
def dice() -> random.Random:
    """Seeded from LEMFARM_CHAOS_SEED, or anew; printed either way."""
    return random_instants()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A planned run of 500 samples on SQLite, and no worker yet."""
    with Farm(tmp_path) as made:
        assert made.plan() >= 500
        yield made
