"""`up`, `down`, `join`, `flower`, `doctor`: what a farm stands on. Twins: `lemfarm.up`, `lemfarm.doctor`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.artifacts import checked_token
from lemfarm.cli.campaign import ModelOption, model_folders
from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    counted,
    emit,
    err,
    open_farm,
    out,
    show_table,
)

if TYPE_CHECKING:
    from lemfarm.connections import Connections
    from lemfarm.doctor import Finding, Level
    from lemfarm.home import Home
    from lemfarm.local_workers import WorkerPlace
    from lemfarm.supervisor import Event
    from lemfarm.up import Services

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "bad": "[bold red]bad[/]"}


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("join")(join)
    app.command("flower")(flower)
    app.command("doctor")(doctor)


def up(
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Leave Celery's web view out.")] = False,
    artifacts: Annotated[
        str | None,
        typer.Option(
            "--artifacts",
            metavar="[ADDRESS:]PORT",
            help="Keep the adapters' store too, as `lemfarm artifacts` serves it; 0.0.0.0:8777 lets other machines in.",
        ),
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start this farm's services and keep them running: Valkey, Flower, the database's tables, the adapters' store.

    Run again, it says what runs already. A broker that has a URL is used as it is, nothing is started in its place.
    """
    from lemfarm.connections import Listen
    from lemfarm.up import up as start

    listen = Listen.parse(artifacts) if artifacts else None
    farm = open_farm(home, database, broker)
    with err().status("starting the services"):
        services = start(farm.home, farm.connections, not no_flower, listen)
    if as_json:
        emit("services", **_services_data(farm.home, services))
    else:
        _tell_services(farm.home, services)


