"""From a base to its forms: past tense, gerund, plural, by the lists and by the published scorer's rules.

The rules are cruder than English, and exactly so: which text counts as a verb depends on their errors too. A letter
here is one byte of the word's UTF-8 text, as in `lookup`; a byte beyond ASCII is no vowel.
"""

from lemfarm.scorers.grammar.english import (
    HERO_NOUNS,
    IRREGULAR_GERUND,
    IRREGULAR_PAST,
    IRREGULAR_PLURAL,
    NEVER_DOUBLED,
    VOWELS,
)

_HISSING = ("s", "sh", "ch", "x", "z")
_KEEPS_E_BEFORE_ING = ("e", "y", "o")


def past(verb: str) -> str:
    """The past tense of a base form, which need not be a word: "thi" has one too."""
    return IRREGULAR_PAST.get(verb) or _regular_past(verb)


def gerund(verb: str) -> str:
    """The gerund of a base form."""
    return IRREGULAR_GERUND.get(verb) or _regular_gerund(verb)


def plural(noun: str) -> str:
    """The plural of a singular."""
    return IRREGULAR_PLURAL.get(noun) or _regular_plural(noun)


def _regular_past(verb: str) -> str:
    if len(verb) > 2 and verb.endswith("ed") and verb[-3] not in VOWELS:
        return verb
    if verb.endswith("e"):
        return verb + "d"
    if _ends_in_consonant_y(verb):
        return verb[:-1] + "ied"
    return _with_last_letter_doubled(verb) + "ed"


def _regular_gerund(verb: str) -> str:
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if len(verb) > 1 and verb.endswith("e") and verb[-2] not in _KEEPS_E_BEFORE_ING:
        return verb[:-1] + "ing"
    return _with_last_letter_doubled(verb) + "ing"


def _regular_plural(noun: str) -> str:
    if noun.endswith(_HISSING) or noun in HERO_NOUNS:
        return noun + "es"
    if _ends_in_consonant_y(noun):
        return noun[:-1] + "ies"
    if noun.endswith("f"):
        return noun[:-1] + "ves"
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    return noun + "s"


def _ends_in_consonant_y(word: str) -> bool:
    return len(word) > 1 and word.endswith("y") and word[-2] not in VOWELS


def _with_last_letter_doubled(verb: str) -> str:
    return verb + verb[-1] if _doubles(verb) else verb


def _doubles(verb: str) -> bool:
    """Consonant, vowel, consonant at the end of a word of three or four letters."""
    if not 3 <= len(verb) <= 4 or verb in NEVER_DOUBLED:
        return False
    return verb[-3] not in VOWELS and verb[-2] in VOWELS and verb[-1] not in VOWELS and verb[-1] not in "wxy"
