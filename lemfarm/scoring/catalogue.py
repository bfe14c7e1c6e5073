"""What scorers there are, in words."""

import inspect
from dataclasses import dataclass

from lemfarm.errors import LemfarmError
from lemfarm.scorers import ComparingScorer, get_scorer, scorer_names


@dataclass(frozen=True, slots=True)
class ScorerEntry:
    """One scorer. `problem` says why a plug-in cannot be used; it then has no version and no purpose."""

    name: str
    version: str = ""
    purpose: str = ""
    compares: bool = False  #: needs an expected answer
    problem: str = ""


def list_scorers() -> tuple[ScorerEntry, ...]:
    """Every scorer by name, ours first; `purpose` is the first sentence of its docstring."""
    return tuple(map(_entry, scorer_names()))


def _entry(name: str) -> ScorerEntry:
    try:
        scorer = get_scorer(name)
    except LemfarmError as error:
        return ScorerEntry(name, problem=str(error))
    purpose = _first_sentence(inspect.getdoc(type(scorer)) or "")
    return ScorerEntry(name, scorer.version, purpose, isinstance(scorer, ComparingScorer))


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".")
