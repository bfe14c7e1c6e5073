"""`lemfarm gates try`: what would pass with other gates, of what is generated already. Nothing is written."""

import os
from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlmodel import Session, select

from lemfarm.config import PhaseConfig, config_from_data
from lemfarm.database import Database
from lemfarm.gates import duplicates_gate
from lemfarm.planning import Cell
from lemfarm.records import WAITS_FOR_REVIEW, Outcome, Phase, PhaseState, Probe
from lemfarm.runs import find_run
from producer.gate_change import Difference, GateChange, change_gates
from producer.judging import Judged, JudgedPage, Progress, Which, count_done, judged_pages
from producer.quota_outlook import Outlook, ThinProbe, outlook, starving, with_skipped
from producer.rejudging import live_phases
from producer.standing import Standing, read_standing
from producer.trial_duplicates import TriedPhase, duplicates_then


@dataclass(frozen=True, slots=True)
class Passing:
    """Done samples of a phase, a domain or a probe, and what passes `now` and `then`; shares are of the done ones."""

    name: str
    done: int
    accepted_now: int
    accepted_then: int
    difference: int
    share_now: float | None
    share_then: float | None
    held_now: int
    held_then: int


@dataclass(frozen=True, slots=True)
class PhaseTrial:
    """One phase with other gates; none of the quota where it is trained. `computed`: scores that are not stored and had
    to be computed; `failures`: why others could not be, counted by text."""

    phase: str
    state: str
    gates_now: tuple[Mapping[str, Any], ...]
    gates_then: tuple[Mapping[str, Any], ...]
    total: Passing
    domains: tuple[Passing, ...]
    probes: tuple[Passing, ...]
    quota_now: Outlook | None
    quota_then: Outlook | None
    starving: tuple[ThinProbe, ...]
    computed: int
    failures: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GateTrial:
    """What other gates would do to a run."""

    run: str
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    phases: tuple[PhaseTrial, ...]
    computed: int


