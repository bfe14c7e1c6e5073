"""Rows of samples by the hundred: counted, listed and changed, for the ledger alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, text

Item = TypeVar("Item")

_CHUNK = 500


def scope(run_id: int, purpose: str, phase_id: int | None) -> tuple[str, dict[str, Any]]:
    """A condition with its values: a run's rows of one purpose, or those of one of its phases."""
    where, values = "run_id = :run AND purpose = :purpose", {"run": run_id, "purpose": purpose}
    return (where, values) if phase_id is None else (f"{where} AND phase_id = :phase", values | {"phase": phase_id})


def row_ids(connection: Connection, where: str, values: Mapping[str, Any]) -> set[str]:
    """Ids of the rows that are so."""
    return set(connection.execute(text(f"SELECT id FROM sample WHERE {where}"), dict(values)).scalars())


def count_rows(connection: Connection, where: str, values: Mapping[str, Any]) -> int:
    """How many rows are so."""
    return int(connection.execute(text(f"SELECT count(*) FROM sample WHERE {where}"), dict(values)).scalar_one())


def mark(connection: Connection, sample_ids: Iterable[str], assignments: str, guard: str = "1 = 1") -> int:
    """Change those of these rows that the guard lets through; returns how many."""
    return change_all(connection, sample_ids, f"UPDATE sample SET {assignments}", guard)


def change_all(connection: Connection, sample_ids: Iterable[str], change: str, guard: str) -> int:
    """Apply an UPDATE or DELETE without its WHERE to these rows, some hundred a statement; returns how many it met."""
    statement = text(f"{change} WHERE id IN :ids AND {guard}").bindparams(bindparam("ids", expanding=True))
    return sum(connection.execute(statement, {"ids": chunk}).rowcount for chunk in chunks(list(sample_ids), _CHUNK))


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in pieces of at most that size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
