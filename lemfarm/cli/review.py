"""`review now|export|import|agreement`: people look at answers. Twins: `lemfarm.curation.review_queue`,
`producer.reviewing`, `producer.review_exchange`, `lemfarm.curation.agreement`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.default_command import NowByDefault
from lemfarm.cli.shared import (
    BrokerOption,
    DatabaseOption,
    HomeOption,
    JsonOption,
    RunArgument,
    bare_table,
    counted,
    emit,
    err,
    number_columns,
    open_farm,
    out,
    person,
    plain,
    show_table,
    word_columns,
)

if TYPE_CHECKING:
    from lemfarm.curation.agreement import Agreement
    from lemfarm.curation.review_queue import ReviewedPhase


app = typer.Typer(
    cls=NowByDefault,
    help="Look at answers and decide which may train. `lemfarm review RUN` is `lemfarm review now RUN`.",
)

PhaseOption = Annotated[
    str | None, typer.Option("--phase", metavar="NAME", help="Only the phase of that name.", show_default=False)
]
ReviewerOption = Annotated[
    str | None,
    typer.Option("--reviewer", metavar="NAME", help="Who decides.", show_default="your name on this machine"),
]
FormatOption = Annotated[str, typer.Option("--format", metavar="FORMAT", help="label-studio, prodigy or jsonl.")]
AllOption = Annotated[
    bool, typer.Option("--all", help="Every answer that is to be reviewed, also those that somebody has decided on.")
]


@app.command("now")
def now(
    run: RunArgument = None,
    phase: PhaseOption = None,
    reviewer: ReviewerOption = None,
    second: Annotated[
        bool, typer.Option("--second", help="Give a second opinion, without being told the first.")
    ] = False,
    settle: Annotated[
        bool, typer.Option("--settle", help="Decide where reviewers disagree: your word counts alone.")
    ] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show answers one by one, and take a decision on each: accept, reject, edit, skip, undo; with --json list them."""
    from lemfarm.curation.review_queue import Mode, read_queue, reviewed_phases
    from lemfarm.errors import InputError
    from lemfarm.runs import find_run

    if second and settle:
        raise InputError("--second gives an opinion, --settle decides between those there are: choose one.")
    mode = Mode.SECOND if second else Mode.SETTLE if settle else Mode.FIRST
    store, who = open_farm(home, database, broker).database(), person(reviewer, "--reviewer")
    name, phases = reviewed_phases(store, run, phase)
    queue = read_queue(store, phases, who, mode)
    if as_json:
        emit("review", run=name, reviewer=who, mode=str(mode), waiting=queue)
        return
    if not queue:
        out().print(_nothing(name, phases, mode), markup=False)
        return
    from lemfarm.cli.review_session import Session

    row = find_run(store, name)
    assert row.id is not None
    Session(store, out(), row.id, who, queue, mode).go()


@app.command("export")
def export(
    run: RunArgument = None,
    to: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")] = Path("review.jsonl"),
    format_: FormatOption = "jsonl",
    phase: PhaseOption = None,
    everything: AllOption = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the answers that wait for review to a file for Label Studio, Prodigy, or any other tool."""
    from lemfarm.curation.review_files import Format
    from lemfarm.curation.review_queue import Mode, reviewed_phases
    from lemfarm.errors import InputError
    from producer.review_exchange import export_answers

    if format_ not in list(Format):
        raise InputError(f"there is no format {format_!r}: one of {', '.join(Format)}")
    store = open_farm(home, database, broker).database()
    name, phases = reviewed_phases(store, run, phase)
    answers = export_answers(store, name, phases, to, Format(format_), Mode.ALL if everything else Mode.FIRST)
    if as_json:
        emit("review-export", run=name, file=to, format=format_, answers=answers)
    else:
        out().print(f"{counted(answers, 'answer')} of run {name} written to {plain(str(to))}", markup=False)


@app.command("import")
def import_(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Decisions, as the tool exported them.")],
    reviewer: ReviewerOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read decisions back from Label Studio, Prodigy or JSONL. The same file again changes nothing; 1 if any could not
    be taken."""
    from lemfarm.runs import find_run
    from producer.review_exchange import import_decisions

    store = open_farm(home, database, broker).database()
    row = find_run(store, run)
    assert row.id is not None
    found = import_decisions(store, row.id, file, person(reviewer, "--reviewer"))
    if as_json:
        emit("review-import", run=row.name, imported=found)
    else:
        out().print(f"{counted(found.added, 'decision')} taken, {found.known:,} known already", markup=False)
        if any(one.woken for one in found.decided):
            out().print(f"run {row.name} has what it waited for, and goes on", markup=False)
    for problem in found.problems:
        err().print(f"problem {plain(problem)}", markup=False, style="yellow")
    raise typer.Exit(1 if found.problems else 0)


@app.command("agreement")
def agreement(
    run: RunArgument = None,
    phase: PhaseOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far reviewers agree on the answers that several have decided on: shares, counts and Cohen's kappa."""
    from lemfarm.curation.agreement import read_agreement
    from lemfarm.curation.review_queue import reviewed_phases

    store = open_farm(home, database, broker).database()
    name, phases = reviewed_phases(store, run, phase)
    found = read_agreement(store, [one.id for one in phases])
    if as_json:
        emit("review-agreement", run=name, pairs=found)
    elif not found:
        out().print(
            f"no two reviewers of run {name} have decided on the same answer; `lemfarm review {name} --second` asks "
            "for second opinions",
            markup=False,
        )
    else:
        _show_agreement(found)


def _nothing(run: str, phases: "list[ReviewedPhase]", mode: str) -> str:
    if mode == "second":
        return f"run {run}: nobody else has decided on an answer that you have not"
    if mode == "settle":
        return f"run {run}: no two reviewers disagree"
    if not any(phase.review.share for phase in phases):
        return f"run {run}: none of its answers is to be reviewed; `review` in the run file says which are"
    return f"run {run}: nothing waits for review"


def _show_agreement(found: "tuple[Agreement, ...]") -> None:
    table = bare_table(*word_columns("reviewers"), *number_columns("answers", "agreed", "kappa"), *word_columns("said"))
    for pair in found:
        kappa = "not defined" if pair.kappa is None else f"{pair.kappa:.3f}"
        said = ", ".join(f"{one.first}/{one.second} {one.answers}" for one in pair.counts)
        agreed = f"{pair.agreed:,} ({pair.agreed / pair.answers:.0%})"
        table.add_row(f"{plain(pair.first)}, {plain(pair.second)}", f"{pair.answers:,}", agreed, kappa, said)
    show_table(table)
