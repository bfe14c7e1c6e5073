"""The command line explains itself: help everywhere, --json on what reports, and nothing heavy before a verb runs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lemfarm.cli import app
from tests.command import lemfarm

HEAVY = (
    "celery",
    "sqlmodel",
    "sqlalchemy",
    "mlx",
    "mlx_lm",
    "huggingface_hub",
    "transformers",
    "numpy",
    "rensa",
    "py3langid",
)
REPORTING = {
    "bench engine",
    "config check",
    "config show",
    "doctor",
    "down",
    "fuse",
    "gates apply",
    "gates try",
    "gguf",
    "logs",
    "mix",
    "model verify",
    "notify",
    "plan",
    "probes check",
    "probes coverage",
    "probes import",
    "probes list",
    "probes rephrase",
    "probes show",
    "report",
    "rescore",
    "run",
    "samples list",
    "samples show",
    "score",
    "scorers calibrate",
    "scorers list",
    "status",
    "train show",
    "try",
    "up",
    "verify",
    "worker install",
    "worker uninstall",
    "workers list",
}
README = Path(__file__).parents[2] / "README.md"


def walk(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command and group by its full name; the root is the empty one."""
    yield " ".join(names), command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, *names, name)


EVERY = dict(walk(get_command(app)))
VERBS = {name: command for name, command in EVERY.items() if not hasattr(command, "commands")}


def options(command: Any) -> Iterator[Any]:
    """Its own options and arguments; --help and completion are Typer's."""
    own = ("help", "install_completion", "show_completion")
    return (parameter for parameter in command.params if parameter.name not in own)


def test_the_walk_finds_verbs_at_both_depths() -> None:
    assert {"run", "plan", "up", "config check", "model get", "samples list", "workers list"} <= set(VERBS)


@pytest.mark.parametrize("name", EVERY)
def test_everything_has_help(name: str) -> None:
    assert (EVERY[name].help or "").strip().endswith((".", ")")), f"lemfarm {name}: no sentence that says what it does"


@pytest.mark.parametrize("name", EVERY)
def test_every_option_and_argument_has_help(name: str) -> None:
    without = [parameter.name for parameter in options(EVERY[name]) if not getattr(parameter, "help", None)]
    assert without == [], f"lemfarm {name}"


@pytest.mark.parametrize("name", EVERY)
def test_help_can_be_asked_for_everywhere(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = lemfarm(capsys, *name.split(), "--help")
    assert said.code == 0
    assert "Usage: " in said.out


@pytest.mark.parametrize("name", sorted(REPORTING))
def test_every_verb_that_lists_or_reports_speaks_json(name: str) -> None:
    assert "--json" in {flag for parameter in VERBS[name].params for flag in parameter.opts}


def test_an_option_means_the_same_everywhere() -> None:
    """Of the names that many verbs share; --database of `join` asks for another farm's, and says so."""
    for flag in ("--json", "--home"):
        texts = {p.help for command in VERBS.values() for p in command.params if flag in p.opts}
        assert len(texts) == 1, (flag, texts)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["config", "--help"], ["--version"]])
def test_nothing_heavy_is_imported_before_a_verb_runs(arguments: list[str]) -> None:
    """Measured in a fresh process: these packages cost most of the time that `--help` must not take."""
    code = (
        "import sys\nfrom lemfarm.cli import main\nsys.argv[1:] = " + repr(arguments) + "\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY"


def test_every_command_stands_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in sorted(VERBS) if f"lemfarm {name}" not in text] == []


def test_an_unknown_verb_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert lemfarm(capsys, "distill").code == 2


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    from lemfarm import __version__

    assert lemfarm(capsys, "--version").out.strip() == __version__
