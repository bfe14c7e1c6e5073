"""What the verbs share that put a campaign to work: their options, what is told of it, and how it is interrupted."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemfarm.cli.external import tell_problems
from lemfarm.cli.shared import err, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lemfarm.cli.shared import Farm
    from lemfarm.supervisor import Event
    from producer.campaign import Campaign
    from producer.plan import PlanResult

GRACE_SECONDS = 20.0  #: as workers take it where nobody says otherwise (`workers.settings`)

WorkersOption = Annotated[
    int, typer.Option("--workers", min=0, help="Local worker processes; 0 on a head node that only watches.")
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="ID=FOLDER", help="Where the model of that id lies on this machine."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the run file, as `phases.0.samples=5`."),
]
SlotsOption = Annotated[
    int | None,
    typer.Option("--slots", min=1, help="Answers in the making at once, per worker.", show_default="from memory"),
]


def overrides(pairs: list[str] | None) -> dict[str, str]:
    """`KEY=VALUE` flags as the configuration takes them. Raises InputError."""
    from lemfarm.errors import InputError

    found = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set {pair}: write KEY=VALUE, as in --set sampling.temperature=0.7")
        found[key] = value
    return found


def model_folders(pairs: list[str] | None) -> dict[str, Path]:
    """Where each model lies that a `--model ID=FOLDER` names. Raises InputError."""
    from lemfarm.errors import InputError

    found = {}
    for pair in pairs or []:
        name, equals, folder = pair.partition("=")
        if not equals or not Path(folder).expanduser().is_dir():
            raise InputError(f"--model {pair}: write ID=FOLDER with a folder that exists.")
        found[name] = Path(folder).expanduser().absolute()
    return found


def worker_environment(slots: int | None, models: list[str] | None, run_name: str | None) -> dict[str, str]:
    """What worker processes are told by flags of theirs or of their run's. Raises InputError."""
    environment = {}
    if slots:
        environment["LEMFARM_SLOTS"] = str(slots)
    if models:
        environment["LEMFARM_MODELS"] = os.pathsep.join(
            f"{name}={folder}" for name, folder in model_folders(models).items()
        )
    if run_name:
        environment["LEMFARM_RUN"] = run_name
    return environment


def open_for(
    farm: "Farm",
    run: str,
    *,
    workers: int,
    model: list[str] | None,
    environment: "Mapping[str, str]",
    leave_services: bool = False,
) -> "Campaign":
    """A campaign that tells what becomes of its processes; its log goes to the file of the run. Workers get the
    `environment`. Raises InputError for a model that is nowhere, and what `producer.campaign.open_campaign` raises.
    """
    from lemfarm.journal import write_to_file
    from producer.campaign import open_campaign

    write_to_file(farm.home.ensure(farm.home.logs) / f"run-{run}.log")
    return open_campaign(
        farm.home,
        farm.connections,
        workers=workers,
        leave_services=leave_services,
        models=model_folders(model),
        worker_environment=environment,
        on_event=tell_event,
    )


@contextmanager
def interruptible(campaign: "Campaign") -> "Iterator[None]":
    """Ctrl-C once: workers finish or release what they hold; twice: they release it at once; a third time kills them,
    and what they held is free when its lease ends. Nothing is lost either way."""

    def interrupt(_number: int, _frame: Any) -> None:
        campaign.interrupted = True
        raise KeyboardInterrupt

    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    except KeyboardInterrupt:
        err().print(
            "stopping: workers finish or release what they hold (again: at once). Run the same command to go on."
        )
        raise
    finally:
        _close(campaign)
        for number, handler in before.items():
            signal.signal(number, handler)


def _close(campaign: "Campaign") -> None:
    """A worker lets go at once when it hears a second signal. On a loaded machine it may hear but one, and takes its
    grace: nobody is killed before that is over, but by a third Ctrl-C."""
    try:
        campaign.close(GRACE_SECONDS + 10)
    except KeyboardInterrupt:
        _close_in_a_hurry(campaign)


def _close_in_a_hurry(campaign: "Campaign") -> None:
    try:
        campaign.hurry()
        campaign.close(GRACE_SECONDS + 10)
    except KeyboardInterrupt:
        campaign.close(0.0)


def tell_plan(name: str, result: "PlanResult", *, active: bool, state: str) -> None:
    """Say what the same command did this time: began a run, changed it, went on, or found nothing left to do."""
    for imported in result.external:
        said = f"phase {imported.phase}: external answers of {plain(imported.text)}"
        err().print(said, markup=False, soft_wrap=True)
    tell_problems(result.external)
    if result.created:
        err().print(f"run {name}: {result.added} samples planned")
    elif result.changed:
        err().print(
            f"run {name}: changed, {result.added} samples added, "
            f"{result.superseded} superseded, {result.restored} restored"
        )
    elif state == "paused":
        err().print(f"run {name} is paused; `lemfarm resume {name}` lets it go on.")
    else:
        err().print(f"run {name}: going on" if active else f"run {name}: nothing is left to do")


def tell_event(event: "Event") -> None:
    """Say what became of a process of the farm. What is no death, return or end speaks for itself."""
    said = {
        "died": f"died with code {event.code}; starting it again",
        "restarted": "is back",
        "ended": f"ended with code {event.code}",
    }
    err().print(f"{event.member} {said.get(event.kind, event.text)}", style="dim", markup=False)
