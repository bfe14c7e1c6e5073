"""Keeping in the database what a dataset was made of, by the hash of its content. A row is never changed."""

from collections.abc import Mapping
from typing import Any

from lemfarm.database import Database
from lemfarm.records import Dataset


def freeze(
    database: Database,
    name: str,
    run_id: int,
    phase_id: int | None,
    home_id: str,
    *,
    manifest: Mapping[str, Any],
    card: Mapping[str, Any],
) -> None:
    """Keep a dataset, once; the same content again changes nothing."""
    with database.session() as session:
        if session.get(Dataset, name) is None:
            session.add(
                Dataset(
                    hash=name,
                    run_id=run_id,
                    phase_id=phase_id,
                    home_id=home_id,
                    manifest=dict(manifest),
                    card=dict(card),
                    created=database.clock(),
                )
            )
