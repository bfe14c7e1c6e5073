"""`status`, `pause`, `resume`, `cancel`, `requeue`, `verify`.

Twins: `lemfarm.status`, `lemfarm.runs`, `producer.campaign`, `producer.verify`.
"""

import time
from typing import Annotated

import typer

from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    RunArgument,
    emit,
    err,
    open_farm,
    out,
)


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("status")(status)
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("cancel")(cancel)
    app.command("requeue")(requeue)
    app.command("verify")(verify)


def status(
    run: RunArgument = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it until the run ends or Ctrl-C.")] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """How a run stands: quotas, counts, workers, speed, what is left."""
    from rich.live import Live

    from lemfarm.cli.live import measurement_lines, render
    from lemfarm.status import read_status, with_cut_loops

    store = open_farm(home, database, broker).database()
    found = read_status(store, run)
    if as_json:
        emit("status", status=with_cut_loops(store, found))
        return
    if watch:
        with Live(render(found), console=err(), refresh_per_second=4) as live:
            while found.state in ("active", "paused"):
                time.sleep(1.0)
                found = read_status(store, found.run)
                live.update(render(found))
        return
    out().print(render(with_cut_loops(store, found)))
    for line in measurement_lines(found):
        out().print(line, markup=False, soft_wrap=True)


def pause(
    run: RunArgument = None, home: HomeOption = None, database: DatabaseOption = None, broker: BrokerOption = None
) -> None:
    """Let workers finish what they hold and claim nothing more of this run."""
    from producer import campaign

    row = campaign.pause(open_farm(home, database, broker).database(), run)
    out().print(f"run {row.name} is paused; `lemfarm resume {row.name}` lets it go on.")


def resume(
    run: RunArgument = None, home: HomeOption = None, database: DatabaseOption = None, broker: BrokerOption = None
) -> None:
    """Undo `pause` or `cancel`."""
    from producer import campaign

    row = campaign.resume(open_farm(home, database, broker).database(), run)
    out().print(f"run {row.name} goes on. Where no worker is left, `lemfarm run CONFIG` starts them.")


def cancel(
    run: RunArgument = None, home: HomeOption = None, database: DatabaseOption = None, broker: BrokerOption = None
) -> None:
    """Stop a run: leased samples are let go, pending ones skipped; everything that is done stays."""
    from producer import campaign

    row = campaign.cancel(open_farm(home, database, broker).database(), run)
    out().print(f"run {row.name} is cancelled; `lemfarm resume {row.name}` takes that back.")


def requeue(
    run: RunArgument = None,
    failed: Annotated[bool, typer.Option("--failed", help="Failed samples: a fresh retry budget for each.")] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Give samples that failed another chance."""
    from lemfarm.errors import InputError
    from producer.campaign import requeue_failed

    if not failed:
        raise InputError("say which samples: lemfarm requeue --failed")
    row, count = requeue_failed(open_farm(home, database, broker).database(), run)
    out().print(f"{count} samples of run {row.name} are pending again.")


def verify(
    run: RunArgument = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that the books balance and every invariant holds; exit 1 with the offending ids where one does not."""
    from lemfarm.runs import find_run
    from producer.verify import verify_run

    store = open_farm(home, database, broker).database()
    row = find_run(store, run)
    findings = verify_run(store, row.name)
    if as_json:
        emit("verify", run=row.name, checks=findings)
    else:
        for finding in findings:
            mark = "[green]ok[/]" if finding.holds else "[bold red]BROKEN[/]"
            out().print(f"{mark}  {finding.name}: {finding.said}", soft_wrap=True)
    raise typer.Exit(0 if all(finding.holds for finding in findings) else 1)
