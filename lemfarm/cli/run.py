"""`run`, `try`: the verbs that make a farm work. Twins: `producer.campaign`, `producer.trial`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.campaign import (
    ModelOption,
    SetOption,
    SlotsOption,
    WorkersOption,
    interruptible,
    model_folders,
    open_for,
    overrides,
    tell_event,
    tell_plan,
    worker_environment,
)
from lemfarm.cli.manners import CaffeinateOption, HoursOption, OnBatteryOption, manners_of
from lemfarm.cli.shared import (
    BrokerOption,
    ConfigArgument,
    DatabaseOption,
    HomeOption,
    JsonOption,
    duration,
    emit,
    err,
    open_farm,
    out,
)

if TYPE_CHECKING:
    from lemfarm.cli.shared import Farm
    from lemfarm.config import RunConfig
    from producer.trial import TrialResult


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("run")(run)
    app.command("try")(try_out)


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
    hours: HoursOption = None,
    on_battery: OnBatteryOption = "work",
    caffeinate: CaffeinateOption = True,
    set_: SetOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run, or go on with it: the same command again continues, and says so when nothing is left to do."""
    from lemfarm.cli.live import follow, show_summary
    from lemfarm.records import RunState
    from lemfarm.status import with_cut_loops
    from producer.campaign import EXIT_CODES

    settings = _load_aloud(config, set_)
    manners = manners_of(hours, on_battery, caffeinate)
    farm = open_farm(home, database, broker)
    if detach:
        _detach(farm, farm.home.ensure(farm.home.logs) / f"detached-{settings.run}.log", settings.run)
        return
    environment = worker_environment(slots, model, settings.run) | manners.environment()
    campaign = open_for(
        farm, settings.run, workers=workers, model=model, environment=environment, leave_services=keep_services
    )
    with interruptible(campaign):
        result = campaign.start(settings, limit=limit, trains=not no_train)
        tell_plan(settings.run, result, active=campaign.is_at_work, state=campaign.state)
        status = with_cut_loops(campaign.database, follow(campaign))
        written = campaign.write_report()
        show_summary(status, farm.home, as_json=as_json, report=written.html if written else None)
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
            models=model_folders(model),
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


def _detach(farm: "Farm", log: Path, name: str) -> None:
    """Start the same command again, in a session of its own; URLs may hold passwords and go by the environment."""
    import subprocess

    from lemfarm.connections import child_environment
    from lemfarm.rotation import rotate

    arguments = without_urls([argument for argument in sys.argv[1:] if argument != "--detach"])
    rotate(log)
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
