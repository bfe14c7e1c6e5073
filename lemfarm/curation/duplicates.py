"""Which of several answers that are nearly the same is kept: a pure rule over all of them.

Answers are looked at from the best to the worst: one is kept unless it is as similar to a kept one as its phase's gate
says. So the best of every group is kept, every other one names the kept answer that it resembles most, and the result
depends on the answers alone: not on when each came, nor on how often the rule was applied. `spread` comes to the same
from what stood before and what changed, by looking at the neighbourhood of the change alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from lemfarm.curation.signatures import TextSignature, bands, similarity

DUPLICATE = "duplicate of "
"""How the reason of every rejected duplicate begins."""

_REASON = re.compile(rf"{DUPLICATE}(?P<name>.+) \(similarity (?P<similarity>[0-9.]+)\)")


@dataclass(frozen=True, slots=True)
class Twin:
    """The kept answer that another one resembles most: a sample by its id, or an external answer by its number."""

    name: str
    similarity: float

    @property
    def reason(self) -> str:
        """What the verdict says."""
        return f"{DUPLICATE}{self.name} (similarity {self.similarity:.2f})"


def twin_in(reason: str) -> Twin | None:
    """The twin that a verdict names, if it is about one."""
    found = _REASON.fullmatch(reason)
    return Twin(found["name"], float(found["similarity"])) if found else None


@dataclass(frozen=True, slots=True)
class Contender:
    """An answer that every other gate lets pass. `value`: the score of its phase's gate, 0 where there is none;
    `position`: its sample index; `threshold`: from which similarity its phase rejects it; `fixed`: its phase is being
    trained or was, so that it stays; `standing`: the reason for which it is a rejected duplicate now, else empty."""

    name: str
    phase_id: int
    signature: TextSignature
    value: float
    position: int
    threshold: float
    text_id: int | None = None  #: of a sample's newest text; none for an external answer
    fixed: bool = False
    standing: str = ""

    @property
    def rank(self) -> tuple[bool, float, bool, int, str]:
        """Best first: what was trained on, then by score; at the same score own answers, and of these the first."""
        return (not self.fixed, -self.value, self.text_id is None, self.position, self.name)

    def resembles(self, other: TextSignature) -> bool:
        """Whether it would be a duplicate of that text, were it the worse of the two."""
        return similarity(self.signature, other) >= self.threshold


def keep_best(contenders: Iterable[Contender]) -> dict[str, Twin]:
    """The duplicates among all contenders, by name, each with its twin; those that are not in it are kept."""
    kept: dict[bytes, list[Contender]] = {}
    twins: dict[str, Twin] = {}
    for one in sorted(contenders, key=lambda contender: contender.rank):
        keys = list(bands(one.signature))
        twin = _closest(one, {other.name: other for key in keys for other in kept.get(key, ())}.values())
        if twin is not None:
            twins[one.name] = twin
            continue
        for key in keys:
            kept.setdefault(key, []).append(one)
    return twins


def spread(
    changed: Sequence[Contender], touched: Iterable[Contender], around: Callable[[Contender], Sequence[Contender]]
) -> list[tuple[Contender, Twin | None]]:
    """Contenders whose verdict is another one now, or names another twin. `changed`: those that came, or whose text or
    score is another one; `touched`: others that resemble these, or one that left; `around` gives the contenders that
    share a band with one, itself perhaps among them.

    Each that the change may concern is judged by the kept ones before it, from the best to the worst: what comes after
    cannot undo that.
    """
    new = {one.name for one in changed}
    waiting = {one.rank: one for one in [*touched, *changed]}
    queue = list(waiting)
    heapify(queue)
    decided: dict[str, tuple[Contender, Twin | None]] = {}
    while queue:
        one = waiting[heappop(queue)]
        if one.name in decided:
            continue
        others = [other for other in around(one) if other.name != one.name]
        twin = _closest(one, [other for other in others if other.rank < one.rank and _is_kept(other, decided)])
        decided[one.name] = one, twin
        if one.name in new or (twin is None) != (not one.standing):
            alike = (other for other in others if other.resembles(one.signature))
            worse = {other.rank: other for other in alike if other.rank > one.rank}
            for rank in worse.keys() - waiting.keys():
                heappush(queue, rank)
            waiting |= worse
    return [(one, twin) for one, twin in decided.values() if reason_of(twin) != one.standing]


def reason_of(twin: Twin | None) -> str:
    """The reason of a duplicate; empty for an answer that is kept."""
    return "" if twin is None else twin.reason


def _is_kept(one: Contender, decided: Mapping[str, tuple[Contender, Twin | None]]) -> bool:
    return decided[one.name][1] is None if one.name in decided else not one.standing


def _closest(one: Contender, kept: Iterable[Contender]) -> Twin | None:
    """The most similar of the kept answers; of several, the best."""
    if one.fixed:
        return None
    alike = [(similarity(one.signature, other.signature), other) for other in kept]
    near = [(-found, other.rank, other) for found, other in alike if found >= one.threshold]
    if not near:
        return None
    found, _, other = min(near, key=lambda item: item[:2])
    return Twin(other.name, -found)
