"""What is mixed: rows of one question and its answer, alone or as a pair of two forms of one item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from lemfarm.curation.sides import Side
from lemfarm.dialogue import Message
from lemfarm.identity import PREFIX, content_hash
from lemfarm.importing.spellings import Refused, take_messages
from lemfarm.json_entries import kind_of
from lemfarm.text_files import storable
from lemfarm.wording import same_text

_ANSWER_KEYS = ("completion", "response")
_PROBE_KEYS = ("probe", "probe_id")


class Form(StrEnum):
    """The two ways in which a scaffold pair says one thing."""

    PURE = "pure"  #: as it should be said in the end
    EXPLAINED = "explained"  #: with the words around it that lead there


@dataclass(frozen=True, slots=True)
class Row:
    """One question, which may have several turns, and its answer. `form`: which half of a pair it is, if of any."""

    prompt: tuple[Message, ...]
    answer: str
    form: Form | None = None

    @property
    def question_key(self) -> str:
        """Equal for questions that are the same but for Unicode form, white space, and what a system turn says."""
        return content_hash([[turn.role, same_text(turn.content)] for turn in self.prompt if turn.role != "system"])

    @property
    def key(self) -> str:
        """Equal for rows that are the same but for Unicode form and white space."""
        return content_hash([[[turn.role, same_text(turn.content)] for turn in self.prompt], same_text(self.answer)])


@dataclass(frozen=True)
class Item:
    """One entry of a source: a row, or the two forms of a pair, pure first.

    `place` is its file and line, or where it stands in a run. `side` is that which its source gives it, if any; `id`
    that of its sample, where there is one. Items of one `probe` stand on one side.
    """

    category: str
    place: str
    rows: tuple[Row, ...]
    probe: str = ""
    side: Side | None = None
    id: str = ""

    @property
    def is_pair(self) -> bool:
        """Whether it has two forms."""
        return len(self.rows) > 1

    @cached_property
    def row_keys(self) -> tuple[str, ...]:
        """The keys of its rows."""
        return tuple(row.key for row in self.rows)

    @cached_property
    def key(self) -> str:
        """Names what it says, wherever it stands."""
        return content_hash(list(self.row_keys))

    @cached_property
    def marks(self) -> tuple[str, ...]:
        """What it has in common with items that must stand beside it: its questions and its probe."""
        named = (f"probe {self.probe}",) if self.probe else ()
        return (*(row.question_key for row in self.rows), *named)

    def row_id(self, row: Row) -> str:
        """The name of one of its rows in the dataset: its sample's, else by its content."""
        return self.id or row.key.removeprefix(PREFIX)


def read_item(value: Any, category: str, place: str, side: Side | None = None, id_: str = "") -> Item:
    """What a line says: `prompt` and `completion` (or `response`), `messages` that end with an answer, LEM's training
    records, or a pair of these as `pure` and `explained`. Raises Refused."""
    if not isinstance(value, dict):
        raise Refused(f"a row is a JSON object, this is {kind_of(value)}")
    if Form.PURE in value or Form.EXPLAINED in value:
        rows = tuple(_half(value, form) for form in Form)
    else:
        rows = (_row(value, None),)
    return Item(category, place, rows, _probe(value), side, id_)


def in_seeded_order(items: Sequence[Item], seed: int, purpose: str) -> list[Item]:
    """Items in an order that depends on what they say and the seed, not on where they stand."""
    return sorted(items, key=lambda item: (content_hash([purpose, seed, item.key]), item.place))


def _half(value: Mapping[str, Any], form: Form) -> Row:
    half = value.get(form)
    if not isinstance(half, dict):
        raise Refused(f"a pair has two objects, `pure` and `explained`; its `{form}` is {kind_of(half)}")
    try:
        return _row(half, form)
    except Refused as refusal:
        raise Refused(f"`{form}`: {refusal}") from None


def _row(value: Mapping[str, Any], form: Form | None) -> Row:
    training = value.get("training")
    rest = dict(training if isinstance(training, dict) else value)
    messages = take_messages(rest)
    found = next((rest[key] for key in _ANSWER_KEYS if isinstance(rest.get(key), str)), "")
    if not found.strip():
        raise Refused("no answer: a row has a `completion`, a `response`, or `messages` that end with the assistant's")
    turns = tuple(Message(turn.role, storable(turn.content)) for turn in messages)
    return Row(turns, storable(found), form)


def _probe(value: Mapping[str, Any]) -> str:
    """The probe that a row is of, where it says so."""
    meta = value.get("meta")
    places = (value, meta) if isinstance(meta, dict) else (value,)
    named = (place.get(key) for place in places for key in _PROBE_KEYS)
    return next((name for name in named if isinstance(name, str) and name), "")
