"""The page of an exported dataset: what is in it, how it was chosen, what it is not. Pure.

A person who reads it can say of how many answers each row was the one that was kept, and by what.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lemfarm.curation.data_facts import DataFacts, PhaseFacts
from lemfarm.curation.framing import Sign
from lemfarm.curation.sides import Side
from lemfarm.identity import short
from lemfarm.records import RunState

_SPLIT_NAMES = {Side.TRAIN: "train", Side.VALID: "validation", Side.TEST: "test"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"
_TAGS = ("self-distillation", "synthetic")
_FRAMES = {
    Sign.NONE: "The prompts stand as they were asked, without the kernel.",
    Sign.KERNEL: "Every prompt stands after the kernel under which its answer was made, with a blank line between.",
    Sign.SANDWICH: "Every prompt stands between the kernel under which its answer was made and a signature, with "
    "blank lines between.",
}
_OWN_ANSWERS = (
    "The answers are a model's own: its errors and leanings are in them. A score is a count of words and marks, not a "
    "judgement of truth."
)
_CHOSEN = (
    "Keeping some of many answers shifts what the model would say, and more so where more were judged for each "
    "accepted one."
)

_EXTERNAL = (
    "The answers from elsewhere are not this run's model's under its system prompt, and reviewers of this run have not "
    "seen them; the counts of judged answers above are those of the own ones. What their source says of its licence "
    "holds for them."
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a dataset is written. `files` are the names of its files by side; `template` names the words of `text`."""

    hash: str
    format: str
    sign: Sign
    files: Mapping[str, str]
    template: str = ""
    licence: str | None = None
    language: str | None = None


def data_card(facts: DataFacts, shape: Shape) -> str:
    """The whole page in Markdown, with the front matter that the hub reads."""
    sections = (
        f"---\n{front_matter(facts.run, sum(facts.rows.values()), shape, _TAGS)}\n---",
        f"# {facts.run}",
        _introduction(facts),
        f"## What is in it\n\n{_contents(facts, shape)}",
        f"## How it was chosen\n\n{_choice(facts)}",
        f"## Limits\n\n{_limits(facts, shape)}",
        f"## Where it comes from\n\n{_origin(facts, shape)}",
    )
    return "\n\n".join(sections) + "\n"


def size_category(rows: int) -> str:
    """The hub's word for so many rows."""
    return next((name for below, name in _SIZES if rows < below), _LARGEST)


def front_matter(name: str, rows: int, shape: Shape, tags: Sequence[str]) -> str:
    """What the hub reads of a dataset: its files by split, licence, language, size. YAML, without the lines around."""
    from huggingface_hub import DatasetCardData

    files = [{"split": _SPLIT_NAMES[Side(side)], "path": name} for side, name in shape.files.items()]
    data = DatasetCardData(
        license=shape.licence,
        language=shape.language,
        size_categories=size_category(rows),
        task_categories=["text-generation"],
        tags=["lemfarm", *tags],
        pretty_name=name,
        configs=[{"config_name": "default", "data_files": files}],
    )
    return str(data.to_yaml())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _introduction(facts: DataFacts) -> str:
    kernels = ", ".join(f"`{short(one)}`" for one in facts.kernels)
    under = f"under a system prompt (kernel {kernels})" if kernels else "without a system prompt"
    going_on = f" The run was still {facts.state}: this is what was accepted by then." if _goes_on(facts) else ""
    others = sum(source.rows for source in facts.external)
    beside = f" {others:,} rows are answers from elsewhere, judged by the same gates." if others else ""
    return (
        f"Answers of **{facts.model}** to {sum(facts.probes.values()):,} probes, made {under} and kept where they "
        f"passed the gates.{beside}{going_on} Written by lemfarm {facts.exported_by}."
    )


