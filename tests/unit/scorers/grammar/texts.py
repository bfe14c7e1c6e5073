"""Texts that reach the corners of the grammar scorer: known words, endings, marks, blanks, letters of many bytes."""

from hypothesis import strategies as st

from lemfarm.scorers.grammar import english
from lemfarm.scorers.grammar.inflection import gerund, past, plural

AMBIGUOUS = ["build", "check", "commit", "file", "run", "test"]

_INFLECTED = [form(word) for word in AMBIGUOUS for form in (past, gerund, plural)]
_ENDINGS = [
    "",
    "d",
    "ed",
    "ied",
    "ing",
    "ying",
    "s",
    "es",
    "ies",
    "ves",
    "ses",
    "zes",
    "xes",
    "shes",
    "ches",
    "y",
    "e",
    "ie",
    "f",
    "fe",
    "o",
]

stems = st.text(alphabet="abdefinoprstxyz\u00e9\u03c9\u3041'", max_size=5)
made_up = st.builds(str.__add__, stems, st.sampled_from(_ENDINGS))
known = st.sampled_from(
    sorted({*AMBIGUOUS, *_INFLECTED, *english.DETERMINERS, *english.AUXILIARIES, *english.CLAUSE_BREAKERS})
    + sorted({*english.BUILT_IN_VERBS, *english.IRREGULAR_PLURAL.values(), *english.LOCALE_DOMAIN_WORDS})
)
lowered = known | made_up
words = st.one_of(lowered, lowered.map(str.title), lowered.map(str.upper), st.sampled_from(AMBIGUOUS))
marks = st.sampled_from(["", "", "", ",", "?", "!", ":", ";", ".", "...", "....", "?!", '?"'])
blanks = st.sampled_from([" ", " ", "\n\n", "\t", "\u00a0", "\u2003", "\x1c", "\u200b"])

doubtful_texts = st.lists(
    st.sampled_from(
        [*AMBIGUOUS * 3, *_INFLECTED, "the", "this", "to", "will", "and", "so", "made", "bread", "mice", ","]
    ),
    max_size=25,
).map(" ".join)
"""Texts of the six ambiguous words and of what decides them."""

texts = st.lists(st.tuples(words, marks, blanks).map("".join), max_size=20).map("".join) | st.text(
    alphabet=st.characters(exclude_categories=()), max_size=40
)
"""Texts of any kind, lone surrogates among them."""
