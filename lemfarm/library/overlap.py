"""What is asked of a library as a whole: no probe twice, no two alike, no phrase worn out, no domain from one place.

Texts are compared through an index of their runs of words, so that the time grows with the library and not with the
number of its pairs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise

from lemfarm.library.reading import EXCUSED_FILE, UNSTATED, Excuse, Held, Library, name_of, question
from lemfarm.probes import Variant
from lemfarm.wording import runs, same_text, same_words

OVERLAP_RUN = 5
LARGEST_OVERLAP = 0.2
"""Share of its runs of five words that a probe may have in common with another (of the shorter of the two). Probes
written apart share hardly a run, those made from one template most of them."""

PHRASE_RUN = 6
PHRASE_PROBES = 12
"""In how many probes one run of six words may stand: beyond that it is a writer's habit, and the model learns it."""

MOST_EXCUSED = 25
"""Excuses are for what a domain cannot say otherwise; a longer list would be the habit, written down."""

LARGE_DOMAIN = 10
FEWEST_REGIONS = 5
"""Regions that a domain of LARGE_DOMAIN probes is set in: else the model learns that such questions arise in one
place."""

_FEW_HOLDERS = 24  #: of a run; with more, only neighbours in the library's order are paired


@dataclass(frozen=True, slots=True)
class Found:
    """What is wrong, where, and with which probe, if with one."""

    place: str
    probe: str
    text: str


def reading(library: Library) -> Iterator[Found]:
    """What the loader refuses, a run would not get either."""
    return (Found(remark.place, "", remark.text) for remark in (*library.unreadable, *library.problems))


def ids(library: Library) -> Iterator[Found]:
    """An id stands for one probe in all files: samples, reports and splits go by it."""
    first: dict[str, Held] = {}
    for held in library.probes:
        twin = first.setdefault(held.probe.id, held)
        if twin is not held:
            same = _texts(twin) == _texts(held)
            what = "with the same text: leave one out" if same else "with another text: give one of them another id"
            yield _found(held, f"the id stands at {twin.place} too, {what}")


def duplicates(library: Library) -> Iterator[Found]:
    """No wording stands twice: it would be generated twice, and count twice in every quota."""
    first: dict[tuple[tuple[str, str], ...], tuple[Held, Variant]] = {}
    for held in _distinct(library):
        for variant in held.probe.variants:
            key = tuple((turn.role, same_words(turn.content) or same_text(turn.content)) for turn in variant.messages)
            twin_held, twin = first.setdefault(key, (held, variant))
            if twin is not variant:
                alike = "the same text" if _same(twin, variant) else "the same words (case and punctuation apart)"
                whose = f"{name_of(twin)} of {twin_held.probe.id} ({twin_held.place})"
                yield _found(held, f"{name_of(variant)} has {alike} as {whose}: leave one out")


def overlap(library: Library) -> Iterator[Found]:
    """No two probes share more than LARGEST_OVERLAP of their runs of OVERLAP_RUN words, in any wording."""
    probes = _distinct(library)
    found = [_runs_of(held, OVERLAP_RUN) for held in probes]
    common: Counter[tuple[int, int]] = Counter()
    for holders in _holders(found).values():
        common.update(_pairs(holders))
    twins: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for (one, other), count in common.items():
        share = count / min(len(found[one]), len(found[other]))
        if share > LARGEST_OVERLAP:
            twins[other].append((share, one))
    for number in sorted(twins):
        yield _overlap(probes, number, twins[number])


def stock_phrases(library: Library, most: int = PHRASE_PROBES) -> Iterator[Found]:
    """No run of PHRASE_RUN words stands in more than PHRASE_PROBES probes, but for those excused."""
    yield from _excess_of_excuses(library.excuses)
    probes = _distinct(library)
    holders = _holders([_runs_of(held, PHRASE_RUN) for held in probes])
    excused = {run for excuse in library.excuses for run in runs(excuse.phrase, PHRASE_RUN)}
    worn = {run: len(who) for run, who in holders.items() if len(who) > most and run not in excused}
    for held in probes:
        for variant in held.probe.variants:
            for phrase, count in _phrases(runs(question(variant), PHRASE_RUN), worn):
                hint = f"reword some, or excuse it in {EXCUSED_FILE}"
                yield _found(held, f'"{phrase}" stands in {count} probes, more than {most}: {hint}')


