"""Scoring the lines of one chunk: pure, so that chunks can be scored in any process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite

from lemfarm.errors import InputError, LemfarmError
from lemfarm.scorers import Score, Scorer, scorer_for
from lemfarm.scoring.explain import Explanation, explain
from lemfarm.scoring.lines import Chunk, Line
from lemfarm.scoring.records import Answered, BadLine, Record, add_scores, known_score, read_record, written


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of every answer. `expected`: right answers by id, which win over those in the records."""

    scorers: tuple[str, ...]
    expected: Mapping[str, str] = field(default_factory=dict)
    reuse: bool = False  #: take a score of the scorer's current version from the record where it has one
    keep_records: bool = False  #: give the records back with their scores
    explain: bool = False


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """The scores of one answer, in the order of the scorers; None where there is none."""

    probe: str
    category: str
    condition: str
    values: tuple[float | None, ...]


@dataclass(slots=True)
class ChunkScores:
    """What a chunk came to. `records` holds JSONL in UTF-8; `position` is the chunk's."""

    file: str
    position: int
    answers: list[AnswerScores] = field(default_factory=list)
    summaries: int = 0
    bad_lines: int = 0
    problems: list[str] = field(default_factory=list)
    records: bytes = b""
    explanations: list[Explanation] = field(default_factory=list)


def score_chunk(wanted: Wanted, chunk: Chunk) -> ChunkScores:
    """Score every answer of the chunk; what is wrong with a line becomes a problem `file:line: what`, never an error.

    The scorers have to exist: `get_scorer` tells.
    """
    found = ChunkScores(chunk.file, chunk.position)
    records = []
    for line in chunk.lines:
        scores = _LineScores(wanted, f"{chunk.file}:{line.number}")
        records.append(scores.of(line))
        found.answers += scores.answers
        found.summaries += scores.summaries
        found.bad_lines += bool(scores.faults)
        found.problems += [f"{scores.place}: {fault}" for fault in scores.faults]
        found.explanations += scores.explanations
    found.records = b"".join(records)
    return found


@dataclass(slots=True)
class _LineScores:
    """What one line gives, as it is found."""

    wanted: Wanted
    place: str
    answers: list[AnswerScores] = field(default_factory=list)
    summaries: int = 0
    faults: list[str] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)

    def of(self, line: Line) -> bytes:
        """Score a line; returns it as it is to be kept, with its scores."""
        try:
            if line.fault:
                raise BadLine(line.fault)
            record = read_record(line.data)
            self.faults += record.faults
            self.summaries += record.is_summary
            self.answers += [self._answer(record, answered) for answered in record.answers]
            return written(record) if self.wanted.keep_records else b""
        except BadLine as bad:
            self.faults.append(str(bad))
            return b""

    def _answer(self, record: Record, answered: Answered) -> AnswerScores:
        """Score one answer; its scores are put into the record."""
        expected = self.wanted.expected.get(record.probe, record.expected)
        values = tuple(self._value(name, expected, record, answered) for name in self.wanted.scorers)
        return AnswerScores(record.probe, record.category, answered.condition, values)

    def _value(self, name: str, expected: str | None, record: Record, answered: Answered) -> float | None:
        try:
            scorer = scorer_for(name, expected)
            known = known_score(answered, name, scorer.version) if self.wanted.reuse else None
            return self._computed(name, scorer, record, answered) if known is None else known
        except LemfarmError as error:
            self.faults.append(f"condition {answered.condition!r}: {error}" if answered.condition else str(error))
            return None

    def _computed(self, name: str, scorer: Scorer, record: Record, answered: Answered) -> float:
        score = score_answer(name, scorer, answered)
        add_scores(answered, {name: {"value": score.value, "version": scorer.version, "signals": dict(score.signals)}})
        if self.wanted.explain:
            with _blamed_on(name):
                self.explanations.append(explain(scorer, score, record, answered, self.place))
        return score.value


def score_answer(name: str, scorer: Scorer, answered: Answered) -> Score:
    """Score one answer. Raises InputError for a scorer that fails or gives what JSON cannot spell: a plug-in's fault
    costs this score, not the file."""
    with _blamed_on(name):
        score = scorer.score(answered.prompt, answered.text)
        if all(map(isfinite, (score.value, *score.signals.values()))):
            return score
    raise InputError(f"{name} gave {score.value} with {dict(score.signals)}: not all of them are numbers")


@contextmanager
def _blamed_on(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise InputError(f"{name} failed: {error!r}") from error
