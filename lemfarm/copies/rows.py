"""All rows of one database, copied to another and compared row for row: SQLite and PostgreSQL, in either direction.

The caller holds one transaction on each side. Copying, comparing and the counters for new ids happen in the target's,
so that a copy which was killed, or which is not the same, leaves the target as empty as before.
"""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, Table, collate, func, select, text
from sqlmodel import SQLModel

import lemfarm.records  # noqa: F401  the tables register themselves
from lemfarm.errors import InputError, LemfarmError
from lemfarm.identity import PREFIX

_BATCH = 500
_DIGEST_BYTES = 16

OnProgress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and how much there is."""


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table: its rows, and a hash of all of them in the order of their keys, the same in every database."""

    table: str
    rows: int
    digest: str


def copy_rows(source: Connection, target: Connection, on_progress: OnProgress) -> tuple[TableCopy, ...]:
    """Copy everything and read it back. Raises InputError for a row that the target cannot hold; LemfarmError where
    the copy is not the same, which rolls back."""
    total, done = sum(_count(source, table) for table in _tables()), 0
    copied = []
    for table in _tables():
        digest = _Digest(table)
        for rows in _batches(source, table):
            _refuse_unstorable(target, table, rows)
            digest.add(rows)
            target.execute(table.insert(), rows)
            done += len(rows)
            on_progress("copying rows", done, total)
        _continue_ids(target, table)
        copied.append(digest.result)
    _require_same(copied, digests(target, on_progress))
    return tuple(copied)


def digests(connection: Connection, on_progress: OnProgress = lambda _what, _done, _total: None) -> list[TableCopy]:
    """Every table's hash, read row by row."""
    total, done = sum(_count(connection, table) for table in _tables()), 0
    found = []
    for table in _tables():
        digest = _Digest(table)
        for rows in _batches(connection, table):
            digest.add(rows)
            done += len(rows)
            on_progress("comparing rows", done, total)
        found.append(digest.result)
    return found


def is_empty(connection: Connection) -> bool:
    """Whether no table has a row."""
    return not any(connection.execute(select(1).select_from(table).limit(1)).first() for table in _tables())


def lock_tables(connection: Connection) -> None:
    """Keep every table as it is until the transaction ends; reading goes on. SQLite's writers do so by themselves."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(_quoted(connection, table) for table in _tables())
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


class _Digest:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._hash = blake2b(digest_size=_DIGEST_BYTES)
        self._rows = 0

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            values = [row[column.name] for column in self._table.columns]
            line = json.dumps(values, sort_keys=True, separators=(",", ":"), default=_bytes)
            self._hash.update(line.encode() + b"\n")
        self._rows += len(rows)

    @property
    def result(self) -> TableCopy:
        return TableCopy(self._table.name, self._rows, PREFIX + self._hash.hexdigest())


def _tables() -> list[Table]:
    """What is referred to comes before what refers to it."""
    return SQLModel.metadata.sorted_tables


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    keys = [_in_byte_order(connection, column) for column in table.primary_key.columns]
    query = select(table).order_by(*keys).execution_options(yield_per=_BATCH)
    for part in connection.execute(query).mappings().partitions():
        yield [dict(row) for row in part]


def _in_byte_order(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A server sorts text as its language does; SQLite sorts bytes."""
    if isinstance(column.type, String) and connection.dialect.name == "postgresql":
        return collate(column, "C")
    return column


def _continue_ids(target: Connection, table: Table) -> None:
    """Rows came with their ids, of which PostgreSQL's counters know nothing."""
    column = table.autoincrement_column
    if column is None or target.dialect.name != "postgresql":
        return
    name = _quoted(target, table)
    target.execute(
        text(f"SELECT setval(pg_get_serial_sequence(:name, :column), (SELECT max({column.name}) FROM {name}))"),
        {"name": name, "column": column.name},
    )


def _quoted(connection: Connection, table: Table) -> str:
    return connection.dialect.identifier_preparer.format_table(table)


def _refuse_unstorable(target: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if target.dialect.name != "postgresql":
        return
    for row in rows:
        for name, value in row.items():
            if isinstance(value, str) and "\0" in value:
                key = next(iter(row.values()))
                raise InputError(f"table {table.name}, row {key}: {name} holds a NUL, which PostgreSQL cannot store.")


def _require_same(one: Sequence[TableCopy], other: Sequence[TableCopy]) -> None:
    wrong = [f"{a.table} ({a.rows} rows, {b.rows} there)" for a, b in zip(one, other, strict=True) if a != b]
    if wrong:
        raise LemfarmError(f"the copy is not the same, and was not kept: {', '.join(wrong)}. Please report this.")


def _bytes(value: object) -> str:
    assert isinstance(value, bytes)
    return base64.b64encode(value).decode()
