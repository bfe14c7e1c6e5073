"""The pages say what is true: every command in them exists and runs, links lead somewhere, tables match the code.

A fenced `sh` block holds commands that a person may paste. Each of them is run here, or stands in NOT_RUN with the
reason. So do command lines in running text, as far as that they and their options exist.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lemfarm.cli import app
from lemfarm.config import config_warnings, json_schema, load_config

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, ROOT / "CHANGELOG.md", *DOCS]
RUN_FILE_PAGE = ROOT / "docs" / "the-run-file.md"

ELSEWHERE = "CI runs it as a step of its own"
ON_A_MAC = "needs a Mac with the model, and days"
ONLINE = "needs the network"
SEVERAL = "needs a head node; tests/integration covers joining, services and compose.yaml"
NEEDS_A_RUN = "needs the Mac campaign's run; its options are checked, the verb is run on the simulated one"
YOUR_FILES = "names files of the reader's, and writes one; the verb's own tests cover it"
CHANGES_A_RUN = "acts on workers or failures that the run here has none of; its own tests cover it"

NOT_RUN: Mapping[str, str] = {
    "make demo": ELSEWHERE,
    "make test": ELSEWHERE,
    "make setup": ELSEWHERE,
    "source .venv/bin/activate": "a shell's own business",
    "lemfarm model get mlx-community/gemma-3-27b-it-qat-4bit": ONLINE,
    "lemfarm model verify mlx-community/gemma-3-27b-it-qat-4bit": ONLINE,
    "lemfarm doctor configs/lek-27b.yaml": ONLINE,
    "lemfarm try configs/lek-27b.yaml --probes 5": ON_A_MAC,
    "lemfarm run configs/lek-27b.yaml --detach": ON_A_MAC,
    "lemfarm run configs/lek-27b.yaml": ON_A_MAC,
    "lemfarm worker": ON_A_MAC,
    "lemfarm worker --hours 22:00-07:30": ON_A_MAC,
    'lemfarm worker --hours "mon-fri 22:00-07:00, sat-sun"': ON_A_MAC,
    "lemfarm worker --on-battery pause": ON_A_MAC,
    'lemfarm worker install --hours "mon-fri 22:00-07:00, sat-sun" --on-battery pause': ON_A_MAC,
    "docker compose up --detach --wait": SEVERAL,
    "lemfarm join": SEVERAL,
    "lemfarm run configs/lek-27b.yaml --workers 0 --detach": SEVERAL,
    "lemfarm status lek-27b --watch": NEEDS_A_RUN,
    "lemfarm status lek-27b": NEEDS_A_RUN,
    "lemfarm review lek-27b --phase 0-baseline-lock": NEEDS_A_RUN,
    "lemfarm review lek-27b --reviewer ann": NEEDS_A_RUN,
    "lemfarm review lek-27b --reviewer bob --second": NEEDS_A_RUN,
    "lemfarm review agreement lek-27b": NEEDS_A_RUN,
    "lemfarm review lek-27b --reviewer eve --settle": NEEDS_A_RUN,
    "lemfarm review export lek-27b --format label-studio --out tasks.json": NEEDS_A_RUN,
    "lemfarm review import lek-27b annotated.json": NEEDS_A_RUN,
    "lemfarm external import lek-27b answers.jsonl --phase 2-multi-perspective": YOUR_FILES,
    "lemfarm train lek-27b": NEEDS_A_RUN,
    'lemfarm promote lek-27b --note "reads better than its score"': NEEDS_A_RUN,
    "lemfarm reject lek-27b": NEEDS_A_RUN,
    "lemfarm rollback lek-27b --to 1-deep-axiom": NEEDS_A_RUN,
    "lemfarm train lek-27b --phase 2 --retry --learning-rate 4e-6": NEEDS_A_RUN,
    "lemfarm verify lek-27b": NEEDS_A_RUN,
    "lemfarm samples list --outcome rejected --phase 1-deep-axiom": NEEDS_A_RUN,
    "lemfarm samples show 3f9a": "an id of nobody's; shown ids are tried below",
    "lemfarm samples show 1cc6a0e8": "an id of nobody's; shown ids are tried below",
    "lemfarm samples show 1cc6a0e8 --json": "an id of nobody's; shown ids are tried below",
    "lemfarm logs --follow": "never ends",
    "lemfarm scorers calibrate --run lek-27b --from v2-distill --at-least 24 --to v2-long": NEEDS_A_RUN,
    "lemfarm probes import seeds P01-P20.json lem-prompts.jsonl --out probes.jsonl": YOUR_FILES,
    "lemfarm probes rephrase my-probes.jsonl --config configs/lek-27b.yaml --out my-probes-rephrased.jsonl": ON_A_MAC,
    "lemfarm probes rephrase my-probes-rephrased.jsonl --config configs/lek-27b.yaml --out my-probes-second.jsonl": (
        ON_A_MAC
    ),
    "lemfarm replay 1cc6a0e8": "an id of nobody's; tests/unit/workers/test_replay.py covers it",
    "lemfarm replay 1cc6a0e8 --strict": "an id of nobody's; tests/unit/workers/test_replay.py covers it",
    "lemfarm move": SEVERAL,
    "lemfarm move --to home": SEVERAL,
    "lemfarm backup farm.tar.gz": YOUR_FILES,
    "lemfarm restore farm.tar.gz --home my-farm": YOUR_FILES,
    "lemfarm workers drain mac-2": CHANGES_A_RUN,
    "lemfarm workers forget mac-3": CHANGES_A_RUN,
    "lemfarm requeue --failed": CHANGES_A_RUN,
}

#: Added to a command so that it takes seconds here.
SHORTENED = {"lemfarm run configs/simulated.yaml --workers 2": ["--limit", "24"]}
#: A run that `--limit` cuts short has not filled its quota.
EXPECTED_CODES = {"lemfarm run configs/simulated.yaml --workers 2": {3}}
BEFORE_A_RUN = ("lemfarm config", "lemfarm plan", "lemfarm doctor")


def commands_of(page: Path) -> list[str]:
    """Every command line of the page's `sh` blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def mentions_of(page: Path) -> list[str]:
    """Every `lemfarm ...` in running text and tables."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(found.split()) for found in re.findall(r"`(lemfarm [^`]+)`", text)]


ALL_COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands_of(page)))
RUNNABLE = [command for command in ALL_COMMANDS if command not in NOT_RUN]


@dataclass
class Farm:
    """A home in which the commands of the pages are run, each once."""

    home: Path
    ended: dict[str, "subprocess.CompletedProcess[str]"] = field(default_factory=dict)

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        if command not in self.ended:
            self.ended[command] = self._start(command)
        return self.ended[command]

    def _start(self, command: str) -> "subprocess.CompletedProcess[str]":
        program, *arguments = shlex.split(command)
        assert program == "lemfarm", f"{command}: give a reason in NOT_RUN, or run it here"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LEMFARM")}
        return subprocess.run(
            [sys.executable, "-m", "lemfarm", *arguments, *SHORTENED.get(command, [])],
            cwd=ROOT,
            env=clean | {"LEMFARM_HOME": str(self.home), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm whose simulated run has ended; its services are stopped when the tests are over."""
    farm = Farm(tmp_path_factory.mktemp("readme") / "home")
    yield farm
    stopped = farm.run("lemfarm down")
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def farm_with_run(farm: Farm) -> Farm:
    """The same farm after the run that the README starts."""
    farm.run("lemfarm run configs/simulated.yaml --workers 2")
    return farm


