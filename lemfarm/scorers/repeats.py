"""Does a text contain some passage of ten or more characters five times in a row?

The published scorer asks this of a backtracking expression, in time that grows with the square of the length. Here it
takes O(n log n) for any text, and the answer is the same.

A passage of period p repeated five times is a stretch of at least 4p positions i with text[i] == text[i + p]. Cut the
text into blocks of p characters: such a stretch covers three neighbouring blocks that each equal the block after them,
wherever it begins. So, for every p, compare each block with the next; over all p these are n/10 + n/11 + ... < n ln n
comparisons, made through prefix sums of a polynomial fingerprint, many periods in one numpy call. Three equal pairs in
a row are a candidate, and only those are looked at character by character: a fingerprint can lie, the answer cannot.

Candidates that fail are stretches of four to five copies. Two of these with periods of similar size overlap by less
than the sum of the periods, so at each scale of periods they cover the text only a few times over: O(n log n) again.
"""

import secrets
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SHORTEST_UNIT = 10
"""Characters; shorter units are found through their multiples."""

COPIES = 5
"""The passage itself and four more of it."""

_PRIME = 2**31 - 1  # a product of two remainders fits into 63 bits
# Drawn anew in each process: nobody can write a text whose fingerprints collide, which would cost time (only time).
_BASE = 2**16 + secrets.randbelow(2**30)
_BLOCKS_AT_ONCE = 2**15  # keeps each array of a batch at some 256 KB, whatever the length of the text

_Numbers = NDArray[np.int64]
_Codes = NDArray[np.uint32]


def repeats_itself(text: str) -> bool:
    """Whether a unit of at least `SHORTEST_UNIT` characters (newlines included) is immediately followed by four or
    more copies of itself. O(n log n) time and O(n) memory for every text."""
    longest = len(text) // COPIES
    if longest < SHORTEST_UNIT:
        return False
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    powers = _powers(len(text))
    sums = _prefix_sums(codes, powers)
    for periods in _batches(len(text), longest):
        for start, period in _candidates(sums, powers, periods):
            if _is_repetition(codes, start, period):
                return True
    return False


def _powers(count: int) -> _Numbers:
    """base**0 ... base**(count - 1) modulo the prime, by doubling."""
    powers = np.ones(1, dtype=np.int64)
    while len(powers) < count:
        step = int(powers[-1]) * _BASE % _PRIME
        powers = np.concatenate((powers, powers * step % _PRIME))
    return powers[:count]


def _prefix_sums(codes: _Codes, powers: _Numbers) -> _Numbers:
    """sums[i] is the fingerprint of the first i characters: the sum of code x power, modulo the prime."""
    terms = codes.astype(np.int64) * powers % _PRIME
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(terms) % _PRIME))


def _batches(length: int, longest: int) -> Iterator[_Numbers]:
    """All periods in ascending order, in groups with about as many blocks as are compared at once."""
    first = SHORTEST_UNIT
    while first <= longest:
        last = min(longest, first + _BLOCKS_AT_ONCE * first // length)
        yield np.arange(first, last + 1, dtype=np.int64)
        first = last + 1


def _candidates(sums: _Numbers, powers: _Numbers, periods: _Numbers) -> Iterator[tuple[int, int]]:
    """(start, period) wherever three blocks in a row have the fingerprint of the block after; periods ascending."""
    borders = (len(sums) - 1) // periods + 1  # of blocks: 0, p, 2p, ... for each period, all periods in one row
    period = np.repeat(periods, borders)
    block = np.arange(len(period)) - np.repeat(np.cumsum(borders) - borders, borders)
    start = block * period
    prints = np.diff(sums[start])
    # The later block's terms carry a power higher by one period, which the earlier one is multiplied with.
    shifted = prints[:-1] * np.repeat(powers[periods], borders)[:-2]
    equal = (shifted - prints[1:]) % _PRIME == 0
    of_one_period = block[:-4] < block[4:]
    for index in np.flatnonzero(equal[:-2] & equal[1:-1] & equal[2:] & of_one_period):
        yield int(start[index]), int(period[index])


def _is_repetition(codes: _Codes, start: int, period: int) -> bool:
    """Exactly: whether 4 x period positions in a row, in reach of this candidate, equal those one period later.

    One period before `start` and four behind it are enough: a stretch that reached further back would have shown its
    candidate there.
    """
    first, last = max(0, start - period), min(len(codes) - period, start + (COPIES - 1) * period)
    different = np.flatnonzero(codes[first:last] != codes[first + period : last + period])
    borders = np.concatenate(([-1], different, [last - first]))
    return int(np.diff(borders).max()) - 1 >= (COPIES - 1) * period
