"""The whole run file: what a person may say in it, one strict and frozen model per section.

The descriptions are written for the person who edits a run file: the JSON schema carries them into the editor.
"""

import shlex
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from lemfarm.config.base import FOLDER, AtLeastOne, File, Name, NotEmpty, ScorerName, Section, Share, rule
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
    keys: tuple[str, ...] | None = Field(
        default=None,
        description="Linear layers that are trained, as `self_attn.q_proj`; null: all. With rank, scale and num_layers "
        "fixed for a whole course.",
    )
    batch_size: AtLeastOne = Field(default=1, description="Rows per micro-step.")
    grad_accumulation_steps: AtLeastOne = Field(default=8, description="Micro-steps per optimizer update.")
    grad_checkpoint: bool = Field(default=True, description="Compute activations again to save memory.")
    optimizer: Literal["adam", "adamw", "sgd", "adafactor", "muon"] = Field(
        default="adam", description="mlx-lm's optimizers."
    )
    mask_prompt: bool = Field(default=True, description="Learn from the answer only, not from the prompt.")
    memory_guard: Literal["refuse", "warn"] = Field(
        default="refuse", description="What to do where a training will hardly fit into the machine's memory."
    )

    @field_validator("num_layers")
    @classmethod
    def _some_layers(cls, layers: int) -> int:
        if layers == 0:
            raise rule("0 layers would train nothing; use a number above 0, or -1 for all layers")
        return layers


class TargetConfig(Section):
    """What a course hopes for under one condition; it is shown beside what was measured, and decides nothing."""

    target: float = Field(description="The mean score that it is meant to reach.")
    stretch: float | None = Field(default=None, description="A mean that would be better still.")


class EvaluateConfig(Section):
    """How the model is measured before and after training."""

    probes: File = Field(description="The probe file (JSONL), relative to this file.")
    held_out: float = Field(
        default=0.1, gt=0, le=1, description="Share of the probes that are measured and never trained on."
    )
    trained: Share = Field(
        default=1.0,
        description="Share of the other probes that are measured too, apart from the held-out ones: what was learned.",
    )
    wordings: Literal["original", "all"] = Field(
        default="original",
        description="original: each probe as it stands, as in the published tables; all: its variants too.",
    )
    scorer: ScorerName = Field(
        default="v2", description="The scorer of the tables; its values compare with no other scorer's."
    )
    greedy: bool = Field(default=True, description="Take the likeliest token always (temperature 0).")
    samples: AtLeastOne = Field(default=1, description="Answers per wording; more than one needs `greedy: false`.")
    max_tokens: AtLeastOne = Field(default=1024, description="Longest answer, in tokens.")
    conditions: Annotated[dict[Name, File | None], NotEmpty] = Field(
        default={"baseline": None},
        description="Name of a condition and its kernel file; null: no kernel.",
    )
    targets: dict[Name, TargetConfig] = Field(
        default={}, description="By condition, the mean scores that the course is meant to reach."
    )
    adapter: str | None = Field(
        default=None,
        description="Id of an adapter that is measured in place of the model; in a run that trains nothing.",
    )

    @field_validator("targets")
    @classmethod
    def _of_conditions(cls, targets: dict[str, TargetConfig], info: ValidationInfo) -> dict[str, TargetConfig]:
        unknown = sorted(targets.keys() - info.data.get("conditions", targets).keys())
        if unknown:
            raise rule(f"names {', '.join(unknown)}, which is no condition here")
        return targets

    @field_validator("samples")
    @classmethod
    def _differing_samples(cls, samples: int, info: ValidationInfo) -> int:
        if samples > 1 and info.data.get("greedy", True):
            raise rule("greedy answers to one prompt are all the same; use 1, or `greedy: false`")
        return samples


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
        default=None,
        description="A command that is told when a phase is full or trained, and when the run is held, starved, failed "
        "or done. It is started without a shell, on the machine where the run was; its program may be relative to this "
        "file.",
    )
    phases: Annotated[tuple[PhaseConfig, ...], NotEmpty] = Field(
        description="The curriculum, in order.", json_schema_extra={"minItems": 1}
    )
    train: TrainConfig | None = Field(default=None, description="LoRA settings; needed as soon as one phase trains.")
    evaluate: EvaluateConfig | None = Field(default=None, description="Measuring before and after; null: no measuring.")

    _source: Source = PrivateAttr(default_factory=Source)  # where the values stood; equal for all, says nothing itself

    @field_validator("notify")
    @classmethod
    def _command(cls, command: str | None, info: ValidationInfo) -> str | None:
        """A program that is spelled as a path is meant as seen from the run file."""
        if command is None or info.context is None:
            return command
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise rule(f"cannot be read as a command: {error}") from error
        if not words:
            raise rule("should not be empty; null: nobody is told")
        program = Path(words[0]).expanduser()
        if "/" not in words[0] or (program.is_absolute() and str(program) == words[0]):
            return command
        return shlex.join([str(Path(info.context[FOLDER], program).absolute()), *words[1:]])

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
