"""The live view of a run and its closing summary; plain lines where there is no terminal."""

import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from lemfarm.cli.decision_views import news
from lemfarm.cli.shared import bare_table, counted, duration, emit, err, number_columns, out, size, word_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lemfarm.home import Home
    from lemfarm.status import PhaseStatus, RunStatus
    from lemfarm.worker_status import WorkerStatus
    from producer.campaign import Campaign

PLAIN_SECONDS = 10.0
_COLOURS = {
    "open": "cyan",
    "full": "green",
    "exhausted": "yellow",
    "measuring": "cyan",
    "held": "yellow",
    "rejected": "red",
    "trained": "bold green",
}


def follow(campaign: "Campaign") -> "RunStatus":
    """Show a campaign until it ends; returns the last status."""
    if sys.stderr.isatty():
        return _follow_live(campaign)
    return _follow_plain(campaign)


def _follow_live(campaign: "Campaign") -> "RunStatus":
    before = None
    with Live(console=err(), refresh_per_second=4, transient=True) as live:
        for status in campaign.follow():
            for line in news(before, status):
                live.console.print(Text(line))
            live.update(render(status))
            before = status
    assert before is not None
    return before


def _follow_plain(campaign: "Campaign") -> "RunStatus":
    told, line, before = 0.0, "", None
    for status in campaign.follow():
        for said in news(before, status):
            err().print(Text(said), soft_wrap=True)
        before, now = status, time.monotonic()
        fresh = plain_line(status)
        if fresh != line and now - told >= PLAIN_SECONDS:
            err().print(fresh, soft_wrap=True)
            told, line = now, fresh
    assert before is not None
    if plain_line(before) != line:
        err().print(plain_line(before), soft_wrap=True)
    return before


def plain_line(status: "RunStatus") -> str:
    """One line that says how a run stands."""
    phases = [
        f"{p.name} {p.state}{_training(p)} {p.counted}/{p.wanted} accepted, {p.done}/{p.planned} done"
        for p in _sampled(status)
    ]
    found = status.evaluation
    measured = [f"evaluated {found['done']}/{found['planned']}"] if found["planned"] else []
    speed = sum(worker.tokens_per_second for worker in status.workers)
    left = f", {duration(status.seconds_left)} left" if status.seconds_left else ""
    waits = [f"waiting: {line}" for line in status.waits_for]
    said = "; ".join([*phases, *measured, *waits, f"{speed:.0f} tokens/s on {len(status.workers)} workers"])
    return f"{status.run} {status.state}: {said}{left}"


def render(status: "RunStatus") -> RenderableType:
    """The live picture: phases with bars, workers with their speed, what is expected."""
    head = Text.assemble((status.run, "bold"), f"  {status.state}  ", (status.model, "dim"))
    parts: list[RenderableType] = [head, *([_phase_table(status)] if _sampled(status) else [])]
    if status.evaluation["planned"]:
        parts.append(Text(f"evaluation {status.evaluation['done']}/{status.evaluation['planned']}", style="dim"))
    if status.workers:
        parts.append(_worker_table(status))
    left = f"   about {duration(status.seconds_left)} of generation left" if status.seconds_left else ""
    parts.append(Text(f"{status.samples_per_minute:.1f} samples/min{left}", style="dim"))
    parts += [Text(line, style="dim") for line in [*_given_up(status), *_short_mixes(status), *_cut_loops(status)]]
    if status.superseded:
        parts.append(Text(f"{status.superseded} samples of earlier configurations are superseded", style="dim"))
    parts += [Text(f"waiting: {line}", style="yellow") for line in status.waits_for]
    if status.reason:
        parts.append(Text(status.reason, style="yellow"))
    return Group(*parts)


def _sampled(status: "RunStatus") -> "Sequence[PhaseStatus]":
    """Its phases; none of a run that only measures."""
    return () if status.limit == 0 else status.phases


def _phase_table(status: "RunStatus") -> Table:
    table = bare_table(
        *word_columns("phase"),
        Column("state", no_wrap=True),
        *number_columns("accepted", no_wrap=True),
        Column("", no_wrap=True),
        *number_columns("generated", "passing", no_wrap=True),
        Column("", overflow="fold", style="dim"),
    )
    for phase in _sampled(status):
        table.add_row(
            Text(phase.name),
            Text(phase.state, style=_COLOURS.get(phase.state, "")),
            f"{phase.counted}/{phase.wanted}",
            ProgressBar(total=max(phase.wanted, 1), completed=min(phase.counted, phase.wanted), width=12),
            f"{phase.done}/{phase.planned}",
            "-" if phase.pass_rate is None else f"{phase.pass_rate:.0%}",
            _beside(phase),
        )
    return table


def _given_up(status: "RunStatus") -> list[str]:
    """One line for each phase that gave probes up, with the names of all."""
    return [
        f"{phase.name} gave up {len(phase.given_up)} of its probes, which would hardly reach their share: "
        + ", ".join(phase.given_up)
        for phase in status.phases
        if phase.given_up
    ]


def _short_mixes(status: "RunStatus") -> list[str]:
    """One line for each phase that cannot have as many external answers as it wants."""
    return [f"{phase.name}: {phase.mix.text}" for phase in status.phases if phase.mix and phase.mix.is_short]


def _cut_loops(status: "RunStatus") -> list[str]:
    """What was cut and spared, in one line; nothing where nothing was, or nobody counted."""
    cut = status.cut_loops
    if cut is None or not cut.answers:
        return []
    answers = counted(cut.answers, "answer")
    return [f"{answers} ended as repetition, which spared up to {cut.tokens_spared:,} tokens"]


