"""`bench engine`. Twin: `lemfarm.engines.mlx_comparison`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.shared import DatabaseOption, HomeOption, JsonOption, emit, err, open_farm, out, show_table

if TYPE_CHECKING:
    from lemfarm.cli.shared import Farm
    from lemfarm.engine_record import Knee
    from lemfarm.engines.mlx_comparison import Comparison, Result
    from lemfarm.models import FoundModel

app = typer.Typer(help="Measure, on this machine, what the farm rests on.", no_args_is_help=True)

_QUICK_KERNEL, _QUICK_ANSWER = 256, 32


@app.command()
def engine(
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="FOLDER|ID", help="A model folder or hub id.", show_default="the latest run's"),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option("--slots", min=1, help="Answers in the making at once.", show_default="what a worker would take"),
    ] = None,
    kernel_tokens: Annotated[int, typer.Option("--kernel-tokens", min=64, help="Length of the system prompt.")] = 2000,
    answer_tokens: Annotated[int, typer.Option("--answer-tokens", min=1, help="Length of each answer.")] = 128,
    turns: Annotated[int, typer.Option("--turns", min=1, help="How often the ways take turns; medians count.")] = 3,
    waves: Annotated[
        int, typer.Option("--waves", min=1, help="Samples of the engine in a turn, as a multiple of the slots.")
    ] = 2,
    knee_seconds: Annotated[
        float,
        typer.Option("--knee-seconds", min=0.0, help="Search for the number of slots that pay for so long; 0: do not."),
    ] = 60.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A look: a short kernel, short answers, one turn, no search, no batches.")
    ] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Race the engine against mlx-lm's own ways to make the same samples, and find how many slots pay.

    The number of slots is kept for the workers of this machine. Best when nothing else runs; on a large model it takes
    long, for the plain loop computes the whole kernel for each of its samples.
    """
    if sys.platform == "linux":
        os.environ.setdefault("MLX_DISABLE_COMPILE", "1")  # else kernels are compiled by g++ while they are timed
    from lemfarm.engines.mlx_comparison import Comparison, Work

    if quick:
        kernel_tokens, answer_tokens, turns, waves, knee_seconds = _QUICK_KERNEL, _QUICK_ANSWER, 1, 1, 0.0
    farm = open_farm(home, database, None)
    found = _find(farm, model)
    comparison = Comparison(found.folder, slots=slots, work=Work(kernel_tokens, answer=answer_tokens))
    try:
        result = comparison.run(turns=turns, waves=waves, slow_turns=0 if quick else 1, say=_say)
        knee = _search(comparison, found, farm, knee_seconds) if knee_seconds else None
    finally:
        comparison.close()
    if as_json:
        emit("engine-bench", result=result, rates=_rates(result), knee=knee)
        return
    _show(result)
    if knee is not None:
        _show_knee(knee)


def _find(farm: "Farm", name: str | None) -> "FoundModel":
    from lemfarm.config import MlxModel, config_from_data
    from lemfarm.errors import InputError, LemfarmError
    from lemfarm.models import find_model
    from lemfarm.runs import find_run

    if name is not None:
        return find_model(str(Path(name).expanduser()), home=farm.home)
    try:
        run = find_run(farm.database(), None)
    except LemfarmError as error:
        raise InputError(f"{error} Or name a model: --model FOLDER.") from error
    model = config_from_data(run.config).model
    if not isinstance(model, MlxModel):
        raise InputError(f"run {run.name} uses no MLX model; name one with --model")
    return find_model(model.path, revision=model.revision, home=farm.home)


def _search(comparison: "Comparison", found: "FoundModel", farm: "Farm", seconds: float) -> "Knee":
    """Find the knee, and keep it for the workers."""
    from lemfarm.engine_record import EngineRecord, model_name

    _say(f"how many slots pay: for at most {seconds:g} s")
    knee = comparison.find_knee(seconds)
    EngineRecord.of(farm.home, model_name(found.folder, found.name)).note_knee(knee)
    return knee


def _say(line: str) -> None:
    err().print(f"[dim]{line}[/]", soft_wrap=True)


def _rates(result: "Result") -> dict[str, dict[str, float]]:
    return {
        way: {
            "samples_per_second": round(result.per_second(way), 4),
            "engine_is_times_faster": round(result.ratio(way), 3),
        }
        for way in result.ways
    }


def _show(result: "Result") -> None:
    from rich.table import Table

    work = result.work
    console = out()
    console.print(
        f"[bold]{result.model}[/]: {result.slots} slots; kernel {work.kernel:,}, questions {work.question}, answers "
        f"{work.answer} tokens, {work.samples} samples of each question; medians of {len(result.turns)} turns"
    )
    table = Table("way", box=None, pad_edge=False)
    for head in ("samples a second", "the engine is faster"):
        table.add_column(head, justify="right")
    for way in result.ways:
        table.add_row(way, f"{result.per_second(way):.3g}", f"{result.ratio(way):.2f} times")
    show_table(table)
    stall, drawing = result.stall, result.drawing
    console.print(
        f"A step takes {stall.milliseconds:.1f} ms. A question on a cached kernel holds the others up by "
        f"{stall.question:.1f} steps in all; while a new kernel comes in, a step is "
        f"{stall.step_with_chunk:.1f} times as long."
    )
    console.print(
        f"Drawing {result.slots} tokens from {drawing.vocabulary:,}: {drawing.here:.2f} ms, by mlx-lm "
        f"{drawing.mlx_lm:.2f}, row by row {drawing.mlx_lm_row_by_row:.2f}."
    )


def _show_knee(knee: "Knee") -> None:
    rates = ", ".join(f"{size}: {rate:,.0f}" for size, rate in sorted(knee.rates.items()))
    sure = "" if knee.sure else " (not sure: something else was at work, or time was short)"
    out().print(f"Slots that pay: [bold]{knee.slots}[/]{sure}; tokens a second by slots: {rates}")
