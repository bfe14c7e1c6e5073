"""`score`, `rescore`, `scorers list|calibrate`. Twins: `lemfarm.scoring`, `producer.run_scores`."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemfarm.cli.progress import bytes_bar, count_bar
from lemfarm.cli.shared import BrokerOption, DatabaseOption, Farm, HomeOption, JobsOption, JsonOption, emit, open_farm

if TYPE_CHECKING:
    from lemfarm.errors import InputError
    from lemfarm.scoring.calibration import Pair
    from lemfarm.scoring.explain import Explanation
    from lemfarm.scoring.files import FileReport

scorers_app = typer.Typer(help="The scorers: what there is, and how their thresholds compare.", no_args_is_help=True)

EXIT_NOT_ALL = 2  #: the rest is scored, and what is not was named

FilesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE...", help="JSONL files with answers; - is standard input.", show_default=False),
]
ScorersOption = Annotated[
    list[str] | None,
    typer.Option("--scorer", help="A scorer; several may be given. `lemfarm scorers list` has their names."),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="RUN", help="The stored answers of this run, instead of files.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command("score")(score)
    app.command("rescore")(rescore)


def score(
    files: FilesArgument = None,
    scorers: ScorersOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the records, with their scores, to this file.")
    ] = None,
    expected: Annotated[
        Path | None,
        typer.Option("--expected", help="Take right answers from this file, by id (JSONL with `correct_answer`)."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show every hit in its context and what it adds.")] = False,
    run: RunOption = None,
    jobs: JobsOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score the answers in files, or those that a run has stored; nothing is generated.

    A record has a `response`, or `messages` (the last answer counts), or the `conditions` of an A/B test. What cannot
    be scored is named; the exit code is then 2.
    """
    if not scorers:
        raise _no_scorer()
    if run is None:
        _score_files(files or [], scorers, out, expected, explain, jobs, as_json)
        return
    _refuse_with_run(files=files, out=out, expected=expected, explain=explain)
    _score_run(open_farm(home, database, broker), run, scorers, jobs, as_json)


def rescore(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="A/B files, such as ab-*.jsonl.")],
    scorer: Annotated[str, typer.Option("--scorer", help="The scorer for the fresh scores.")] = "v2",
    as_json: JsonOption = False,
) -> None:
    """Compare the scores recorded in A/B files with fresh ones, per condition and against the baseline.

    Nothing is written. Lines that are no A/B record are named and left out; the exit code is then 2.
    """
    from lemfarm.cli.score_pair_views import show_comparison
    from lemfarm.cli.score_views import show_problems
    from lemfarm.scoring.comparison import compare_file
    from lemfarm.scoring.lines import check_inputs

    check_inputs(files)
    found = []
    for file in dict.fromkeys(files):
        with bytes_bar(f"scoring {file}") as bar:
            found.append(compare_file(file, scorer, bar))
    if as_json:
        emit("rescore", files=found)
    else:
        for comparison in found:
            show_comparison(comparison)
    show_problems(found)
    _end(sum(comparison.bad_lines for comparison in found))


@scorers_app.command("list")
def list_scorers(as_json: JsonOption = False) -> None:
    """List the scorers: name, version, what each is for, and whether it needs to know the right answer."""
    from lemfarm.cli.score_views import show_scorers
    from lemfarm.scoring.catalogue import list_scorers as read

    found = read()
    if as_json:
        emit("scorers", scorers=found)
    else:
        show_scorers(found)


