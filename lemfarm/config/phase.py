"""A phase of the curriculum: probes, gates, quota, training."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from lemfarm.config.base import AtLeastOne, File, Name, NotEmpty, ScorerName, Section, Share, rule
from lemfarm.config.gate_after import GateAfterConfig
from lemfarm.config.generation import KernelConfig, SamplingOverride


class ScoreGate(Section):
    """Accepts a sample whose score is at least a threshold. A threshold belongs to one scorer, never to another."""

    scorer: ScorerName = Field(description="The scorer's name, for example v2-distill.")
    at_least: float = Field(description="The lowest score that passes.")


class TruncatedGate(Section):
    """What happens to an answer that was cut at max_tokens."""

    truncated: Literal["reject", "keep"] = Field(description="reject, or keep such answers.")


class LoopingGate(Section):
    """What happens to an answer that was cut because it began to repeat itself."""

    looping: Literal["reject", "keep"] = Field(description="reject, or keep such answers.")


class MinCharsGate(Section):
    """Rejects an answer that is shorter than a number of characters, white space at its ends not counted."""

    min_chars: AtLeastOne = Field(description="The least number of characters that passes.")


class DuplicatesGate(Section):
    """Of answers that are the same or nearly so, keeps the best-scored one of the run: with `reject`, the others are
    rejected, and each names the one that was kept."""

    duplicates: Literal["reject", "keep"] = Field(description="reject, or keep such answers.")
    similarity: float = Field(
        default=0.7,
        ge=0.7,
        le=1,
        description="From which share of common runs of three words on two answers are duplicates; 0.7 finds nearly "
        "all copies with every twentieth word changed.",
    )


_GATE_TAGS = {
    "scorer": "<ScoreGate>",
    "truncated": "<TruncatedGate>",
    "looping": "<LoopingGate>",
    "min_chars": "<MinCharsGate>",
    "duplicates": "<DuplicatesGate>",
}


def _gate_tag(value: object) -> str | None:
    keys = value if isinstance(value, Mapping) else getattr(type(value), "model_fields", ())
    return next((tag for key, tag in _GATE_TAGS.items() if key in keys), None)


Gate = Annotated[
    Annotated[ScoreGate, Tag("<ScoreGate>")]
    | Annotated[TruncatedGate, Tag("<TruncatedGate>")]
    | Annotated[LoopingGate, Tag("<LoopingGate>")]
    | Annotated[MinCharsGate, Tag("<MinCharsGate>")]
    | Annotated[DuplicatesGate, Tag("<DuplicatesGate>")],
    Discriminator(
        _gate_tag,
        custom_error_type="gate",
        custom_error_message="a gate is one of {scorer: NAME, at_least: NUMBER}, {truncated: reject}, "
        "{looping: reject}, {min_chars: NUMBER}, {duplicates: reject}",
    ),
]


class QuotaConfig(Section):
    """How many accepted samples a phase wants."""

    accepted: AtLeastOne = Field(description="Accepted samples that make the phase full.")
    at_most_per_probe: AtLeastOne | None = Field(
        default=None,
        description="No more accepted samples than this of one probe, all its variants together; null: no cap.",
    )
    enough: AtLeastOne = Field(
        default_factory=lambda given: given.get("accepted", 1),
        description="Accepted samples that will do when the grid is used up; left out: `accepted`.",
    )
    when_exhausted: Literal["hold", "train"] = Field(
        default="hold",
        description="What to do when the grid is used up with enough, but not all: wait for a person, or train.",
    )
    stop_when_full: bool = Field(default=True, description="Skip the pending samples of a phase that is full.")
    give_up_below: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Give up a probe whose chance of an even part of the quota (at most its cap) falls below this; "
        "0: never.",
    )
    select: Literal["first", "best"] = Field(
        default="first",
        description="Which accepted samples are trained on: the first by sample index, or the best by score.",
    )

    @field_validator("enough")
    @classmethod
    def _within_accepted(cls, enough: int, info: ValidationInfo) -> int:
        accepted = info.data.get("accepted", enough)
        if enough > accepted:
            raise rule(f"should be at most `accepted`: {enough} > {accepted}")
        return enough

    @field_validator("give_up_below")
    @classmethod
    def _gives_up_only_where_it_stops(cls, chance: float, info: ValidationInfo) -> float:
        if chance > 0 and info.data.get("stop_when_full") is False:
            raise rule("has no place beside `stop_when_full: false`, which makes the whole grid; leave one of them out")
        return chance


class ReviewConfig(Section):
    """Answers that a person looks at, of those that the gates accept."""

    share: Share = Field(
        default=0.0, description="Share of the answers accepted by the gates that a person reviews, always the same."
    )
    before_training: bool = Field(
        default=False,
        description="true: these answers are held until they are reviewed, and the phase trains after that; false: "
        "they count at once, and one that is rejected later counts no more.",
    )

    @field_validator("before_training")
    @classmethod
    def _has_a_share(cls, before_training: bool, info: ValidationInfo) -> bool:
        if before_training and info.data.get("share") == 0:
            raise rule("needs a `share` above 0: nothing would be reviewed")
        return before_training


class ExternalConfig(Section):
    """Answers from elsewhere that are mixed into what a phase trains on, judged by its gates."""

    share: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="Share of the training rows that come from elsewhere, beside the `accepted` own ones: 0.3 is three "
        "for every seven of the farm's own.",
    )
    files: tuple[File, ...] = Field(
        default=(), description="Files with answers (JSONL), relative to this file; read when the run is started."
    )
    runs: tuple[Name, ...] = Field(
        default=(),
        description="Other runs of this farm that asked the same wordings; what they have accepted is taken when the "
        "run is started.",
    )

    @field_validator("files", "runs")
    @classmethod
    def _has_a_share(cls, sources: tuple[object, ...], info: ValidationInfo) -> tuple[object, ...]:
        if sources and info.data.get("share") == 0:
            raise rule("needs a `share` above 0: nothing would be taken")
        return sources

    def beside(self, own: int) -> int:
        """How many external rows the share asks for beside so many own ones."""
        return round(own * self.share / (1 - self.share))


class PhaseTrainConfig(Section):
    """How long and how strongly one phase trains. Iterations count optimizer updates."""

    iterations: AtLeastOne = Field(
        description="Optimizer updates; each sees batch_size x grad_accumulation_steps examples."
    )
    learning_rate: float = Field(gt=0, lt=1, description="Step size of the optimizer, the highest of the phase.")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        default="constant", description="How the rate goes on after the warm-up: it stays, or falls to zero at the end."
    )
    warmup: int = Field(
        default=0, ge=0, description="Optimizer updates in which the rate climbs; they count among `iterations`."
    )
    steps_per_eval: AtLeastOne = Field(default=10, description="Optimizer updates between two validations.")
    save_every: AtLeastOne = Field(default=25, description="Optimizer updates between two checkpoints.")
    max_seq_length: AtLeastOne = Field(
        default=4096, description="Longest row, prompt and answer, in tokens; a longer row is left out, never cut."
    )
    use: Literal["best", "last"] = Field(
        default="best", description="The adapter has the weights of the validation with the lowest loss, or the last."
    )
    patience: AtLeastOne | None = Field(
        default=None, description="Validations in a row without a lower loss that end the phase early; null: none do."
    )
    stop_at_loss_ratio: float | None = Field(
        default=4.0,
        gt=1,
        description="A loss above this many times the first validation's (and above 1) ends the phase as broken; "
        "null: only a loss that is no number does.",
    )

    @field_validator("warmup")
    @classmethod
    def _leaves_some(cls, warmup: int, info: ValidationInfo) -> int:
        iterations = info.data.get("iterations")
        if iterations is not None and warmup >= iterations:
            raise rule(f"should leave some of the {iterations} iterations to the full rate: {warmup}")
        return warmup


def _kernel_tag(value: object) -> str | None:
    if isinstance(value, str):
        return "<inherit>"
    return "<KernelConfig>" if isinstance(value, Mapping | KernelConfig) else None


PhaseKernel = Annotated[
    Annotated[Literal["inherit"], Tag("<inherit>")] | Annotated[KernelConfig, Tag("<KernelConfig>")],
    Discriminator(
        _kernel_tag,
        custom_error_type="kernel",
        custom_error_message="should be `inherit`, null or {file: FILE, placement: system}",
    ),
]


class PhaseConfig(Section):
    """A step of the curriculum: probes, gates, quota, training."""

    name: Name = Field(description="The phase's name, unique in the file.")
    probes: Annotated[tuple[File, ...], NotEmpty] = Field(
        description="Probe files (JSONL), relative to this file.", json_schema_extra={"minItems": 1}
    )
    kernel: PhaseKernel | None = Field(
        default="inherit", description="inherit: the file's kernel; null: none; or its own."
    )
    sampling: SamplingOverride | None = Field(default=None, description="Keys of `sampling` that this phase replaces.")
    generate_with: Literal["base", "promoted"] = Field(
        default="base",
        description="base: the model as it is answers; promoted: the adapter that is promoted when every phase before "
        "it is trained, and the model as it is where none of them trains.",
    )
    samples: AtLeastOne = Field(description="Answers per variant of each probe.")
    gates: tuple[Gate, ...] = Field(
        default=(), description="All must pass for a sample to be accepted; the first that fails is the reason."
    )
    quota: QuotaConfig = Field(description="How many accepted samples the phase wants.")
    review: ReviewConfig = Field(default=ReviewConfig(), description="Answers that a person looks at.")
    external: ExternalConfig = Field(
        default=ExternalConfig(), description="Answers from elsewhere, beside the own ones."
    )
    train: PhaseTrainConfig | None = Field(default=None, description="How the phase trains; null: it only generates.")
    gate_after: GateAfterConfig | None = Field(
        default_factory=GateAfterConfig,
        description="What must hold before the phase's adapter is promoted, where the run is evaluated; left out: the "
        "defaults below; null: nothing, it is promoted at once.",
    )

    @property
    def rows(self) -> int:
        """What it trains on with a full quota and every external answer that its share asks for."""
        return self.quota.accepted + self.external.beside(self.quota.accepted)
