"""Progress bars, on stderr: on a terminal they show themselves and are gone at the end, elsewhere there is nothing."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lemfarm.cli.shared import err

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

Advance = Callable[[int, int | None], None]
"""Told how much is done, and how much there is (None: nobody knows)."""


@contextmanager
def bytes_bar(label: str, *, hidden: bool = False) -> Iterator[Advance]:
    """A bar of bytes on a terminal, nothing elsewhere; called with how many are done and how many there are."""
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with _bar(label, columns, hidden) as advance:
        yield advance


@contextmanager
def count_bar(label: str) -> Iterator[Advance]:
    """A bar of answers on a terminal, nothing elsewhere; called with how many are done and how many there are."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    with _bar(label, (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())) as advance:
        yield advance


@contextmanager
def _bar(label: str, columns: "Iterable[ProgressColumn]", hidden: bool = False) -> Iterator[Advance]:
    from rich.progress import Progress, TextColumn

    shown = sys.stderr.isatty() and not hidden
    with Progress(
        TextColumn("{task.description}", markup=False), *columns, console=err(), transient=True, disable=not shown
    ) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
