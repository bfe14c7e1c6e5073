"""Which language and which scripts a text is written in.

The language is a guess of py3langid (139 languages, offline); its share of certainty is calibrated well enough on a
sentence or two to leave out what it is unsure of. Scripts are counted, not guessed.
"""

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any

UNKNOWN = "und"
"""ISO 639: undetermined."""

_LEAST_SURE = 0.5
_READ_CHARACTERS = 200
_LEAST_SHARE = 0.1
_NOT_A_LANGUAGE = "zxx"
_SCRIPT_NAMES = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana", "HANGUL": "Hangul", "FULLWIDTH": "Latin"}


def guess_language(text: str) -> str:
    """The ISO 639 code, or `und`. Looks at the beginning only: 200 characters tell as much as 2,000."""
    code, certainty = _identifier().classify(text[:_READ_CHARACTERS])
    return UNKNOWN if certainty < _LEAST_SURE or code == _NOT_A_LANGUAGE else str(code)


def scripts_of(text: str) -> str:
    """The scripts that at least a tenth of the letters are in, the most used first, such as `Han + Latin`; `none` for a
    text without letters."""
    counts: Counter[str] = Counter()
    for character, times in Counter(text).items():
        if script := _script(character):
            counts[script] += times
    enough = counts.total() * _LEAST_SHARE
    used = sorted((-times, script) for script, times in counts.items() if times >= enough)
    return " + ".join(script for _, script in used) or "none"


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """The model takes a second to load and 100 MiB to hold."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    """The script of a letter by its Unicode name; nothing for what is no letter."""
    if not character.isalpha():
        return ""
    first = unicodedata.name(character, "").split(" ", 1)[0]
    return _SCRIPT_NAMES.get(first, first.capitalize())
