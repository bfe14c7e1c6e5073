"""Rules between the sections of a run file. A broken one keeps the file from being used.

The rules look at whichever sections are valid by themselves, so that one bad key does not hide what else is wrong.
"""

from collections.abc import Iterator

from lemfarm.config.gate_after import GateAfterConfig
from lemfarm.config.grid import Grid, grid_of, held_out_of
from lemfarm.config.phase import PhaseConfig
from lemfarm.config.right_answers import comparisons
from lemfarm.config.run import EvaluateConfig
from lemfarm.config.sections import Sections
from lemfarm.config.source import Problem
from lemfarm.errors import KernelError, ProbeError
from lemfarm.kernels import read_kernel
from lemfarm.probes import measured_probes, read_probes
from lemfarm.scorers import EXPECTED_KEY

_NAMED = 5


def broken_rules(sections: Sections) -> list[Problem]:
    """Every rule between sections that does not hold; reads the probe files."""
    rules = (_names, _train_section, _trainable, _generators, _quotas, _evaluation, _gates_after, _right_answers)
    return [problem for rule in rules for problem in rule(sections)]


def _names(sections: Sections) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, phase in sections.phases:
        if first.setdefault(phase.name, index) != index:
            yield Problem(("phases", index, "name"), f"phase {first[phase.name]} has the name {phase.name!r} already")


def _train_section(sections: Sections) -> Iterator[Problem]:
    if sections.trains or sections.engine == "openai":
        return
    for index, phase in sections.phases:
        if phase.train is not None:
            text = "this phase trains, so the file needs a `train` section with the LoRA settings"
            yield Problem(("phases", index, "train"), text, at_key=True)


def _trainable(sections: Sections) -> Iterator[Problem]:
    if sections.engine != "openai":
        return
    for index, phase in sections.phases:
        if phase.train is not None:
            text = (
                "a model behind an endpoint cannot be trained here; leave `train` out and take the accepted samples, "
                "or use `engine: mlx` with the model's weights"
            )
            yield Problem(("phases", index, "train"), text, at_key=True)


def _generators(sections: Sections) -> Iterator[Problem]:
    for index, phase in sections.phases:
        if phase.generate_with == "promoted" and sections.engine == "openai":
            text = "an endpoint cannot put an adapter on its model; leave this out, or use `engine: mlx`"
            yield Problem(("phases", index, "generate_with"), text)


def _quotas(sections: Sections) -> Iterator[Problem]:
    try:
        held_out = held_out_of(sections.evaluate, sections.seed)
    except ProbeError:
        held_out = frozenset()  # `_evaluation` reports it
    for index, phase in sections.phases:
        try:
            grid = grid_of(phase, held_out)
        except ProbeError as error:
            yield from _unreadable(("phases", index, "probes"), error)
            continue
        if phase.quota.accepted > grid.reachable:
            yield Problem(("phases", index, "quota", "accepted"), _out_of_reach(phase, grid))


def _out_of_reach(phase: PhaseConfig, grid: Grid) -> str:
    text = f"{phase.quota.accepted} accepted samples cannot be had: {grid.probes} probes give {grid.samples} samples"
    if grid.reachable == grid.samples:
        return text + f" ({phase.samples} per variant); add probes, raise samples, or lower this"
    cap = phase.quota.at_most_per_probe
    return (
        text + f", of which at_most_per_probe {cap} leaves {grid.reachable}; add probes, raise the cap, or lower this"
    )


def _evaluation(sections: Sections) -> Iterator[Problem]:
    if sections.evaluate is None:
        return
    try:
        read_probes([sections.evaluate.probes])
    except ProbeError as error:
        yield from _unreadable(("evaluate", "probes"), error)
    yield from _same_conditions(sections.evaluate)
    if sections.evaluate.adapter is not None and any(phase.train for _, phase in sections.phases):
        text = "a run that trains measures its own adapters; leave it out, or use `lemfarm evaluate`"
        yield Problem(("evaluate", "adapter"), text)


def _same_conditions(evaluate: EvaluateConfig) -> Iterator[Problem]:
    """Two conditions with one kernel are one question, whose answers could not be told apart."""
    first: dict[str | None, str] = {}
    for name, path in evaluate.conditions.items():
        try:
            kernel = None if path is None else read_kernel(path).hash
        except KernelError as error:
            yield Problem(("evaluate", "conditions", name), str(error))
            continue
        if first.setdefault(kernel, name) != name:
            same = "asks without a kernel too" if kernel is None else f"has the kernel of {first[kernel]!r} again"
            yield Problem(("evaluate", "conditions", name), f"{same}, so both would share their answers; leave one out")


def _gates_after(sections: Sections) -> Iterator[Problem]:
    """Gates that were written down must have something to look at; those that hold by default need nothing."""
    measured = _asked_in_evaluation(sections)
    for index, phase in sections.phases:
        if phase.gate_after in (None, GateAfterConfig()) or phase.train is None:
            continue
        path = ("phases", index, "gate_after")
        if sections.evaluate is None:
            yield Problem(path, "nothing is measured without an `evaluate` section; add one, or leave this out")
        elif None not in sections.evaluate.conditions.values():
            text = "is about answers without a kernel; give `evaluate` a condition such as `baseline: null`"
            yield Problem(path, text)
        elif measured is not None:
            missing = [name for name in _named(phase) if name not in measured]
            if missing:
                text = f"names probes that `evaluate` does not ask: {', '.join(missing[:_NAMED])}"
                yield Problem(path, text)


def _named(phase: PhaseConfig) -> tuple[str, ...]:
    return phase.gate_after.named_probes if phase.gate_after else ()


def _asked_in_evaluation(sections: Sections) -> frozenset[str] | None:
    """Ids of the probes that are measured; None where nothing is, or the file cannot be read."""
    if sections.evaluate is None:
        return None
    try:
        ids = [probe.id for probe in read_probes([sections.evaluate.probes])]
        held_out = held_out_of(sections.evaluate, sections.seed)
    except ProbeError:
        return None  # `_evaluation` reports it
    return measured_probes(ids, held_out, sections.evaluate.trained, sections.seed)


def _right_answers(sections: Sections) -> Iterator[Problem]:
    """A scorer that compares can score nothing where no probe says what is right."""
    for comparison in comparisons(sections):
        if comparison.probes and len(comparison.unanswered) == len(comparison.probes):
            none = f"{comparison.scorer} compares with a right answer, and none of its probes has one"
            text = f"{none}; give them a `{EXPECTED_KEY}`, or name another scorer"
            yield Problem(comparison.path, text)


def _unreadable(path: tuple[str | int, ...], error: ProbeError) -> Iterator[Problem]:
    return (Problem(path, line) for line in str(error).splitlines())
