"""`plan` and `logs`: verbs that only look. Twins: `producer.preview`, `lemfarm.logs`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.campaign import SetOption, overrides
from lemfarm.cli.shared import (
    ConfigArgument,
    HomeOption,
    JsonOption,
    counted,
    duration,
    emit,
    err,
    out,
    show_table,
    size,
)

if TYPE_CHECKING:
    from rich.table import Table

    from lemfarm.home import Home
    from lemfarm.logs import Log
    from producer.costs import Costs
    from producer.preview import ExternalPreview, Outlook, PhasePreview, Preview
    from producer.training_costs import TrainingCosts

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("plan")(plan)
    app.command("logs")(logs)


def plan(config: ConfigArgument, set_: SetOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what a run file means before anything is done: samples, quotas, training, time, memory, disk.

    Nothing is written, started or downloaded.
    """
    from lemfarm.config import load_config
    from lemfarm.home import open_home
    from producer.preview import preview

    seen = preview(load_config(config, overrides=overrides(set_)), open_home(home))
    if as_json:
        emit("plan", plan=seen)
    else:
        _show_plan(seen)


def logs(
    name: Annotated[
        str | None,
        typer.Argument(metavar="WORKER", help="A worker or service; all logs when left out.", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines of each log.")] = 20,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last lines of this machine's logs: workers, Flower, Valkey, the supervisor of `lemfarm up`."""
    from lemfarm.errors import InputError
    from lemfarm.home import open_home
    from lemfarm.logs import find_logs

    place = open_home(home)
    found = find_logs(place, name)
    if as_json and follow:
        raise InputError("--json prints one object and ends; leave --follow out.")
    if as_json:
        emit("logs", folder=place.logs, logs=[_log_data(log, lines) for log in found])
        return
    if name is None:
        _list_logs(place, found)
    _print_lines(place, name, found, lines, follow)


def _log_data(log: "Log", lines: int) -> dict[str, object]:
    from lemfarm.logs import last_lines

    shown = [line.text for line in last_lines(log, lines)]
    return {"name": log.name, "path": str(log.path), "bytes": log.path.stat().st_size, "lines": shown}


def _list_logs(home: "Home", found: "tuple[Log, ...]") -> None:
    if not found:
        err().print(f"[dim]no logs in {home.root} yet[/]", soft_wrap=True)
    for log in found:
        err().print(f"[dim]{log.path}  {log.path.stat().st_size:,} bytes[/]", soft_wrap=True)


def _print_lines(home: "Home", name: str | None, found: "tuple[Log, ...]", lines: int, follow: bool) -> None:
    """One log as it stands; several with their names in front."""
    from rich.text import Text

    from lemfarm.logs import Line, find_logs, last_lines
    from lemfarm.logs import follow as follow_logs

    console = out()
    width = max((len(log.name) for log in found), default=0)
    colours: dict[str, str] = {}

    def show(line: Line) -> None:
        text = Text.from_ansi(line.text)
        if name is None:
            colour = colours.setdefault(line.log, _COLOURS[len(colours) % len(_COLOURS)])
            text = Text(f"{line.log:<{width}} │ ", style=colour).append_text(text)
        console.print(text, soft_wrap=True)

    if not follow:
        for log in found:
            for line in last_lines(log, lines):
                show(line)
        return
    for line in follow_logs(lambda: find_logs(home, name), lines):
        show(line)


def _show_plan(seen: "Preview") -> None:
    from rich.markup import escape

    console = out()
    console.print(f"[bold]{escape(seen.run)}[/]  {escape(seen.model)} [dim]({seen.engine})[/]")
    for phase in seen.phases:
        console.print()
        console.print(f"[bold]{escape(phase.name)}[/]")
        show_table(_phase_facts(phase))
        show_table(_outlook_table(phase))
    console.print()
    console.print("[bold]evaluation[/]" if seen.evaluation else "[dim]no evaluation[/]")
    if seen.evaluation:
        show_table(_evaluation_facts(seen))
    console.print()
    console.print(f"[bold]this machine[/]  [dim]{escape(seen.costs.machine)}[/]")
    show_table(_cost_facts(seen.costs))
    for text in seen.costs.missing:
        console.print(f"  [yellow]not known[/] {escape(text)}")
    if seen.warnings:
        console.print()
    for text in seen.warnings:
        console.print(f"[yellow]note[/] {escape(text)}")
    console.print()
    console.print("[dim]Nothing was written. `lemfarm try` measures pass rate and speed, `lemfarm run` begins.[/]")


def _facts(rows: list[tuple[str, str]]) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=10)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(f"  {label}", text)
    return table


def _phase_facts(phase: "PhasePreview") -> "Table":
    from rich.markup import escape

    held_out = f" ({phase.held_out} more are held out)" if phase.held_out else ""
    grid = f"{phase.probes} probes{held_out}, {phase.texts} texts × {phase.samples_per_text} samples"
    rows = [("grid", f"{grid} = [bold]{phase.grid:,}[/] samples")]
    if phase.kernel:
        rows.append(("kernel", f"{phase.kernel}, about {phase.kernel_tokens:,} tokens"))
    if phase.waits_for:
        adapter = f"with the adapter that is promoted once {escape(phase.waits_for)} is trained"
        rows.append(("model", f"{adapter}: which one, and how many of its answers pass, is not known yet"))
    cap = f", at most {phase.at_most_per_probe} of one probe" if phase.at_most_per_probe else ""
    stops = "" if phase.stop_when_full else "; the whole grid is made"
    if phase.give_up_below:
        stops = f"; a probe is given up below a chance of {phase.give_up_below:.0%}"
    rows.append(("quota", f"[bold]{phase.accepted:,}[/] accepted ({phase.enough:,} will do){cap}{stops}"))
    if phase.reviewed:
        when = "before it trains" if phase.review_before_training else "at any time"
        rows.append(("review", f"people look at about [bold]{phase.reviewed:,.0f}[/] answers {when}"))
    if phase.external:
        rows.append(("external", _external_text(phase.external)))
    if phase.training:
        rows.append(("training", _training_text(phase)))
    if phase.training_costs:
        rows.append(("", _training_cost_text(phase.training_costs)))
    return _facts(rows)


def _external_text(external: "ExternalPreview") -> str:
    refused = f" ([yellow]{counted(external.refused, 'more line')}[/] cannot be taken)" if external.refused else ""
    files = f"{counted(external.found, 'answer')} in {counted(external.files, 'file')}{refused}"
    sources = [*([files] if external.files else []), *(f"what run {name} has accepted" for name in external.runs)]
    found = "; ".join(sources) or "none is named: `lemfarm external import` brings them"
    return f"[bold]{external.wanted:,}[/] more from elsewhere, {external.share:.0%} of all rows; {found}"


def _training_text(phase: "PhasePreview") -> str:
    assert phase.training is not None
    epochs = f"{phase.training.epochs:.1f} epochs"
    if phase.training.warning:
        epochs = f"[yellow]{phase.training.epochs:.2f} epochs[/]"
    return (
        f"{phase.training.updates:,} updates see {phase.training.examples_seen:,} examples: {epochs} of {phase.rows:,}"
    )


def _training_cost_text(costs: "TrainingCosts") -> str:
    from rich.markup import escape

    known = []
    if costs.seconds is not None:
        known.append(f"up to {duration(costs.seconds)}")
    if costs.memory is not None:
        known.append(f"about {size(costs.memory.needed)} of {size(costs.limit)} of memory")
    return _figure(f"{', '.join(known)} with rows of {costs.row_tokens:,} tokens", escape(costs.source))


def _outlook_table(phase: "PhasePreview") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    table.add_column("  pass rate", justify="right")
    table.add_column("grid gives", justify="right")
    table.add_column("generations", justify="right")
    table.add_column("one machine", justify="right")
    table.add_column("quota")
    for outlook in phase.outlooks:
        table.add_row(*_outlook_row(phase, outlook))
    return table


def _outlook_row(phase: "PhasePreview", outlook: "Outlook") -> list[str]:
    enough = "[yellow]enough[/]" if outlook.accepted_if_uneven >= phase.enough else "[red]not enough[/]"
    verdict = "[green]full[/]" if outlook.fills else enough
    uneven, even = sorted((outlook.accepted_if_uneven, outlook.accepted))
    accepted = f"{uneven:,.0f}–{even:,.0f}" if round(uneven) != round(even) else f"{even:,.0f}"
    time = duration(outlook.seconds) if outlook.seconds else "–"
    return [f"{outlook.rate:.0%}", accepted, f"{outlook.generations:,.0f}", time, verdict]


def _evaluation_facts(seen: "Preview") -> "Table":
    found = seen.evaluation
    assert found is not None
    who = f"the base model and {counted(found.adapters, 'adapter')}" if found.adapters else "the base model"
    how = ", greedy" if found.greedy else ""
    conditions = ", ".join(found.conditions)
    rows = [
        ("measured", f"{found.probes} probes, {found.texts} texts; {found.held_out} probes are held out"),
        ("asked", f"{who}, each as: {conditions} = [bold]{found.rows:,}[/] answers"),
        ("scorer", f"{found.scorer}{how}"),
    ]
    return _facts(rows)


def _cost_facts(costs: "Costs") -> "Table":
    from rich.markup import escape

    rows = []
    if costs.rate is not None and costs.seconds is not None:
        text = f"{duration(costs.seconds)} at 35 %, {duration(costs.rate.seconds_per_sample)} a sample"
        rows.append(("time", _figure(text if costs.seconds else "no waiting", costs.sources["time"])))
    if costs.memory is not None:
        text = f"{size(costs.memory.needed)} of {size(costs.memory.limit)}, {costs.memory.slots} samples at once"
        rows.append(("memory", _figure(text, escape(costs.sources["memory"]))))
    if costs.measured:
        rows.append(("measured", escape("\n".join(costs.measured))))
    text = f"up to {size(costs.disk)}, {size(costs.disk_free)} free"
    rows.append(("disk", _figure(text, costs.sources["disk"])))
    return _facts(rows)


def _figure(text: str, source: str) -> str:
    return f"{text}\n[dim]{source}[/]"
