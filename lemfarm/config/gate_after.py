"""What must hold of a phase's adapter before it is promoted: the gates after training, as a run file has them."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from lemfarm.config.base import Section, rule


class ScoreBounds(Section):
    """Bounds for a score, or for a change of it: what lies between them is held for a person."""

    at_least: float = Field(description="Passes from this figure on.")
    fail_below: float = Field(description="Fails below this one.")

    @field_validator("fail_below")
    @classmethod
    def _not_above(cls, fail_below: float, info: ValidationInfo) -> float:
        at_least = info.data.get("at_least", fail_below)
        if fail_below > at_least:
            raise rule(f"should be at most `at_least`: {fail_below:g} > {at_least:g}")
        return fail_below


class CountLimit(Section):
    """A limit for a number of answers."""

    at_most: int = Field(description="Passes up to this number.")
    fail_above: int | None = Field(default=None, description="Fails above this one; null: it holds, and never fails.")

    @field_validator("fail_above")
    @classmethod
    def _not_below(cls, fail_above: int | None, info: ValidationInfo) -> int | None:
        at_most = info.data.get("at_most")
        if fail_above is not None and at_most is not None and fail_above < at_most:
            raise rule(f"should be at least `at_most`: {fail_above} < {at_most}")
        return fail_above


class KernelEffectLimit(Section):
    """A limit for what a kernel still adds to the tuned model. It may hold a phase and never fails one."""

    hold_below: float = Field(description="A person decides where a kernel changes the mean by less than this.")


class GateAfterConfig(Section):
    """What must hold of the adapter that a phase trained before it is promoted, measured without the kernel."""

    over: Literal["held_out", "all"] = Field(
        default="held_out", description="Which probes the figures are about; probes that are named count anyway."
    )
    clear_fall: Literal["fail", "hold", "ignore"] = Field(
        default="fail",
        description="What to do where the mean is clearly below the untrained model's: the whole interval of the "
        "paired differences below zero, on six probes or more.",
    )
    mean_change: ScoreBounds | None = Field(
        default=None, description="Bounds for the mean difference to the untrained model."
    )
    degeneration_change: CountLimit | None = Field(
        default=CountLimit(at_most=0),
        description="Limit for degenerate answers beyond those of the untrained model; null: none.",
    )
    not_below_base: tuple[str, ...] = Field(
        default=(), description="Ids of probes that must not score below the untrained model."
    )
    below_base_fails: float = Field(
        default=1.0, ge=0, description="Such a probe fails when it lost more than this; less is held."
    )
    kernel_effect: KernelEffectLimit | None = Field(
        default=None, description="Limit for what each kernel adds to the tuned model; it holds, and never fails."
    )
    baseline_mean: ScoreBounds | None = Field(default=None, description="Bounds for the mean.")
    worst_probe: ScoreBounds | None = Field(default=None, description="Bounds for the probe with the lowest score.")
    degeneration: CountLimit | None = Field(default=None, description="Limit for the number of degenerate answers.")
    probes: dict[str, ScoreBounds] = Field(default={}, description="Bounds for single probes, by id.")

    @property
    def named_probes(self) -> tuple[str, ...]:
        """Ids of the probes that a gate is about."""
        return tuple(dict.fromkeys((*self.not_below_base, *self.probes)))
