"""A/B files: LEM's records of one model under several conditions, written from an evaluation, and read back.

One record a line holds one probe (`type: probe`, `id`, `category`, `prompt`, `ts`) and, under `conditions`, an answer
by condition (`response`, `lek_score`, `heuristic`, `chars`, `time_s`); the last line sums up (`type: summary`). The
score and the counts are those of `v2`, as in the published files, whichever scorer an evaluation was set to. What those
files do not say stands under keys named `lemfarm`: how each answer ended, its seed, kernel, sample, and whether a probe
was trained on. A probe that was asked more than once has a record for each time.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lemfarm.errors import InputError, LemfarmError
from lemfarm.evaluation.comparison import BASELINE, NOTICEABLE
from lemfarm.evaluation.measurement import ScoredAnswer, is_degenerate
from lemfarm.evaluation.statistics import mean, probe_means
from lemfarm.output_files import whole_file
from lemfarm.scorers import get_scorer, scorer_for
from lemfarm.scoring.chunk_scores import score_answer
from lemfarm.scoring.files import PROBLEMS_KEPT
from lemfarm.scoring.lines import Line, check_inputs, read_chunks
from lemfarm.scoring.records import Answered, BadLine, Record, read_record

SCORER = "v2"
OWN_KEY = "lemfarm"
"""Under it stands what only our files say."""


@dataclass(frozen=True, slots=True)
class AbAnswer:
    """One answer to be written. `finished` in seconds since 1970; `facts` of the answer, as they are kept."""

    probe: str
    category: str
    prompt: str
    variant: int
    sample_index: int
    trained: bool
    condition: str
    response: str
    seconds: float
    finished: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AbFile:
    """What an A/B file holds, scored afresh. `problems` are the first of its `bad_lines`, as `file:line: what`.

    Files of others do not say which probes a model was trained on: `knows_training` is False, and none counts as so.
    """

    model: str
    answers: tuple[ScoredAnswer, ...]
    knows_training: bool
    bad_lines: int = 0
    problems: tuple[str, ...] = ()


def write_ab_file(
    path: Path, answers: Sequence[AbAnswer], *, model: str, max_tokens: int, facts: Mapping[str, Any]
) -> None:
    """Write the records of one model, in the order of the answers, then the summary. The same answers give the same
    file. Raises NoSpace."""
    records = [_record(asked) for asked in _grouped(answers)]
    with whole_file(path) as write:
        for record in records:
            write(_line(record))
        write(_line(_summary(records, answers, model, max_tokens, facts)))


def read_ab_file(file: str, scorer: str = SCORER) -> AbFile:
    """The answers of an A/B file, of ours or of LEM, with fresh scores. Lines that are no A/B record are counted and
    left out. Ids that name several probes are told apart by their prompts.

    Raises InputError for a file or scorer that is not there, and for a file without any A/B record.
    """
    check_inputs([file])
    get_scorer(scorer)
    found = _Reading(file, scorer)
    for chunk in read_chunks([file]):
        for line in chunk.lines:
            found.take(line)
    if not found.answers:
        why = f": {found.problems[0]}" if found.problems else ""
        raise InputError(f"{file} has no answers of A/B records{why}")
    known = not found.foreign
    return AbFile(found.model, tuple(_told_apart(found)), known, found.bad_lines, tuple(found.problems))


# ---- writing


def _grouped(answers: Iterable[AbAnswer]) -> Iterator[list[AbAnswer]]:
    """The answers to one asking of one wording, under all conditions."""
    groups: dict[tuple[str, int, str, int], list[AbAnswer]] = {}
    for answer in answers:
        groups.setdefault((answer.probe, answer.variant, answer.prompt, answer.sample_index), []).append(answer)
    yield from groups.values()


def _record(asked: Sequence[AbAnswer]) -> dict[str, Any]:
    first = asked[0]
    return {
        "type": "probe",
        "id": first.probe,
        "category": first.category,
        "prompt": first.prompt,
        "conditions": {answer.condition: _condition(answer) for answer in asked},
        "ts": _time(max(answer.finished for answer in asked)),
        OWN_KEY: {"variant": first.variant, "sample_index": first.sample_index, "trained": first.trained},
    }


def _condition(answer: AbAnswer) -> dict[str, Any]:
    score = get_scorer(SCORER).score(answer.prompt, answer.response)
    return {
        "response": answer.response,
        "lek_score": score.value,
        "heuristic": {**score.signals, "lek_score": score.value},
        "chars": len(answer.response),
        "time_s": round(answer.seconds, 2),
        OWN_KEY: dict(answer.facts),
    }


def _summary(
    records: Sequence[Mapping[str, Any]],
    answers: Sequence[AbAnswer],
    model: str,
    max_tokens: int,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    by_condition: dict[str, list[tuple[str, float]]] = {}
    categories: dict[str, dict[str, list[float]]] = {}
    for record in records:
        for name, held in record["conditions"].items():
            by_condition.setdefault(name, []).append((record["id"], held["lek_score"]))
            categories.setdefault(record["category"], {}).setdefault(name, []).append(held["lek_score"])
    means = {name: probe_means(pairs) for name, pairs in by_condition.items()}
    return {
        "type": "summary",
        "model": model,
        "total_probes": len({record["id"] for record in records}),
        "conditions": [_of_condition(name, found, means.get(BASELINE, {})) for name, found in means.items()],
        "categories": {
            category: {name: round(mean(values), 2) for name, values in found.items()}
            for category, found in categories.items()
        },
        "duration": round(sum(answer.seconds for answer in answers), 1),
        "max_tokens": max_tokens,
        "ts": _time(max((answer.finished for answer in answers), default=0.0)),
        OWN_KEY: dict(facts),
    }


def _of_condition(name: str, found: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, Any]:
    moves = [found[probe] - baseline[probe] for probe in found if probe in baseline]
    improved, regressed = sum(move > NOTICEABLE for move in moves), sum(move < -NOTICEABLE for move in moves)
    return {
        "name": name,
        "avg_lek": round(mean(list(found.values())), 2),
        "improved": improved,
        "regressed": regressed,
        "unchanged": len(moves) - improved - regressed,
        "delta_vs_baseline": round(mean(moves), 2) if moves else 0.0,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"


# ---- reading


@dataclass(slots=True)
class _Reading:
    file: str
    scorer: str
    model: str = ""
    answers: list[ScoredAnswer] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)  #: probes of records without our key
    bad_lines: int = 0
    problems: list[str] = field(default_factory=list)

    def take(self, line: Line) -> None:
        """Read one line; whatever is wrong with it is noted."""
        faults: list[str] = []
        try:
            self._take_record(line, faults)
        except (BadLine, LemfarmError) as error:
            faults.append(str(error))
        self.bad_lines += bool(faults)
        room = max(0, PROBLEMS_KEPT - len(self.problems))
        self.problems += [f"{self.file}:{line.number}: {fault}" for fault in faults][:room]

    def _take_record(self, line: Line, faults: list[str]) -> None:
        if line.fault:
            raise BadLine(line.fault)
        record = read_record(line.data)
        if record.is_summary:
            self.model = str(record.data.get("model") or "")
            return
        if not isinstance(record.data.get("conditions"), dict):
            raise BadLine("not an A/B record: it has no `conditions`")
        faults += record.faults
        if OWN_KEY not in record.data:
            self.foreign.add(record.probe)
        self.answers += [self._scored(record, answered) for answered in record.answers]

    def _scored(self, record: Record, answered: Answered) -> ScoredAnswer:
        facts = _own(answered.holder)
        finish, tokens = str(facts.get("finish_reason", "")), facts.get("tokens")
        return ScoredAnswer(
            model="",
            condition=answered.condition,
            probe=record.probe,
            prompt=answered.prompt,
            domain=record.category,
            trained=_own(record.data).get("trained") is True,
            value=score_answer(self.scorer, scorer_for(self.scorer, record.expected), answered).value,
            finish=finish,
            tokens=tokens if isinstance(tokens, int) else 0,
            degenerate=is_degenerate(answered.text, finish),
        )


def _own(data: Mapping[str, Any]) -> Mapping[str, Any]:
    found = data.get(OWN_KEY)
    return found if isinstance(found, dict) else {}


def _told_apart(found: _Reading) -> Iterator[ScoredAnswer]:
    prompts: dict[str, set[str]] = {}
    for answer in found.answers:
        prompts.setdefault(answer.probe, set()).add(answer.prompt)
    for answer in found.answers:
        shared = answer.probe in found.foreign and len(prompts[answer.probe]) > 1
        yield replace(answer, probe=f"{answer.probe}: {answer.prompt}") if shared else answer
