"""`notify`. Twin: `producer.telling`."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from lemfarm.cli.campaign import SetOption, overrides
from lemfarm.cli.shared import ConfigArgument, JsonOption, duration, emit, err, out

if TYPE_CHECKING:
    from producer.telling import Outcome


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("notify")(notify)


def notify(config: ConfigArgument, set_: SetOption = None, as_json: JsonOption = False) -> None:
    """Try the `notify` command of a run file: tell it a test message, and show how it ends and what it prints.

    Exit 1 when the command fails, cannot be started, or takes longer than 30 s.
    """
    from lemfarm.config import load_config
    from lemfarm.errors import InputError
    from lemfarm.notices import Message
    from lemfarm.records import NoticeKind
    from producer.telling import Telling

    settings = load_config(config, overrides=overrides(set_))
    if settings.notify is None:
        raise InputError(f"{config}: `notify` is null, so nobody is told anything; give it a command.")
    began = time.time()
    said = f"This is a test: run {settings.run} would tell you here."
    outcome = Telling(settings.notify, Message(NoticeKind.TEST, settings.run, "", said, began)).wait()
    if as_json:
        emit("notify", command=settings.notify, ok=outcome.good, seconds=time.time() - began, **asdict(outcome))
    else:
        _show(settings.notify, outcome, time.time() - began)
    if not outcome.good:
        raise typer.Exit(1)


def _show(command: str, outcome: "Outcome", seconds: float) -> None:
    if outcome.said:
        err().print(outcome.said, markup=False, soft_wrap=True)
    word = "[green]told[/]" if outcome.good else "[bold red]not told[/]"
    out().print(f"{word} after {duration(seconds)}:", end=" ")
    out().print(command if outcome.good else outcome.text, markup=False, soft_wrap=True)
