"""What a person says of adapters: take this one, not that one, go back, train again.

The Python twin of `lemfarm promote`, `reject`, `rollback` and `train --retry`. Phases are named by their name or its
beginning; left out, the one that waits is meant. Nothing is rewritten: each word is a row, each training an attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lemfarm.database import Database
from lemfarm.errors import InputError
from lemfarm.records import BLOCKED, Phase, PhaseState, Run, RunState
from lemfarm.runs import find_run
from lemfarm.training import attempts, promotion
from lemfarm.training.promotion import find_phase


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of it: the phase in question, its adapter, and what is promoted now (None: the untrained model)."""

    run: str
    phase: str
    adapter: str
    promoted: str | None


@dataclass(frozen=True, slots=True)
class Rollback:
    """What was taken back, newest first, the first phase that is concerned, and what is promoted now."""

    run: str
    phase: str
    taken: tuple[str, ...]
    promoted: str | None


def promote(database: Database, run: str | None, *, phase: str | None = None, by: str, note: str = "") -> Promotion:
    """Take an adapter that is held, or with a note one that was rejected. Raises InputError, NotFound."""
    row, found = _phase(database, run, phase, {PhaseState.HELD})
    adapter = promotion.promote(database, _id(found), by=by, note=note)
    return Promotion(row.name, found.name, adapter, find_run(database, row.name).promoted)


def reject(database: Database, run: str | None, *, phase: str | None = None, by: str, note: str = "") -> Promotion:
    """Refuse an adapter that is held. Raises InputError, NotFound."""
    row, found = _phase(database, run, phase, {PhaseState.HELD})
    adapter = promotion.reject(database, _id(found), by=by, note=note)
    return Promotion(row.name, found.name, adapter, find_run(database, row.name).promoted)


def roll_back(database: Database, run: str | None, *, to: str | None = None, by: str, note: str = "") -> Rollback:
    """Move the promoted pointer back, see `lemfarm.training.promotion.roll_back`. Raises InputError, NotFound."""
    row = _changeable(database, run)
    taken = promotion.roll_back(database, _id(row), to, by=by, note=note)
    phase = find_phase(database, row, None, {PhaseState.REJECTED})
    return Rollback(row.name, phase.name, tuple(taken), find_run(database, row.name).promoted)


def train_again(
    database: Database, run: str | None, overrides: Mapping[str, Any], *, phase: str | None = None
) -> tuple[Run, str, int]:
    """Train a phase again with settings of its own: the run, the phase, and which attempt it is. Raises InputError,
    NotFound."""
    row, found = _phase(database, run, phase, BLOCKED)
    stage = attempts.train_again(database, _id(found), overrides)
    return find_run(database, row.name), found.name, stage.attempt


def _phase(
    database: Database, run: str | None, phase: str | None, states: "frozenset[PhaseState] | set[PhaseState]"
) -> tuple[Run, Phase]:
    row = _changeable(database, run)
    return row, find_phase(database, row, phase, states)


def _changeable(database: Database, run: str | None) -> Run:
    row = find_run(database, run)
    if row.state == RunState.CANCELLED:
        raise InputError(f"run {row.name} was cancelled. `lemfarm resume {row.name}` takes that back.")
    return row


def _id(row: Run | Phase) -> int:
    assert row.id is not None
    return row.id
