"""`samples list|show`. Twin: `lemfarm.samples`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    RunArgument,
    bare_table,
    emit,
    open_farm,
    out,
    show_table,
    word_columns,
)

app = typer.Typer(
    help="Look at samples: what was asked, what was answered, how it was scored and judged.", no_args_is_help=True
)


@app.command("list")
def list_samples(
    run: RunArgument = None,
    state: Annotated[
        str | None, typer.Option("--state", help="pending, leased, done, failed or skipped.", show_default=False)
    ] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="accepted, rejected or held.", show_default=False)
    ] = None,
    phase: Annotated[str | None, typer.Option("--phase", help="Only this phase.", show_default=False)] = None,
    probe: Annotated[str | None, typer.Option("--probe", help="Only this probe.", show_default=False)] = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="distil (what may train) or evaluate.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List samples, those finished last first."""
    from rich.markup import escape
    from rich.table import Column

    from lemfarm.samples import list_samples as read

    found = read(
        open_farm(home, database, broker).database(),
        run,
        state=state,
        outcome=outcome,
        phase=phase,
        probe=probe,
        purpose=purpose,
        limit=limit,
    )
    if as_json:
        emit("samples", samples=found)
        return
    titles = word_columns("sample", "phase", "state", "outcome", "scores", "reason")
    table = bare_table(Column("id", overflow="fold", no_wrap=True), *titles)
    for row in found:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in row.scores.items())
        words = (row.id[:12], row.label, row.phase, row.state, row.outcome or "", scores, row.reason)
        table.add_row(*map(escape, words))
    show_table(table)


@app.command("show")
def show_sample(
    sample: Annotated[str, typer.Argument(help="Id of a sample, or enough of its beginning.")],
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything about one sample: prompt, answer, scores, verdicts, attempts, where it came from."""
    from rich.markup import escape

    from lemfarm.samples import read_sample

    found = read_sample(open_farm(home, database, broker).database(), sample)
    if as_json:
        emit("sample", sample=found)
        return
    console = out()
    console.print(f"[bold]{escape(found.label)}[/]  {found.id}")
    console.print(
        f"{found.run} / {found.phase} / {found.purpose}: {found.state} {found.outcome or ''}  {escape(found.reason)}"
    )
    console.print(
        f"model {found.model_key}, seed {found.seed}, kernel {found.kernel_hash or 'none'}, "
        f"adapter {found.adapter_id or 'none'}, {found.sampling}",
        style="dim",
    )
    for turn in found.messages:
        console.print(f"\n[bold cyan]{turn['role']}[/]\n{escape(turn['content'])}", soft_wrap=True)
    if found.thoughts:
        console.print(f"\n[dim]thoughts\n{escape(found.thoughts)}[/]", soft_wrap=True)
    if found.answer is not None:
        console.print(f"\n[bold green]answer[/]\n{escape(found.answer)}", soft_wrap=True)
    for score in found.score_details:
        signals = ", ".join(f"{name} {value:g}" for name, value in score["signals"].items() if value)
        console.print(f"\n[bold]{score['scorer']}[/] {score['value']:.2f}  [dim]{signals}[/]", soft_wrap=True)
    for attempt in found.attempts:
        console.print(
            f"attempt {attempt['epoch']} on {attempt['worker']}: "
            f"{attempt['ending'] or 'in flight'} {escape(attempt['error'])} {_versions(attempt)}",
            style="dim",
        )


def _versions(attempt: Mapping[str, Any]) -> str:
    """Which libraries generated it."""
    found = attempt["generation"].get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in found.items())
