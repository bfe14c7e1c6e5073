"""The command line: thin verbs over the library, each with a Python twin named in its module.

Nothing heavy is imported before a verb runs: `lemfarm --help` must answer at once.
"""

import sys

import typer

from lemfarm.cli import (
    artifacts,
    bench,
    config,
    deliver,
    duplicates,
    evaluate,
    export,
    external,
    farm,
    gates,
    look,
    mix,
    model,
    moving,
    notify,
    probes,
    promotion,
    replay,
    report,
    review,
    run,
    samples,
    score,
    services,
    train,
    worker,
)
from lemfarm.cli.shared import fail
from lemfarm.errors import LemfarmError

app = typer.Typer(
    name="lemfarm",
    help="A self-distillation farm: run a model with a long system prompt on your Macs, keep the good answers, "
    "and train the prompt into the weights.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for verbs in (
    run,
    look,
    farm,
    score,
    worker,
    services,
    notify,
    replay,
    moving,
    evaluate,
    artifacts,
    deliver,
    duplicates,
    export,
    mix,
    promotion,
    report,
):
    verbs.add_to(app)
app.add_typer(samples.app, name="samples")
app.add_typer(worker.workers_app, name="workers")
app.add_typer(gates.app, name="gates")
app.add_typer(score.scorers_app, name="scorers")
app.add_typer(probes.app, name="probes")
app.add_typer(config.app, name="config")
app.add_typer(model.app, name="model")
app.add_typer(bench.app, name="bench")
app.add_typer(train.app, name="train")
app.add_typer(review.app, name="review")
app.add_typer(external.app, name="external")


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Print the version and end."),
) -> None:
    # A docstring here would replace the help text of the app.
    if version:
        from lemfarm import __version__

        print(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point: errors that we raise on purpose become one message and their exit code. A reader that has seen
    enough (`| head`) is no error: click and rich would make 1 of it."""
    try:
        app(prog_name="lemfarm")
    except LemfarmError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as ended:
        sys.exit(0 if isinstance(ended.__context__, BrokenPipeError) else ended.code)
