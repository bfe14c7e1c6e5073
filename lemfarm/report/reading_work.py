"""What a run has cost: answers, tokens, time, by kind of work and by machine. Everything counts that was ever made,
also under an earlier configuration."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from lemfarm.database import decoded
from lemfarm.records import Adapter, TrainingStage, Worker
from lemfarm.report.facts import Machine, Work

_DONE = "done"


@dataclass(frozen=True, slots=True)
class Attempted:
    """One claim that has ended; `made` is the record of its generation, empty where it gave no answer."""

    phase: str
    purpose: str
    worker: str
    started: float
    ended: float
    made: Mapping[str, Any]

    def number(self, name: str) -> float:
        """One figure of the record, 0 where the engine did not say."""
        return float(self.made.get(name) or 0.0)


def read_attempts(session: Session, run_id: int) -> list[Attempted]:
    """In the order of phases; those in flight have cost nothing that is known."""
    return [
        Attempted(
            row.phase,
            row.purpose,
            row.worker_id,
            row.started,
            row.ended if row.ended is not None else row.started,
            decoded(row.generation) if row.ending == _DONE else {},
        )
        for row in session.execute(text(_ATTEMPTS), {"run": run_id})
    ]


def work_of(attempts: Iterable[Attempted]) -> tuple[Work, ...]:
    """By phase and purpose; what was measured of the untrained model stands under the phase that it was planned in."""
    found: dict[tuple[str, str], list[Attempted]] = {}
    for one in attempts:
        found.setdefault((one.phase, one.purpose), []).append(one)
    return tuple(_work(*key, ones) for key, ones in found.items())


def _work(phase: str, purpose: str, attempts: Sequence[Attempted]) -> Work:
    done = [one for one in attempts if one.made]
    return Work(
        phase=phase,
        purpose=purpose,
        answers=len(done),
        lost=len(attempts) - len(done),
        prompt_tokens=_total(done, "prompt_tokens"),
        cached_tokens=_total(done, "cached_tokens"),
        answer_tokens=_total(done, "completion_tokens"),
        seconds=sum(one.number("seconds") for one in done),
    )


def read_machines(session: Session, run_id: int, attempts: Iterable[Attempted]) -> tuple[Machine, ...]:
    """By host: what it made, how long it was at it, and with which libraries."""
    workers = {worker.id: worker for worker in session.exec(select(Worker))}
    trained = _training_seconds(session, workers, run_id)
    made: dict[str, list[Attempted]] = {host: [] for host in trained}
    for one in attempts:
        made.setdefault(workers[one.worker].host, []).append(one)
    return tuple(_machine(host, ones, workers, trained[host]) for host, ones in sorted(made.items()))


def _machine(
    host: str, attempts: Sequence[Attempted], workers: Mapping[str, Worker], training_seconds: float
) -> Machine:  # fmt: skip
    done = [one for one in attempts if one.made]
    processes = {one.worker for one in attempts}
    versions: dict[str, set[str]] = {}
    for one in done:
        for name, version in one.made.get("versions", {}).items():
            versions.setdefault(name, set()).add(str(version))
    return Machine(
        host=host,
        processes=len(processes),
        answers=len(done),
        answer_tokens=_total(done, "completion_tokens"),
        busy_seconds=covered((one.started, one.ended) for one in attempts),
        training_seconds=training_seconds,
        lemfarm=tuple(sorted({workers[one].lemfarm_version for one in processes})),
        versions={name: tuple(sorted(found)) for name, found in sorted(versions.items())},
    )


def _training_seconds(session: Session, workers: Mapping[str, Worker], run_id: int) -> Counter[str]:
    """By host, of finished trainings."""
    query = (
        select(TrainingStage, Adapter)
        .join(Adapter, col(Adapter.id) == TrainingStage.adapter_id)
        .where(TrainingStage.run_id == run_id)
    )
    found: Counter[str] = Counter()
    for stage, adapter in session.exec(query):
        trainer = workers.get(stage.owner or "")
        if trainer is not None:
            found[trainer.host] += adapter.manifest.get("record", {}).get("seconds", 0.0)
    return found


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that at least one of the spans (start, end) covers, whatever their order."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def _total(attempts: Iterable[Attempted], name: str) -> int:
    return int(sum(one.number(name) for one in attempts))


_ATTEMPTS = """SELECT phase.name AS phase, sample.purpose, attempt.worker_id, attempt.started, attempt.ended,
        attempt.ending, attempt.generation
    FROM attempt JOIN sample ON sample.id = attempt.sample_id JOIN phase ON phase.id = sample.phase_id
    WHERE sample.run_id = :run AND attempt.ending <> '' ORDER BY phase.position, sample.purpose, phase.id, attempt.id"""
