"""Pairs of scores: of the answers in files, and of those that a run has stored."""

from collections.abc import Sequence

from sqlalchemy import text

from lemfarm.database import Database
from lemfarm.records import Purpose, SampleState
from lemfarm.scorers import get_scorer
from lemfarm.scoring.calibration import Pair
from lemfarm.scoring.chunk_scores import ChunkScores, Wanted
from lemfarm.scoring.files import FileReport, Progress, scored_chunks

_PAIRS = text(
    """SELECT sample.probe_id, one.value, two.value FROM sample
       JOIN text ON text.sample_id = sample.id
       JOIN score one ON one.text_id = text.id AND one.scorer = :first AND one.version = :first_version
       JOIN score two ON two.text_id = text.id AND two.scorer = :second AND two.version = :second_version
       WHERE sample.run_id = :run AND sample.purpose = :purpose AND sample.state = :done AND NOT sample.superseded
       AND NOT EXISTS (SELECT 1 FROM text later WHERE later.sample_id = sample.id AND later.revision > text.revision)
       ORDER BY text.id"""
)


def file_pairs(
    files: Sequence[str], first: str, second: str, *, processes: int = 1, on_progress: Progress | None = None
) -> tuple[list[Pair], tuple[FileReport, ...]]:
    """Both scores of every answer in the files, read from the records where they are of the scorers' current versions,
    else computed; and what became of each file. Raises as `score_files` does."""
    pairs: list[Pair] = []
    reports = {file: FileReport(file) for file in files}
    for chunk in scored_chunks(files, Wanted((first, second), reuse=True), processes, on_progress):
        pairs += _pairs(chunk, reports[chunk.file].answers)
        reports[chunk.file].add(chunk)
    return pairs, tuple(reports.values())


def stored_pairs(database: Database, run_id: int, first: str, second: str) -> list[Pair]:
    """Both scores of every answer that counts in the run and was made to be trained on, by the scorers' current
    versions. Of an answer that was edited the last text counts. Raises InputError for a scorer that does not exist,
    DatabaseDown."""
    values = {
        "run": run_id,
        "purpose": Purpose.DISTIL,
        "done": SampleState.DONE,
        "first": first,
        "first_version": get_scorer(first).version,
        "second": second,
        "second_version": get_scorer(second).version,
    }
    with database.read() as connection:
        return [Pair(*row) for row in connection.execute(_PAIRS, values)]


def _pairs(chunk: ChunkScores, answers_before: int) -> list[Pair]:
    """An answer without an id counts as a probe of its own."""
    found = []
    for number, answer in enumerate(chunk.answers, start=answers_before):
        first, second = answer.values
        if first is not None and second is not None:
            found.append(Pair(answer.probe or f"{chunk.file}#{number}", first, second))
    return found
