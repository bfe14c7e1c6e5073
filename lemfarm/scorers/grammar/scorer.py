"""The scorers `grammar` and `grammar-cold`: the composite of an answer, and what it adds to its prompt."""

from dataclasses import asdict
from functools import lru_cache, partial
from typing import ClassVar

from lemfarm.scorers.base import Hit, Score
from lemfarm.scorers.grammar.ambiguity import resolve
from lemfarm.scorers.grammar.composite import Delta, Measures
from lemfarm.scorers.grammar.imprint import Imprint
from lemfarm.scorers.grammar.lookup import COLD, WARM, Vocabulary
from lemfarm.scorers.grammar.tokens import Kind, places, tokenise


class Grammar:
    """LEM's "grammar v3" in warm mode, the mode of its gate at 40: variety of English verbs, tenses and nouns.

    That is go-i18n `reversal` of February 2026, as `lem gen distill` uses it. The gate passes nearly every answer of an
    instruction-tuned model; it stops degenerate and very short texts.
    """

    name = "grammar"
    version = "1"
    vocabulary: ClassVar[Vocabulary] = WARM

    def score(self, prompt: str, answer: str) -> Score:
        """The composite of the answer, its measures and the delta against the prompt; nothing is rounded."""
        imprint = _imprint(answer, self.vocabulary)
        measures = Measures.of(imprint)
        delta = Delta.between(_imprint_of_prompt(prompt, self.vocabulary), imprint)
        signals = {
            **asdict(measures),
            **asdict(delta),
            "enrichment": delta.enrichment,
            "sycophantic": int(delta.sycophantic),
        }
        return Score(measures.composite, signals, partial(_hits, answer, self.vocabulary))


class ColdGrammar(Grammar):
    """LEM's "grammar v3" in cold mode, the mode of its scorer program: without the locale file's words.

    In a fresh process the original does not know articles before the first word that a suffix rule has a candidate for.
    Here they are known from the start, so that a text has one score, whatever was scored before it.
    """

    name = "grammar-cold"
    vocabulary = COLD


def _imprint(text: str, vocabulary: Vocabulary) -> Imprint:
    return Imprint.of(resolve(tokenise(text, vocabulary)))


# Some hundred answers share a prompt, and those of one prompt mostly arrive together.
_imprint_of_prompt = lru_cache(maxsize=512)(_imprint)


def _hits(text: str, vocabulary: Vocabulary) -> tuple[Hit, ...]:
    """By the names of the signals; a word that could be both is a hit of both, as it is counted."""
    hits = []
    for token, (start, end) in zip(tokenise(text, vocabulary), places(text), strict=True):
        if token.verb:
            hits.append(Hit("unique_verbs", start, end))
        if token.noun:
            hits.append(Hit("unique_nouns", start, end))
        if token.kind is Kind.DOMAIN:
            hits.append(Hit("domain_depth", start, end))
        if token.label == "question":
            hits.append(Hit("question_ratio", start, end))
    return tuple(hits)
