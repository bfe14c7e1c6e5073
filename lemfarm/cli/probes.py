"""`probes list|show|check|coverage`; `import` and `rephrase` have files of their own. Twins: `lemfarm.library`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemfarm.cli import probe_import, probe_rephrase
from lemfarm.cli.shared import JsonOption, emit

if TYPE_CHECKING:
    from lemfarm.library.quality import Limits
    from lemfarm.library.reading import Library, Remark

app = typer.Typer(help="Read, judge and extend libraries of probes.", no_args_is_help=True)
probe_import.add_to(app)
probe_rephrase.add_to(app)

PathsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="PATH", help="Probe files, folders of them, or a YAML file of sets.", show_default=False),
]


@app.command("list")
def list_probes(
    paths: PathsArgument,
    domain: Annotated[str | None, typer.Option("--domain", help="Only this domain.", show_default=False)] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Only this language; en takes en-GB in.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List probes: a line each, with the number of wordings and the length of the original."""
    from lemfarm.cli.probe_views import show_lines, tell_problems
    from lemfarm.library.listing import list_probes as lines_of
    from lemfarm.library.reading import read_some

    library = read_some(paths)
    found = lines_of(library, domain=domain, language=language)
    if as_json:
        emit("probes", probes=found, problems=_not_read(library))
        return
    show_lines(found)
    tell_problems(library)


@app.command("show")
def show_probe(
    paths: PathsArgument,
    probe: Annotated[str, typer.Argument(metavar="ID", help="Id of a probe, or enough of its beginning.")],
    as_json: JsonOption = False,
) -> None:
    """Everything about one probe: its fields, every wording, and how far each is from the original."""
    from lemfarm.cli.probe_views import show_details, tell_problems
    from lemfarm.library.listing import show_probe as details_of
    from lemfarm.library.reading import read_some

    library = read_some(paths)
    found = details_of(library, probe)
    if as_json:
        emit("probe", probe=found, problems=_not_read(library))
        return
    show_details(found)
    tell_problems(library)


@app.command("coverage")
def coverage(
    paths: PathsArgument,
    by: Annotated[
        str, typer.Option("--by", help="What to count by, with commas: domain, language, region, phase.")
    ] = "domain,language",
    as_json: JsonOption = False,
) -> None:
    """Count probes and wordings by domain and language, region or phase, with lengths, and name the thin spots."""
    from lemfarm.cli.probe_views import show_coverage, tell_problems
    from lemfarm.library.coverage import coverage as count
    from lemfarm.library.reading import read_some

    library = read_some(paths)
    found = count(library, [name.strip() for name in by.split(",") if name.strip()])
    if as_json:
        emit("probe-coverage", coverage=found, problems=_not_read(library))
        return
    show_coverage(found)
    tell_problems(library)


@app.command("check")
def check(
    paths: PathsArgument,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="Only this rule; may be given again.", show_default=False)
    ] = None,
    words: Annotated[
        str | None, typer.Option("--words", help="Fewest and most words of a text; else 25-160.", show_default=False)
    ] = None,
    excused: Annotated[
        Path | None,
        typer.Option(
            "--excused",
            help="Phrases that may be repeated, one a line; else excused-phrases.txt beside the probes.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with probes, with file and line: exit 1 when anything is, 2 when a file gives no probes."""
    from lemfarm.cli.probe_views import show_findings, tell_problems
    from lemfarm.library.quality import check as judge
    from lemfarm.library.reading import read_library

    limits = _limits(words)
    library = read_library(paths, excused)
    found = judge(library, only=rule or (), limits=limits)
    if as_json:
        ok = not found and not library.unreadable
        emit("probe-check", ok=ok, probes=len(library.probes), findings=found, problems=_not_read(library))
    else:
        show_findings(library, found)
        if rule and "reading" not in rule:
            tell_problems(library)
    if library.unreadable:
        raise typer.Exit(2)
    if found:
        raise typer.Exit(1)


def _not_read(library: "Library") -> "tuple[Remark, ...]":
    return (*library.unreadable, *library.problems)


def _limits(words: str | None) -> "Limits":
    from lemfarm.errors import InputError
    from lemfarm.library.quality import Limits

    if words is None:
        return Limits()
    given = re.fullmatch(r"(\d{1,6})-(\d{1,6})", words)
    if not given or int(given[1]) > int(given[2]):
        raise InputError(f"--words {words}: write the fewest and the most, as 25-160.")
    return Limits(fewest_words=int(given[1]), most_words=int(given[2]))
