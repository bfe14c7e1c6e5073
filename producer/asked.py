"""The same questions, asked of another model: rows that differ in who answers, and so in all their names."""

from collections.abc import Sequence
from dataclasses import replace

from sqlmodel import Session, select

from lemfarm.identity import fingerprint, sample_id, sample_seed
from lemfarm.records import Run, Sample, Variant
from lemfarm.work import PlannedSample


def asked_of(
    session: Session, run: Run, scope: str, rows: Sequence[PlannedSample], adapter: str | None
) -> list[PlannedSample]:
    """These rows as an adapter would answer them, or the base model (None). `scope` is what stands in their ids for the
    phase. Wordings come from the database, so that any machine of the farm can do it."""
    wanted = {row.variant_id for row in rows}
    messages = {one.id: one.messages for one in session.exec(select(Variant)) if one.id in wanted}
    found = []
    for row in rows:
        mark = fingerprint(
            run.model_key, adapter, row.kernel_hash, row.placement, messages[row.variant_id], row.sampling
        )
        identity = sample_id(run.name, scope, mark, row.sample_index)
        seed = sample_seed(row.sampling["seed"], identity)
        found.append(replace(row, id=identity, fingerprint=mark, adapter_id=adapter, seed=seed))
    return found


def planned_row(row: Sample) -> PlannedSample:
    """A row as the plan wanted it."""
    return PlannedSample(**{name: getattr(row, name) for name in PlannedSample.__dataclass_fields__})
