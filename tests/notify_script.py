"""A command for `notify:` that keeps what it was told, one JSON object a line."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import join
from typing import Any

_CODE = """\
import json, os, sys
told = {"given": json.load(sys.stdin)}
told |= {name: os.environ["LEMFARM_" + name.upper()] for name in ("event", "run", "phase", "message")}
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(told) + "\\n")
"""


def keeping(file: Path) -> str:
    """The command that keeps what it is told in this file."""
    return python(_CODE, str(file))


def python(code: str, *arguments: str) -> str:
    """A command that runs some Python."""
    return join([sys.executable, "-c", code, *arguments])


def told(file: Path) -> Sequence[dict[str, Any]]:
    """What was kept so far."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
