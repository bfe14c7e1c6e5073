"""Notices, token by token, that a model has begun to repeat itself, so that no more of the budget is spent on it.

The rule: the last tokens of the stream are three or more full copies of one unit (1 to 512 tokens), and these copies
together span at least 128 tokens. Copies are exact. So a unit of 50 tokens is cut at the end of its third copy, a unit
of 4 tokens after its 32nd. Lists, tables, program text and verse repeat their frame, not their filling, and a refrain
or a run of equal table rows ends before that; what does run on for longer (a printed board of nothing but zeros) is
the price of the rule.
"""

from collections import defaultdict, deque

LONGEST_UNIT = 512
"""Tokens: a loop longer than this is not looked for."""

FEWEST_COPIES = 3
"""Full copies of the unit, the first one counted."""

SHORTEST_SPAN = 128
"""Tokens that the copies must cover together; it keeps short units (rules, rows of zeros) from being cut early."""


class LoopDetector:
    """One per stream. A push costs time proportional to how often its token occurred among the last 512: a handful in
    ordinary text, 512 at the very worst."""

    def __init__(self) -> None:
        self._length = 0
        self._places: defaultdict[int, deque[int]] = defaultdict(deque)
        # period -> how many of the last tokens in a row equal the token one period before them
        self._matched: dict[int, int] = {}

    def push(self, token: int) -> bool:
        """Take the next token; True when the stream now ends in a loop, and for as long as it goes on."""
        here, self._length = self._length, self._length + 1
        places = self._places[token]
        while places and here - places[0] > LONGEST_UNIT:
            places.popleft()
        matched = {here - place: self._matched.get(here - place, 0) + 1 for place in places}
        places.append(here)
        self._matched = matched
        return any(_is_loop(period, equal) for period, equal in matched.items())


def _is_loop(period: int, equal: int) -> bool:
    """`equal` tokens that repeat what came one period before make a span of `equal + period`."""
    span = equal + period
    return span >= SHORTEST_SPAN and span >= FEWEST_COPIES * period