def try_gates(
    database: Database,
    run: str | None,
    change: GateChange,
    *,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> GateTrial:
    """Judge what is stored by changed gates and compare with how it stands. Scores that no one stored are computed, by
    as many processes as there are cores unless told otherwise, and forgotten.

    Raises InputError for a change that fits no gate, NotFound, Unavailable.
    """
    row = find_run(database, run)
    config = config_from_data(row.config)
    changed = change_gates(config, change)
    assert row.id is not None
    phases = {phase.name: phase for phase, _ in live_phases(database, row.id) if phase.name in changed.phases}
    progress = Progress(on_progress, sum(count_done(database, _key(phase)) for phase in phases.values()))
    tallies, cores = {name: _Tally() for name in phases}, processes or os.cpu_count() or 1
    pairs = [pair for pair in zip(config.phases, changed.config.phases, strict=True) if pair[0].name in phases]
    for _, then in pairs:
        key = _key(phases[then.name])
        for page in judged_pages(database, key, then.gates, Which.ALL, review=then.review, processes=cores):
            tallies[then.name].add(page)
            progress.advance(len(page.answers))
    gates = {then.name: duplicates_gate(then.gates) for _, then in pairs}
    tried = {_key(phases[name]): TriedPhase(gate, tallies[name].passing) for name, gate in gates.items()}
    duplicates = duplicates_then(database, row.id, tried)
    trials = [
        _trial(database, phases[was.name], was, then, tallies[was.name].without(duplicates)) for was, then in pairs
    ]
    computed = sum(trial.computed for trial in trials)
    return GateTrial(row.name, changed.differences, changed.notes, tuple(trials), computed)


@dataclass
class _Tally:
    """Outcomes by probe, variant and outcome, as they are and as they would be."""

    now: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    then: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    in_review: Counter[tuple[str, str]] = field(default_factory=Counter)  #: of those held then: that wait for a person
    computed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    passing: list[Judged] = field(default_factory=list)  #: what would not be rejected, were nothing a duplicate

    @property
    def in_review_by_probe(self) -> Counter[str]:
        """The same by probe."""
        counts: Counter[str] = Counter()
        for (probe, _variant), count in self.in_review.items():
            counts[probe] += count
        return counts

    def add(self, page: JudgedPage) -> None:
        """Count a page."""
        self.computed += len(page.computed)
        self.failures.update(page.failures)
        for answer in page.answers:
            self.now[answer.probe_id, answer.variant_id, answer.before] += 1
            self._count_then(answer, 1)
            if answer.may_have_twins:
                self.passing.append(answer)

    def without(self, duplicates: Container[str]) -> "_Tally":
        """With these samples rejected that would pass but for their twins."""
        for answer in self.passing:
            if answer.sample_id in duplicates:
                self._count_then(answer, -1)
                self.then[answer.probe_id, answer.variant_id, Outcome.REJECTED] += 1
        return self

    def _count_then(self, answer: Judged, count: int) -> None:
        verdict = answer.passed or answer.verdict
        self.then[answer.probe_id, answer.variant_id, verdict.outcome] += count
        if verdict.reason.startswith(WAITS_FOR_REVIEW):
            self.in_review[answer.probe_id, answer.variant_id] += count


def _trial(database: Database, phase: Phase, was: PhaseConfig, then: PhaseConfig, tally: _Tally) -> PhaseTrial:
    standing = with_skipped(database, _key(phase), read_standing(database, _key(phase)))
    cells = tuple(_cell_then(cell, standing, tally) for cell in standing.cells)
    after = replace(standing, cells=cells, in_review=tally.in_review_by_probe)
    probes = _probes(database, standing)
    names = {key: probe.name for key, probe in probes.items()}
    trained = phase.state == PhaseState.TRAINED
    return PhaseTrial(
        phase=phase.name,
        state=phase.state,
        gates_now=tuple(gate.model_dump(mode="json") for gate in was.gates),
        gates_then=tuple(gate.model_dump(mode="json") for gate in then.gates),
        total=_passing(tally, dict.fromkeys(probes, phase.name) or {"": phase.name})[0],
        domains=_passing(tally, {key: probe.domain for key, probe in probes.items()}),
        probes=_passing(tally, names),
        quota_now=None if trained else outlook(standing, was.quota),
        quota_then=None if trained else outlook(after, was.quota),
        starving=() if trained else starving(after, was.quota, names),
        computed=tally.computed,
        failures=dict(tally.failures),
    )


def _passing(tally: _Tally, group_of: Mapping[str, str]) -> tuple[Passing, ...]:
    """A line for each group of probes, by name."""
    now: dict[str, Counter[str]] = {group: Counter() for group in group_of.values()}
    then: dict[str, Counter[str]] = {group: Counter() for group in group_of.values()}
    for counts, groups in ((tally.now, now), (tally.then, then)):
        for (probe, _variant, outcome), count in counts.items():
            if probe in group_of:
                groups[group_of[probe]][outcome] += count
    return tuple(_line(group, now[group], then[group]) for group in sorted(now))


def _line(name: str, now: Mapping[str, int], then: Mapping[str, int]) -> Passing:
    done = sum(now.values())
    before, after = now[Outcome.ACCEPTED], then[Outcome.ACCEPTED]
    return Passing(
        name=name,
        done=done,
        accepted_now=before,
        accepted_then=after,
        difference=after - before,
        share_now=before / done if done else None,
        share_then=after / done if done else None,
        held_now=now[Outcome.HELD],
        held_then=then[Outcome.HELD],
    )


def _cell_then(cell: Cell, standing: Standing, tally: _Tally) -> Cell:
    key = (cell.probe, standing.variants[cell.key])
    then = {outcome: tally.then[(*key, str(outcome))] for outcome in Outcome}
    held_before = tally.now[(*key, str(Outcome.HELD))]
    in_review_before = cell.accepted - tally.now[(*key, str(Outcome.ACCEPTED))]
    in_review = tally.in_review[key]
    return replace(
        cell,
        accepted=then[Outcome.ACCEPTED] + in_review,
        rejected=then[Outcome.REJECTED],
        other=cell.other - (held_before - in_review_before) + then[Outcome.HELD] - in_review,
    )


def _probes(database: Database, standing: Standing) -> dict[str, Probe]:
    with database.read() as connection, Session(bind=connection, expire_on_commit=False) as session:
        wanted = {cell.probe for cell in standing.cells}
        return {probe.id: probe for probe in session.exec(select(Probe)) if probe.id in wanted}


def _key(phase: Phase) -> int:
    assert phase.id is not None
    return phase.id
