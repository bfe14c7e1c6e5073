"""Texts of different probes that are nearly the same: the same words, or most runs of words in common."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lemfarm.identity import content_hash
from lemfarm.importing.drafts import Draft, Wording
from lemfarm.similarity import SimilarTexts
from lemfarm.wording import runs, words

RUN = 3
"""Words in a run, of which two texts have most in common."""


@dataclass(frozen=True, slots=True)
class NearGroup:
    """Texts that resemble the first of them; `similarity` is the lowest to it. Each text is named by where it stands
    and by the probe it became part of."""

    same_words: bool
    similarity: float
    places: tuple[str, ...]
    probes: tuple[str, ...]


def near_duplicates(drafts: Iterable[Draft], threshold: float) -> tuple[NearGroup, ...]:
    """Groups of texts, the most alike first. Texts that differ by case and punctuation only form one group of the same
    words, of any probes; one of these stands for all when wordings of different probes are compared by MinHash."""
    known: list[tuple[Draft, Wording]] = []
    same: dict[str, list[int]] = {}
    alike: dict[int, list[tuple[int, float]]] = {}
    index = SimilarTexts(threshold)
    texts = ((draft, wording) for draft in drafts for wording in draft.wordings)
    for position, (draft, wording) in enumerate(texts):
        known.append((draft, wording))
        spoken = words(wording.text)
        if not spoken:
            continue
        twins = same.setdefault(content_hash(" ".join(spoken)), [])
        twins.append(position)
        if len(twins) > 1:
            continue
        if found := index.add(position, runs(wording.text, RUN) or [" ".join(spoken)], draft.id):
            alike.setdefault(found[0], []).append((position, found[1]))
    groups = [_group(known, twins, 1.0, same_words=True) for twins in same.values() if len(twins) > 1]
    for first, others in alike.items():
        positions = [first, *(position for position, _ in others)]
        groups.append(_group(known, positions, min(similarity for _, similarity in others), same_words=False))
    return tuple(sorted(groups, key=lambda group: (-group.similarity, not group.same_words)))


def _group(
    known: Sequence[tuple[Draft, Wording]], positions: list[int], similarity: float, *, same_words: bool
) -> NearGroup:
    places = tuple(known[position][1].place for position in positions)
    return NearGroup(same_words, round(similarity, 3), places, tuple(known[position][0].id for position in positions))