@pytest.mark.xdist_group("readme")
@pytest.mark.parametrize("command", RUNNABLE)
def test_a_command_of_the_pages_runs(command: str, request: pytest.FixtureRequest) -> None:
    wants_run = not command.startswith(BEFORE_A_RUN)
    farm: Farm = request.getfixturevalue("farm_with_run" if wants_run else "farm")
    done = farm.run(command)
    assert done.returncode in EXPECTED_CODES.get(command, {0}), f"{command}\n{done.stdout}\n{done.stderr}"
    if "--json" in command:
        assert {"kind", "format", "lemfarm"} <= set(json.loads(done.stdout))


@pytest.mark.xdist_group("readme")
def test_a_sample_can_be_shown_by_the_beginning_of_its_id(farm_with_run: Farm) -> None:
    listed = json.loads(farm_with_run.run("lemfarm samples list --limit 1 --json").stdout)["samples"]
    shown = farm_with_run.run(f"lemfarm samples show {listed[0]['id'][:8]}")
    assert shown.returncode == 0
    assert listed[0]["label"] in shown.stdout


def test_reasons_for_not_running_belong_to_commands_that_are_there() -> None:
    assert set(NOT_RUN) <= set(ALL_COMMANDS)
    assert set(SHORTENED) | set(EXPECTED_CODES) <= set(RUNNABLE)


# ---- commands and options exist


def resolve(line: str) -> tuple[Any, list[str]]:
    """The command that a line names, and the words after its name. Fails where there is no such command. A group
    that works alone (`lemfarm worker`) is a command where none of its own follows; one with a default command
    (`lemfarm train`) is that one there."""
    command, words = get_command(app), line.split()[1:]
    while hasattr(command, "commands"):
        if command.invoke_without_command and not words:
            return command, words
        default = getattr(command, "default_command", None)
        if default and (not words or words[0].rstrip(",") not in command.commands):
            return command.commands[default], words
        assert words, f"`{line}` names a group, not a command"
        name = words.pop(0).rstrip(",")
        if name.startswith("-") or name == "COMMAND":
            return command, [name, *words]
        assert name in command.commands, f"`{line}`: there is no command {name!r}"
        command = command.commands[name]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    shell = [line[line.index("lemfarm ") :] for line in commands_of(page) if "lemfarm " in line]
    for line in shell + mentions_of(page):
        command, words = resolve(line)
        known = {flag for parameter in command.params for flag in [*parameter.opts, *parameter.secondary_opts]}
        asked = {word.partition("=")[0].rstrip(",.;") for word in words if word.startswith("--")}
        assert asked <= known | {"--help"}, f"{page.name}: `{line}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_a_page_names_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)$", text, re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_run_files_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"configs/[\w.-]+\.yaml", page.read_text(encoding="utf-8")))
    assert [name for name in named if not (ROOT / name).is_file()] == []


