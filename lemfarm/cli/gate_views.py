"""How `gates try` and `gates apply` show what they found."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.text import Text

from lemfarm.cli.shared import bare_table, err, number_columns, out, show_table

if TYPE_CHECKING:
    from rich.table import Table

    from producer.gate_change import Difference
    from producer.gate_trial import GateTrial, Passing, PhaseTrial
    from producer.quota_outlook import Outlook, ThinProbe
    from producer.regate import AppliedGates, AppliedPhase

MOST_THIN = 8
"""Starving probes that are named; --json has all."""


def show_trial(found: "GateTrial") -> None:
    """What would pass, phase by phase."""
    out().print(Text(f"run {found.run}"))
    for phase in found.phases:
        _show_phase(phase)
    notes = [*found.notes]
    if found.computed:
        notes.append(
            f"{found.computed:,} scores that are not stored were computed for this; "
            f"`lemfarm score --run {found.run}` stores scores."
        )
    _show_notes(notes)


def show_applied(found: "AppliedGates", config: Path | None) -> None:
    """What became of the run, and what its file should say now."""
    console = out()
    console.print(Text(f"run {found.run}"))
    for phase in found.phases:
        console.print(Text(_applied(phase)), soft_wrap=True)
        _show_failures(phase.judged.failures)
    console.print(Text(_standing(found)), soft_wrap=True)
    _show_notes(found.notes)
    if config is None and found.differences:
        _show_differences(found.differences)


def _show_phase(phase: "PhaseTrial") -> None:
    console = out()
    console.print()
    console.print(Text.assemble((f"phase {phase.phase}", "bold"), f" ({phase.state})  {_gates(phase)}"), soft_wrap=True)
    show_table(_passing_table(phase))
    if phase.quota_now is None or phase.quota_then is None:
        console.print("it is trained: its samples would be judged again, its adapter would stay")
    else:
        console.print(f"quota now:  {_outlook(phase.quota_now)}", soft_wrap=True)
        console.print(f"quota then: {_outlook(phase.quota_then)}", soft_wrap=True)
    if phase.starving:
        console.print(Text(_starving(phase.starving)), soft_wrap=True)
    _show_failures(phase.failures)


def _gates(phase: "PhaseTrial") -> str:
    now, then = _words(phase.gates_now), _words(phase.gates_then)
    return f"{now} (as they are)" if now == then else f"{now} -> {then}"


def _words(gates: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(map(_as_written, gates)) or "no gates"


def _as_written(value: Any) -> str:
    """A value as a run file has it."""
    if value is None:
        return "(nothing)"
    lines = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf).splitlines()
    return str(lines[0])


def _passing_table(phase: "PhaseTrial") -> "Table":
    titles = ("done", "passes now", "", "would pass", "", "difference", "held")
    table = bare_table("", *number_columns(*titles, no_wrap=True))
    groups = [("all", phase.total)]
    groups += [(f"domain {line.name}", line) for line in phase.domains]
    groups += [(line.name, line) for line in phase.probes]
    for name, line in groups:
        table.add_row(Text(name), *_cells(line))
    return table


def _cells(line: "Passing") -> tuple[str, ...]:
    shares = ["-" if share is None else f"{share:.0%}" for share in (line.share_now, line.share_then)]
    held = f"{line.held_now} -> {line.held_then}" if line.held_now != line.held_then else f"{line.held_now or ''}"
    counts = (f"{line.done:,}", f"{line.accepted_now:,}", shares[0], f"{line.accepted_then:,}", shares[1])
    return (*counts, f"{line.difference:+,}" if line.difference else "", held)


def _outlook(quota: "Outlook") -> str:
    words = f"{quota.counted:,} of {quota.wanted:,} count"
    if quota.state == "full":
        return f"{words}: full"
    if quota.left == 0:
        end = "enough to train" if quota.counted >= quota.enough else f"fewer than the {quota.enough:,} that are enough"
        return f"{words}, {quota.short:,} short and nothing left to generate: {end}"
    left = f"{quota.left:,} samples left, about {quota.expected:,.0f} should pass and count"
    return f"{words}, {quota.short:,} short; {left}"


def _starving(probes: "Sequence[ThinProbe]") -> str:
    named = ", ".join(f"{one.probe} ({one.accepted} of {one.share}, {one.left} left)" for one in probes[:MOST_THIN])
    more = f" and {len(probes) - MOST_THIN} more" if len(probes) > MOST_THIN else ""
    return f"{len(probes)} probes would starve: {named}{more}"


def _applied(phase: "AppliedPhase") -> str:
    judged = phase.judged
    words = [f"{judged.written:,} answers judged again, {judged.changed:,} with another outcome"]
    words += [f"{count:+,} {outcome}" for outcome, count in sorted(judged.outcomes.items()) if count]
    words += [f"{judged.computed:,} scores computed"] if judged.computed else []
    words += [f"{judged.reopened:,} samples wanted again"] if judged.reopened else []
    return f"phase {phase.phase}: {', '.join(words)}; {phase.counted:,} of {phase.wanted:,} count: {phase.state}"


def _standing(found: "AppliedGates") -> str:
    if found.woken:
        return f"run {found.run} had ended and is active again; workers, or `lemfarm run FILE`, go on with it"
    if found.state == "active":
        return "the run is active: workers go by these gates within seconds"
    return f"the run stays {found.state}"


def _show_notes(notes: Iterable[str]) -> None:
    for note in notes:
        err().print(Text.assemble(("note ", "yellow"), note), soft_wrap=True)


def _show_failures(failures: Mapping[str, int]) -> None:
    _show_notes(f"{count:,} answers have no score: {reason}" for reason, count in failures.items())


def _show_differences(differences: "Iterable[Difference]") -> None:
    _show_notes(["the run file still says what it said, and the next `lemfarm run FILE` takes that. To keep these:"])
    for one in differences:
        err().print(Text(f"  {one.path}: {_as_written(one.was)} -> {_as_written(one.now)}"), soft_wrap=True)
