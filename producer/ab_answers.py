"""What A/B files are written from: the stored answers of one model in the evaluation of a run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import text

from lemfarm import __version__
from lemfarm.database import Database, decoded
from lemfarm.errors import NotFound
from lemfarm.records import Run
from lemfarm.runs import find_run
from lemfarm.scoring.ab_files import AbAnswer, write_ab_file
from producer.measured_answers import trained_probes


def save(database: Database, run_name: str | None, path: Path, adapter: str | None = None) -> int:
    """Write the A/B file of one model of a run's evaluation, of an adapter or (None) of the base model; returns how
    many answers it holds. Unanswered rows are left out. Raises NotFound where there is no answer, NoSpace."""
    run = find_run(database, run_name)
    answers = list(_answers(database, run, adapter))
    if not answers:
        who = f"adapter {adapter}" if adapter else "the base model"
        raise NotFound(f"run {run.name} has no answer of {who} in its evaluation")
    evaluate, model = run.config["evaluate"], run.config["model"]
    name = str(model.get("path") or model.get("model") or model["engine"])
    facts = {
        "lemfarm": __version__,
        "run": run.name,
        "model_key": run.model_key,
        "adapter": adapter,
        "greedy": evaluate["greedy"],
        "scorer": evaluate["scorer"],
    }
    shown = f"{name}+{adapter}" if adapter else name
    write_ab_file(path, answers, model=shown, max_tokens=evaluate["max_tokens"], facts=facts)
    return len(answers)


def _answers(database: Database, run: Run, adapter: str | None) -> Iterator[AbAnswer]:
    assert run.id is not None
    trained = trained_probes(database, run.id)
    query = _ANSWERS.format(whose="s.adapter_id IS NULL" if adapter is None else "s.adapter_id = :adapter")
    values: Mapping[str, Any] = {"run": run.id} | ({} if adapter is None else {"adapter": adapter})
    with database.read() as connection:
        rows = connection.execute(text(query), values).all()
    for row in rows:
        yield _answer(row, row.probe_id in trained)


def _answer(row: Any, trained: bool) -> AbAnswer:
    generation = decoded(row.generation) or {}
    facts = {
        "sample": row.id,
        "seed": row.seed,
        "finish_reason": generation.get("finish_reason", ""),
        "tokens": generation.get("completion_tokens", 0),
        "kernel": row.kernel_hash,
        "placement": generation.get("placement", row.placement),
        "sampling": decoded(row.sampling),
        "worker": row.worker,
        "versions": generation.get("versions", {}),
    }
    return AbAnswer(
        probe=row.name,
        category=row.domain,
        prompt=str(decoded(row.messages)[-1]["content"]),
        variant=row.position,
        sample_index=row.sample_index,
        trained=trained,
        condition=row.condition,
        response=row.content,
        seconds=float(generation.get("seconds", 0.0)),
        finished=row.finished or 0.0,
        facts=facts,
    )


_ANSWERS = """SELECT s.id, s.seed, s.condition, s.sample_index, s.kernel_hash, s.placement, s.sampling, s.finished,
        s.probe_id, p.name, p.domain, v.position, v.messages, t.content, a.generation, w.name AS worker
    FROM sample s JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id
    JOIN text t ON t.sample_id = s.id AND t.revision = 0
    JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done' JOIN worker w ON w.id = a.worker_id
    WHERE s.run_id = :run AND s.purpose = 'evaluate' AND NOT s.superseded AND {whose}
    ORDER BY p.name, v.position, s.sample_index, s.condition <> 'baseline', s.condition, s.id"""
