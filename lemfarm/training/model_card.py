"""The page of a published model: what it came of, what it scores with the untrained model beside, what it is not.

Everything here is pure. Held-out probes and trained ones stand apart, every mean with its interval, and a change is
told as a paired difference: where its interval holds zero, the page says that nothing is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lemfarm.evaluation.measurement import Split
from lemfarm.evaluation.statistics import FEWEST_PROBES_FOR_A_CLAIM, Interval, paired_difference
from lemfarm.identity import short
from lemfarm.training.chosen import Origin, TrainedPhase

_SPLITS = {Split.HELD_OUT: "held out", Split.TRAINED: "trained on", Split.ALL: "all"}
_SETTINGS = ("learning_rate", "iterations", "rank", "scale", "num_layers", "batch_size", "grad_accumulation_steps")


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's mean score under one condition over the probes of one split; `by_probe` are the means of each."""

    condition: str
    split: str
    scorer: str
    interval: Interval
    by_probe: Mapping[str, float]
    missing: int = 0  #: answers that have no score
    degenerate: int = 0  #: answers that go in circles
    truncated: int = 0  #: answers that were cut


@dataclass(frozen=True, slots=True)
class Compared:
    """The published model beside the untrained one; `base` is None where that was not measured."""

    tuned: Measured
    base: Measured | None

    @property
    def change(self) -> Interval | None:
        """The paired difference, over the probes that both have."""
        if self.base is None or not self.tuned.by_probe.keys() & self.base.by_probe.keys():
            return None
        return paired_difference(list(self.base.by_probe.items()), list(self.tuned.by_probe.items())).interval


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything that a page is made of.

    `repo` is its name on the hub; `kind` what is published: `adapter` or `fused`; `base_model` a hub id, where there is
    one; `comparison` what fusing found (`fuse.Comparison` as a mapping), for a fused model.
    """

    repo: str
    kind: str
    origin: Origin
    evaluations: Sequence[Compared]
    licence: str | None
    base_model: str | None
    datasets: Sequence[str] = ()
    comparison: Mapping[str, Any] | None = None


def model_card(facts: CardFacts) -> str:
    """The whole page in Markdown, with its front matter."""
    sections = (
        f"---\n{_front_matter(facts)}\n---",
        f"# {facts.repo.rpartition('/')[2]}",
        _introduction(facts),
        f"## How to use it\n\n{_use(facts)}",
        f"## Evaluation\n\n{_evaluation(facts)}",
        f"## Training\n\n{_training(facts.origin)}",
        f"## Limits\n\n{_limits(facts)}",
        f"## Reproducing it\n\n{_reproducing(facts)}",
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(facts: CardFacts) -> str:
    from huggingface_hub import ModelCardData

    adapter = facts.kind == "adapter"
    relation = {"base_model_relation": "adapter" if adapter else "finetune"} if facts.base_model else {}
    data = ModelCardData(
        base_model=facts.base_model,
        library_name="mlx",
        license=facts.licence,
        pipeline_tag="text-generation",
        tags=["mlx", "lemfarm", "self-distillation", *(["lora"] if adapter else [])],
        datasets=list(facts.datasets) or None,
        **relation,
    )
    return str(data.to_yaml())


def _introduction(facts: CardFacts) -> str:
    origin = facts.origin
    what = "A LoRA adapter for" if facts.kind == "adapter" else "A fine-tuned version of"
    kernels = ", ".join(f"`{short(one)}`" for one in origin.kernels)
    course = " → ".join(phase.phase for phase in origin.phases)
    under = f"under a system prompt (kernel {kernels})" if kernels else "without a system prompt"
    return (
        f"{what} **{facts.base_model or origin.model}**, made by self-distillation: the model answered {under}, "
        "answers that passed the gates were kept, and the model was trained on them without that prompt. "
        f"Phases, in the order of training: {course}. Made with lemfarm {origin.lemfarm}."
    )


def _use(facts: CardFacts) -> str:
    if facts.kind == "adapter":
        base, flag = facts.base_model or "FOLDER-OF-THE-BASE-MODEL", " --adapter-path ADAPTER"
        fetch = f"hf download {facts.repo} --local-dir ADAPTER\n"
    else:
        base, flag, fetch = facts.repo, "", ""
    ask = f'mlx_lm.generate --model {base}{flag} --prompt "What do you owe a stranger?"'
    return f"```sh\npip install mlx-lm\n{fetch}{ask}\n```"


def _evaluation(facts: CardFacts) -> str:
    if not facts.evaluations:
        return "No evaluation of this model is recorded."
    scorers = sorted({one.tuned.scorer for one in facts.evaluations})
    legend = (
        f"Mean scores of `{'`, `'.join(scorers)}`, with 95 % bootstrap intervals over probes; several answers to a "
        "probe are averaged first. *Held out* probes were trained on in no phase, *trained on* ones in at least one. "
        "The change is the paired difference to the untrained model over the same probes. A score of one scorer "
        "compares with no other scorer's."
    )
    head = ("condition", "probes", "n", "untrained", "this model", "change", "circling", "cut")
    rows = [_row(one) for one in sorted(facts.evaluations, key=_order)]
    parts = [legend, _table(head, rows), *_remarks(facts.evaluations)]
    return "\n\n".join(parts)


def _order(one: Compared) -> tuple[str, int, str]:
    return one.tuned.scorer, list(_SPLITS).index(Split(one.tuned.split)), one.tuned.condition


def _row(one: Compared) -> tuple[str, ...]:
    tuned = one.tuned
    return (
        tuned.condition,
        _SPLITS[Split(tuned.split)],
        str(tuned.interval.n),
        _figure(one.base.interval) if one.base else "not measured",
        _figure(tuned.interval),
        _figure(one.change, signed=True) if one.change else "-",
        str(tuned.degenerate),
        str(tuned.truncated),
    )


def _figure(interval: Interval, *, signed: bool = False) -> str:
    """`21.30 [20.10, 22.40]`"""
    form = "+.2f" if signed else ".2f"
    if interval.low is None or interval.high is None:
        return f"{interval.mean:{form}}"
    return f"{interval.mean:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _remarks(evaluations: Iterable[Compared]) -> list[str]:
    """What keeps a figure from being read as more than it is."""
    found, held_out = [], [one for one in evaluations if one.tuned.split == Split.HELD_OUT]
    for one in held_out:
        if one.change is None:
            continue
        if one.change.n < FEWEST_PROBES_FOR_A_CLAIM:
            found.append(f"`{one.tuned.condition}`: {one.change.n} held-out probes are too few to show a change.")
        elif one.change.crosses_zero:
            found.append(f"`{one.tuned.condition}`: on held-out probes no change is shown: its interval holds zero.")
    if not held_out:
        found.append("No probe was held out, so nothing here says how it does on what it was not trained on.")
    missing = sum(one.tuned.missing for one in evaluations if one.tuned.split != Split.ALL)
    if missing:
        found.append(f"{missing} answers have no score and are in no mean.")
    return found


def _training(origin: Origin) -> str:
    head = ("phase", "rows (train, valid)", "updates", "valid loss", *(_SETTINGS[:2]), "dataset")
    rows = [_phase_row(phase) for phase in origin.phases]
    settings = origin.phases[-1].settings
    fixed = ", ".join(f"{name} {settings[name]}" for name in _SETTINGS[2:] if name in settings)
    return f"LoRA with {fixed or 'settings unknown'}.\n\n{_table(head, rows)}"


def _phase_row(phase: TrainedPhase) -> tuple[str, ...]:
    rows = f"{phase.rows[0]:,}, {phase.rows[1]:,}" if phase.rows else "-"
    loss = f"{phase.loss[0]:.3f} → {phase.loss[1]:.3f}" if phase.loss else "-"
    settings = [str(phase.settings.get(name, "-")) for name in _SETTINGS[:2]]
    return phase.phase, rows, str(phase.updates or "-"), loss, *settings, f"`{short(phase.dataset)}`"


def _limits(facts: CardFacts) -> str:
    lines = [
        "A score is a count of words and marks, not a judgement of truth or quality.",
        "All training answers are the base model's own, or came through the same gates: its errors are in them.",
        "What the base model must not be used for, this model must not be used for either.",
    ]
    if facts.kind == "fused" and facts.comparison:
        lines.append(_lost(facts.comparison))
    return "\n".join(f"* {line}" for line in lines)


def _lost(comparison: Mapping[str, Any]) -> str:
    how = "quantized again" if comparison["requantized"] else f"in {comparison['precision']}"
    return (
        f"Fused, {how}: the likeliest token is the adapter's at {comparison['same_token']:.1%} of "
        f"{comparison['places']} places, and the mean divergence from the base model with the adapter is "
        f"{comparison['distance']:.2g} nats; the base model alone has {comparison['distance_of_base']:.2g}."
    )


def _reproducing(facts: CardFacts) -> str:
    origin = facts.origin
    model = f"{origin.model}{f' at {origin.commit}' if origin.commit else ''}, content `{origin.model_hash}`"
    sampling = ", ".join(f"{name} {value}" for name, value in origin.sampling.items())
    versions = ", ".join(f"{name} {number}" for name, number in origin.versions.items())
    rows = (
        ("run", f"{origin.run}, configuration `{origin.config_hash}`"),
        ("base model", model),
        ("adapters", ", ".join(f"`{phase.adapter}`" for phase in origin.phases)),
        ("datasets", ", ".join(f"`{phase.dataset}`" for phase in origin.phases if phase.dataset) or "-"),
        ("kernels", ", ".join(f"`{one}`" for one in origin.kernels) or "none"),
        ("sampling", sampling or "-"),
        ("trained with", versions or "-"),
    )
    return _table(("what", "which"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
