"""`train now`, `train show`: let a phase be trained, or trained again, and look at its curve. Twins:
`producer.campaign.train_now`, `producer.promotions.train_again`, `lemfarm.training.history`,
`lemfarm.training.tensorboard`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemfarm.cli.campaign import overrides
from lemfarm.cli.default_command import NowByDefault
from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    RunArgument,
    duration,
    emit,
    err,
    open_farm,
    out,
    plain,
    size,
)

if TYPE_CHECKING:
    from lemfarm.cli.shared import Farm
    from lemfarm.training.history import TrainingHistory

_NARROWEST, _WIDEST, _HEIGHT = 40, 120, 16


app = typer.Typer(
    cls=NowByDefault,
    help="Train a phase, and look at its loss curve. `lemfarm train RUN` is `lemfarm train now RUN`.",
)


@app.command("now")
def now(
    run: RunArgument = None,
    phase: Annotated[
        str | None,
        typer.Option("--phase", metavar="NAME", help="With --retry: the phase, or a beginning of its name."),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Train a phase again whose adapter was not promoted: a further attempt.")
    ] = False,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", metavar="RATE", help="With --retry: of this attempt alone.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", metavar="N", help="With --retry: of this attempt alone.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="With --retry: another key of the phase's `train` section."),
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Let a phase that ran out with enough be trained now, a failed training be tried again, or with --retry a phase
    that did not pass its gates be trained again with other settings."""
    from lemfarm.errors import InputError

    changes = _changes(learning_rate, iterations, set_)
    if not retry and (changes or phase):
        raise InputError("--phase and settings are for one more attempt: add --retry.")
    farm = open_farm(home, database, broker)
    if retry:
        _retry(farm, run, phase, changes)
        return
    from producer.campaign import train_now

    row = train_now(farm.database(), run)
    out().print(f"run {row.name} will train with what it has. Workers take it up; `lemfarm run CONFIG` starts them.")


def _changes(learning_rate: float | None, iterations: int | None, pairs: list[str] | None) -> dict[str, Any]:
    from lemfarm.yaml_places import read_yaml

    given = {"learning_rate": learning_rate, "iterations": iterations}
    changes = {key: value for key, value in given.items() if value is not None}
    return changes | {key: read_yaml(value).value for key, value in overrides(pairs).items()}


def _retry(farm: "Farm", run: str | None, phase: str | None, changes: dict[str, Any]) -> None:
    from producer.promotions import train_again

    row, name, attempt = train_again(farm.database(), run, changes, phase=phase)
    others = ", ".join(f"{key} {value}" for key, value in changes.items()) or "the settings of the run file"
    out().print(f"run {row.name}: phase {name} will be trained again, attempt {attempt}, with {others}.", markup=False)
    out().print("Workers take it up; `lemfarm run CONFIG` starts them.")


@app.command("show")
def show(
    run: RunArgument = None,
    phase: Annotated[
        str | None, typer.Option("--phase", metavar="NAME", help="Only the phase of that name.", show_default=False)
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="FOLDER", help="Write the curves for TensorBoard, in FOLDER/RUN/PHASE."),
    ] = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the loss curves of a run's trainings, finished or under way, with what was expected and what it took."""
    from lemfarm.training.history import read_trainings

    farm = open_farm(home, database, broker)
    name, trainings = read_trainings(farm.database(), run, phase=phase)
    if tensorboard is not None:
        from lemfarm.training.tensorboard import write_curves

        for folder in write_curves(tensorboard / name, trainings):
            err().print(f"written: {plain(str(folder))}", markup=False)
    if as_json:
        emit("trainings", run=name, trainings=trainings)
        return
    for training in trainings:
        _show(training)


def _show(training: "TrainingHistory") -> None:
    from rich.markup import escape

    from lemfarm.cli.loss_chart import TRAIN_MARK, VALID_MARK, draw

    console = out()
    again = f", attempt {training.attempt}" if training.attempt > 1 else ""
    done = f"{training.done:,} of {training.iterations:,}"
    console.print(f"[bold]{escape(training.phase)}[/]{again}  {training.state}, {done}")
    if training.train or training.valid:
        width = max(_NARROWEST, min(_WIDEST, console.width))
        console.print(f"[dim]loss over updates: {TRAIN_MARK} training, {VALID_MARK} validation[/]")
        print(draw(training.train, training.valid, width=width, height=_HEIGHT, colour=console.is_terminal))
    for line in _facts(training):
        console.print(f"  {escape(plain(line))}")
    console.print()


def _facts(training: "TrainingHistory") -> list[str]:
    lines = []
    if training.overrides:
        lines.append("with " + ", ".join(f"{key} {value}" for key, value in training.overrides.items()))
    if training.valid:
        (_, first), (update, last) = training.valid[0], training.valid[-1]
        best_at, best = min(training.valid[1:] or training.valid, key=lambda point: point[1])
        course = f"{first:.3f} -> {last:.3f} after {update} updates"
        lines.append(f"validation loss {course}, lowest {best:.3f} after {best_at}")
    if training.adapter:
        lines.append(f"adapter {training.adapter}, the weights of update {training.used}")
    if training.expected:
        lines.append("expected: " + _expected(training.expected))
    if training.measured:
        lines.append("measured: " + _measured(training.measured))
    if training.error:
        lines.append(f"error: {training.error}")
    return lines


def _expected(facts: Any) -> str:
    memory = f"{size(facts['estimated_memory'])} of {size(facts['memory_limit'])} of memory"
    return f"{duration(facts['estimated_seconds'])}, {memory} ({facts['estimate_source']})"


def _measured(facts: Any) -> str:
    took = f"{duration(facts['seconds'])}, {size(facts['peak_memory'])} of memory at the peak"
    resumed = ", ".join(map(str, facts["resumed"]))
    return took + (f", resumed after update {resumed}" if resumed else "")
