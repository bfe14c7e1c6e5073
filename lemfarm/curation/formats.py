"""The shapes in which a dataset leaves the farm, each a stream of rows into one file.

mlx      {"messages": [...]}: what mlx-lm trains on
chat     the same, with the ids of sample, phase and probe beside it
text     {"text": "..."}: the dialogue in the words of a chat template
lem      the raw training records of LEM: {"type": "training", "training": {...}, "meta": {...}}
parquet  columns prompt, response, system, messages (the dialogue as JSON text)
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from lemfarm.dialogue import Message
from lemfarm.errors import InputError
from lemfarm.output_files import Write, whole_file

Dialogue = Sequence[Message]
Render = Callable[[Dialogue], str]
"""A dialogue as text."""

AddRows = Callable[[Iterable["ExportRow"]], None]


class Format(StrEnum):
    """What the rows of an export look like."""

    MLX = "mlx"
    CHAT = "chat"
    TEXT = "text"
    LEM = "lem"
    PARQUET = "parquet"

    @property
    def suffix(self) -> str:
        """How its files end."""
        return "parquet" if self is Format.PARQUET else "jsonl"


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One answer with its prompt, framed as it is exported; `meta` is what LEM's records say beside it."""

    sample_id: str
    phase: str
    probe: str
    prompt: Dialogue
    answer: str
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dialogue(self) -> Dialogue:
        """The prompt's turns, then the answer as the assistant's."""
        return (*self.prompt, Message("assistant", self.answer))

    @property
    def messages(self) -> list[dict[str, str]]:
        """The dialogue as chat files have it."""
        return [{"role": turn.role, "content": turn.content} for turn in self.dialogue]


@contextmanager
def rows_file(format_: Format, path: Path, render: Render) -> Iterator[AddRows]:
    """A file of rows that is there whole or not at all. Raises NoSpace, and InputError without the library that
    writes Parquet."""
    if format_ is Format.PARQUET:
        require_parquet()
    with whole_file(path) as write:
        if format_ is Format.PARQUET:
            with _parquet(write) as add:
                yield add
        else:
            shape = _SHAPES[format_]
            yield lambda rows: write("".join(_line(shape(row, render)) for row in rows).encode())


def require_parquet() -> None:
    """Raises InputError, saying what to install, where Parquet cannot be written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow, which is not installed: pip install 'lemfarm[parquet]', or take another --format."
        ) from error


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _mlx(row: ExportRow, _render: Render) -> Mapping[str, Any]:
    return {"messages": row.messages}


def _chat(row: ExportRow, _render: Render) -> Mapping[str, Any]:
    return {"id": row.sample_id, "phase": row.phase, "probe": row.probe, "messages": row.messages}


def _text(row: ExportRow, render: Render) -> Mapping[str, Any]:
    try:
        return {"text": render(row.dialogue)}
    except Exception as error:  # templates are code of their own and raise what they like
        raise InputError(f"sample {row.sample_id}: the model's chat template refuses it: {error}") from error


def _lem(row: ExportRow, _render: Render) -> Mapping[str, Any]:
    return {"type": "training", "training": {"messages": row.messages}, "meta": dict(row.meta)}


_SHAPES: Mapping[Format, Callable[[ExportRow, Render], Mapping[str, Any]]] = {
    Format.MLX: _mlx,
    Format.CHAT: _chat,
    Format.TEXT: _text,
    Format.LEM: _lem,
}


@contextmanager
def _parquet(write: Write) -> Iterator[AddRows]:
    """Each call's rows become a row group, so that no more than those are in memory."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("prompt", "response", "system", "messages")])
    with ParquetWriter(_Stream(write), schema, compression="zstd") as file:
        yield lambda rows: file.write_table(pyarrow.Table.from_pylist([_columns(row) for row in rows], schema))


def _columns(row: ExportRow) -> dict[str, str]:
    """`prompt` is the last thing that was asked; the turns before it are in `messages`."""
    asked = [turn.content for turn in row.prompt if turn.role == "user"]
    system = "\n\n".join(turn.content for turn in row.prompt if turn.role == "system")
    messages = json.dumps(row.messages, ensure_ascii=False)
    return {"prompt": asked[-1] if asked else "", "response": row.answer, "system": system, "messages": messages}


class _Stream(io.RawIOBase):
    """A file as pyarrow wants one, onto a function that writes."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(bytes(data))
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written
