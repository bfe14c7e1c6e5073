"""Does an answer loop, exactly or nearly, in some passage of it? The length of the whole answer plays no part.

The share of distinct words falls with length in the best of prose, so it is taken of a moving window, and the worst
window decides: a loop at the end of a long good answer is a loop. 200 words told loops from honest text better than
100 or 150; figures in `docs/which-scorer-do-i-use.md`. Passages too long for the window are found as repetitions.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from lemfarm.scorers.repeats import repeats_itself
from lemfarm.scorers.weighted import Text

WINDOW = 200
"""Words in a row whose variety is judged; a shorter text is one window."""

LOOPING = 0.25
"""Below this share of distinct words in any window, a text loops."""

NEARLY_LOOPING = 0.3
"""Below this share it nearly does."""

_FEWEST_WORDS_JUDGED = 10

# A word begins with a letter: figures repeat in honest sums and tables, and a counter would hide a loop.
_WORDS = re.compile(r"[^\W\d_](?:\S*[^\W_])?")

# Rules, table borders and blank cells are layout; longer runs of marks are not, and stay to be found repeating.
_LAYOUT = re.compile(r"(?<![\W_])[\W_]{1,1000}(?![\W_])")


def least_variety(words: Sequence[str], window: int) -> float:
    """The smallest share of distinct words in any `window` words in a row, or in all of them if they are fewer; 1 for
    no words. Time proportional to the number of words."""
    return min(_distinct(words, window)) / min(window, len(words)) if words else 1.0


def _distinct(words: Sequence[str], window: int) -> Iterator[int]:
    """How many words are distinct in each window, from the first to the last."""
    counts = Counter(words[:window])
    yield len(counts)
    for leaving, entering in zip(words, words[window:], strict=False):
        counts[entering] += 1
        counts[leaving] -= 1
        if not counts[leaving]:
            del counts[leaving]
        yield len(counts)


@dataclass(frozen=True, slots=True)
class Looping:
    """1 for a text that loops, 0.5 for one that nearly does in its most repetitive window, else 0."""

    def __call__(self, text: Text) -> float:
        """The level; at most ten words are not judged by their variety."""
        words = _WORDS.findall(text.folded)
        variety = least_variety(words, WINDOW) if len(words) > _FEWEST_WORDS_JUDGED else 1.0
        if variety < LOOPING or _repeats(text.raw):
            return 1
        return 0.5 if variety < NEARLY_LOOPING else 0

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        """Every passage whose windows are short of variety; if there is none, the first that is repeated."""
        monotonous = list(_monotonous_passages(text.folded))
        yield from monotonous or _repeated_passages(text.raw)


def _repeats(raw: str) -> bool:
    return repeats_itself(_LAYOUT.sub(" ", raw))


def _monotonous_passages(folded: str) -> Iterator[tuple[int, int]]:
    """Start and end of each passage that is covered by windows below `NEARLY_LOOPING`."""
    words = list(_WORDS.finditer(folded))
    if len(words) <= _FEWEST_WORDS_JUDGED:
        return
    width = min(WINDOW, len(words))
    counts = _distinct([word[0] for word in words], width)
    low = [index for index, distinct in enumerate(counts) if distinct < NEARLY_LOOPING * width]
    firsts = [index for index, before in zip(low, [-inf, *low], strict=False) if index - before > width]
    lasts = [index for index, after in zip(low, [*low[1:], inf], strict=False) if after - index > width]
    for first, last in zip(firsts, lasts, strict=True):
        yield words[first].start(), words[last + width - 1].end()


def _repeated_passages(raw: str) -> Iterator[tuple[int, int]]:
    """The copies that are complete first: where the text begins to repeat itself, and back to where it still does."""
    if _repeats(raw):
        end = bisect_left(range(len(raw)), True, key=lambda length: _repeats(raw[:length]))
        after = bisect_left(range(end), True, key=lambda start: not _repeats(raw[start:end]))
        yield after - 1, end
