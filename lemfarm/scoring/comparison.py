"""Scores recorded in A/B files beside fresh ones, per condition and against the baseline.

Older files were written by another scorer than the one whose tables were published, so their recorded numbers cannot
be compared with anything; their texts can be scored again. Nothing is written.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lemfarm.errors import LemfarmError
from lemfarm.evaluation.comparison import BASELINE, NOTICEABLE
from lemfarm.evaluation.statistics import Interval, mean, paired_difference
from lemfarm.scorers import get_scorer, scorer_for
from lemfarm.scoring.chunk_scores import score_answer
from lemfarm.scoring.files import PROBLEMS_KEPT, Progress
from lemfarm.scoring.lines import Line, check_inputs, read_chunks, total_bytes
from lemfarm.scoring.records import Answered, BadLine, Record, number_of, read_record

RECORDED_KEY = "lek_score"
"""Where a condition of an A/B record has its score."""

_SAME = 0.005  #: recorded scores have two decimals
_COUNTS_KEY, _LATER_COUNT = "heuristic", "nuance"


@dataclass(frozen=True, slots=True)
class ConditionScores:
    """One condition: `n` answers, of which `same` have the fresh score that is recorded.

    `recorded` and `difference` (fresh minus recorded, answer by answer) are means over answers that have a recorded
    score, None where there is none; `fresh` is the mean over all.
    """

    condition: str
    n: int
    recorded: float | None
    fresh: float
    difference: float | None
    same: int


@dataclass(frozen=True, slots=True)
class Change:
    """A condition minus the baseline, probe by probe; by more than `NOTICEABLE` a probe is improved or regressed.

    `recorded` is what the file's own summary says: `delta_vs_baseline`, `improved`, `regressed`, `unchanged`.
    """

    condition: str
    interval: Interval
    improved: int
    regressed: int
    unchanged: int
    recorded: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileComparison:
    """One A/B file. `recorded_by` counts answers by the scorer that their recorded counts show: `v2`, the older
    `ab-v1`, or `unknown` where there are no counts."""

    file: str
    model: str
    scorer: str
    probes: int
    recorded_by: Mapping[str, int]
    conditions: tuple[ConditionScores, ...]
    changes: tuple[Change, ...]
    bad_lines: int
    problems: tuple[str, ...]


def compare_file(file: str, scorer: str = "v2", on_progress: Progress | None = None) -> FileComparison:
    """Score the answers of an A/B file again, beside what is recorded in it.

    Lines that are no A/B record are counted and left out. Raises InputError for a file or scorer that is not there.
    """
    check_inputs([file])
    get_scorer(scorer)
    found = _Reading(scorer)
    total = total_bytes([file])
    for chunk in read_chunks([file]):
        for line in chunk.lines:
            found.take(f"{file}:{line.number}", line)
        if on_progress:
            on_progress(chunk.position, total)
    return found.comparison(file)


@dataclass(frozen=True, slots=True)
class _Rescored:
    probe: str
    recorded: float | None
    recorded_by: str
    fresh: float


@dataclass(slots=True)
class _Reading:
    """What a file has given so far, answers by condition."""

    scorer: str
    answers: dict[str, list[_Rescored]] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    bad_lines: int = 0
    problems: list[str] = field(default_factory=list)

    def take(self, place: str, line: Line) -> None:
        """Read one line; whatever is wrong with it is noted."""
        faults: list[str] = []
        try:
            self._take_record(line, faults)
        except (BadLine, LemfarmError) as error:
            faults.append(str(error))
        self.bad_lines += bool(faults)
        room = PROBLEMS_KEPT - len(self.problems)
        self.problems += [f"{place}: {fault}" for fault in faults][: max(0, room)]

    def _take_record(self, line: Line, faults: list[str]) -> None:
        if line.fault:
            raise BadLine(line.fault)
        record = read_record(line.data)
        if record.is_summary:
            self.summary = record.data
            return
        if not isinstance(record.data.get("conditions"), dict):
            raise BadLine("not an A/B record: it has no `conditions`")
        faults += record.faults
        scorer = scorer_for(self.scorer, record.expected)
        for answered in record.answers:
            fresh = score_answer(self.scorer, scorer, answered).value
            rescored = _Rescored(_probe_key(record, answered), _recorded(answered), _recorded_by(answered), fresh)
            self.answers.setdefault(answered.condition, []).append(rescored)

    def comparison(self, file: str) -> FileComparison:
        """What came of the whole file."""
        everything = [answer for answers in self.answers.values() for answer in answers]
        return FileComparison(
            file=file,
            model=str(self.summary.get("model", "")),
            scorer=self.scorer,
            probes=len({answer.probe for answer in everything}),
            recorded_by=dict(Counter(answer.recorded_by for answer in everything)),
            conditions=tuple(_condition(name, answers) for name, answers in self.answers.items()),
            changes=tuple(self._changes()),
            bad_lines=self.bad_lines,
            problems=tuple(self.problems),
        )

    def _changes(self) -> list[Change]:
        baseline = self.answers.get(BASELINE, [])
        probes = {answer.probe for answer in baseline}
        others = [(name, answers) for name, answers in self.answers.items() if name != BASELINE]
        comparable = [(name, answers) for name, answers in others if any(a.probe in probes for a in answers)]
        return [_change(name, baseline, answers, _in_summary(self.summary, name)) for name, answers in comparable]


def _probe_key(record: Record, answered: Answered) -> str:
    """Ids of some seed files name several probes, so the prompt tells them apart."""
    return f"{record.probe}\n{answered.prompt}"


def _recorded(answered: Answered) -> float | None:
    return number_of(answered.holder.get(RECORDED_KEY))


def _recorded_by(answered: Answered) -> str:
    """The later scorer counts nuance; the earlier one had eight counts without it."""
    counts = answered.holder.get(_COUNTS_KEY)
    if not isinstance(counts, dict):
        return "unknown"
    return "v2" if _LATER_COUNT in counts else "ab-v1"


def _condition(name: str, answers: list[_Rescored]) -> ConditionScores:
    pairs = [(answer.recorded, answer.fresh) for answer in answers if answer.recorded is not None]
    return ConditionScores(
        condition=name,
        n=len(answers),
        recorded=mean([recorded for recorded, _ in pairs]) if pairs else None,
        fresh=mean([answer.fresh for answer in answers]),
        difference=mean([fresh - recorded for recorded, fresh in pairs]) if pairs else None,
        same=sum(abs(fresh - recorded) < _SAME for recorded, fresh in pairs),
    )


def _change(name: str, before: list[_Rescored], after: list[_Rescored], recorded: Mapping[str, float]) -> Change:
    found = paired_difference(
        ((answer.probe, answer.fresh) for answer in before), ((answer.probe, answer.fresh) for answer in after)
    )
    differences = found.differences.values()
    improved = sum(difference > NOTICEABLE for difference in differences)
    regressed = sum(difference < -NOTICEABLE for difference in differences)
    return Change(name, found.interval, improved, regressed, len(differences) - improved - regressed, recorded)


def _in_summary(summary: Mapping[str, Any], condition: str) -> dict[str, float]:
    """What a summary line records of a condition against the baseline; only what is a number."""
    listed = summary.get("conditions")
    entries = listed if isinstance(listed, list) else []
    entry = next((found for found in entries if isinstance(found, dict) and found.get("name") == condition), {})
    figures = {key: number_of(entry.get(key)) for key in ("delta_vs_baseline", "improved", "regressed", "unchanged")}
    return {key: value for key, value in figures.items() if value is not None}
