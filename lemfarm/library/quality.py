"""`lemfarm probes check`: every rule by its name, and what a library does against them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf

from lemfarm.errors import InputError
from lemfarm.library import overlap, rules
from lemfarm.library.overlap import PHRASE_PROBES, Found
from lemfarm.library.reading import Held, Library
from lemfarm.library.rules import FEWEST_WORDS, MOST_WORDS

LibraryRule = Callable[[Library], Iterable[Found]]
ProbeRule = Callable[[Held], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a library may set for itself, stricter or looser. The other thresholds hold for all."""

    fewest_words: int = FEWEST_WORDS
    most_words: int = MOST_WORDS
    phrase_probes: int = PHRASE_PROBES


def library_rules(limits: Limits = Limits()) -> Mapping[str, LibraryRule]:
    """What is asked of the library as a whole."""
    return {
        "reading": overlap.reading,
        "ids": overlap.ids,
        "duplicates": overlap.duplicates,
        "overlap": overlap.overlap,
        "stock-phrases": partial(overlap.stock_phrases, most=limits.phrase_probes),
        "regions": overlap.regions,
    }


def probe_rules(limits: Limits = Limits()) -> Mapping[str, ProbeRule]:
    """What is asked of each probe by itself."""
    return {
        "lengths": partial(rules.lengths, fewest=limits.fewest_words, most=limits.most_words),
        "closeness": rules.closeness,
        "frames": rules.frames,
        "leftovers": rules.leftovers,
        "domains": rules.domains,
        "stakeholders": rules.stakeholders,
    }


RULES = (*library_rules(), *probe_rules())
"""The names, as `--rule` takes them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem. `place` is `file:line` (`file` alone for what concerns all of it), `probe` may be empty."""

    place: str
    rule: str
    probe: str
    problem: str


def check(library: Library, *, only: Collection[str] = (), limits: Limits = Limits()) -> tuple[Finding, ...]:
    """What the library does against the rules, or against `only` some of them, in the order of files and lines.

    Raises InputError for a rule that does not exist.
    """
    unknown = sorted(set(only) - set(RULES))
    if unknown:
        raise InputError(f"there is no rule {unknown[0]!r}: one of {', '.join(RULES)}")
    found = _findings(library, frozenset(only or RULES), limits)
    return tuple(sorted(found, key=lambda finding: (_file_and_line(finding.place), RULES.index(finding.rule))))


def _findings(library: Library, wanted: frozenset[str], limits: Limits) -> Iterator[Finding]:
    for name, rule in library_rules(limits).items():
        if name in wanted:
            yield from (Finding(found.place, name, found.probe, found.text) for found in rule(library))
    own = {name: rule for name, rule in probe_rules(limits).items() if name in wanted}
    for held in library.probes:
        for name, judge in own.items():
            yield from (Finding(held.place, name, held.probe.id, problem) for problem in judge(held))


def _file_and_line(place: str) -> tuple[str, float]:
    """What concerns a whole file comes after its lines: `and 3 more problems`."""
    file, _, line = place.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (place, inf)
