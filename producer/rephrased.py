"""What came of a rephrasing run: the best answer of each pair, and why others have none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lemfarm.config import RunConfig
from lemfarm.database import Database, decoded, prepared
from lemfarm.records import Outcome, SampleState
from lemfarm.rephrasing import clean
from lemfarm.runs import find_run
from lemfarm.scorers.rephrasing import FAULTS, LEAST_CHANGED
from lemfarm.wording import changed_share
from producer.rephrase import PHASE, SCORER, Pair, RephrasingPlan

REPEATED = "too close to another wording of the probe"
UNANSWERED = "no answer yet"


@dataclass(frozen=True, slots=True)
class Made:
    """A new variant: its text as it is stored, and the sample it comes from."""

    probe: str
    kind: str
    text: str
    model: str
    run: str
    sample: str
    score: float
    signals: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Missing:
    """A pair without a variant: how many answers there were, and what was wrong with most of them."""

    probe: str
    kind: str
    answers: int
    reason: str
    count: int  #: of the answers, for how many it is so


@dataclass(frozen=True, slots=True)
class Rephrasings:
    """What a run of rephrasings came to, in the order of the plan."""

    made: tuple[Made, ...] = ()
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    sample: str
    state: str
    outcome: str | None
    reason: str
    text: str
    score: float
    signals: Mapping[str, float]

    @property
    def faults(self) -> list[str]:
        """What speaks against it, in words for people."""
        if self.state == SampleState.DONE and self.outcome == Outcome.ACCEPTED:
            return [REPEATED]
        found = [words for name, words in FAULTS.items() if self.signals.get(name)]
        return found if self.reason.startswith(SCORER) and found else [self.reason or UNANSWERED]


def gather(database: Database, plan: RephrasingPlan, config: RunConfig) -> Rephrasings:
    """The best accepted answer for each pair: by score, then by sample index, and other words than all that the probe
    has by then.

    Nothing is written. Raises NotFound for a run that was never planned.
    """
    answers = _answers(database, config.run)
    known = {probe.id: [variant.messages[-1].content for variant in probe.variants] for probe in plan.probes}
    made, missing = [], []
    for pair in plan.pairs:
        of_pair = answers.get(pair.prompt, [])
        best = _best(of_pair, known[pair.probe])
        if best is None:
            missing.append(_missing(pair, of_pair))
            continue
        known[pair.probe].append(best.text)
        made.append(_made(pair, best, config))
    return Rephrasings(tuple(made), tuple(missing))


def _answers(database: Database, run_name: str) -> dict[str, list[_Answer]]:
    """The run's samples that count, by what was asked, in the order of their index."""
    with database.read() as connection:
        rows = connection.execute(
            prepared(_SAMPLES), {"run": find_run(database, run_name).id, "phase": PHASE, "scorer": SCORER}
        ).all()
    found: dict[str, list[_Answer]] = {}
    for row in rows:
        found.setdefault(decoded(row.messages)[-1]["content"], []).append(_answer(row))
    return found


def _answer(row: Any) -> _Answer:
    text, signals = clean(row.content or ""), decoded(row.signals) or {}
    return _Answer(row.id, row.state, row.outcome, row.reason, text, row.value or 0.0, signals)


_SAMPLES = """SELECT s.id, s.state, s.outcome, s.reason, v.messages, t.content, c.value, c.signals FROM sample s
    JOIN phase p ON p.id = s.phase_id JOIN variant v ON v.id = s.variant_id
    LEFT JOIN text t ON t.sample_id = s.id AND t.revision = (SELECT max(revision) FROM text WHERE sample_id = s.id)
    LEFT JOIN score c ON c.id = (SELECT max(id) FROM score WHERE text_id = t.id AND scorer = :scorer)
    WHERE s.run_id = :run AND p.name = :phase AND NOT s.superseded ORDER BY s.sample_index, s.id"""


def _best(answers: Sequence[_Answer], known: Sequence[str]) -> _Answer | None:
    accepted = (answer for answer in answers if answer.outcome == Outcome.ACCEPTED)
    fresh = (a for a in accepted if all(changed_share(wording, a.text) > LEAST_CHANGED for wording in known))
    return max(fresh, key=lambda answer: answer.score, default=None)


def _made(pair: Pair, answer: _Answer, config: RunConfig) -> Made:
    origin = (config.model.path, config.run, answer.sample)
    return Made(pair.probe, pair.kind, answer.text, *origin, answer.score, answer.signals)


def _missing(pair: Pair, answers: Sequence[_Answer]) -> Missing:
    """What was said against most of its answers; a sample that failed is one, a pending or skipped one is none."""
    given = [answer for answer in answers if answer.state in (SampleState.DONE, SampleState.FAILED)]
    faults = Counter(fault for answer in given for fault in answer.faults)
    reason, count = faults.most_common(1)[0] if faults else (UNANSWERED, 0)
    return Missing(pair.probe, pair.kind, len(given), reason, count)
