"""On which side of the split a probe stands: the same in all phases of a run.

Answers to one probe resemble each other, also across phases, and each phase trains on from the last one's adapter: a
probe that trained in one phase and validated in another would make that loss worthless. So sides are chosen over all
phases at once, by a hash of the probe and not by its answers, and what a training has read stays where it was.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum

from sqlmodel import Session, col, select

from lemfarm.errors import InputError
from lemfarm.probes import in_hash_order
from lemfarm.records import Dataset, Phase, Probe, Purpose, Sample, TrainingStage


class Side(StrEnum):
    """What the answers to a probe are for."""

    TRAIN = "train"
    VALID = "valid"  #: measured while training goes on
    TEST = "test"  #: left out of training altogether


Sides = Mapping[str, Side]

#: Of the probes of each phase, 5 % validate and 5 % test.
SHARE = 0.05
#: Test probes are taken of phases that have as many probes; of fewer, each would cost the training too much.
FEWEST_FOR_TEST = 5
#: Batches that validate where probes can be had for them: a later phase, with a higher gate, has fewer rows of each.
_RESERVE = 2
_FEWEST = {Side.VALID: 2, Side.TEST: FEWEST_FOR_TEST}


def choose_sides(phases: Iterable[Collection[str]], fixed: Sides, seed: int) -> dict[str, Side]:
    """The side of every probe of a course, given the probes of each of its phases.

    `fixed` ones stay where they are. Phases with few probes choose first: larger ones find probes anyway.
    """
    courses = [frozenset(probes) for probes in phases]
    sides = dict(fixed)
    for probes in sorted(courses, key=lambda one: (len(one), sorted(one))):
        for side, fewest in _FEWEST.items():
            if len(probes) >= fewest:
                _take(side, probes, courses, sides, seed)
    return {probe: sides.get(probe, Side.TRAIN) for probe in frozenset().union(*courses)}


def fill_sides(sides: Sides, rows: Mapping[str, int], fixed: Sides, *, batch_size: int, seed: int) -> dict[str, Side]:
    """The sides of those probes that have rows, moved where needed so that a batch stands on each.

    The test side may stay short, go back to training or lend its probes to validation, where there are too few rows
    for three. Raises InputError naming what is missing when there are too few for two.
    """
    _require_enough(rows, batch_size)
    found = {probe: sides.get(probe, Side.TRAIN) for probe in rows}
    free = [probe for probe in in_hash_order(rows, seed) if probe not in fixed]
    for probe in free:
        if found[probe] == Side.TEST and _rows_on(Side.TRAIN, found, rows) < batch_size:
            found[probe] = Side.TRAIN
    _fill(Side.VALID, found, rows, free, _RESERVE * batch_size, batch_size)
    if len(rows) >= FEWEST_FOR_TEST:
        _fill(Side.TEST, found, rows, free, batch_size, batch_size)
    _lend(found, rows, batch_size)
    if min(_rows_on(Side.TRAIN, found, rows), _rows_on(Side.VALID, found, rows)) < batch_size:
        raise InputError(_no_split(found, rows, fixed, batch_size))
    return found


def planned_probes(session: Session, run_id: int) -> list[frozenset[str]]:
    """The probes of each phase of a run that are asked to be trained on; those held out are in none."""
    query = (
        select(Phase.id, Probe.name)
        .select_from(Sample)
        .join(Phase, col(Phase.id) == Sample.phase_id)
        .join(Probe, col(Probe.id) == Sample.probe_id)
        .where(
            Sample.run_id == run_id,
            Sample.purpose == Purpose.DISTIL,
            col(Sample.superseded).is_(False),
            col(Phase.retired).is_(False),
        )
        .distinct()
    )
    phases: dict[int | None, set[str]] = {}
    for phase, probe in session.exec(query):
        phases.setdefault(phase, set()).add(probe)
    return [frozenset(probes) for probes in phases.values()]


def trained_sides(session: Session, run_id: int) -> dict[str, Side]:
    """The sides on which probes stood when they were last trained with; a probe that ever trained counts as such."""
    frozen = session.exec(select(Dataset.manifest).where(Dataset.run_id == run_id, col(Dataset.phase_id).is_not(None)))
    stages = session.exec(select(TrainingStage.dataset).where(TrainingStage.run_id == run_id))
    manifests = [*(one for one in frozen if one.get("trains")), *stages]
    sides: dict[str, Side] = {}
    for side in (Side.TEST, Side.VALID, Side.TRAIN):
        for manifest in manifests:
            sides |= dict.fromkeys(manifest.get(f"{side}_probes", ()), side)
    return sides


def sides_of(session: Session, run_id: int, rows: Mapping[str, int], *, batch_size: int, seed: int) -> dict[str, Side]:
    """The sides of the probes that have so many rows, within the course of their run. Raises InputError."""
    fixed = trained_sides(session, run_id)
    phases = [*planned_probes(session, run_id), frozenset(rows)]
    return fill_sides(choose_sides(phases, fixed, seed), rows, fixed, batch_size=batch_size, seed=seed)


def _take(
    side: Side, probes: frozenset[str], phases: Sequence[frozenset[str]], sides: dict[str, Side], seed: int
) -> None:
    wanted = max(1, round(SHARE * len(probes))) - sum(sides.get(probe) == side for probe in probes)
    for probe in in_hash_order(probes - sides.keys(), seed):
        if wanted <= 0:
            return
        if all(_still_trains(phase, probe, sides) for phase in phases if probe in phase):
            sides[probe] = side
            wanted -= 1


def _still_trains(phase: frozenset[str], without: str, sides: Sides) -> bool:
    return any(sides.get(probe, Side.TRAIN) == Side.TRAIN for probe in phase - {without})


def _fill(
    side: Side, found: dict[str, Side], rows: Mapping[str, int], free: Iterable[str], wanted: int, batch_size: int
) -> None:
    for probe in free:
        if _rows_on(side, found, rows) >= wanted:
            return
        left = _rows_on(Side.TRAIN, found, rows) - rows[probe]
        if found[probe] == Side.TRAIN and left >= batch_size:
            found[probe] = side


def _lend(found: dict[str, Side], rows: Mapping[str, int], batch_size: int) -> None:
    """Let test probes validate where nothing else can: they have not trained, and the course need not stop."""
    for probe in sorted(found):
        if found[probe] == Side.TEST and _rows_on(Side.VALID, found, rows) < batch_size:
            found[probe] = Side.VALID


def _rows_on(side: Side, sides: Sides, rows: Mapping[str, int]) -> int:
    return sum(count for probe, count in rows.items() if sides[probe] == side)


def _require_enough(rows: Mapping[str, int], batch_size: int) -> None:
    total = sum(rows.values())
    if len(rows) < 2:
        present = f"only {next(iter(rows))} has any" if rows else "none has any"
        raise InputError(f"training and validation need accepted answers of at least 2 probes; {present}.")
    if total < 2 * batch_size:
        raise InputError(
            f"training and validation need a batch of {batch_size} rows each, {2 * batch_size} in all; "
            f"there are {total}. Accept more answers or lower train.batch_size."
        )


def _no_split(found: Sides, rows: Mapping[str, int], fixed: Sides, batch_size: int) -> str:
    counts = ", ".join(f"{probe} {count}" for probe, count in sorted(rows.items(), key=lambda item: -item[1])[:5])
    stay = sum(probe in fixed for probe in rows)
    bound = f"; {stay} stay where an earlier training had them" if stay else ""
    return (
        f"no choice of whole probes leaves a batch of {batch_size} rows on both sides: "
        f"{_rows_on(Side.TRAIN, found, rows)} train, {_rows_on(Side.VALID, found, rows)} validate "
        f"(rows of the largest: {counts}{bound}). Accept answers of more probes or lower train.batch_size."
    )
