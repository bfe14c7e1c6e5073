"""Whether batching changes what a model says on this machine.

A prompt is decoded greedily alone, by mlx-lm. Then it is put into the farm's own batch, where a longer row pads it from
the start, a shorter one joins on the way and the longer one leaves, and is led along the very tokens that it said
alone, so that each of them is compared. What is compared are the log-probabilities of the likeliest tokens: texts part
late. On the demo model, a mask that lets padding through, or positions that are one too far, change 0 to 3 of 48 greedy
choices, and move log-probabilities by 0.4 to 2.

Kernels may round differently for other shapes, so that the figures move a little and two nearly equal tokens change
places. How much that comes to on this machine is measured without any batch, by computing prompt and answer in one
pass. Only what is well above it is a fault.

A model that says the same few words over and over would agree with itself whatever went wrong: prompts are tried until
one has drawn 30 distinct tokens from it, and where none does, the verdict is `weak`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import mlx.core as mx
from mlx import nn
from mlx_lm.generate import generate_step

from lemfarm.engines.base import Sampling
from lemfarm.engines.mlx_batch import DecodingBatch
from lemfarm.engines.mlx_prefill import prefill
from lemfarm.engines.mlx_sampling import Draw

#: What the prompt asks for; any text does that a model answers with many different words.
CANARY_TEXT = (
    "Describe a market town at dawn: the bridge, the bakers, the boats, the weather, and what people say to each other."
)
#: Distinct tokens that make a comparison worth something.
ENOUGH_DISTINCT = 30
# A comparison has so many tokens; where they are too much alike, it goes on to the second figure.
_LENGTH, _LONGEST = 48, 144
_JOIN_AT, _LEAVE_AT = 8, 24
_LED_ALONG = 1  #: the seed by which its row is known
_LIKELY = 32  #: tokens whose log-probabilities are compared
# A log-probability may move by so much, or by so many times what rounding was seen to do. Storing logits of 16 to 32
# in bfloat16 alone moves them by up to 0.06, and that in bfloat16 the demo model differs from itself in float32 by up
# to 0.15 (CPU backend, where batches change nothing at all in float32, bfloat16 and 4 bits).
_ALLOWED, _TIMES_ROUNDING = 0.25, 4.0


@dataclass(frozen=True, slots=True)
class Canary:
    """What the comparison saw.

    `tokens` were compared, `distinct` of them different; `agreed` came before the first fault, else before the first
    token that the batch would not have taken. `drift`: by how much the log-probability of a likely token moved, at the
    fault, else at most; `rounding`: the same between steps and one pass. `prompts`: how many were tried.
    """

    tokens: int
    distinct: int
    agreed: int
    drift: float = 0.0
    rounding: float = 0.0
    prompts: int = 1

    @property
    def safe(self) -> bool:
        """Whether batches may be trusted, as far as this comparison can tell."""
        return self.drift <= allowed(self.rounding)

    @property
    def verdict(self) -> str:
        """In a word. `weak`: nothing was wrong, but the model said too little for that to mean much."""
        if not self.safe:
            return "unsafe"
        if self.distinct < ENOUGH_DISTINCT:
            return "weak"
        return "identical" if self.agreed == self.tokens else "rounding"

    @property
    def says(self) -> str:
        """What people should know; nothing where all is well."""
        if not self.safe:
            return (
                f"batched output parts from output alone at token {self.agreed + 1} of {self.tokens}: "
                f"log-probabilities move by {self.drift}, rounding explains {self.rounding}"
            )
        if self.verdict == "weak":
            return (
                f"batches agree with output alone, but on no more than {self.distinct} distinct tokens: "
                "compare some answers by hand"
            )
        return ""

    @property
    def report(self) -> dict[str, Any]:
        """The facts, for status and doctor."""
        return {**asdict(self), "verdict": self.verdict, "says": self.says}


@dataclass(slots=True)
class _Answer:
    """What was said alone, with the likeliest tokens at each place and their log-probabilities."""

    tokens: list[int] = field(default_factory=list)
    likely: list[mx.array] = field(default_factory=list)
    expected: list[mx.array] = field(default_factory=list)

    def note(self, _: mx.array, logits: mx.array) -> mx.array:
        """Keep what one place looks like; mlx-lm calls it before it draws."""
        row = _log_probabilities(logits[0])
        self.likely.append(mx.argpartition(-row, min(_LIKELY, row.size) - 1)[:_LIKELY])
        self.expected.append(row[self.likely[-1]])
        return logits

    def drift(self, place: int, logits: mx.array) -> float:
        """How far other logits, shape [vocabulary], are from this place."""
        moved = _log_probabilities(logits)[self.likely[place]] - self.expected[place]
        return cast(float, mx.abs(moved).max().item())


def allowed(rounding: float) -> float:
    """By how much a log-probability may move."""
    return max(_ALLOWED, _TIMES_ROUNDING * rounding)


def sing(model: nn.Module, tokens: Sequence[int], *, chunk: int) -> Canary:
    """Compare on this prompt, and on others made of its tokens until one draws enough distinct tokens; a fault ends
    the search."""
    heard: list[Canary] = []
    for prompt in _prompts(list(tokens)):
        heard.append(_compare(model, prompt, chunk))
        if not heard[-1].safe or heard[-1].distinct >= ENOUGH_DISTINCT:
            return replace(heard[-1], prompts=len(heard))
    return replace(max(heard, key=lambda canary: canary.distinct), prompts=len(heard))


def _prompts(tokens: list[int]) -> Iterator[list[int]]:
    """The prompt, and two in another order that end alike: arithmetic can be compared on nonsense as well."""
    yield tokens
    opening, turn = tokens[:-8], tokens[-8:]
    yield opening[::-1] + turn
    yield opening[1::2] + opening[::2] + turn


def _compare(model: nn.Module, prompt: list[int], chunk: int) -> Canary:
    alone = _alone(model, prompt, chunk)
    rounding = _rounding(model, prompt, alone)
    drifts, choices = _in_a_batch(model, prompt, chunk, alone)
    faults = [place for place, drift in enumerate(drifts) if not drift <= allowed(rounding)]  # a NaN is one
    partings = [place for place, (taken, said) in enumerate(zip(choices, alone.tokens, strict=True)) if taken != said]
    agreed = next(iter(faults or partings), len(drifts))
    drift = drifts[faults[0]] if faults else max(drifts)
    return Canary(len(drifts), len(set(alone.tokens)), agreed, round(drift, 3), round(rounding, 3))


def _alone(model: nn.Module, prompt: list[int], chunk: int) -> _Answer:
    answer = _Answer()
    steps = generate_step(
        mx.array(prompt), model, max_tokens=_LONGEST, prefill_step_size=chunk, logits_processors=[answer.note]
    )
    for token, _ in steps:
        answer.tokens.append(int(token))
        if len(answer.tokens) >= _LENGTH and len(set(answer.tokens)) >= ENOUGH_DISTINCT:
            break
    return answer


def _rounding(model: nn.Module, prompt: list[int], answer: _Answer) -> float:
    """How far the same answer, computed in one pass and in no batch, is from it at most."""
    logits = model(mx.array([prompt + answer.tokens[:-1]]))[0, len(prompt) - 1 :]
    return max(answer.drift(place, logits[place]) for place in range(len(answer.tokens)))


def _in_a_batch(model: nn.Module, prompt: list[int], chunk: int, answer: _Answer) -> tuple[list[float], list[int]]:
    """How far the batch is from each place of the answer, and what it would have taken there."""
    drifts: list[float] = []
    choices: list[int] = []

    def listen(logits: mx.array, draws: Sequence[Draw]) -> mx.array:
        row = logits[next(place for place, one in enumerate(draws) if one.seed == _LED_ALONG)]
        if (place := len(drifts)) < len(answer.tokens):
            drifts.append(answer.drift(place, row))
            choices.append(_choice(row, answer.tokens[place]))
        return mx.argmax(logits, axis=-1)

    batch = DecodingBatch(model, draw=listen)
    longer = _join(batch, model, prompt + prompt, chunk)
    _join(batch, model, prompt, chunk, led_along=answer.tokens)
    while len(drifts) < len(answer.tokens):
        if len(drifts) == _JOIN_AT:
            _join(batch, model, prompt[len(prompt) // 2 :], chunk)
        if len(drifts) == _LEAVE_AT:
            batch.leave(longer)
        batch.step()
    batch.close()
    return drifts, choices


def _choice(logits: mx.array, said: int) -> int:
    """The likeliest token; of several that are equally likely, the one that was said."""
    best = cast(int, mx.argmax(logits).item())
    return best if cast(float, (logits[best] - logits[said]).item()) > 0 else said


def _log_probabilities(logits: mx.array) -> mx.array:
    row = logits.astype(mx.float32)
    return row - mx.logsumexp(row)


def _join(batch: DecodingBatch, model: nn.Module, tokens: list[int], chunk: int, led_along: Sequence[int] = ()) -> int:
    cache = prefill(model, tokens[:-1], chunk)
    seed = _LED_ALONG if led_along else 0
    return batch.join(tokens[-1], cache, Sampling(0.0, max_tokens=2 * _LONGEST), seed, forced=led_along)
