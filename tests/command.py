"""The command line as a person meets it: arguments in; exit code, stdout and stderr out; in this process."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from lemfarm.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """What a command with --json printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def lemfarm(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Run one command to its end."""
    before, sys.argv = sys.argv, ["lemfarm", *map(str, arguments)]
    capsys.readouterr()
    try:
        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = before
    said = capsys.readouterr()
    return Ran(code, said.out, said.err)
