"""Find texts that are nearly the same among many: MinHash to propose, exact Jaccard similarity to decide.

A text is given as its runs of words (`wording.runs`): two texts are as similar as the share of runs that they have in
common. MinHash signatures (Broder 1997; `rensa`) are cut into bands, and texts that agree in a band are compared
exactly, so nothing is called similar that is not. A similar pair can be missed: by chance in less than one case in a
hundred, and where thousands of texts share a band, which a template in all of them brings about.
"""

from array import array
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import islice

DEFAULT_THRESHOLD = 0.8
"""Of 70 words, in runs of three, this is two words changed, or three beside each other: each stands in three runs."""

_SLOTS = 64
_SEED = 1
_LEAST_RECALL = 0.99
_FULL_BAND = 64  #: texts in one band, beyond which no more are noted there
_MOST_COMPARED = 16


class SimilarTexts:
    """An index that grows: each text is compared with those before it that resembled none. About 2 KiB a text."""

    def __init__(self, threshold: float = DEFAULT_THRESHOLD) -> None:
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"a similarity is above 0 and at most 1, not {threshold}")
        self._threshold = threshold
        self._rows = _rows_per_band(threshold)
        self._bands: list[dict[bytes, tuple[int, ...]]] = [{} for _ in range(_SLOTS // self._rows)]
        self._hashes: dict[int, array[int]] = {}
        self._owners: dict[int, Hashable] = {}

    def add(self, position: int, runs: Sequence[str], owner: Hashable = None) -> tuple[int, float] | None:
        """The position of the most similar text and the similarity, or nothing, and then this text is noted. Texts of
        the same owner, unless that is None, are not compared. A text without runs resembles none."""
        hashes, keys = self._signed(runs)
        best = self._best(hashes, self._candidates(keys, owner))
        if best is None and hashes:
            self._note(position, hashes, keys, owner)
        return best

    def _signed(self, runs: Sequence[str]) -> tuple["array[int]", list[bytes]]:
        """The hashes of the runs, each once, and their signature cut into bands."""
        from rensa import RMinHash

        once = list(dict.fromkeys(runs))
        if not once:
            return array("Q"), []
        signature = RMinHash(_SLOTS, _SEED)
        signature.update(once)
        digest, width = array("I", signature.digest()).tobytes(), self._rows * 4
        keys = [digest[band * width : (band + 1) * width] for band in range(len(self._bands))]
        return array("Q", RMinHash.hash_token_sets([once])[0]), keys

    def _note(self, position: int, hashes: "array[int]", keys: list[bytes], owner: Hashable) -> None:
        self._hashes[position] = hashes
        self._owners[position] = owner
        for band, key in zip(self._bands, keys, strict=True):
            held = band.get(key, ())
            if len(held) < _FULL_BAND:
                band[key] = (*held, position)

    def _candidates(self, keys: list[bytes], owner: Hashable) -> list[int]:
        """Those that share most bands."""
        shared: Counter[int] = Counter()
        for band, key in zip(self._bands, keys, strict=False):
            shared.update(band.get(key, ()))
        others = (other for other, _ in shared.most_common() if owner is None or self._owners[other] != owner)
        return list(islice(others, _MOST_COMPARED))

    def _best(self, hashes: "array[int]", candidates: list[int]) -> tuple[int, float] | None:
        ours, best = set(hashes), None
        for other in candidates:
            theirs = self._hashes[other]
            common = len(ours.intersection(theirs))
            similarity = common / (len(ours) + len(theirs) - common)
            if similarity >= self._threshold and (best is None or similarity > best[1]):
                best = other, similarity
        return best


def _rows_per_band(threshold: float) -> int:
    """The most rows with which two texts at the threshold still share a band often enough: the more rows, the fewer
    comparisons in vain."""
    rows = range(_SLOTS // 4, 1, -1)
    return next((r for r in rows if 1.0 - (1.0 - threshold**r) ** (_SLOTS // r) >= _LEAST_RECALL), 1)