def regions(library: Library) -> Iterator[Found]:
    """A domain of LARGE_DOMAIN probes and more that say where they are set spans FEWEST_REGIONS regions."""
    domains: dict[str, list[Held]] = defaultdict(list)
    for held in _distinct(library):
        if held.region != UNSTATED:
            domains[held.probe.domain].append(held)
    for domain, members in domains.items():
        seen = sorted({held.region for held in members})
        if len(members) >= LARGE_DOMAIN and len(seen) < FEWEST_REGIONS:
            text = f"the {len(members)} probes of {domain} are set in {', '.join(seen)}; {FEWEST_REGIONS} are wanted"
            yield Found(members[0].place, "", f"{text}: set some of them elsewhere")


def _found(held: Held, text: str) -> Found:
    return Found(held.place, held.probe.id, text)


def _texts(held: Held) -> tuple[object, ...]:
    return tuple(variant.messages for variant in held.probe.variants)


def _same(one: Variant, other: Variant) -> bool:
    return [same_text(turn.content) for turn in one.messages] == [same_text(turn.content) for turn in other.messages]


def _distinct(library: Library) -> list[Held]:
    """Without probes that stand there again as they are: the rule on ids tells of them."""
    return list({(held.probe.id, _texts(held)): held for held in reversed(library.probes)}.values())[::-1]


def _runs_of(held: Held, length: int) -> set[str]:
    return {run for variant in held.probe.variants for run in runs(question(variant), length)}


def _holders(found: Sequence[set[str]]) -> dict[str, list[int]]:
    """The runs that stand in two probes or more, each with the probes' numbers in ascending order."""
    first: dict[str, int] = {}
    shared: dict[str, list[int]] = {}
    for number, run_set in enumerate(found):
        for run in run_set:
            holder = first.setdefault(run, number)
            if holder != number:
                shared.setdefault(run, [holder]).append(number)
    return shared


def _pairs(holders: Sequence[int]) -> Iterable[tuple[int, int]]:
    """All pairs of a few; of many, neighbours: a large family from one template is seen by each member's likeness to
    the next, and the number of pairs stays bounded."""
    return combinations(holders, 2) if len(holders) <= _FEW_HOLDERS else pairwise(holders)


def _overlap(probes: Sequence[Held], number: int, twins: list[tuple[float, int]]) -> Found:
    """One problem a probe, naming the earlier probe that it shares most with."""
    share, nearest = max(twins, key=lambda twin: (twin[0], -twin[1]))
    twin = probes[nearest]
    more = f", and too many with {len(twins) - 1} more" if len(twins) > 1 else ""
    return _found(
        probes[number],
        f"shares {share:.0%} of its runs of {OVERLAP_RUN} words with {twin.probe.id} ({twin.place}){more}; "
        f"at most {LARGEST_OVERLAP:.0%} is wanted: write one of them anew",
    )


def _phrases(found: Sequence[str], worn: dict[str, int]) -> Iterator[tuple[str, int]]:
    """The worn runs of a text, neighbours joined to one phrase, with the number of probes. Told ones leave `worn`."""
    for is_worn, group in groupby(found, key=worn.__contains__):
        if is_worn:
            first, *others = group
            counts = [worn.pop(run, 0) for run in (first, *others)]
            yield " ".join([first, *(run.rpartition(" ")[2] for run in others)]), max(counts)


def _excess_of_excuses(excuses: Sequence[Excuse]) -> Iterator[Found]:
    for excuse in excuses[MOST_EXCUSED:]:
        yield Found(excuse.place, "", f"the list excuses more than {MOST_EXCUSED} phrases: reword the probes instead")
    for excuse in excuses:
        if not runs(excuse.phrase, PHRASE_RUN):
            yield Found(excuse.place, "", f"an excuse has {PHRASE_RUN} words or more: write the whole phrase")
