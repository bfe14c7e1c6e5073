"""Notices, token by token, that a model has begun to repeat itself, so that no more of the budget is spent on it.

The rule: the last tokens of the stream are three or more full copies of one unit (1 to 512 tokens), and these copies
together span at least 128 tokens. Copies are exact. So a unit of 50 tokens is cut at the end of its third copy, a unit
of 4 tokens after its 32nd. Lists, tables, program text and verse repeat their frame, not their filling, and a refrain
or a ruled line ends before that; what does run on for longer (a printed board of nothing but zeros) is the price of
the rule. A span of 24 tokens would be too short: of 665 texts of people, code for the most part (4.1 million tokens,
`bench/loops.py`), it cuts 307, one of 72 cuts 13, most of them at a ruled line, and one of 128 cuts 2, at a dozen and
more equal rows of a table. That waits for 104 tokens more at most.

How a push gets by in constant time, whatever the stream:

* A loop is one unit of p tokens, p being the shortest possible, and a span of s >= max(128, 3p) tokens. Take a size k
  with p <= k <= s - p. The last k tokens also ended p tokens ago, for k + p <= s. They cannot have ended d < p tokens
  ago: then the last k + d tokens, all within the span, would repeat at d and at p, being long enough (k + d >= p + d)
  to repeat at the greatest common divisor of both too (Fine and Wilf), and p would not be the shortest.
* So the distance to the most recent occurrence of the last k tokens is p for as long as the loop has a span of k + p
  or more: one candidate, no list of them. Where that distance has been p for r pushes in a row, the span is at least
  p + k + r - 1, and it is no longer than that, if it reaches k + p at all.
* Sizes 64, 128, 256 and 512 do for all units: 64 for those up to 64 (64 + p is at most 128 or 3p), each further one for
  those between its half and itself (k + p <= 3p). Each remembers where its last k tokens were seen, by a hash that
  rolls along. A hash may mislead in one of 10^11 answers; the tokens themselves are compared before an alarm begins.
* That comparison takes at most 3p steps, and is made when an alarm begins, which is where an answer ends.
"""

from dataclasses import dataclass, field

LONGEST_UNIT = 512
"""Tokens: a loop longer than this is not looked for."""

FEWEST_COPIES = 3
"""Full copies of the unit, the first one counted."""

SHORTEST_SPAN = 128
"""Tokens that the copies must cover together; it keeps short units (rules, rows of zeros) from being cut early."""

_SIZES = (64, 128, 256, 512)
_PRIME = 2**61 - 1
_BASE = 1_000_003_000_037
_NEVER = -LONGEST_UNIT - 1


class LoopDetector:
    """One per stream; it keeps the stream. A push takes constant time, averaged over any stream."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._echoes = [_Echo(size) for size in _SIZES]
        self._looping = False

    def push(self, token: int) -> bool:
        """Take the next token; True when the stream now ends in a loop, and for as long as it goes on."""
        self._tokens.append(token)
        for echo in self._echoes:
            echo.hear(self._tokens)
        found = [echo for echo in self._echoes if echo.is_loop]
        self._looping = bool(found) and (self._looping or any(echo.is_true(self._tokens) for echo in found))
        return self._looping


@dataclass(slots=True)
class _Echo:
    """How far back the last `size` tokens ended before (`distance`), and for how many pushes in a row by now it was as
    far (`pushes`)."""

    size: int
    distance: int = 0
    pushes: int = 0
    _hash: int = 0
    _place_of: dict[int, int] = field(default_factory=dict)

    def hear(self, tokens: list[int]) -> None:
        here = len(tokens)
        leaving = tokens[-self.size - 1] + 1 if here > self.size else 0
        self._hash = (self._hash * _BASE + tokens[-1] + 1 - leaving * _WEIGHTS[self.size]) % _PRIME
        if here < self.size:
            return
        distance = here - self._place_of.get(self._hash, _NEVER)
        self.pushes = self.pushes + 1 if distance == self.distance else 1
        self.distance = distance
        self._remember(here)

    @property
    def span(self) -> int:
        """Tokens that repeat what stood one distance before them, and that distance."""
        return self.distance + self.size + self.pushes - 1

    @property
    def is_loop(self) -> bool:
        """Whether the rule is met, as far as hashes tell."""
        if not 0 < self.distance <= LONGEST_UNIT:
            return False
        return self.span >= max(SHORTEST_SPAN, FEWEST_COPIES * self.distance)

    def is_true(self, tokens: list[int]) -> bool:
        """Whether the tokens say the same."""
        tail = tokens[-max(SHORTEST_SPAN, FEWEST_COPIES * self.distance) :]
        return tail[self.distance :] == tail[: -self.distance]

    def _remember(self, here: int) -> None:
        """Note the place; once in so many pushes, forget what is out of reach."""
        self._place_of[self._hash] = here
        if len(self._place_of) > 2 * LONGEST_UNIT:
            reach = here - LONGEST_UNIT
            self._place_of = {key: place for key, place in self._place_of.items() if place >= reach}


_WEIGHTS = {size: pow(_BASE, size, _PRIME) for size in _SIZES}
