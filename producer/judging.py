"""What gates say of answers that are stored: read in pages, scored where scores are missing, judged. Nothing is
written here, so that gates can be tried before they are changed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import tee
from typing import Any

from lemfarm.config import Gate, ReviewConfig
from lemfarm.curation.duplicates import DUPLICATE
from lemfarm.curation.review import Word, with_review
from lemfarm.curation.review_words import changes_of, words_of
from lemfarm.database import Database, decoded, prepared
from lemfarm.engines.base import FinishReason
from lemfarm.gates import NO_SCORE, Answer, Outcome, Verdict, duplicates_gate, gate_hash, judge, required_scorers
from lemfarm.scoring.processes import map_in_order
from lemfarm.work import ScoredBy
from producer.score_tasks import Scored, ScoreTask, score_tasks
from producer.text_scores import known_values, task_of, versions_of

PAGE = 200
"""Answers read, scored, judged and written at once: some 100 KB to 1 MB of text."""

WORTH_PROCESSES = 400
"""Scores that one process computes in about the time that it takes to start others."""


class Which(StrEnum):
    """Which done samples of a phase are judged; superseded ones never are."""

    ALL = "1 = 1"
    OTHERS = """(SELECT gate_hash FROM verdict WHERE verdict.sample_id = s.id ORDER BY verdict.id DESC LIMIT 1)
        <> :gates"""  #: whose last verdict came from other gates
    UNSCORED = "s.outcome = 'held' AND s.reason LIKE 'no score by %'"  #: that wait for a scorer
    DUE = f"({OTHERS} OR {UNSCORED})"  #: those two


@dataclass(frozen=True, slots=True)
class Judged:
    """A done sample, its newest text, how it stood before, and what the gates say of it now."""

    sample_id: str
    probe_id: str
    variant_id: str
    text_id: int
    before: str
    verdict: Verdict
    is_new: bool  #: it differs from the last verdict, if only by the gates it came from
    words: int = 0  #: changes in what reviewers said of it, see `changes_of`
    value: float = 0.0  #: the score by which it is better or worse than its twins
    passed: Verdict | None = None  #: of a duplicate, while it stays one: what everything but its twin says

    @property
    def may_have_twins(self) -> bool:
        """Everything else lets it pass, or leaves it to a person."""
        said = self.passed or self.verdict
        return said.outcome == Outcome.ACCEPTED or (
            said.outcome == Outcome.HELD and not said.reason.startswith(NO_SCORE)
        )


@dataclass(frozen=True, slots=True)
class JudgedPage:
    """Some judged answers; the scores that had to be computed for it; why others could not be, counted."""

    answers: tuple[Judged, ...]
    computed: tuple[tuple[int, ScoredBy], ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """Tells a callable how much is done and how much there is; a farm at work adds to that meanwhile."""

    tell: Callable[[int, int], None]
    of: int
    done: int = 0

    def advance(self, count: int) -> None:
        """So much more is done."""
        self.done += count
        self.tell(self.done, max(self.done, self.of))


@dataclass(frozen=True, slots=True)
class _Page:
    """Rows as they were read, the values known of their texts, and what is to be computed."""

    rows: Sequence[Any]
    values: Mapping[tuple[int, str], float]
    tasks: tuple[ScoreTask, ...]
    words: Mapping[str, Sequence[Word]]
    changes: Mapping[str, int]


def judged_pages(
    database: Database,
    phase_id: int,
    gates: Sequence[Gate],
    which: Which,
    *,
    review: ReviewConfig | None = None,
    processes: int = 1,
) -> Iterator[JudgedPage]:
    """Judge stored answers of a phase, page by page, in the order of their texts; what reviewers said goes on counting.

    More than one of `processes` start where many scores are missing. A sample without a score that a gate asks for is
    held, as when it was new. Raises Unavailable.
    """
    hashed, review = gate_hash(gates, review), review or ReviewConfig()
    versions, absent = versions_of(required_scorers(gates))
    if processes > 1 and _missing(database, phase_id, versions) < WORTH_PROCESSES:
        processes = 1
    ahead, beside = tee(_pages(database, phase_id, hashed, which, versions))
    scored = map_in_order(score_tasks, (page.tasks for page in ahead), processes)
    for page, found in zip(beside, scored, strict=True):
        yield _judged(page, found, gates, review, hashed, absent)


def count_done(database: Database, phase_id: int) -> int:
    """How many answers of a phase can be judged."""
    query = """SELECT count(*) FROM sample
               WHERE phase_id = :phase AND purpose = 'distil' AND NOT superseded AND state = 'done'"""
    with database.read() as connection:
        return int(connection.execute(prepared(query), {"phase": phase_id}).scalar_one())


def _judged(
    page: _Page,
    found: Sequence[Scored],
    gates: Sequence[Gate],
    review: ReviewConfig,
    hashed: str,
    absent: Mapping[str, str],
) -> JudgedPage:
    computed = tuple((one.text_id, one.score) for one in found if one.score)
    failures = Counter(one.reason for one in found if not one.score)
    failures.update({reason: len(page.rows) for reason in absent.values()})
    values = {**page.values, **{(text_id, score.scorer): score.value for text_id, score in computed}}
    names = required_scorers(gates)
    answers = []
    for row in page.rows:
        scores = {name: values[row.text_id, name] for name in names if (row.text_id, name) in values}
        finish = FinishReason(decoded(row.generation)["finish_reason"])
        by_gates = judge(gates, Answer(row.content, finish, scores))
        verdict = with_review(by_gates, row.id, review, page.words.get(row.id, ()))
        passed = verdict if _stays_duplicate(row, verdict, gates) else None
        if passed:
            verdict = Verdict(Outcome.REJECTED, row.reason)
        is_new = (row.gate_hash, row.outcome, row.reason) != (hashed, verdict.outcome, verdict.reason)
        value = scores.get(names[0], 0.0) if names else 0.0
        ids, changes = (row.id, row.probe_id, row.variant_id, row.text_id), page.changes.get(row.id, 0)
        answers.append(Judged(*ids, row.outcome, verdict, is_new, changes, value, passed))
    return JudgedPage(tuple(answers), computed, failures)


def _stays_duplicate(row: Any, verdict: Verdict, gates: Sequence[Gate]) -> bool:
    """Twins are no matter of one answer: who has one keeps the verdict until the whole run is settled."""
    compared = verdict.outcome != Outcome.REJECTED and duplicates_gate(gates) is not None
    return compared and str(row.reason).startswith(DUPLICATE)


def _pages(
    database: Database, phase_id: int, hashed: str, which: Which, versions: Mapping[str, str]
) -> Iterator[_Page]:
    query = prepared(_ANSWERS.format(which=which))
    values = {"phase": phase_id, "after": 0, "page": PAGE, "gates": hashed}
    while True:
        with database.read() as connection:
            rows = connection.execute(query, values).all()
        if rows:
            yield _page(database, rows, versions)
        if len(rows) < PAGE:
            return
        values["after"] = rows[-1].text_id


def _page(database: Database, rows: Sequence[Any], versions: Mapping[str, str]) -> _Page:
    known = known_values(database, [row.text_id for row in rows], versions) if versions else {}
    tasks = [task_of(row, row.text_id, name) for row in rows for name in versions if (row.text_id, name) not in known]
    ids = [row.id for row in rows]
    with database.read() as connection:
        return _Page(rows, known, tuple(tasks), words_of(connection, ids), changes_of(connection, ids))


def _missing(database: Database, phase_id: int, versions: Mapping[str, str]) -> int:
    """How many scores of these scorers the phase's answers lack."""
    missing = 0
    for name, version in versions.items():
        with database.read() as connection:
            values = {"phase": phase_id, "scorer": name, "version": version}
            missing += int(connection.execute(prepared(_UNSCORED), values).scalar_one())
    return missing


# Only done samples have a text, so their state need not be asked for.
_NEWEST = "t.revision = (SELECT max(revision) FROM text WHERE text.sample_id = s.id)"
_OF_PHASE = "s.phase_id = :phase AND s.purpose = 'distil' AND NOT s.superseded"
_ANSWERS = f"""SELECT s.id, s.probe_id, s.variant_id, s.outcome, s.reason, t.id AS text_id, t.content, v.messages,
    p.fields, a.generation,
    (SELECT gate_hash FROM verdict WHERE verdict.sample_id = s.id ORDER BY verdict.id DESC LIMIT 1) AS gate_hash
    FROM text t JOIN sample s ON s.id = t.sample_id
    JOIN variant v ON v.id = s.variant_id JOIN probe p ON p.id = s.probe_id
    JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
    WHERE t.id > :after AND {_OF_PHASE} AND {_NEWEST} AND {{which}} ORDER BY t.id LIMIT :page"""
_UNSCORED = f"""SELECT count(*) FROM sample s JOIN text t ON t.sample_id = s.id
    WHERE {_OF_PHASE} AND {_NEWEST} AND NOT EXISTS (SELECT 1 FROM score
    WHERE score.text_id = t.id AND score.scorer = :scorer AND score.version = :version)"""
