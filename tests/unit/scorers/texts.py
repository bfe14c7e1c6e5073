"""Texts that are full of what the scorers look for, and of what could mislead them."""

from hypothesis import strategies as st

MARKERS = (
    *("as an ai", "I'm not able", "I can't", "I cannot", "please note", "language model", "I'm just a", "i am just a"),
    *("I", "i", "I am", "I  know", "WILL", "i think", "In my view", "I'd argue", "it's crucial to"),
    *("like a ", "As if", "light", "breath", "shadows", "story", "imagine", "##", "**", "*", "> ", "|", "?"),
    *("axiom", "consents", "self-determination", "hash", "tor", "onion", "node", "encrypt", "p2p", "e.g.x", "Oslo"),
    *("feel", "feeling", "ache", "SOUL", "however", "both of them and", "while it also", "ERROR", "<pad>", "<unused"),
    *("<|im_end|>", "disallowed", "Same thing. ", "Same thing. Same thing. ", "a. b. c. ", "ten letter" * 4, "x" * 58),
    *("#### ", "####", "=", "-", "1,000", "18", "2.5", "$18", "7", "1.", "- ", "word " * 70, "a b c d e " * 4),
)

SEPARATORS = (
    *(".", ".", ". ", " ", " ", " ", "  ", "\n", "\n", "\n\n", "\n" * 6, "'", "\u2019", "-", "_", ",", "!"),
    *("\t", "\r", "\v", "\f", "\x1c", "\x1f", "\x85", "\u00a0", "\u2003", "\u200b", "\u0307", "\x00", "\ud800"),
    *("\u00e9", "\u0130", "\u0131", "\u017f", "\u212a", "\u03a3", "\u4e2d", "\u0664", "\u00b2", "\U0001f600"),
)

_OPENING_WORDS = ("Okay", "ok", "alright", "SURE", "great", "Certainly", "once", "The", "I", "####", "Ma\u0130")
_NEXT_WORDS = ("let's", "lets", "heres", "this is", "question", "let", "go", "18")

openings = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(("", "", "", "\n ", "\x1c", "\u2003")),
        st.sampled_from(_OPENING_WORDS),
        st.sampled_from(("", ",", ".")),
        st.sampled_from((" ", "  \n", "\v", "\u00a0", "\x1f", "")),
        st.sampled_from(_NEXT_WORDS),
    ),
)

any_characters = st.text(st.characters(exclude_categories=()), max_size=3)

pieces = st.lists(st.sampled_from(MARKERS) | st.sampled_from(SEPARATORS) | any_characters, max_size=30).map("".join)

texts = pieces | st.builds(str.__add__, openings, pieces)
"""Lone surrogates included, as they can come out of a model's tokenizer."""
