"""`probes rephrase`. Twins: `producer.rephrase`, `rephrased` and `rephrased_file`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.campaign import (
    ModelOption,
    SetOption,
    SlotsOption,
    WorkersOption,
    interruptible,
    open_for,
    overrides,
    tell_plan,
    worker_environment,
)
from lemfarm.cli.shared import BrokerOption, DatabaseOption, HomeOption, JsonOption, emit, err, open_farm, out
from lemfarm.rephrasing import Kind

if TYPE_CHECKING:
    from lemfarm.config import RunConfig
    from producer.campaign import Campaign
    from producer.rephrase import RephrasingPlan
    from producer.rephrased import Rephrasings

STARVED = 3


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("rephrase")(rephrase)


def rephrase(
    probes: Annotated[list[Path], typer.Argument(metavar="PROBES...", help="Probe files.")],
    config: Annotated[
        Path, typer.Option("--config", metavar="RUNFILE", help="Run file with the model, its sampling and the farm.")
    ],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Probe file to write: old and new wordings.")],
    kind: Annotated[
        list[Kind] | None, typer.Option("--kind", help="What changes; may be repeated.", show_default="all three")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Make kinds that a probe has already, too.")] = False,
    samples: Annotated[int, typer.Option("--samples", min=1, help="At most so many answers per probe and kind.")] = 4,
    run: Annotated[
        str | None, typer.Option("--run", help="Name of the run in the farm.", show_default="rephrase-FILE")
    ] = None,
    workers: WorkersOption = 1,
    slots: SlotsOption = None,
    model: ModelOption = None,
    set_: SetOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model reword probes: as somebody else would ask, in a hurry, in another culture. The same command goes on.

    What it makes has passed a check of words, not of meaning, and is marked for review.
    """
    from lemfarm.config import load_config
    from producer.rephrase import plan_rephrasing, rephrasing_run, run_name
    from producer.rephrased import Rephrasings
    from producer.rephrased_file import refuse_overwriting, save

    base = load_config(config, overrides=overrides(set_))
    plan = plan_rephrasing(probes, kind or tuple(Kind), again=again)
    farm, name = open_farm(home, database, broker), run_name(out_file, run)
    refuse_overwriting(out_file, plan, probes, home=farm.home, run=name)
    _tell_dialogues(plan)
    found, code = Rephrasings(), 0
    if plan.pairs:
        settings = rephrasing_run(plan, base, name=name, samples=samples, home=farm.home)
        environment = worker_environment(slots, model, name)
        campaign = open_for(farm, name, workers=workers, model=model, environment=environment)
        found, code = _make(campaign, plan, settings)
    save(found, plan, out_file, home=farm.home, run=name)
    if as_json:
        emit("rephrasings", run=name, out=out_file, made=found.made, missing=found.missing, dialogues=plan.dialogues)
    else:
        _show(found, plan, out_file)
    raise typer.Exit(code or (STARVED if found.missing else 0))


def _make(campaign: "Campaign", plan: "RephrasingPlan", settings: "RunConfig") -> tuple["Rephrasings", int]:
    """Work until the run has ended; what came of it, and 1 where it did not end by itself."""
    from lemfarm.cli.live import follow
    from lemfarm.records import RunState
    from producer.rephrase import refuse_other_run
    from producer.rephrased import gather

    with interruptible(campaign):
        refuse_other_run(campaign.database, settings.run)
        result = campaign.start(settings, trains=False)
        tell_plan(settings.run, result, active=campaign.is_at_work, state=campaign.state)
        status = follow(campaign)
        found = gather(campaign.database, plan, settings)
    if status.state not in (RunState.STOPPED, RunState.CANCELLED):
        return found, 0
    err().print(f"run {status.run} is {status.state}. {status.reason}", markup=False, soft_wrap=True)
    return found, 1


def _tell_dialogues(plan: "RephrasingPlan") -> None:
    if plan.dialogues:
        err().print(
            f"left as they are, for their earlier turns fix who speaks: {', '.join(plan.dialogues)}",
            markup=False,
            soft_wrap=True,
        )


def _show(found: "Rephrasings", plan: "RephrasingPlan", path: Path) -> None:
    for pair in found.missing:
        reason = f"{pair.count} of {pair.answers}: {pair.reason}" if pair.answers else pair.reason
        err().print(f"none  {pair.probe} {pair.kind}: {reason}", markup=False, soft_wrap=True)
    if found.missing:
        err().print("More --samples, another model or a higher temperature may find what is missing.")
    if not plan.pairs:
        err().print("Nothing is to be made: the probes are dialogues, or have these kinds; --again makes them anew.")
    out().print(
        f"{path}: {len(plan.probes)} probes, {len(found.made)} new wordings to review, {len(found.missing)} missing",
        markup=False,
        soft_wrap=True,
    )
