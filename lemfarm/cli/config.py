"""`config show`, `config check`, `config schema`. Twin: `lemfarm.config`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemfarm.cli.campaign import SetOption, overrides
from lemfarm.cli.shared import ConfigArgument, JsonOption, emit, err, out

if TYPE_CHECKING:
    from lemfarm.config import RunConfig

app = typer.Typer(
    help="Look at run files: the values in force, what is wrong, what may be written.", no_args_is_help=True
)


@app.command()
def show(config: ConfigArgument, set_: SetOption = None, as_json: JsonOption = False) -> None:
    """Print the values in force: the file's, with defaults, environment and flags laid over it."""
    from lemfarm.config import config_data, effective_yaml, load_config

    settings = load_config(config, overrides=overrides(set_))
    if as_json:
        emit("config", file=str(config), config=config_data(settings))
    else:
        print(effective_yaml(settings), end="")


@app.command()
def check(
    config: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="One run file or several (YAML).")],
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say everything that is wrong with run files, with file, line and column; exit 2 when anything is."""
    results = [_checked(file, overrides(set_)) for file in config]
    if as_json:
        emit("config-check", ok=all(result["ok"] for result in results), files=results)
    else:
        for result in results:
            _tell(result)
    if not all(result["ok"] for result in results):
        raise typer.Exit(2)


@app.command()
def schema(
    recipe: Annotated[bool, typer.Option("--recipe", help="Of recipes for `lemfarm mix`, not of run files.")] = False,
) -> None:
    """Print the JSON schema of run files, by which editors complete and check them."""
    from lemfarm.config import json_schema
    from lemfarm.curation.mixing.recipe import recipe_schema

    print(json.dumps(recipe_schema() if recipe else json_schema(), indent=2))


def _checked(file: Path, flags: dict[str, str]) -> dict[str, Any]:
    from lemfarm.config import config_warnings, load_config
    from lemfarm.errors import ConfigError

    try:
        settings = load_config(file, overrides=flags)
    except ConfigError as error:
        return {"file": str(file), "ok": False, "problems": error.problems, "warnings": [], "summary": ""}
    warnings = config_warnings(settings)
    return {"file": str(file), "ok": True, "problems": [], "warnings": warnings, "summary": _summary(settings)}


def _summary(settings: "RunConfig") -> str:
    phases = len(settings.phases)
    return f"run {settings.run}, {phases} phase{'s' if phases > 1 else ''}, {settings.model.engine} engine"


def _tell(result: dict[str, Any]) -> None:
    """Problems and notes for people; one line that can be counted on where a file is good."""
    from rich.markup import escape

    for problem in result["problems"]:
        err().print(f"[bold red]error[/] {escape(problem)}", soft_wrap=True)
    for warning in result["warnings"]:
        err().print(f"[yellow]note[/] {escape(warning)}", soft_wrap=True)
    if result["ok"]:
        out().print(f"[green]ok[/] {escape(result['file'])}: {escape(result['summary'])}", soft_wrap=True)
