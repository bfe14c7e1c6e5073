"""`phases`, `promote`, `reject`, `rollback`: what became of a run's adapters, and a person's word about them. Twins:
`lemfarm.training.story`, `producer.promotions`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    RunArgument,
    emit,
    open_farm,
    out,
    person,
)

if TYPE_CHECKING:
    from producer.promotions import Promotion

PhaseOption = Annotated[
    str | None,
    typer.Option(
        "--phase", metavar="NAME", help="The phase, or a beginning of its name.", show_default="the one that waits"
    ),
]
NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; it is kept with the decision.")]
ByOption = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who decides.", show_default="your name on this machine"),
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("phases")(phases)
    app.command("promote")(promote)
    app.command("reject")(reject)
    app.command("rollback")(rollback)


def phases(
    run: RunArgument = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """The course of a run: each phase with every attempt at it, its gates, and who decided what."""
    from lemfarm.cli.decision_views import show_story
    from lemfarm.training.story import read_story

    story = read_story(open_farm(home, database, broker).database(), run)
    if as_json:
        emit("phases", story=story)
    else:
        show_story(story)


def promote(
    run: RunArgument = None,
    phase: PhaseOption = None,
    note: NoteOption = "",
    by: ByOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Take an adapter that its gates hold, or with --note one that was rejected: the next phase trains on top of it."""
    from producer import promotions

    store = open_farm(home, database, broker).database()
    done = promotions.promote(store, run, phase=phase, by=person(by, "--by"), note=note)
    _tell(done, "is promoted", "The run goes on: `lemfarm run CONFIG`.")


def reject(
    run: RunArgument = None,
    phase: PhaseOption = None,
    note: NoteOption = "",
    by: ByOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Refuse an adapter that its gates hold: what was promoted before stays, and the phase can be trained again."""
    from producer import promotions

    store = open_farm(home, database, broker).database()
    done = promotions.reject(store, run, phase=phase, by=person(by, "--by"), note=note)
    again = f"`lemfarm train {done.run} --phase {done.phase} --retry --learning-rate X` trains it again."
    _tell(done, "is rejected", again)


def rollback(
    run: RunArgument = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="PHASE|ADAPTER|base",
            help="The phase or adapter to go back to; base: the untrained model.",
            show_default="one step",
        ),
    ] = None,
    note: NoteOption = "",
    by: ByOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
) -> None:
    """Take promoted adapters back: the pointer moves to an earlier one, later phases will be trained again. Nothing is
    deleted."""
    from producer import promotions

    store = open_farm(home, database, broker).database()
    done = promotions.roll_back(store, run, to=to, by=person(by, "--by"), note=note)
    for adapter in done.taken:
        out().print(f"run {done.run}: {adapter} is taken back.", markup=False)
    out().print(f"{done.promoted or 'the untrained model'} is promoted now.", markup=False)
    out().print(f"`lemfarm train {done.run} --phase {done.phase} --retry` trains it again.", markup=False)


def _tell(done: "Promotion", what: str, after: str) -> None:
    out().print(f"run {done.run}: adapter {done.adapter} of phase {done.phase} {what}.", markup=False)
    out().print(after, markup=False)