def _beside(phase: "PhaseStatus") -> str:
    """What else is worth a word about a phase now."""
    words = [f"{phase.leased} working"] if phase.leased else []
    words += [f"{phase.failed} failed"] if phase.failed else []
    held = phase.held - phase.in_review
    words += [f"{phase.in_review} in review"] if phase.in_review else []
    words += [f"{held} held"] if held else []
    words += [f"by {phase.answered_by}"] if phase.answered_by else []
    words += [f"external {phase.mix.external}/{phase.mix.wanted}"] if phase.mix else []
    words += [_training(phase).removeprefix(", ")] if _training(phase) else []
    return ", ".join(words)


def _training(phase: "PhaseStatus") -> str:
    if phase.training in ("", "done"):
        return ""
    again = f" again ({phase.attempt})" if phase.attempt > 1 else ""
    if not phase.losses:
        return f", training{again} {phase.training}"
    kind, iteration, loss = phase.losses[-1]
    return f", training{again}: {kind} loss {loss:.3f} after {iteration} updates"


def _said_by(worker: "WorkerStatus") -> str:
    """Its message or state, with what a person should know of its power and heat."""
    words = worker.message or worker.state
    warning = worker.power.warning if worker.power and worker.state != "resting" else ""
    return f"{words}, {warning}" if warning else words


def _worker_table(status: "RunStatus") -> Table:
    table = bare_table("worker", "state", *number_columns("in flight", "tokens/s", "memory", "seen"))
    for worker in status.workers:
        table.add_row(
            Text(f"{worker.name}@{worker.host}"),
            Text(_said_by(worker)),
            f"{worker.in_flight}",
            f"{worker.tokens_per_second:.0f}",
            _memory_of(worker),
            f"{worker.seen_ago:.0f} s ago",
        )
    return table


def _memory_of(worker: "WorkerStatus") -> str:
    """The most that it has held so far, and what it planned to hold at most."""
    if worker.memory is None:
        return "-"
    return f"{size(worker.memory.peak)} of {size(worker.memory.planned)}"


def show_summary(status: "RunStatus", home: "Home", *, as_json: bool, report: "Path | None" = None) -> None:
    """What a run came to: counts, reasons, losses, scores before and after, and what to do next."""
    if as_json:
        emit("run", status=status, report=report)
        return
    console = out()
    console.print(Text.assemble(("run ", ""), (status.run, "bold"), f" is {status.state}"))
    if status.reason:
        console.print(Text(status.reason), soft_wrap=True)
    for phase in status.phases:
        _show_phase(console, phase)
    notes = [*_given_up(status), *_cut_loops(status)]
    for line in [*(f"  {line}" for line in notes), *measurement_lines(status)]:
        console.print(Text(line), soft_wrap=True)
    if report is not None:
        console.print(Text(f"  report {report}"), soft_wrap=True)
    if status.promoted:
        adapter = home.adapters / status.promoted
        console.print(f"  adapter {adapter}; try it with", soft_wrap=True)
        console.print(
            f"      mlx_lm.generate --model {status.model} --adapter-path {adapter} --prompt ...",
            style="dim",
            soft_wrap=True,
        )


def _show_phase(console: Any, phase: "PhaseStatus") -> None:
    rate = "" if phase.pass_rate is None else f", {phase.pass_rate:.0%} of the judged ones"
    if phase.candidates_per_accepted is not None:
        rate += f" ({phase.candidates_per_accepted:.1f} candidates each)"
    console.print(
        f"  {phase.name}: {phase.accepted} accepted{rate}; {phase.done} generated, "
        f"{phase.skipped} not needed, {phase.failed} failed"
    )
    if phase.answered_by:
        console.print(Text(f"      answered by {phase.answered_by}"), soft_wrap=True)
    for reason, count in phase.reasons:
        console.print(Text(f"      {count:>5} x {reason}"), style="dim")
    if phase.mix:
        console.print(Text(f"      external answers {phase.mix.text}"), soft_wrap=True)
    valid = [(iteration, loss) for kind, iteration, loss in phase.losses if kind == "valid"]
    if len(valid) > 1:
        console.print(f"      validation loss {valid[0][1]:.3f} -> {valid[-1][1]:.3f} over {valid[-1][0]} updates")
    if phase.decision:
        console.print(Text(f"      adapter {phase.decision}"), soft_wrap=True)


def measurement_lines(status: "RunStatus") -> list[str]:
    """Held-out scores before and after training by condition, and the paired change, claimed no further than its
    interval reaches."""
    from lemfarm.evaluation.statistics import describe_change, paired_difference

    held_out = [row for row in status.measurements if row["split"] == "held_out"]
    if not held_out:
        return []
    first = held_out[0]
    lines = [
        f"  {first['probes']} held-out probes, never trained on: mean {first['scorer']} score with its 95 % interval"
    ]
    by_key = {(row["model"], row["condition"]): row for row in held_out}
    for condition in dict.fromkeys(row["condition"] for row in held_out):
        before, after = by_key.get(("base", condition)), by_key.get((status.promoted or "", condition))
        lines.append(f"      {condition:<10} before training {_mean(before):<22}  after {_mean(after)}")
        if before and after:
            change = paired_difference(before["by_probe"].items(), after["by_probe"].items())
            lines.append(f"      {'':<10} change {describe_change(change.interval)}")
    return lines


def _mean(row: "Mapping[str, Any] | None") -> str:
    if row is None:
        return "not measured"
    return f"{row['mean']:.2f}" + ("" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]")
