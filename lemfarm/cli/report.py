"""`report`. Twin: `lemfarm.report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli.shared import BrokerOption, DatabaseOption, HomeOption, JsonOption, RunArgument, emit, open_farm, out

if TYPE_CHECKING:
    from lemfarm.report.facts import Report


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("report")(report)


def report(
    run: RunArgument = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write this one file.", show_default="reports/RUN.html and .md"),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown instead of HTML: in --out, else as what is told and opened.")
    ] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Show what was written in the browser.")] = False,
    home: HomeOption = None,
    database: DatabaseOption = None,
    broker: BrokerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a run, finished or under way: one page with every figure and how to print it again.

    The page needs no network and no file beside it. Only the report is written; nothing in the farm changes.
    """
    from lemfarm.output_files import check_output
    from lemfarm.report import read_report, write_report

    farm = open_farm(home, database, broker)
    if out_file is not None:
        check_output(out_file, [])
    facts = read_report(farm.database(), run)
    if out_file is not None:
        files = [_write(facts, out_file, markdown=markdown)]
    else:
        written = write_report(facts, farm.home)
        files = [written.markdown] if markdown else [written.html, written.markdown]
    if open_it:
        typer.launch(files[0].absolute().as_uri())
    if as_json:
        emit("report", run=facts.name, files=files, report=facts)
        return
    for file in files:
        out().print(str(file), markup=False, soft_wrap=True)


def _write(facts: "Report", path: Path, *, markdown: bool) -> Path:
    from lemfarm.output_files import whole_file
    from lemfarm.report import compose, html_page, markdown_page

    document = compose(facts)
    text = markdown_page(document) if markdown else html_page(document)
    with whole_file(path) as write:
        write(text.encode())
    return path
