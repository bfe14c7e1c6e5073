"""`gates try|apply`. Twins: `producer.gate_trial`, `producer.regate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.progress import count_bar
from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JobsOption,
    JsonOption,
    RunArgument,
    emit,
    open_farm,
)

if TYPE_CHECKING:
    from producer.gate_change import GateChange

app = typer.Typer(help="Change what a phase accepts, on what is generated already.", no_args_is_help=True)

PhaseOption = Annotated[
    str | None, typer.Option("--phase", help="Only the gates of this phase; else of all.", show_default=False)
]
AtLeastOption = Annotated[
    float | None,
    typer.Option(
        "--at-least",
        help="The lowest score that passes: of every score gate, or of that of --scorer.",
        show_default=False,
    ),
]
ScorerOption = Annotated[
    str | None,
    typer.Option(
        "--scorer",
        help="Whose gate --at-least is meant for; where there is none, it replaces the score gate.",
        show_default=False,
    ),
]
MinCharsOption = Annotated[
    int | None, typer.Option("--min-chars", min=1, help="The least number of characters that passes.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Take the gates of this run file instead.", show_default=False)
]


@app.command("try")
def try_out(
    run: RunArgument = None,
    phase: PhaseOption = None,
    at_least: AtLeastOption = None,
    scorer: ScorerOption = None,
    min_chars: MinCharsOption = None,
    config: ConfigOption = None,
    jobs: JobsOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what would pass with other gates, against what passes now. Nothing is written."""
    from lemfarm.cli.gate_views import show_trial
    from producer.gate_trial import try_gates

    change = _change(phase, at_least, scorer, min_chars, config)
    store = open_farm(home, database, broker).database()
    with count_bar("judging") as bar:
        found = try_gates(store, run or _run_of(change), change, processes=jobs, on_progress=bar)
    if as_json:
        emit("gates-try", trial=found)
    else:
        show_trial(found)


@app.command("apply")
def apply(
    run: RunArgument = None,
    phase: PhaseOption = None,
    at_least: AtLeastOption = None,
    scorer: ScorerOption = None,
    min_chars: MinCharsOption = None,
    config: ConfigOption = None,
    jobs: JobsOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a run other gates: what is stored is judged again, and what is wanted again is generated later.

    Without any of the options, samples that wait for a score are judged again.
    """
    from lemfarm.cli.gate_views import show_applied
    from producer.regate import apply_gates

    change = _change(phase, at_least, scorer, min_chars, config)
    store = open_farm(home, database, broker).database()
    with count_bar("judging") as bar:
        found = apply_gates(store, run or _run_of(change), change, processes=jobs, on_progress=bar)
    if as_json:
        emit("gates-apply", applied=found, config=config)
    else:
        show_applied(found, config)


def _change(
    phase: str | None, at_least: float | None, scorer: str | None, min_chars: int | None, config: Path | None
) -> "GateChange":
    from lemfarm.config import load_config
    from producer.gate_change import GateChange

    change = GateChange(phase, at_least, scorer, min_chars, None if config is None else load_config(config))
    change.check()
    return change


def _run_of(change: "GateChange") -> str | None:
    """A run file names its run; without one it is the latest."""
    return None if change.config is None else change.config.run
