"""One request on its way through the MLX engine, from prompt to completion."""

from dataclasses import dataclass, field
from time import perf_counter

from lemfarm.dialogue import Placement
from lemfarm.engines.base import Completion, FinishReason, Request
from lemfarm.engines.mlx_prefill import Prompt
from lemfarm.engines.repetition import LoopDetector
from lemfarm.prompts import split_thoughts


@dataclass(slots=True)
class Mate:
    """A row that decodes beside another one; `joined` and `left` as in `Completion.batch_steps`."""

    id: str
    joined: int
    left: int | None = None


@dataclass(slots=True, eq=False)
class Row:
    """Times are readings of `perf_counter`; `uid` is the batch's name for it, once it has joined one.

    The clock starts when the row joins the batch, put back by the time that its own prefill took: waiting for a place
    says nothing about the model.
    """

    request: Request
    prompt: Prompt
    placement: Placement
    thought_tag: str = ""
    uid: int = -1
    cached_tokens: int | None = None
    prefill_seconds: float = 0.0
    started: float = 0.0
    first_token: float = 0.0
    tokens: list[int] = field(default_factory=list)
    began: int = 0  #: decoding steps that the engine had made when it joined
    place: int = 0  #: rows that were there then
    depth: int = 0  #: see `Completion.batch_depth`
    mates: list[Mate] = field(default_factory=list)
    _loops: LoopDetector = field(default_factory=LoopDetector)

    @property
    def id(self) -> str:
        """The sample's id."""
        return self.request.sample_id

    def start(self, uid: int) -> None:
        """Note the row's name in the batch and start the clock."""
        self.uid = uid
        self.started = perf_counter() - self.prefill_seconds

    def meet(self, other: "Row") -> None:
        """Note who decodes beside it from now on."""
        self.mates.append(Mate(other.id, other.began - self.began))

    def part(self, other: "Row", step: int) -> None:
        """Note that another row has left after so many of the engine's steps."""
        for mate in self.mates:
            if mate.id == other.id and mate.left is None:
                mate.left = step - self.began

    def take(self, token: int, ended: FinishReason | None) -> FinishReason | None:
        """Note one token and what the batch said of it; return the reason if the row ends with it."""
        self.first_token = self.first_token or perf_counter()
        if ended is FinishReason.STOP:
            return ended  # the token is the stop token itself, no part of the answer
        self.tokens.append(token)
        looping = self._loops.push(token)
        return ended or (FinishReason.REPETITION if looping else None)

    def complete(self, text: str, reason: FinishReason, versions: dict[str, str], step: int) -> Completion:
        """Sum up what came of it; `step`: how many the engine has made."""
        now = perf_counter()
        answer, thoughts = split_thoughts(self.thought_tag + text)
        decoding = now - self.first_token
        return Completion(
            text=answer,
            thoughts=thoughts,
            finish_reason=reason,
            token_ids=tuple(self.tokens),
            prompt_tokens=len(self.prompt.tokens),
            cached_tokens=self.cached_tokens or 0,
            time_to_first_token=self.first_token - self.started,
            seconds=now - self.started,
            tokens_per_second=(len(self.tokens) - 1) / decoding if len(self.tokens) > 1 and decoding > 0 else 0.0,
            placement=self.placement,
            batch_mates=tuple(mate.id for mate in self.mates),
            batch_steps=tuple(self._stay(mate, step) for mate in self.mates),
            batch_place=self.place,
            batch_depth=self.depth,
            seed=self.request.seed,
            versions=versions,
        )

    def _stay(self, mate: Mate, step: int) -> tuple[int, int | None]:
        """Who left in this row's last step, or not before it, was there to its end."""
        gone = mate.left is not None and mate.left < step - self.began
        return mate.joined, mate.left if gone else None
