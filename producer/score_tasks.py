"""One text for one scorer: pure, so that it can be done in any process."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lemfarm.errors import InputError, LemfarmError
from lemfarm.scorers import EXPECTED_KEY, Scorer, get_scorer, scorer_for
from lemfarm.work import ScoredBy


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """What a scorer is to look at. `expected` is the right answer, where the probe has one."""

    text_id: int
    scorer: str
    prompt: str
    answer: str
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of a task: a score, or the reason why there is none."""

    text_id: int
    scorer: str
    score: ScoredBy | None
    reason: str = ""


def score_tasks(tasks: Iterable[ScoreTask]) -> list[Scored]:
    """Do the tasks in their order."""
    return [score_task(task) for task in tasks]


def score_task(task: ScoreTask) -> Scored:
    """Do one task; never raises: a scorer that is absent, broken or lacks the right answer costs this score only."""
    try:
        return Scored(task.text_id, task.scorer, _score(task))
    except LemfarmError as error:
        return Scored(task.text_id, task.scorer, None, str(error))


def expected_of(fields: Mapping[str, Any]) -> str | None:
    """The right answer among a probe's free fields: a text or a number; anything else is none."""
    value = fields.get(EXPECTED_KEY)
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def find_scorer(name: str) -> Scorer:
    """The scorer of that name. Raises InputError whatever keeps it from being had."""
    try:
        return get_scorer(name)
    except LemfarmError:
        raise
    except Exception as error:
        raise InputError(f"the scorer {name} cannot be loaded: {error!r}") from error


def _score(task: ScoreTask) -> ScoredBy:
    """Raises InputError for a scorer that cannot be had, that fails, or that gives figures which no database keeps."""
    named, scorer = find_scorer(task.scorer), scorer_for(task.scorer, task.expected)
    try:
        score = scorer.score(task.prompt, task.answer)
        if not all(map(isfinite, (score.value, *score.signals.values()))):
            raise ValueError(f"{score.value} with {dict(score.signals)} are not all numbers")
    except Exception as error:
        raise InputError(f"{task.scorer} failed: {error!r}") from error
    return ScoredBy(named.name, named.version, score.value, dict(score.signals))
