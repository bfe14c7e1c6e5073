"""The scorers by name: those of this package, and those of installed plug-ins.

A plug-in is any package with an entry point in the group `lemfarm.scorers`. The entry point's name is the scorer's
name, and it points at a class (or function) which, called without arguments, returns a `Scorer`:

    [project.entry-points."lemfarm.scorers"]
    kindness = "my_package.kindness:Kindness"

Nothing is imported before it is asked for, so that listing the names stays quick.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from lemfarm.errors import InputError
from lemfarm.scorers.base import ComparingScorer, Hit, Score, Scorer

__all__ = [
    "ENTRY_POINT_GROUP",
    "EXPECTED_KEY",
    "ComparingScorer",
    "Hit",
    "Score",
    "Scorer",
    "get_scorer",
    "scorer_for",
    "scorer_names",
]

ENTRY_POINT_GROUP = "lemfarm.scorers"
"""Where plug-ins announce their scorers."""

EXPECTED_KEY = "correct_answer"
"""Where records and the free fields of probes hold the expected answer."""

_OWN = {
    "v2": ("lemfarm.scorers.v2", "V2"),
    "v2-distill": ("lemfarm.scorers.v2_distill", "V2Distill"),
    "v2-long": ("lemfarm.scorers.v2_long", "V2Long"),
    "v1": ("lemfarm.scorers.v1", "V1"),
    "v1-go": ("lemfarm.scorers.v1_go", "V1Go"),
    "tier1": ("lemfarm.scorers.tier1", "Tier1"),
    "tier1-go": ("lemfarm.scorers.tier1", "Tier1Go"),
    "grammar": ("lemfarm.scorers.grammar", "Grammar"),
    "grammar-cold": ("lemfarm.scorers.grammar", "ColdGrammar"),
    "gsm8k": ("lemfarm.scorers.gsm8k", "Gsm8k"),
    "rephrasing": ("lemfarm.scorers.rephrasing", "Rephrasing"),
}


def scorer_names() -> tuple[str, ...]:
    """Every name that `get_scorer` knows, ours first; a plug-in cannot take one of our names."""
    return (*_OWN, *sorted(_plugins().keys() - _OWN.keys()))


@cache
def get_scorer(name: str) -> Scorer:
    """The scorer of that name; the same object each time, safe to share between threads.

    Raises InputError for a name that nobody registered (the text lists those that exist) and for a plug-in that does
    not load or goes by another name than its entry point: scores are stored under that name.
    """
    if name in _OWN:
        module, attribute = _OWN[name]
        scorer: Scorer = getattr(import_module(module), attribute)()
        return scorer
    plugin = _plugins().get(name)
    if plugin is None:
        raise InputError(f"there is no scorer named {name!r}; known are: {', '.join(scorer_names())}")
    return _load(plugin)


def scorer_for(name: str, expected: str | None) -> Scorer:
    """The scorer of that name, told the expected answer if it compares with one. Raises what `get_scorer` raises, and
    InputError when an expected answer is needed and there is none."""
    scorer = get_scorer(name)
    if not isinstance(scorer, ComparingScorer):
        return scorer
    if expected is None:
        raise InputError(f"{name} needs an expected answer: give the probe or record a `{EXPECTED_KEY}`")
    return scorer.against(expected)


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _load(plugin: EntryPoint) -> Scorer:
    origin = f"the scorer plug-in {plugin.name!r} ({plugin.value})"
    try:
        scorer: Scorer = plugin.load()()
    except Exception as error:  # any fault of foreign code is reported as what it is: a plug-in that does not work
        raise InputError(f"{origin} cannot be loaded: {error!r}; repair or uninstall its package") from error
    if getattr(scorer, "name", None) != plugin.name:
        raise InputError(f"{origin} calls itself {getattr(scorer, 'name', None)!r}; both names must be the same")
    return scorer
