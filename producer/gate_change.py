"""What a person wants changed about gates, and the configuration that follows. Pure: nothing is read or written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import isfinite
from typing import Any

from lemfarm.config import Gate, MinCharsGate, PhaseConfig, RunConfig, ScoreGate
from lemfarm.errors import InputError
from lemfarm.gates import required_scorers
from lemfarm.scorers import get_scorer


@dataclass(frozen=True, slots=True)
class GateChange:
    """A change of the gates of one phase, or of all; what is None stays. With `config` the gates are those of another
    configuration of the run."""

    phase: str | None = None
    at_least: float | None = None
    scorer: str | None = None
    min_chars: int | None = None
    config: RunConfig | None = None

    def check(self) -> None:
        """Raises InputError for what cannot be meant."""
        given = [value for value in (self.at_least, self.scorer, self.min_chars) if value is not None]
        if self.config is not None and given:
            raise InputError("--config takes the gates of its file; leave out --at-least, --scorer and --min-chars.")
        if self.scorer is not None:
            get_scorer(self.scorer)
            if self.at_least is None:
                raise InputError(f"--scorer {self.scorer} needs --at-least: a threshold belongs to its scorer.")
        if self.at_least is not None and not isfinite(self.at_least):
            raise InputError(f"--at-least {self.at_least}: write a number.")
        if self.min_chars is not None and self.min_chars < 1:
            raise InputError(f"--min-chars {self.min_chars}: write a number of at least 1.")


@dataclass(frozen=True, slots=True)
class Difference:
    """A value of the configuration that changed, by its key path as `--set` takes it; None where there is none."""

    path: str
    was: Any
    now: Any


@dataclass(frozen=True, slots=True)
class ChangedGates:
    """The configuration with other gates, the phases that were meant, and what is worth a word."""

    config: RunConfig
    phases: tuple[str, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def change_gates(config: RunConfig, change: GateChange) -> ChangedGates:
    """Raises InputError for a phase that the run has not, and for a change that fits no gate."""
    change.check()
    chosen = _chosen(config, change.phase)
    notes = [] if change.config is None else _file_notes(config, change.config)
    phases = tuple(_changed(phase, change, notes) if phase.name in chosen else phase for phase in config.phases)
    _refuse_no_effect(config, change, chosen)
    differences = [
        difference
        for number, (was, now) in enumerate(zip(config.phases, phases, strict=True))
        for difference in _differences(f"phases.{number}.gates", was.gates, now.gates)
    ]
    return ChangedGates(config.model_copy(update={"phases": phases}), chosen, tuple(differences), tuple(notes))


def _chosen(config: RunConfig, name: str | None) -> tuple[str, ...]:
    names = tuple(phase.name for phase in config.phases)
    if name is None:
        return names
    if name not in names:
        raise InputError(f"run {config.run} has no phase {name!r}; it has {', '.join(names)}")
    return (name,)


def _file_notes(config: RunConfig, other: RunConfig) -> list[str]:
    if other.run != config.run:
        raise InputError(f"the file of --config is of run {other.run}, not of {config.run}.")
    if _without_gates(other) == _without_gates(config):
        return []
    return ["the file says other things than the run beside its gates; `lemfarm run` with it takes those"]


def _without_gates(config: RunConfig) -> RunConfig:
    phases = tuple(phase.model_copy(update={"gates": ()}) for phase in config.phases)
    return config.model_copy(update={"phases": phases})


def _refuse_no_effect(config: RunConfig, change: GateChange, chosen: Sequence[str]) -> None:
    if change.at_least is None or change.scorer is not None:
        return
    gates = [gate for phase in config.phases if phase.name in chosen for gate in phase.gates]
    if not required_scorers(gates):
        raise InputError(
            f"no gate of {', '.join(chosen)} looks at a score; name the scorer that --at-least is meant for: --scorer"
        )


def _changed(phase: PhaseConfig, change: GateChange, notes: list[str]) -> PhaseConfig:
    if change.config is not None:
        return _from_other(phase, change.config, notes)
    gates = list(phase.gates)
    if change.at_least is not None:
        gates = _with_threshold(phase.name, gates, change.at_least, change.scorer, notes)
    if change.min_chars is not None:
        gates = _with_length(phase.name, gates, change.min_chars, notes)
    return phase.model_copy(update={"gates": tuple(gates)})


def _from_other(phase: PhaseConfig, other: RunConfig, notes: list[str]) -> PhaseConfig:
    for candidate in other.phases:
        if candidate.name == phase.name:
            return phase.model_copy(update={"gates": candidate.gates})
    notes.append(f"phase {phase.name} is not in the file: its gates stay as they are")
    return phase


def _with_threshold(phase: str, gates: list[Gate], at_least: float, scorer: str | None, notes: list[str]) -> list[Gate]:
    """Every score gate, or that of the scorer; where it has none, the one score gate there is becomes its gate."""
    scorers = required_scorers(gates)
    notes += _threshold_notes(phase, scorers, scorer)
    if scorer is not None and not scorers:
        return [*gates, ScoreGate(scorer=scorer, at_least=at_least)]
    meant = [scorer] if scorer in scorers else scorers
    return [
        ScoreGate(scorer=scorer or gate.scorer, at_least=at_least)
        if isinstance(gate, ScoreGate) and gate.scorer in meant
        else gate
        for gate in gates
    ]


def _threshold_notes(phase: str, scorers: Sequence[str], scorer: str | None) -> Iterator[str]:
    if scorer is None and len(scorers) > 1:
        yield f"phase {phase}: {' and '.join(scorers)} get the same threshold; name one with --scorer"
    if scorer is None or scorer in scorers:
        return
    if len(scorers) > 1:
        raise InputError(
            f"phase {phase} has gates of {', '.join(scorers)}, none of {scorer}: which one it should replace cannot be "
            "told. Write them into the run file, and name that with --config."
        )
    if scorers:
        yield f"phase {phase}: the gate of {scorers[0]} is replaced by one of {scorer}"
    else:
        yield f"phase {phase} had no gate on a score: one of {scorer} is added"


def _with_length(phase: str, gates: list[Gate], min_chars: int, notes: list[str]) -> list[Gate]:
    fresh = MinCharsGate(min_chars=min_chars)
    if any(isinstance(gate, MinCharsGate) for gate in gates):
        return [fresh if isinstance(gate, MinCharsGate) else gate for gate in gates]
    notes.append(f"phase {phase} had no gate on the length: one is added")
    return [*gates, fresh]


def _differences(path: str, was: Sequence[Gate], now: Sequence[Gate]) -> Iterator[Difference]:
    """Key by key where a gate is of the same kind as before, else gate by gate."""
    before, after = ([gate.model_dump(mode="json") for gate in gates] for gates in (was, now))
    for number, (old, new) in enumerate(zip_longest(before, after)):
        if old is None or new is None or old.keys() != new.keys():
            yield Difference(f"{path}.{number}", old, new)
            continue
        for key in old:
            if old[key] != new[key]:
                yield Difference(f"{path}.{number}.{key}", old[key], new[key])
