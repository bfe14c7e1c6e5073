"""LEM's "grammar v3": how varied the verbs, tenses, nouns and questions of a text are, by lists and suffix rules.

`scorer` is the way in. A text becomes `tokens`, whose words `lookup` reads by the lists of `english` and the rules of
`inflection`; `ambiguity` decides the six words that are verb and noun; an `imprint` counts; `composite` weighs.
"""

from lemfarm.scorers.grammar.scorer import ColdGrammar, Grammar

__all__ = ["ColdGrammar", "Grammar"]