@scorers_app.command("calibrate")
def calibrate(
    first: Annotated[str, typer.Option("--from", metavar="SCORER", help="The scorer that has a threshold.")],
    at_least: Annotated[float, typer.Option("--at-least", help="Its threshold: what scores at least this passes.")],
    second: Annotated[str, typer.Option("--to", metavar="SCORER", help="The scorer that needs a threshold.")],
    files: FilesArgument = None,
    run: RunOption = None,
    jobs: JobsOption = None,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the threshold of one scorer that lets the same share of answers pass as another's.

    Scores of the current version are read from the records, or from the run; others are computed. Shows how far the
    two agree, and says when the threshold should not be trusted.
    """
    from lemfarm.cli.score_pair_views import show_calibration
    from lemfarm.cli.score_views import show_problems
    from lemfarm.scoring.calibration import calibrate as compute

    if run is None:
        pairs, reports = _file_pairs(files or [], first, second, jobs)
    else:
        _refuse_with_run(files=files)
        pairs, reports = _run_pairs(open_farm(home, database, broker), run, first, second, jobs), ()
    show_problems(reports)
    found = compute(pairs, at_least)
    if as_json:
        emit("calibration", **{"from": first, "to": second}, calibration=found)
    else:
        show_calibration(first, second, found)
    _end(sum(report.bad_lines for report in reports))


def _score_files(
    files: list[str],
    scorers: list[str],
    out: Path | None,
    expected: Path | None,
    explain: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    from lemfarm.cli.score_views import show_explanation, show_problems, show_summary
    from lemfarm.scoring.files import score_files

    explanations: list[Explanation] = []
    show = partial(_show_while_read, show_explanation) if out else show_explanation
    tell = explanations.append if as_json else show
    with bytes_bar("scoring", hidden=explain) as bar:
        found = score_files(
            files,
            scorers,
            out=out,
            expected=expected,
            processes=jobs or _cores(),
            on_explanation=tell if explain else None,
            on_progress=bar,
        )
    if as_json:
        explained = {"explanations": explanations} if explain else {}
        emit("scores", files=found.files, totals=found.totals, groups=found.groups, out=out, **explained)
    else:
        show_summary(found, out)
    show_problems(found.files)
    _end(found.bad_lines)


def _show_while_read(show: "Callable[[Explanation], None]", explanation: "Explanation") -> None:
    """Whoever reads may have seen enough (`| head`), which rich ends the program for: the file is still to be written.
    What is printed after that goes nowhere."""
    with suppress(SystemExit):
        show(explanation)


def _score_run(farm: Farm, run: str, scorers: list[str], jobs: int | None, as_json: bool) -> None:
    from lemfarm.cli.score_views import show_failures, show_stored
    from producer.run_scores import score_stored

    with count_bar("scoring") as bar:
        found = score_stored(farm.database(), run, scorers, processes=jobs, on_progress=bar)
    if as_json:
        emit("stored-scores", run=found.run, scorers=found.rows)
    else:
        show_stored(found)
    show_failures(found)
    _end(sum(row.failed for row in found.rows))


def _file_pairs(
    files: list[str], first: str, second: str, jobs: int | None
) -> "tuple[Sequence[Pair], Sequence[FileReport]]":
    from lemfarm.scoring.pairs import file_pairs

    with bytes_bar("scoring") as bar:
        return file_pairs(files, first, second, processes=jobs or _cores(), on_progress=bar)


def _run_pairs(farm: Farm, run: str, first: str, second: str, jobs: int | None) -> "Sequence[Pair]":
    """The pairs of a run, after what is not scored yet has been: those scores are kept."""
    from lemfarm.runs import find_run
    from lemfarm.scoring.pairs import stored_pairs
    from producer.run_scores import score_stored

    database = farm.database()
    row = find_run(database, run)
    assert row.id is not None
    with count_bar("scoring") as bar:
        score_stored(database, row.name, [first, second], processes=jobs, on_progress=bar)
    return stored_pairs(database, row.id, first, second)


def _refuse_with_run(**given: Any) -> None:
    """What belongs to files says nothing of a run."""
    from lemfarm.errors import InputError

    wrong = ["FILE" if name == "files" else f"--{name}" for name, value in given.items() if value]
    if wrong:
        raise InputError(f"--run takes the answers of a run; leave out {', '.join(wrong)}.")


def _no_scorer() -> "InputError":
    from lemfarm.errors import InputError
    from lemfarm.scorers import scorer_names

    return InputError(f"name a scorer with --scorer: {', '.join(scorer_names())}")


def _cores() -> int:
    return os.cpu_count() or 1


def _end(not_scored: int) -> None:
    if not_scored:
        raise typer.Exit(EXIT_NOT_ALL)
