"""`lemfarm score --run`: further scorers for everything that a run has answered. No gate is asked: `producer.judging`
does that."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lemfarm.database import Database, prepared
from lemfarm.errors import InputError
from lemfarm.ledger import Ledger
from lemfarm.runs import find_run
from lemfarm.scorers import Scorer
from lemfarm.scoring.processes import map_in_order
from producer.judging import Progress
from producer.score_tasks import Scored, ScoreTask, find_scorer, score_tasks
from producer.text_scores import task_of

BATCH = 50
"""Texts scored by one process and stored by one transaction: what a kill may cost."""

_MOST_REASONS = 5
_OTHERS = "other reasons"


@dataclass(frozen=True, slots=True)
class ScoreFailure:
    """Why some texts have no score, and the first sample of them."""

    reason: str
    texts: int
    sample: str


@dataclass(frozen=True, slots=True)
class ScorerRow:
    """What became of one scorer: texts that got a score now, had one of this version, and have none."""

    scorer: str
    version: str
    added: int
    known: int
    failed: int
    failures: tuple[ScoreFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredScores:
    """A run whose texts were scored, and a row for each scorer."""

    run: str
    rows: tuple[ScorerRow, ...]


def score_stored(
    database: Database,
    run: str | None,
    names: Sequence[str],
    *,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> StoredScores:
    """Score every stored text of a run by these scorers, whatever its purpose and revision, superseded ones too.

    Only what is missing for a scorer's version is computed, and stored as it goes: stopped anywhere and called again,
    it goes on. `processes`: as many as there are cores when left out. A text that cannot be scored is counted and does
    not end it. Raises InputError for no or unknown scorers, NotFound, Unavailable.
    """
    if not names:
        raise InputError("name at least one scorer; `lemfarm scorers list` shows them.")
    scorers = [find_scorer(name) for name in dict.fromkeys(names)]
    row = find_run(database, run)
    assert row.id is not None
    jobs = [_Job(database, row.id, scorer) for scorer in scorers]
    progress = Progress(on_progress, sum(job.missing for job in jobs))
    for job in jobs:
        for count in job.work(processes or os.cpu_count() or 1):
            progress.advance(count)
    return StoredScores(row.name, tuple(job.row() for job in jobs))


class _Job:
    """One scorer over all texts of a run."""

    def __init__(self, database: Database, run_id: int, scorer: Scorer) -> None:
        self._database, self._scorer = database, scorer
        self._of_scorer = {"run": run_id, "scorer": scorer.name, "version": scorer.version}
        self._added = 0
        self._failed: Counter[str] = Counter()
        self._first: dict[str, int] = {}
        with database.read() as connection:
            counts = connection.execute(prepared(_COUNTS), self._of_scorer).one()
        self._known, self.missing = counts.known, counts.texts - counts.known

    def work(self, processes: int) -> Iterator[int]:
        """Score what is missing; yields how many texts were just done."""
        ledger = Ledger(self._database)
        for found in map_in_order(score_tasks, self._batches(), processes):
            scores = [(one.text_id, one.score) for one in found if one.score]
            with self._database.write() as connection:
                ledger.add_scores(connection, scores)
            self._added += len(scores)
            self._note_failures(found)
            yield len(found)

    def row(self) -> ScorerRow:
        """What it came to."""
        failures = tuple(
            ScoreFailure(reason, count, self._sample_of(self._first[reason]))
            for reason, count in self._failed.most_common()
        )
        scorer = self._scorer
        return ScorerRow(scorer.name, scorer.version, self._added, self._known, self._failed.total(), failures)

    def _batches(self) -> Iterator[list[ScoreTask]]:
        """What is missing, in the order of the texts; each batch is read when it is wanted."""
        after = 0
        while True:
            with self._database.read() as connection:
                values = self._of_scorer | {"after": after, "batch": BATCH}
                rows = connection.execute(prepared(_MISSING), values).all()
            if rows:
                yield [task_of(row, row.id, self._scorer.name) for row in rows]
            if len(rows) < BATCH:
                return
            after = rows[-1].id

    def _note_failures(self, found: Sequence[Scored]) -> None:
        for one in found:
            if one.score is None:
                known = one.reason in self._failed or len(self._failed) < _MOST_REASONS
                reason = one.reason if known else _OTHERS
                self._failed[reason] += 1
                self._first.setdefault(reason, one.text_id)

    def _sample_of(self, text_id: int) -> str:
        with self._database.read() as connection:
            query = prepared("SELECT sample_id FROM text WHERE id = :id")
            return str(connection.execute(query, {"id": text_id}).scalar_one())


_OF_SCORER = "score.text_id = t.id AND score.scorer = :scorer AND score.version = :version"
_COUNTS = f"""SELECT count(*) AS texts, count(score.id) AS known FROM sample s JOIN text t ON t.sample_id = s.id
    LEFT JOIN score ON {_OF_SCORER} WHERE s.run_id = :run"""
# With the plus SQLite goes by the texts; by the index of runs it would sort all of them for every batch.
_MISSING = f"""SELECT t.id, t.content, v.messages, p.fields FROM text t JOIN sample s ON s.id = t.sample_id
    JOIN variant v ON v.id = s.variant_id JOIN probe p ON p.id = s.probe_id
    WHERE t.id > :after AND +s.run_id = :run AND NOT EXISTS (SELECT 1 FROM score WHERE {_OF_SCORER})
    ORDER BY t.id LIMIT :batch"""
