"""From chat rows to batches of tokens, the way the trainer wants them. Serves `lora.py` alone.

mlx-lm's own batching drops the last rows of every epoch when they do not fill a batch (always the same ones), cuts
rows that are too long, and counts one padding token per row into the loss. Here every row is seen equally often, rows
are never cut, and the loss covers the answer's tokens and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Protocol

import mlx.core as mx
import numpy as np

from lemfarm.errors import LemfarmError

#: Widths of batches are rounded up to this, as mlx-lm does, so that few shapes have to be compiled.
_PAD_TO = 32


class LoraProblem(LemfarmError):
    """Training cannot begin or go on; `sample_ids` are the rows that are to blame, where that is known."""

    def __init__(self, message: str, sample_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.sample_ids = tuple(sample_ids)


class ChatTokenizer(Protocol):
    """The one method of a tokenizer that is needed."""

    def apply_chat_template(self, messages: Sequence[Mapping[str, str]], **options: Any) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One dialogue as tokens; the first `offset` of them are the prompt and are not learnt."""

    sample_id: str
    tokens: tuple[int, ...]
    offset: int


def tokenize(
    ids: Sequence[str], rows: Sequence[Mapping[str, Any]], tokenizer: ChatTokenizer, *, mask_prompt: bool
) -> list[Row]:
    """Render every dialogue with the model's chat template. Raises LoraProblem naming the sample it refuses."""
    return [_tokenize(one, row["messages"], tokenizer, mask_prompt) for one, row in zip(ids, rows, strict=True)]


def part_by_length(rows: Sequence[Row], limit: int) -> tuple[list[Row], dict[str, int]]:
    """The rows that fit into `limit` tokens, and the lengths of those that do not, by sample id."""
    fitting = [row for row in rows if len(row.tokens) <= limit]
    return fitting, {row.sample_id: len(row.tokens) for row in rows if len(row.tokens) > limit}


def spread(rows: Sequence[Row], wanted: int) -> list[Row]:
    """`wanted` rows at even distances, so that a part of the validation set still meets all of its probes."""
    if wanted >= len(rows):
        return list(rows)
    return [rows[place * len(rows) // wanted] for place in range(wanted)]


class Batches:
    """Stands in for mlx-lm's `iterate_batches`; calls `check` before every batch, which may raise to end training.

    `made` counts the training batches so far and may be set to begin later. MLX's random numbers, those of dropout,
    begin anew with each of them, so that what happens in a micro-step depends on the seed and its number alone.
    `recent` holds the sample ids of the last one, to be named when the loss breaks.
    """

    def __init__(self, seed: int, check: Callable[[], None]) -> None:
        self._seed = seed
        self._check = check
        self.made = 0
        self.recent: tuple[str, ...] = ()

    def __call__(
        self,
        dataset: Sequence[Row],
        batch_size: int,
        max_seq_length: int,
        loop: bool = False,
        seed: int | None = None,
        comm_group: object = None,
    ) -> Iterator[tuple[mx.array, mx.array]]:
        """Endless shuffled batches with `loop`, else every row once, in order. `seed` and `comm_group` are mlx-lm's."""
        if loop:
            return self._for_training(dataset, batch_size, max_seq_length)
        return self._for_validation(dataset, batch_size, max_seq_length)

    def _for_training(self, dataset: Sequence[Row], batch_size: int, width: int) -> Iterator[tuple[mx.array, mx.array]]:
        order = training_order([len(row.tokens) for row in dataset], batch_size, self._seed)
        for places in islice(order, self.made, None):
            self._check()
            rows = [dataset[place] for place in places]
            self.recent = tuple(row.sample_id for row in rows)
            mx.random.seed(_dropout_seed(self._seed, self.made))
            self.made += 1
            yield to_arrays(rows, width)

    def _for_validation(self, rows: Sequence[Row], batch_size: int, width: int) -> Iterator[tuple[mx.array, mx.array]]:
        for start in range(0, len(rows), batch_size):
            self._check()
            yield to_arrays(rows[start : start + batch_size], width)


def training_order(lengths: Sequence[int], batch_size: int, seed: int) -> Iterator[list[int]]:
    """Batches of row numbers for ever: shuffled anew in every epoch, rows of like length together.

    Rows that do not fill a batch open the next epoch, so that none is left out. Depends on nothing but its arguments:
    not on the global random state, nor on how often training is interrupted by a validation.
    """
    waiting: list[int] = []
    for epoch in count():
        generator = np.random.default_rng([seed, epoch])
        waiting += [int(place) for place in generator.permutation(len(lengths))]
        whole = len(waiting) // batch_size * batch_size
        ordered = sorted(waiting[:whole], key=lambda place: lengths[place])
        waiting = waiting[whole:]
        starts = generator.permutation(range(0, whole, batch_size))
        yield from (ordered[start : start + batch_size] for start in starts)


def to_arrays(rows: Sequence[Row], max_seq_length: int) -> tuple[mx.array, mx.array]:
    """Padded tokens [rows, width]; per row the first and last target that counts [rows, 2], for mlx-lm's loss."""
    longest = max(len(row.tokens) for row in rows)
    width = min(1 + -(-longest // _PAD_TO) * _PAD_TO, max_seq_length)
    tokens = np.zeros((len(rows), width), np.int32)
    for line, row in zip(tokens, rows, strict=True):
        line[: len(row.tokens)] = row.tokens
    return mx.array(tokens), mx.array([[row.offset, len(row.tokens) - 1] for row in rows])


def _dropout_seed(seed: int, step: int) -> int:
    """One of 2**64 for each micro-step; a third number keeps it apart from the seeds of `training_order`."""
    return int(np.random.SeedSequence([seed, step, 1]).generate_state(1, np.uint64)[0])


def _tokenize(sample_id: str, messages: Sequence[Mapping[str, str]], tokenizer: ChatTokenizer, mask: bool) -> Row:
    try:
        tokens = list(tokenizer.apply_chat_template(messages))
        prompt = list(tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True)) if mask else []
    except Exception as error:  # templates are code of their own and raise what they like
        raise LoraProblem(f"sample {sample_id}: the model's chat template refuses it: {error}", [sample_id]) from error
    if tokens[: len(prompt)] != prompt or len(tokens) == len(prompt):
        raise LoraProblem(
            f"sample {sample_id}: the chat template renders the prompt differently once the answer follows, so the "
            "prompt cannot be masked; set train.mask_prompt to false.",
            [sample_id],
        )
    return Row(sample_id, tuple(tokens), len(prompt))
