"""`worker`, a group that serves when nothing follows it, and `workers list|drain|forget`.

Twins: `lemfarm.local_workers`, `lemfarm.supervisor`, `lemfarm.workforce`.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli import worker_install
from lemfarm.cli.campaign import GRACE_SECONDS, ModelOption, worker_environment
from lemfarm.cli.manners import CaffeinateOption, HoursOption, OnBatteryOption, manners_of
from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    Farm,
    HomeOption,
    JsonOption,
    bare_table,
    emit,
    err,
    open_farm,
    out,
    show_table,
)

if TYPE_CHECKING:
    from lemfarm.connections import Connections
    from lemfarm.supervisor import Event

worker_app = typer.Typer(subcommand_metavar="[install|uninstall]")
workers_app = typer.Typer(help="See and steer the workers of a farm.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the verb, and the group of the same name below it."""
    worker_app.callback(invoke_without_command=True)(worker)
    worker_install.add_to(worker_app)
    app.add_typer(worker_app, name="worker")


def worker(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option("--name", help="Its name; the host's with a number when left out.", show_default=False)
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            "--slots", min=1, help="Answers in the making at once; from memory when left out.", show_default=False
        ),
    ] = None,
    model: ModelOption = None,
    run: Annotated[str | None, typer.Option("--run", help="Serve this run only.", show_default=False)] = None,
    grace: Annotated[
        float, typer.Option("--grace", min=0, help="Seconds that samples have to finish when it is asked to end.")
    ] = GRACE_SECONDS,
    hours: HoursOption = None,
    on_battery: OnBatteryOption = "work",
    caffeinate: CaffeinateOption = True,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Serve a farm on this machine: load the model that a run wants, generate, and come back when it dies.

    Ctrl-C once: finish or release what it holds; twice: at once. `install` lets macOS start it with the machine.
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context)
        return
    from lemfarm.connections import child_environment
    from lemfarm.local_workers import worker_members
    from lemfarm.supervisor import Supervisor
    from lemfarm.supervisor import run as supervise

    manners = manners_of(hours, on_battery, caffeinate)
    farm = open_farm(home, database, broker)
    environment = child_environment(_with_broker(farm), farm.home) | worker_environment(slots, model, run)
    environment |= manners.environment()
    environment["LEMFARM_GRACE_SECONDS"] = str(grace)
    farm.home.ensure()
    members = worker_members(farm.home, 1, environment, name=name)
    log = farm.home.logs / f"{members[0].name}.log"
    when = f"; hours: {manners.hours}" if manners.hours else ""
    err().print(f"worker {members[0].name}; log: {log}{when}", soft_wrap=True)
    code = supervise(Supervisor(members), grace_seconds=grace + 10, on_event=_tell)
    if code not in (0, 130):
        err().print("[bold red]error[/] the worker could not serve:", end=" ")
        err().print(_last_word(log), markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _refuse_options_before(context: typer.Context) -> None:
    """`lemfarm worker --hours ... install` would drop the hours without a word. Raises InputError."""
    from lemfarm.errors import InputError

    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        verb = context.invoked_subcommand
        raise InputError(f"write options after the verb: lemfarm worker {verb} --{given[0].replace('_', '-')} ...")


def _with_broker(farm: Farm) -> "Connections":
    """The farm's connections, with the embedded Valkey that runs. Raises Unavailable when none does."""
    from lemfarm.errors import Unavailable
    from lemfarm.valkey import find_running

    if farm.connections.broker is not None:
        return farm.connections
    running = find_running(farm.home)
    if running is None:
        raise Unavailable(
            "no broker runs in this home. Start one with `lemfarm up` or a run with `lemfarm run CONFIG`; "
            "on a further Mac, `lemfarm join` names the head node's."
        )
    return farm.connections.with_broker(running.url)


def _tell(event: "Event") -> None:
    said = f"{event.member} {event.kind} {'' if event.code is None else event.code} {event.text}"
    err().print(said.rstrip(), style="dim", markup=False)


@workers_app.command("list")
def list_workers(
    all_: Annotated[bool, typer.Option("--all", help="Also those that are gone.")] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Workers of the farm, their state, speed, power and heat, and why one refused or rests."""
    from rich.markup import escape

    from lemfarm.worker_status import read_workers

    found = read_workers(open_farm(home, database, broker).database(), all_of_them=all_)
    if as_json:
        emit("workers", workers=found)
        return
    table = bare_table("worker", "host", "state", "slots", "in flight", "tokens/s", "power", "seen", "says")
    for row in found:
        table.add_row(
            row.name,
            row.host,
            row.state,
            str(row.slots),
            str(row.in_flight),
            f"{row.tokens_per_second:.0f}",
            str(row.power or ""),
            f"{row.seen_ago:.0f} s ago",
            escape(row.message),
        )
    if found:
        show_table(table)
    else:
        err().print("no worker is alive; `lemfarm worker` starts one.")


@workers_app.command("drain")
def drain(
    name: Annotated[str, typer.Argument(help="Name of the worker.")],
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Let a worker finish what it holds and then end."""
    from lemfarm.workforce import drain as ask

    count = ask(open_farm(home, database, broker).database(), name)
    out().print(f"{count} worker(s) named {name} will end when they have finished what they hold.")


@workers_app.command("forget")
def forget(
    name: Annotated[str, typer.Argument(help="Name of the worker.")],
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Give up a worker that will not come back: its leases return at once; no sample is blamed."""
    from lemfarm.workforce import forget as give_up

    count = give_up(open_farm(home, database, broker).database(), name)
    out().print(f"forgot {name}; {count} samples went back.")


def _last_word(log: object) -> str:
    from pathlib import Path

    lines = [line for line in Path(str(log)).read_text(errors="replace").splitlines() if "reason=" in line]
    return lines[-1].split("reason=", 1)[1].strip('"') if lines else f"see {log}"