# ---- links and places


def links_of(page: Path) -> list[str]:
    """Targets of Markdown links, without those in code."""
    text = re.sub(r"^```.*?^```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\[[^\]]*\]\(([^)]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page: Path) -> None:
    relative = [link.partition("#")[0] for link in links_of(page) if "://" not in link]
    assert [link for link in relative if link and not (page.parent / link).exists()] == []


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in links_of(index) if "://" not in link}
    assert [page.name for page in DOCS if page != index and page not in linked] == []
    assert "docs/index.md" in links_of(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_folder_of_somebodys_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.~/])/(?:work|tmp|home|Users|root|private|opt)/\S*", text) == []
    assert str(Path.home()) not in text or str(Path.home()) == "/"


# ---- tables against the code


def rows_of(schema: Mapping[str, Any]) -> list[str]:
    """What the page on the run file says of every key: a table for each section, in the order in which they are met."""
    lines, sections, met = section_rows("The file", schema), schema["$defs"], sections_in(schema["properties"])
    for name in met:
        met += [below for below in sections_in(sections[name]) if below not in met]
        if "properties" in sections[name]:
            lines += section_rows(name, sections[name])
    return lines


def sections_in(schema: Any) -> list[str]:
    """Names of the sections that a piece of the schema refers to."""
    return list(dict.fromkeys(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))))


def section_rows(name: str, section: Mapping[str, Any]) -> list[str]:
    """A heading, what the section is for, and one row a key."""
    lines = [f"### {name}", "", section.get("description", "").partition("\n")[0], "", "| key | value | default | |"]
    lines.append("|---|---|---|---|")
    required = section.get("required", [])
    for key, facts in section["properties"].items():
        default = "required" if key in required else default_of(facts)
        lines.append(f"| `{key}` | {kind_of(facts)} | {default} | {facts.get('description', '')} |")
    return [*lines, ""]


def default_of(facts: Mapping[str, Any]) -> str:
    """A default as one writes it in YAML; sections say theirs in their own table."""
    value = facts.get("default", "")
    if isinstance(value, dict | list) and value:
        return "as below" if isinstance(value, dict) and "$ref" in facts else f"`{json.dumps(value)}`"
    return "" if value == "" else f"`{json.dumps(value)}`".replace('"', "")


def kind_of(facts: Mapping[str, Any]) -> str:
    """What may stand there, in a few words."""
    for several in ("anyOf", "oneOf"):
        if several in facts:
            return " or ".join(dict.fromkeys(kind_of(one) for one in facts[several]))
    if "$ref" in facts:
        name = facts["$ref"].rpartition("/")[2]
        return "`system`, `user`, `none`" if name == "Placement" else f"[{name}](#{name.lower()})"
    if "enum" in facts or "const" in facts:
        return ", ".join(f"`{value}`" for value in facts.get("enum", [facts.get("const")]))
    if facts.get("type") == "array":
        return f"list of {kind_of(facts['items'])}"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}.get(
        str(facts.get("type")), "null" if facts.get("type") == "null" else "section"
    )


def test_the_page_on_the_run_file_has_every_key() -> None:
    """`python tests/contract/test_readme.py` prints the tables as they should be."""
    text = RUN_FILE_PAGE.read_text(encoding="utf-8")
    assert [line for line in rows_of(json_schema()) if line and line not in text] == []


def test_the_example_on_that_page_is_a_valid_run_file(tmp_path: Path) -> None:
    example = re.findall(r"^```yaml\n(.*?)^```", RUN_FILE_PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    file = tmp_path / "example.yaml"
    file.write_text(example[0].replace("../", f"{ROOT}/"), encoding="utf-8")
    assert config_warnings(load_config(file, environ={})) == []


@cache
def source_text() -> str:
    """All Python text of the packages, with strings that go over several lines put together."""
    files = [file for package in ("lemfarm", "producer", "workers") for file in (ROOT / package).rglob("*.py")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return re.sub(r"\"\s*\n\s*f?\"", "", text)


def quoted_messages() -> Iterator[str]:
    """The pieces of messages in the table of failures: cut at what stands for a name or a number, two words or more."""
    table = README.read_text(encoding="utf-8").partition("## When something is wrong")[2].partition("\n## ")[0]
    firsts = [row.split("|")[1] for row in table.splitlines() if row.startswith("|")]
    for message in re.findall(r"`([^`]+)`", " ".join(firsts)):
        pieces = re.split(r"\.\.\.|\b[A-Z]+\b|\d+|b2:", message)
        yield from (piece.strip(" :;,") for piece in pieces if len(piece.split()) >= 2)


def test_what_the_readme_quotes_of_messages_is_what_the_code_says() -> None:
    messages = list(quoted_messages())
    assert len(messages) > 15
    assert [message for message in messages if message not in source_text()] == []


if __name__ == "__main__":
    sys.stdout.write("\n".join(rows_of(json_schema())))
