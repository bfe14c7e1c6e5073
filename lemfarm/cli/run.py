"""`run`, `try`, `train`: the verbs that make a farm work. Twins: `producer.campaign`, `producer.trial`."""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemfarm.cli.shared import (
    BrokerOption,
    ConfigArgument,
    DatabaseOption,
    HomeOption,
    JsonOption,
    RunArgument,
    duration,
    emit,
    err,
    open_farm,
    out,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lemfarm.cli.shared import Farm
    from lemfarm.config import RunConfig
    from producer.campaign import Campaign
    from producer.trial import TrialResult

GRACE_SECONDS = 20.0
HURRY_SECONDS = 5.0

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


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("run")(run)
    app.command("try")(try_out)
    app.command("train")(train)


def run(
    config: ConfigArgument,
    workers: WorkersOption = 1,
    slots: SlotsOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Plan no more samples than this; repeating it adds nothing.")
    ] = None,
    no_train: Annotated[bool, typer.Option("--no-train", help="Stop after the generations.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Go on in the background; `lemfarm status --watch` shows it.")
    ] = False,
    keep_services: Annotated[
        bool, typer.Option("--keep-services", help="Leave the embedded Valkey running at the end.")
    ] = False,
    model: ModelOption = None,
    set_: SetOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run, or go on with it: the same command again continues, and says so when nothing is left to do."""
    from lemfarm.cli.live import follow, show_summary
    from lemfarm.journal import write_to_file
    from lemfarm.records import RunState
    from producer.campaign import EXIT_CODES, open_campaign

    settings = _load_aloud(config, set_)
    farm = open_farm(home, database, broker)
    if detach:
        _detach(farm, farm.home.ensure(farm.home.logs) / f"detached-{settings.run}.log", settings.run)
        return
    write_to_file(farm.home.ensure(farm.home.logs) / f"run-{settings.run}.log")
    campaign = open_campaign(
        farm.home,
        farm.connections,
        workers=workers,
        leave_services=keep_services,
        models=mapping(model),
        worker_environment=worker_environment(slots, model, settings.run),
        on_event=tell_event,
    )
    with interruptible(campaign):
        result = campaign.start(settings, limit=limit, trains=not no_train)
        tell_plan(settings.run, result, active=campaign.is_at_work, state=campaign.state)
        status = follow(campaign)
        show_summary(status, farm.home, as_json=as_json)
    raise typer.Exit(EXIT_CODES[RunState(status.state)])


def _load_aloud(path: Path, set_: list[str] | None) -> "RunConfig":
    """The configuration, with its warnings told."""
    from rich.markup import escape

    from lemfarm.config import config_warnings, load_config

    config = load_config(path, overrides=overrides(set_))
    for warning in config_warnings(config):
        err().print(f"[yellow]note[/] {escape(warning)}", soft_wrap=True)
    return config


def try_out(
    config: ConfigArgument,
    probes: Annotated[int, typer.Option("--probes", min=1, help="How many probes, spread over the files.")] = 5,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Samples per text.")] = 2,
    workers: WorkersOption = 1,
    slots: SlotsOption = None,
    model: ModelOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """A small real trial in a farm of its own: measured pass rate, tokens per second, projected days."""
    from lemfarm.cli.live import follow
    from lemfarm.config import load_config
    from lemfarm.journal import write_to_file
    from producer.trial import open_trial

    settings = load_config(config, overrides=overrides(set_))
    with open_trial(settings, probes=probes, samples=samples) as trial:
        write_to_file(trial.home.logs / "try.log")
        campaign = trial.campaign(
            workers=workers,
            models=mapping(model),
            worker_environment=worker_environment(slots, model, None),
            on_event=tell_event,
        )
        with interruptible(campaign):
            campaign.start(trial.config, trains=False)
            follow(campaign)
            found = trial.measure(campaign.database)
    if as_json:
        emit("trial", trial=found)
    else:
        _show_trial(found)


def _show_trial(found: "TrialResult") -> None:
    console = out()
    console.print(f"{found.tokens_per_second:.0f} tokens/s, {found.samples_per_minute:.1f} samples/min on this machine")
    for phase in found.phases:
        console.print(
            f"{phase.name}: {phase.accepted} of {phase.done} accepted ({phase.pass_rate:.0%}), "
            f"{phase.mean_tokens:.0f} tokens an answer, {phase.truncated} truncated"
        )
        if phase.seconds is None:
            console.print("    at this pass rate the grid does not fill the quota: raise `samples`, or lower the gate")
        else:
            work = f"about {phase.generations:.0f} generations, {duration(phase.seconds)} on one such machine"
            console.print(f"    the quota would take {work}")


def train(
    run: RunArgument = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Let a phase that ran out with enough be trained now, or a failed training be tried again."""
    from producer.campaign import train_now

    farm = open_farm(home, database, broker)
    row = train_now(farm.database(), run)
    out().print(f"run {row.name} will train with what it has. Workers take it up; `lemfarm run CONFIG` starts them.")


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


def mapping(pairs: list[str] | None) -> dict[str, Path]:
    """`--model ID=FOLDER` flags. Raises InputError."""
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
        environment["LEMFARM_MODELS"] = os.pathsep.join(f"{name}={folder}" for name, folder in mapping(models).items())
    if run_name:
        environment["LEMFARM_RUN"] = run_name
    return environment


@contextmanager
def interruptible(campaign: "Campaign") -> "Iterator[None]":
    """Ctrl-C once: workers finish or release what they hold; twice: at once. Either way nothing is lost."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        err().print(
            "stopping: workers finish or release what they hold (again: at once). Run the same command to go on."
        )
        raise
    finally:
        _close(campaign)
        signal.signal(signal.SIGTERM, before)


def _close(campaign: "Campaign") -> None:
    try:
        campaign.close(GRACE_SECONDS + 10)
    except KeyboardInterrupt:
        campaign.close(HURRY_SECONDS)  # a worker's second SIGTERM means: release everything now


def tell_event(event: Any) -> None:
    said = {
        "died": f"died with code {event.code}; starting it again",
        "restarted": "is back",
        "ended": f"ended with code {event.code}",
    }
    err().print(f"{event.member} {said.get(event.kind, event.text)}", style="dim", markup=False)


def without_urls(arguments: list[str]) -> list[str]:
    """A command line without `--database` and `--broker`, whichever way they were written."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("--database", "--broker"):
            skip = True
        elif not argument.startswith(("--database=", "--broker=")):
            kept.append(argument)
    return kept


def tell_plan(name: str, result: Any, *, active: bool, state: str) -> None:
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


def _detach(farm: "Farm", log: Path, name: str) -> None:
    """Start the same command again, in a session of its own; URLs may hold passwords and go by the environment."""
    import subprocess

    from lemfarm.connections import child_environment

    arguments = without_urls([argument for argument in sys.argv[1:] if argument != "--detach"])
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "lemfarm", *arguments],
            env={**os.environ, **child_environment(farm.connections, farm.home)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    out().print(f"run {name} goes on in the background (process {child.pid}); log: {log}")
    out().print(
        f"`lemfarm status {name} --watch` shows it, `lemfarm pause {name}` and `lemfarm cancel {name}` stop it."
    )
