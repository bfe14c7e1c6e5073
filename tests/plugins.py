"""Scorer plug-ins as packages that are installed: real entry points, which processes of their own find too.

    plugins = Plugins(tmp_path); plugins.install(); ...; plugins.uninstall()

`counting` counts the words of an answer; it writes a line for every call to `calls`, fails on an answer that says
`fail`, and lets one that says `wait` wait until the file `go` is there. `broken` cannot be loaded.
"""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

from lemfarm.scorers import ENTRY_POINT_GROUP, get_scorer

_MODULE = """
import os
import time
from pathlib import Path

from lemfarm.scorers import Score

FOLDER = Path(__file__).parent


class Counting:
    name = "counting"
    version = "1"

    def score(self, prompt, answer):
        line = os.open(FOLDER / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(line, (answer + "\\n").encode())
        os.close(line)
        while "wait" in answer and not (FOLDER / "go").exists():
            time.sleep(0.01)
        if "fail" in answer:
            raise RuntimeError("this answer is too much for it")
        return Score(float(len(answer.split())), {"words": len(answer.split())})


class Broken:
    def __init__(self):
        raise RuntimeError("its model is not at hand")
"""
_POINTS = f"[{ENTRY_POINT_GROUP}]\ncounting = lemfarm_test_scorers:Counting\nbroken = lemfarm_test_scorers:Broken\n"


@dataclass
class Plugins:
    """A package with two scorers, in a folder that is on the path while it is installed."""

    root: Path

    @property
    def folder(self) -> Path:
        """What PYTHONPATH of another process needs."""
        return self.root / "plugins"

    @property
    def calls(self) -> list[str]:
        """The answers that `counting` was given, by any process."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def forget_calls(self) -> None:
        """From here on."""
        (self.folder / "calls").unlink(missing_ok=True)

    def go(self) -> None:
        """Let answers that wait be scored."""
        (self.folder / "go").touch()

    def install(self) -> None:
        """Write the package and put it on the path."""
        info = self.folder / "lemfarm_test_scorers-1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lemfarm-test-scorers\nVersion: 1\n")
        (info / "entry_points.txt").write_text(_POINTS)
        (self.folder / "lemfarm_test_scorers.py").write_text(_MODULE)
        sys.path.insert(0, str(self.folder))
        self._forget()

    def mend(self) -> None:
        """Make `broken` work: what failed to load before can be had now."""
        path = self.folder / "lemfarm_test_scorers.py"
        mended = path.read_text().split("class Broken")[0] + 'class Broken(Counting):\n    name = "broken"\n'
        path.write_text(mended)
        self._forget()

    def uninstall(self) -> None:
        """Take it off the path."""
        if str(self.folder) in sys.path:
            sys.path.remove(str(self.folder))
        self._forget()

    def _forget(self) -> None:
        sys.modules.pop("lemfarm_test_scorers", None)
        importlib.invalidate_caches()
        get_scorer.cache_clear()