def down(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stop the services of this home; all data stay. Says what was stopped, and who still works."""
    from lemfarm.home import open_home
    from lemfarm.local_workers import living_workers
    from lemfarm.up import down as stop

    place = open_home(home)
    with err().status("stopping the services"):
        stopped = stop(place)
    workers = living_workers(place)
    if as_json:
        emit("stopped", stopped=stopped, workers=[worker.name for worker in workers])
        return
    *most, last = (name.capitalize() for name in stopped or ("",))
    names = f"{', '.join(most)} and {last}" if most else last
    out().print(f"{names} stopped; all data stay." if stopped else f"Nothing runs in {place.root}.", soft_wrap=True)
    _tell_workers(workers)


def join(
    database: Annotated[
        str | None,
        typer.Option("--database", help="URL of the farm's PostgreSQL; else LEMFARM_DATABASE, else it is asked for."),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option("--broker", help="URL of the farm's Valkey or Redis; else LEMFARM_BROKER, else it is asked for."),
    ] = None,
    artifacts: Annotated[
        str | None,
        typer.Option(
            "--artifacts",
            metavar="FOLDER|URL",
            help="Where adapters travel: a shared folder, or the address of `lemfarm artifacts`, whose token is taken "
            "from LEMFARM_ARTIFACTS_TOKEN or asked for.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Make this machine part of a farm: keep its URLs in a file that only you can read, once its services answer."""
    from lemfarm.connections import BROKER_VARIABLE, DATABASE_VARIABLE, redacted
    from lemfarm.home import open_home
    from lemfarm.up import join as join_farm

    joined = join_farm(
        open_home(home),
        database=database or _from_outside(DATABASE_VARIABLE, "database"),
        broker=broker or _from_outside(BROKER_VARIABLE, "broker"),
        artifacts=artifacts,
        artifacts_token=checked_token(artifacts),
    )
    console = out()
    console.print(f"[green]ok[/] database  {redacted(joined.connections.database)}", soft_wrap=True)
    console.print(f"[green]ok[/] broker    {redacted(str(joined.connections.broker))}", soft_wrap=True)
    if artifacts:
        console.print(f"[green]ok[/] artifacts {artifacts}", soft_wrap=True)
    console.print(f"Joined: {joined.file} keeps them, readable by you only.", soft_wrap=True)
    if joined.schema != "current":
        err().print("[yellow]note[/] the database has no current tables yet: `lemfarm up` on the head node makes them")
    err().print("[dim]Next: `lemfarm doctor`, then `lemfarm worker`.[/]")


def flower(home: HomeOption = None, database: DatabaseOption = None, broker: BrokerOption = None) -> None:
    """Serve Flower, the web view of the queue, until Ctrl-C: on this machine only, with a password, read only."""
    from lemfarm import flower as web
    from lemfarm.supervisor import Supervisor
    from lemfarm.supervisor import run as supervise

    farm = open_farm(home, database, broker)
    found = web.find_running(farm.home)
    if found is not None:
        _tell_flower(farm.home, found.url, "runs already")
        return
    command = web.flower_command(farm.home, _broker_url(farm.home, farm.connections))
    _tell_flower(farm.home, command.url, "serves until Ctrl-C")
    supervisor = Supervisor([command.child()])
    code = supervise(supervisor, grace_seconds=10.0, on_event=_tell_event)
    if code == 2:
        err().print(f"[bold red]error[/] Flower ended; its log says why: {command.log}", soft_wrap=True)
    raise typer.Exit(code)


def doctor(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A run file, to check its model.", show_default=False)
    ] = None,
    model: ModelOption = None,
    forget_limits: Annotated[
        bool,
        typer.Option("--forget-limits", help="First forget where memory ran short: workers try all their slots again."),
    ] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at everything a farm stands on and say how to fix what is wrong; exit 1 if anything is bad."""
    from lemfarm.config import load_config
    from lemfarm.doctor import diagnose, worst
    from lemfarm.engine_record import forget_shortages

    farm = open_farm(home, database, broker)
    settings = load_config(config) if config else None
    if forget_limits:
        forgotten = forget_shortages(farm.home)
        err().print(f"forgot the limits of {counted(forgotten, 'model')}" if forgotten else "no limits had been learnt")
    with err().status("looking"):
        findings = diagnose(farm.home, farm.connections, settings, models=model_folders(model))
    if as_json:
        emit("doctor", worst=worst(findings), findings=findings)
    else:
        _tell_findings(findings)
    if worst(findings) == "bad":
        raise typer.Exit(1)


def _services_data(home: "Home", services: "Services") -> dict[str, object]:
    from lemfarm.connections import redacted

    return {
        "broker": redacted(str(services.connections.broker)),
        "database": redacted(services.connections.database),
        "database_was": services.database,
        "flower": services.flower.url if services.flower else None,
        "artifacts": services.artifacts.url if services.artifacts else None,
        "started": services.started,
        "secrets": _secret_files(home, services),
        "logs": home.logs,
    }


def _tell_services(home: "Home", services: "Services") -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    data = _services_data(home, services)
    table = Table.grid("", "", "", Column(overflow="fold"), padding=(0, 2))
    table.add_row("[green]ok[/]", "Broker", _word(services, "valkey"), escape(str(data["broker"])))
    if services.flower:
        shown = f"{services.flower.url}  [dim]user {services.flower.user}[/]"
        table.add_row("[green]ok[/]", "Flower", _word(services, "flower"), shown)
    if services.artifacts:
        table.add_row("[green]ok[/]", "Artifacts", _word(services, "artifacts"), services.artifacts.url)
    word = {"current": "is current"}.get(services.database, f"was {services.database}")
    table.add_row("[green]ok[/]", "Database", f"[dim]{word}[/]", escape(str(data["database"])))
    for file in _secret_files(home, services):
        table.add_row("", "[dim]Passwords[/]", "[dim]yours only[/]", f"[dim]{escape(file)}[/]")
    table.add_row("", "[dim]Logs[/]", "", f"[dim]{escape(str(home.logs))}[/]")
    console = out()
    show_table(table)
    console.print()
    for line in _how_to_join(services.connections):
        console.print(line, soft_wrap=True)
    console.print("[dim]`lemfarm down` stops the services.[/]")


def _word(services: "Services", name: str) -> str:
    if name == "valkey" and services.valkey is None:
        return "[dim]answers[/]"
    return "started" if name in services.started else "[dim]runs already[/]"


def _secret_files(home: "Home", services: "Services") -> list[str]:
    files = [home.valkey / "secrets.json"] if services.valkey else []
    if not services.valkey and home.join_file.exists():
        files.append(home.join_file)
    if services.flower:
        files.append(home.flower / "secrets.json")
    if services.artifacts:
        files.append(home.root / "artifacts" / "secrets.json")
    return [str(file) for file in files]


def _how_to_join(connections: "Connections") -> list[str]:
    from rich.markup import escape

    from lemfarm.connections import redacted

    if connections.embedded_broker or connections.database.startswith("sqlite:"):
        return [
            "Another Mac: this farm keeps to one machine (SQLite, and a Valkey that listens on 127.0.0.1).",
            "For several, run PostgreSQL and Valkey on one of them (compose.yaml does), then on each of them",
            "`lemfarm join` and `lemfarm worker`.",
        ]
    database, broker = redacted(connections.database), redacted(str(connections.broker))
    return [
        "Another Mac joins with these two commands (it is asked for URLs that are left out, so no password is shown):",
        escape(f"  lemfarm join --database '{database}' --broker '{broker}'"),
        "  lemfarm worker",
    ]


def _tell_workers(workers: "list[WorkerPlace]") -> None:
    if not workers:
        return
    names = ", ".join(worker.name for worker in workers)
    err().print(
        f"[yellow]note[/] still at work: {names}. They wait for the services, and what supervises them may start "
        "Valkey again: end `lemfarm run` or `lemfarm worker` first.",
        soft_wrap=True,
    )


def _from_outside(variable: str, what: str) -> str:
    """A URL that no one else on this machine can see: from the environment, else typed without an echo."""
    from lemfarm.errors import InputError

    if os.environ.get(variable):
        return os.environ[variable]
    if not os.isatty(0):
        raise InputError(f"no {what} URL: name it with --{what}, or set {variable}.")
    return str(typer.prompt(f"URL of the {what} (not shown)", hide_input=True))


def _broker_url(home: "Home", connections: "Connections") -> str:
    from lemfarm import valkey
    from lemfarm.errors import BrokerDown

    if connections.broker:
        return connections.broker
    server = valkey.find_running(home)
    if server is None:
        raise BrokerDown(f"no Valkey runs in {home.root}: `lemfarm up` starts it, and Flower with it.")
    return server.url


def _tell_flower(home: "Home", url: str, word: str) -> None:
    from lemfarm.flower import USER

    console = out()
    console.print(f"Flower {word}: [bold]{url}[/]", soft_wrap=True)
    console.print(f"[dim]user {USER}, password in[/] {home.flower / 'secrets.json'}", soft_wrap=True)


def _tell_event(event: "Event") -> None:
    code = "" if event.code is None else f" with code {event.code}"
    err().print(f"[dim]{event.member} {event.kind}{code} {event.text}[/]", soft_wrap=True)


def _tell_findings(findings: "list[Finding]") -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table.grid("", "", Column(overflow="fold"), padding=(0, 2))
    for finding in findings:
        fix = f"\n[dim]→ {escape(finding.how_to_fix)}[/]" if finding.how_to_fix else ""
        table.add_row(_MARKS[finding.level], finding.name, escape(finding.what) + fix)
    show_table(table)
    console = out()
    console.print()
    console.print(_verdict([finding.level for finding in findings]))


def _verdict(levels: "list[Level]") -> str:
    bad, warn = levels.count("bad"), levels.count("warn")
    if not bad and not warn:
        return "[green]All is well.[/]"
    parts = [f"[bold red]{bad} bad[/]"] * bool(bad) + [f"[yellow]{warn} to look at[/]"] * bool(warn)
    return ", ".join(parts) + ", the rest is well."
