"""Scorers that compare, and whether the probes whose answers they are given say what is right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lemfarm.config.grid import held_out_of
from lemfarm.config.phase import ScoreGate
from lemfarm.config.sections import Sections
from lemfarm.errors import InputError, ProbeError
from lemfarm.probes import Probe, read_probes
from lemfarm.scorers import EXPECTED_KEY, ComparingScorer, get_scorer


@dataclass(frozen=True, slots=True)
class Comparison:
    """A scorer that compares with right answers: where it stands, and the probes whose answers it is given."""

    path: tuple[str | int, ...]
    scorer: str
    probes: Sequence[Probe]

    @property
    def unanswered(self) -> list[str]:
        """Ids of those that do not say what is right."""
        kinds = (str, int, float)
        return [probe.id for probe in self.probes if type(probe.fields.get(EXPECTED_KEY)) not in kinds]


def comparisons(sections: Sections) -> Iterator[Comparison]:
    """Every one of a run file. Probe files that cannot be read end it early; the rules about them say so."""
    try:
        held_out = held_out_of(sections.evaluate, sections.seed)
        for index, phase in sections.phases:
            for number, gate in enumerate(phase.gates):
                if isinstance(gate, ScoreGate) and _compares(gate.scorer):
                    probes = [probe for probe in read_probes(phase.probes) if probe.id not in held_out]
                    yield Comparison(("phases", index, "gates", number, "scorer"), gate.scorer, probes)
        evaluate = sections.evaluate
        if evaluate is not None and _compares(evaluate.scorer):
            probes = [probe for probe in read_probes([evaluate.probes]) if probe.id in held_out]
            yield Comparison(("evaluate", "scorer"), evaluate.scorer, probes)
    except ProbeError:
        return


def _compares(name: str) -> bool:
    try:
        return isinstance(get_scorer(name), ComparingScorer)
    except InputError:
        return False  # a plug-in that does not load: its samples are held, with that reason
