"""`rephrasing`: does an answer to a request of `lemfarm.rephrasing` look like the same question in other words?

Twelve checks, each of them a fault that a text has or has not. The value is the share of checks that hold, so that a
gate at 1.0 asks for all. They compare words, and no judge of meaning stands behind them: a text that keeps the words
and turns the question round passes. That is why rephrasings are reviewed.

The bounds come from 90 rephrasings by hand, of which 63 have no fault. Of all 303 in seeds/phase1-deep-axiom.jsonl,
which are freer, it is 152 (35 perspectives, 54 urgencies, 63 cultures); each held against the 100 other probes, 110 of
20,200 that stay in their place have none, and 1,236 of 10,100 that move to another culture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lemfarm.rephrasing import Kind, Request, clean, read_request
from lemfarm.scorers import rephrasing_signs as signs
from lemfarm.scorers.base import Score
from lemfarm.wording import changed_share, kept_share, word_count, words

MOST_KEPT = 0.5
"""Share of the source that stands there again, in runs of four words, must be less. By hand: at most 0.10; a frame
around the source: 1. As `lemfarm probes check` has it."""

LEAST_CHANGED = 1 / 3
"""Share of the words that are others must be more. By hand: at least 0.51. As `lemfarm probes check` has it."""

LEAST_CONTENT = 0.13
"""Share of the source's longer words, names aside, that comes back by stem. By hand: at least 0.136, and with another
culture from 0.08 on. Of the rephrasings of other probes 95 in 100 are below it."""

SHORTEST, LONGEST = 0.5, 2.0
"""Length in words, of that of the source. By hand: 0.77 to 1.28."""

SLACK = 20
"""Words beyond `LONGEST`: a source of five words needs more than ten to be somebody's question."""

LEAST_NAMES = 1 / 3
"""Share of the proper names that stay where nothing moves. By hand: 55 of 60 texts do; of another culture's none."""

LEAST_FIGURES = 0.5
"""Share of the figures that stay where nothing moves: a request says so, though writers by hand wrote words instead."""

LEAST_REQUESTS = 4
"""One question or command for so many of the source's, and at least one."""

FAULTS: Mapping[str, str] = {
    "framed": "the same words in a frame",
    "hardly_changed": "hardly changed",
    "content_lost": "another subject",
    "names_lost": "names are lost",
    "not_moved": "the names have not moved",
    "figures_lost": "figures are lost",
    "too_short": "too short",
    "too_long": "too long",
    "asks_nothing": "asks nothing",
    "answers": "answers or refuses",
    "leftovers": "speaks of the rephrasing",
    "other_language": "another language",
    "empty": "no words at all",
}
"""In words for people: the checks by the signal that is 1 where one fails, and what leaves nothing to check."""


@dataclass(frozen=True)
class _Attempt:
    """A source and its cleaned rephrasing, measured once."""

    asked: Request
    wording: str

    @cached_property
    def measures(self) -> dict[str, float]:
        source, wording = self.asked.source, self.wording
        return {
            "kept_in_runs": kept_share(source, wording),
            "changed": changed_share(source, wording),
            "content_kept": signs.content_kept(source, wording),
            "names_kept": signs.names_kept(source, wording),
            "figures_kept": signs.figures_kept(source, wording),
            "source_words": word_count(source),
            "words": word_count(wording),
            "source_requests": signs.requests(source),
            "requests": signs.requests(wording),
        }

    def faults(self) -> dict[str, bool]:
        measured, kind, source = self.measures, self.asked.kind, self.asked.source
        moves = kind is Kind.CULTURE
        return {
            "framed": measured["kept_in_runs"] >= MOST_KEPT,
            "hardly_changed": measured["changed"] <= LEAST_CHANGED,
            "content_lost": measured["content_kept"] < LEAST_CONTENT,
            "names_lost": not moves and measured["names_kept"] < LEAST_NAMES,
            "not_moved": moves and bool(signs.names(source)) and measured["names_kept"] > 1 - LEAST_NAMES,
            "figures_lost": not moves and measured["figures_kept"] < LEAST_FIGURES,
            "too_short": measured["words"] < SHORTEST * measured["source_words"],
            "too_long": measured["words"] > LONGEST * measured["source_words"] + SLACK,
            "asks_nothing": self._asks_nothing(),
            "answers": signs.answers(source, self.wording),
            "leftovers": signs.leftovers(self.asked.instruction, source, self.wording),
            "other_language": not signs.same_language(source, self.wording),
        }

    def _asks_nothing(self) -> bool:
        """Judged only where the source shows that it asks: commands are known in English alone."""
        asked = self.measures["source_requests"]
        return asked > 0 and self.measures["requests"] < max(1, asked // LEAST_REQUESTS)


class Rephrasing:
    """Twelve checks of a rephrased probe against its source; the gate of `lemfarm probes rephrase`."""

    name = "rephrasing"
    version = "1"

    def score(self, prompt: str, answer: str) -> Score:
        """The share of checks that hold, with every measure and fault; 0 for no words, or a prompt that asks for no
        rephrasing."""
        asked = read_request(prompt)
        if asked is None:
            return Score(0.0, {"no_request": 1.0})
        wording = clean(answer)
        if not words(wording):
            return Score(0.0, {"empty": 1.0})
        attempt = _Attempt(asked, wording)
        faults = attempt.faults()
        return Score(1 - sum(faults.values()) / len(faults), {**attempt.measures, **_as_numbers(faults)})


def _as_numbers(faults: Mapping[str, bool]) -> dict[str, float]:
    return {name: float(found) for name, found in faults.items()}
