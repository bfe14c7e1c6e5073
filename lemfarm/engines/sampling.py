"""Where a sample's random numbers come from: its own seed and nothing else.

Every sample counts its own draws and makes a fresh key for each, so no sample sees another's randomness, the order of
the batch does not matter, and a run can be taken up at any token. What this promises and what not stands in
`Completion`: the same seed, batch composition, machine and versions give the same text.
"""

# The odd constant of a Weyl sequence (2**64 / golden ratio): steps through all 64-bit values before it repeats.
_WEYL_STEP = 0x9E3779B97F4A7C15
_WORD = 2**64


def draw_key(seed: int, position: int) -> int:
    """The 64-bit key for draw number `position` (from 0) of the sample with this seed."""
    return (seed + _WEYL_STEP * position) % _WORD
