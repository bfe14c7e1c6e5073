"""What duplicates of a text are found by: a hash of its normalised form, and MinHash over its runs of words.

Two texts are as similar as the share of runs of words that they have in common (Jaccard), which their MinHash
signatures estimate (Broder 1997; `rensa`): with 128 slots to within 0.04 (one standard deviation, at 0.75). Signatures
are cut into bands, and only texts that agree in a whole band are compared: at a similarity of 0.75 that misses one pair
in 400, at 0.7 one in 100. `docs/what-counts-as-a-duplicate.md` has what that finds of planted edits.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from lemfarm.identity import content_hash
from lemfarm.wording import same_text, shingles

RUN = 3
"""Words in a run: a changed word changes three runs, and answers to the same question share few."""

LEAST_RUNS = 30
"""A text with fewer runs is compared by its hash alone: so few make the same phrase in two refusals look alike."""

_SLOTS = 128
_SEED = 1
_ROWS = 5
_BANDS = _SLOTS // _ROWS
_WIDTH = 4 * _ROWS

ALGORITHM = f"rensa-r1/slots={_SLOTS}/seed={_SEED}/run={RUN}/least={LEAST_RUNS}/rows={_ROWS}"
"""Names how a signature was made; those of two algorithms never compare."""


@dataclass(frozen=True, slots=True)
class TextSignature:
    """`exact` names the text but for Unicode form and white space; `minhash` is 128 little-endian 32-bit numbers, or
    empty for a short text."""

    exact: str
    minhash: bytes


def sign(text: str) -> TextSignature:
    """The signature of a text."""
    from rensa import RMinHash

    exact, runs = content_hash(same_text(text)), shingles(text, RUN)
    if len(runs) < LEAST_RUNS:
        return TextSignature(exact, b"")
    signature = RMinHash(_SLOTS, _SEED)
    signature.update(runs)
    return TextSignature(exact, struct.pack(f"<{_SLOTS}I", *signature.digest()))


def bands(signature: TextSignature) -> Iterator[bytes]:
    """Under what a text is filed: twins share at least one, but for the misses named above."""
    yield signature.exact.encode()
    for number in range(len(signature.minhash) // _WIDTH):
        yield bytes([number]) + signature.minhash[number * _WIDTH : (number + 1) * _WIDTH]


def band_key(band: bytes) -> int:
    """A band as 63 bits, which every database can index."""
    return int.from_bytes(blake2b(band, digest_size=8).digest(), "big") >> 1


def similarity(one: TextSignature, other: TextSignature) -> float:
    """From 0, nothing in common, to 1: the same text, or the same runs of words."""
    if one.exact == other.exact:
        return 1.0
    if not one.minhash or not other.minhash:
        return 0.0
    ours, theirs = array("I", one.minhash), array("I", other.minhash)
    return sum(map(int.__eq__, ours, theirs)) / _SLOTS