def _contents(facts: DataFacts, shape: Shape) -> str:
    head = ("side", "rows", "probes", "file")
    sides = [
        (str(side), f"{facts.rows[side]:,}", f"{facts.probes.get(side, 0):,}", shape.files.get(side, "none"))
        for side in Side
    ]
    template = f" Texts are in the words of {shape.template}." if shape.template else ""
    return (
        f"{table(head, sides)}\n\nFormat `{shape.format}`. {_FRAMES[shape.sign]}{template} "
        "All answers to a probe, in any wording and phase, stand on one side. Probes that were held out to measure "
        "models are in none. Which sample each row is stands in `manifest.json`."
    )


def _choice(facts: DataFacts) -> str:
    head = ("phase", *map(str, Side), "accepted", "rejected", "held", "pass rate", "judged per accepted", "duplicates")
    parts = [table(head, [_phase_row(phase) for phase in facts.phases])]
    parts += [f"Gates of {phase.phase}: {_gates(phase.gates)}." for phase in facts.phases]
    parts.append(_reviewers(facts.phases))
    return "\n\n".join(parts)


def _phase_row(phase: PhaseFacts) -> tuple[str, ...]:
    counts = [phase.rows.get(side, 0) for side in Side] + [phase.accepted, phase.rejected, phase.held]
    rate = "-" if phase.pass_rate is None else f"{phase.pass_rate:.1%}"
    judged = "-" if phase.candidates_per_accepted is None else f"{phase.candidates_per_accepted:.1f}"
    return (phase.phase, *(f"{count:,}" for count in counts), rate, judged, f"{phase.duplicates:,}")


def _gates(gates: Sequence[Mapping[str, Any]]) -> str:
    said = [" ".join(f"{name} {value}" for name, value in gate.items() if value is not None) for gate in gates]
    return "; ".join(f"`{one}`" for one in said) or "none"


def _reviewers(phases: Iterable[PhaseFacts]) -> str:
    said = [
        f"{reviewer} ({phase.phase}: {', '.join(f'{decision} {count:,}' for decision, count in decisions.items())})"
        for phase in phases
        for reviewer, decisions in phase.reviews.items()
    ]
    return f"Reviewers: {'; '.join(said)}." if said else "No person has reviewed these answers."


def _limits(facts: DataFacts, shape: Shape) -> str:
    lines = [_OWN_ANSWERS, _CHOSEN, *([_EXTERNAL] if facts.external else [])]
    if Side.TEST not in shape.files:
        lines.append("There is no test side: the phases have too few probes or rows for one.")
    if shape.licence is None:
        lines.append("No licence is stated. The model's own terms hold for its answers.")
    return "\n".join(f"* {line}" for line in lines)


def _origin(facts: DataFacts, shape: Shape) -> str:
    model = f"{facts.model}{f' at {facts.commit}' if facts.commit else ''}"
    answered = [(f"answered by, in {one.phase}", f"adapter `{one.adapter}`") for one in facts.phases if one.adapter]
    rows = (
        ("dataset", f"`{shape.hash}`"),
        ("run", f"{facts.run}, configuration `{facts.config_hash}`"),
        ("model", f"{model}, content `{facts.model_hash}`" if facts.model_hash else model),
        *answered,
        ("kernels", ", ".join(f"{name} `{hash_}`" for hash_, name in facts.kernels.items()) or "none"),
        ("sampling", ", ".join(f"{name} {value}" for name, value in facts.sampling.items()) or "-"),
        ("sources", _sources(facts)),
        ("versions", f"run planned by lemfarm {facts.planned_by}, dataset written by {facts.exported_by}"),
        ("licence", shape.licence or "not stated"),
    )
    return table(("what", "which"), rows)


def _sources(facts: DataFacts) -> str:
    own = f"answers of this farm, {facts.own_rows:,} rows"
    return "; ".join([own, *(f"{source.text}, {source.rows:,} rows" for source in facts.external)])


def _goes_on(facts: DataFacts) -> bool:
    return facts.state in (RunState.ACTIVE, RunState.PAUSED)
