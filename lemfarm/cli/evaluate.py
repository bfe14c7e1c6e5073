"""`evaluate`, `compare`. Twins: `producer.evaluate`, `producer.ab_answers`, `producer.compared`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lemfarm.cli.campaign import (
    ModelOption,
    SetOption,
    SlotsOption,
    WorkersOption,
    interruptible,
    open_for,
    overrides,
    worker_environment,
)
from lemfarm.cli.evaluate_views import json_of, show_extremes, show_models
from lemfarm.cli.shared import BrokerOption, DatabaseOption, HomeOption, JsonOption, emit, err, open_farm, out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lemfarm.cli.shared import Farm
    from lemfarm.config import RunConfig
    from lemfarm.config.run import TargetConfig
    from lemfarm.database import Database
    from producer.campaign import Campaign
    from producer.compared import Compared
    from producer.evaluate import Subject
    from producer.plan import PlanResult

ScorerOption = Annotated[str, typer.Option("--scorer", help="Scorer; its values compare with no other scorer's.")]
DomainsOption = Annotated[bool, typer.Option("--domains", help="Show the means of each domain, too.")]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("evaluate")(evaluate)
    app.command("compare")(compare)


def evaluate(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|ADAPTER",
            help="A run file (its untrained model), a model's folder or hub id, an adapter's id, or a run (its "
            "promoted adapter).",
        ),
    ],
    probes: Annotated[Path, typer.Option("--probes", metavar="FILE", help="The probe file (JSONL).")],
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            metavar="baseline|NAME=FILE",
            help="A kernel file under a name, or the bare prompt; may be repeated.",
            show_default="baseline",
        ),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Answers per prompt; above 1 with --no-greedy.")] = 1,
    greedy: Annotated[
        bool, typer.Option("--greedy/--no-greedy", help="Take the likeliest token always, or draw as the run does.")
    ] = True,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest answer, in tokens.")] = 1024,
    wordings: Annotated[
        Literal["original", "all"], typer.Option("--wordings", help="Each probe as it stands, or its variants too.")
    ] = "original",
    scorer: ScorerOption = "v2",
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="A/B file to write.", show_default="evaluations/RUN.jsonl at home"),
    ] = None,
    domains: DomainsOption = False,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Name of the run in the farm.", show_default="evaluate-MODEL-FILE"),
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
    """Measure a model or an adapter on all workers, under one or more conditions. The same command goes on.

    Writes an A/B file: a record for each probe with the answer under every condition, then a summary.
    """
    from producer.evaluate import Questions, conditions_of, evaluation_run, run_name

    farm = open_farm(home, database, broker)
    found = _subject(farm, subject, set_)
    questions = Questions(probes, conditions_of(condition or []), samples, greedy, max_tokens, wordings, scorer)
    name = run_name(found, probes, run)
    settings = evaluation_run(found, questions, name)
    path = _output(farm, out_file, name, probes)
    campaign = open_for(farm, name, workers=workers, model=model, environment=worker_environment(slots, model, name))
    models, code = _measure(campaign, settings, path)
    if as_json:
        emit("evaluation", run=name, out=path if models else None, scorer=scorer, **json_of(models))
    elif models:
        show_models(models, scorer, settings.evaluate.targets if settings.evaluate else {}, domains=domains)
        show_extremes(models[0].model)
        out().print(f"\nA/B file: {path}", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def compare(
    sources: Annotated[
        list[str], typer.Argument(metavar="RUN|FILE...", help="Runs with an evaluation, and A/B files (.jsonl).")
    ],
    scorer: ScorerOption = "v2",
    domains: DomainsOption = False,
    ab: Annotated[
        Path | None, typer.Option("--ab", metavar="FOLDER", help="Write an A/B file of each model of the runs there.")
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put models and conditions beside each other: means, kernel effects, and changes probe by probe with intervals.

    An adapter is compared with its base model and the adapter before it; further runs and files with the first.
    """
    from producer.compared import compared, is_file

    farm = open_farm(home, database, broker)
    asked = None if all(is_file(source) for source in sources) else farm.database()
    models = compared(asked, sources, scorer)
    for one in models:
        for problem in one.problems:
            err().print(problem, markup=False, soft_wrap=True)
    files = _write_all(asked, models, ab) if ab and asked else []
    if as_json:
        emit("comparison", scorer=scorer, files=files, **json_of(models))
    else:
        show_models(models, scorer, _targets(asked, models), domains=domains)
        for file in files:
            out().print(f"A/B file: {file}", markup=False, soft_wrap=True)


def _subject(farm: "Farm", given: str, set_: list[str] | None) -> "Subject":
    from producer.evaluate import find_subject

    farm.home.ensure()
    database = farm.database(migrate=True)
    try:
        return find_subject(database, given, overrides(set_))
    finally:
        database.close()


def _output(farm: "Farm", given: Path | None, name: str, probes: Path) -> Path:
    """Where the A/B file goes; refused before any work is done where it cannot be written."""
    from lemfarm.output_files import check_output

    path = given or farm.home.ensure(farm.home.root / "evaluations") / f"{name}.jsonl"
    check_output(path, [probes])
    return path


def _measure(campaign: "Campaign", settings: "RunConfig", path: Path) -> tuple[list["Compared"], int]:
    """Work until the run has ended; what was measured, and 1 where answers are missing or the run did not end well."""
    from lemfarm.cli.live import follow
    from lemfarm.records import RunState
    from producer.ab_answers import save
    from producer.compared import compared
    from producer.evaluate import refuse_other_run

    assert settings.evaluate is not None
    with interruptible(campaign):
        refuse_other_run(campaign.database, settings.run)
        result = campaign.start(settings, limit=0, trains=False)
        _tell_plan(campaign, result)
        status = follow(campaign)
        if not status.evaluation["done"]:
            models = []
        else:
            save(campaign.database, settings.run, path, settings.evaluate.adapter)
            models = compared(campaign.database, [settings.run], settings.evaluate.scorer)
    missing = status.evaluation["planned"] - status.evaluation["done"]
    if status.state != RunState.DONE or missing:
        said = f"run {status.run} is {status.state}, {missing} answers are missing. {status.reason}"
        err().print(said, markup=False, soft_wrap=True)
    return models, int(status.state != RunState.DONE or missing > 0)


def _tell_plan(campaign: "Campaign", result: "PlanResult") -> None:
    """Say what the same command did this time."""
    from lemfarm.ledger import Ledger
    from lemfarm.records import Purpose

    found = Ledger(campaign.database).balance(result.run_id, Purpose.EVALUATE)
    done = f", {found.done} of them done" if found.done else ""
    left = "" if campaign.is_at_work else "; nothing is left to do"
    err().print(f"{found.planned} answers planned{done}{left}")


def _write_all(database: "Database", models: "Sequence[Compared]", folder: Path) -> list[Path]:
    from lemfarm.output_files import check_output
    from producer.ab_answers import save

    files = []
    for one in models:
        if one.run is None:
            continue
        path = folder / f"{one.run}-{one.adapter or 'base'}.jsonl"
        check_output(path, [])
        save(database, one.run, path, one.adapter)
        files.append(path)
    return files


def _targets(database: "Database | None", models: "Sequence[Compared]") -> "Mapping[str, TargetConfig]":
    """What the first run of the comparison is meant to reach."""
    from lemfarm.config import config_from_data
    from lemfarm.runs import find_run

    run = next((one.run for one in models if one.run), None)
    if database is None or run is None:
        return {}
    evaluate = config_from_data(find_run(database, run).config).evaluate
    return evaluate.targets if evaluate else {}
