"""The whole run file: what a person may say in it, one strict and frozen model per section.

The descriptions are written for the person who edits a run file: the JSON schema carries them into the editor.
"""

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, field_validator

from lemfarm.config.base import AtLeastOne, File, Name, NotEmpty, ScorerName, Section, rule
from lemfarm.config.generation import FarmConfig, KernelConfig, Model, SamplingConfig
from lemfarm.config.phase import PhaseConfig
from lemfarm.config.source import Source


class TrainConfig(Section):
    """LoRA settings that hold for all phases of a course."""

    rank: AtLeastOne = Field(default=16, description="Rank of the LoRA matrices.")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="Share of LoRA inputs dropped in training.")
    scale: float = Field(
        default=16.0, gt=0, description="Factor on the LoRA output (mlx-lm's scale, not alpha / rank)."
    )
    num_layers: int = Field(default=32, ge=-1, description="How many of the last layers are trained; -1: all of them.")
    batch_size: AtLeastOne = Field(default=1, description="Rows per micro-step.")
    grad_accumulation_steps: AtLeastOne = Field(default=8, description="Micro-steps per optimizer update.")
    grad_checkpoint: bool = Field(default=True, description="Compute activations again to save memory.")
    optimizer: Literal["adam", "adamw", "sgd", "adafactor", "muon"] = Field(
        default="adam", description="mlx-lm's optimizers."
    )
    mask_prompt: bool = Field(default=True, description="Learn from the answer only, not from the prompt.")

    @field_validator("num_layers")
    @classmethod
    def _some_layers(cls, layers: int) -> int:
        if layers == 0:
            raise rule("0 layers would train nothing; use a number above 0, or -1 for all layers")
        return layers


class EvaluateConfig(Section):
    """How the model is measured before and after training."""

    probes: File = Field(description="The probe file (JSONL), relative to this file.")
    held_out: float = Field(
        default=0.1, gt=0, le=1, description="Share of the probes that are measured and never trained on."
    )
    scorer: ScorerName = Field(
        default="v2", description="The scorer of the tables; its values compare with no other scorer's."
    )
    greedy: bool = Field(default=True, description="Take the likeliest token always (temperature 0).")
    max_tokens: AtLeastOne = Field(default=1024, description="Longest answer, in tokens.")
    conditions: Annotated[dict[Name, File | None], NotEmpty] = Field(
        default={"baseline": None},
        description="Name of a condition and its kernel file; null: no kernel.",
    )


class RunConfig(Section):
    """One run file, whole and valid: what `load_config` returns and every part of the farm reads."""

    run: Name = Field(description="Name of the run; the same name continues it.")
    model: Model = Field(description="What generates.")
    kernel: KernelConfig | None = Field(
        default=None, description="The system prompt whose effect is distilled; null: none."
    )
    sampling: SamplingConfig = Field(default=SamplingConfig(), description="How tokens are drawn.")
    farm: FarmConfig = Field(default=FarmConfig(), description="Leases, retries, limits.")
    notify: str | None = Field(
        default=None, description="A command that is told of phases and failures. Not available yet."
    )
    phases: Annotated[tuple[PhaseConfig, ...], NotEmpty] = Field(
        description="The curriculum, in order.", json_schema_extra={"minItems": 1}
    )
    train: TrainConfig | None = Field(default=None, description="LoRA settings; needed as soon as one phase trains.")
    evaluate: EvaluateConfig | None = Field(default=None, description="Measuring before and after; null: no measuring.")

    _source: Source = PrivateAttr(default_factory=Source)  # where the values stood; equal for all, says nothing itself

    @field_validator("notify")
    @classmethod
    def _no_notify(cls, command: str | None) -> None:
        if command is not None:
            raise rule("notify is not available yet; use null")

    @property
    def source(self) -> Source:
        """Where each value was written; empty for a configuration that was not read from a file."""
        return self._source

    def kernel_for(self, phase: PhaseConfig) -> KernelConfig | None:
        """The kernel under which this phase generates, its own before the file's; None: without."""
        return self.kernel if phase.kernel == "inherit" else _own_kernel(phase)

    def sampling_for(self, phase: PhaseConfig) -> SamplingConfig:
        """The file's sampling with the keys that this phase replaces."""
        return self.sampling.model_copy(update=phase.sampling.given() if phase.sampling else {})


def _own_kernel(phase: PhaseConfig) -> KernelConfig | None:
    return phase.kernel if isinstance(phase.kernel, KernelConfig) else None
