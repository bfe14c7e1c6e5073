"""Score the answers of JSONL files: a summary in figures, and the same records out with their scores."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lemfarm.output_files import check_output, whole_file
from lemfarm.scorers import get_scorer
from lemfarm.scoring.chunk_scores import ChunkScores, Wanted, score_chunk
from lemfarm.scoring.expected import read_expected
from lemfarm.scoring.explain import Explanation
from lemfarm.scoring.lines import STDIN, check_inputs, read_chunks, total_bytes
from lemfarm.scoring.processes import map_in_order
from lemfarm.scoring.summary import SummaryRow, Tally

PROBLEMS_KEPT = 20
"""Of each file: a wrong file has the same problem on every line."""

Progress = Callable[[int, int | None], None]
"""Told how many bytes of the input are done, and how many there are (None: a pipe is among it)."""


@dataclass(slots=True)
class FileReport:
    """What became of one file. `problems` are the first of those that its `bad_lines` have."""

    file: str
    answers: int = 0
    summaries: int = 0
    bad_lines: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, chunk: ChunkScores) -> None:
        """Count what a chunk came to."""
        self.answers += len(chunk.answers)
        self.summaries += chunk.summaries
        self.bad_lines += chunk.bad_lines
        self.problems += chunk.problems[: max(0, PROBLEMS_KEPT - len(self.problems))]


@dataclass(frozen=True, slots=True)
class ScoredFiles:
    """What scoring came to. `totals` put all categories of a file together; `groups` tell them apart."""

    files: tuple[FileReport, ...]
    totals: tuple[SummaryRow, ...]
    groups: tuple[SummaryRow, ...]

    @property
    def bad_lines(self) -> int:
        """Lines of all files with something wrong."""
        return sum(report.bad_lines for report in self.files)


def score_files(
    files: Sequence[str],
    scorers: Sequence[str],
    *,
    out: Path | None = None,
    expected: Path | None = None,
    processes: int = 1,
    on_explanation: Callable[[Explanation], None] | None = None,
    on_progress: Progress | None = None,
) -> ScoredFiles:
    """Score every answer with every scorer; `-` is standard input. With `out` the records are written there, in their
    order, each with its scores; lines that no record can be read from are left out and counted.

    `on_explanation` is told of every score, with its hits, in the order of the answers. More than one of `processes`
    start with big inputs only; they need a main module that can be imported. Raises InputError for files, scorers and
    right answers that cannot be read, NoSpace when `out` cannot be written.
    """
    names = tuple(dict.fromkeys(scorers))
    wanted = Wanted(
        names,
        expected=read_expected(expected) if expected else {},
        keep_records=out is not None,
        explain=on_explanation is not None,
    )
    tally = Tally(names)
    reports = {file: FileReport(file) for file in files}
    with ExitStack() as stack:
        chunks = scored_chunks(files, wanted, processes, on_progress)
        write = None
        if out is not None:
            check_output(out, (Path(file) for file in files if file != STDIN))
            write = stack.enter_context(whole_file(out))
        for chunk in chunks:
            reports[chunk.file].add(chunk)
            tally.add(chunk.file, chunk.answers)
            if write:
                write(chunk.records)
            if on_explanation:
                for explanation in chunk.explanations:
                    on_explanation(explanation)
    return ScoredFiles(tuple(reports.values()), tally.totals(), tally.groups())


def scored_chunks(
    files: Sequence[str], wanted: Wanted, processes: int = 1, on_progress: Progress | None = None
) -> Iterator[ChunkScores]:
    """The files chunk by chunk, in their order, as `score_files` reads them; one that is named twice is read once.
    Raises InputError before anything is read for files and scorers that do not exist."""
    check_inputs(files)
    for name in wanted.scorers:
        get_scorer(name)
    return _scored(tuple(dict.fromkeys(files)), wanted, processes, on_progress)


def _scored(
    files: Sequence[str], wanted: Wanted, processes: int, on_progress: Progress | None
) -> Iterator[ChunkScores]:
    total = total_bytes(files)
    for chunk in map_in_order(partial(score_chunk, wanted), read_chunks(files), processes):
        yield chunk
        if on_progress:
            on_progress(chunk.position, total)
