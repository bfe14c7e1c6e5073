"""How texts compare as wordings: what counts as the same text, how far a rephrasing is from its source, how long it is.

Words are runs of letters and digits of any script with the marks that belong to them, case-folded. Chinese, Japanese,
Thai and their neighbours write no blanks between words: there each character stands alone, counts as its part of a word
when a text is measured, and is compared in runs of about a word's length. All takes time linear in the texts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from math import ceil

FRAME_RUN = 4
"""Words in a row that both wordings have: fewer are chance."""

CHARACTERS_PER_WORD = {"h": 1.6, "k": 2.5, "s": 4.0}
"""So many Chinese characters (h), kana (k) or characters of South-East Asia's scripts without blanks (s) say what one
English word says. Translators estimate so: 1.3 to 1.8 for Chinese, 2 to 2.5 for Japanese, 4 for Thai."""

_HAN = ("CJK ", "IDEOGRAPHIC ", "BOPOMOFO ")
_KANA = ("HIRAGANA ", "KATAKANA ", "KATAKANA-HIRAGANA ")
_SOUTH_EAST = ("THAI ", "LAO ", "KHMER ", "MYANMAR ", "NEW TAI ", "TAI ", "JAVANESE ", "BALINESE ")
_WITHOUT_BLANKS = {"h": _HAN, "k": _KANA, "s": _SOUTH_EAST}
_APOSTROPHES = "\u02bc\u2018\u2019\u2032"
_WITHIN_WORDS = "'\u00b7\u05f3\u05f4"  # apostrophe, the dot of Catalan, geresh and gershayim
_ZERO_WIDTH_BLANK = "\u200b"
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_WORD = re.compile(r"[hks]m*|a[am]*(?:'a[am]*)*")


def same_text(text: str) -> str:
    """What two texts share when they are the same: Unicode form and white space do not tell texts apart."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def same_words(text: str) -> str:
    """What two texts share when only case, punctuation and compatibility forms differ."""
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words in their order, case-folded, apostrophes straightened."""
    return list(_cut(text)[0])


def word_count(text: str) -> int:
    """The length in words; where words are not set apart, the number of English words that say as much."""
    kinds = _cut(text)[1]
    characters = {kind: kinds.count(kind) for kind in CHARACTERS_PER_WORD}
    words_of_characters = sum(count / CHARACTERS_PER_WORD[kind] for kind, count in characters.items())
    return round(len(kinds) - sum(characters.values()) + words_of_characters)


def runs(text: str, length: int) -> list[str]:
    """Every run of so many words, in order, each as a text; where words are not set apart, runs of as many characters
    as so many words have. A shorter text has none."""
    found, kinds = _cut(text)
    return [" ".join(run) for run in _windows(found, _size(kinds, length))]


def shingles(text: str, length: int) -> list[str]:
    """`runs`, each once, of a long text that is looked at once: nothing of it is remembered."""
    found, kinds = _cut_anew(text)
    return list(dict.fromkeys(map(" ".join, _windows(found, _size(kinds, length)))))


def changed_share(source: str, wording: str) -> float:
    """How much of the longer text is not in the other, as bags of words: 0 the same words, 1 none in common. Where
    words are not set apart, any two texts have the same characters: there runs of a word's length are compared."""
    ours, theirs = _bag(source), _bag(wording)
    longer = max(ours.total(), theirs.total())
    return (longer - (ours & theirs).total()) / longer if longer else 0.0


def kept_share(source: str, wording: str) -> float:
    """How much of the source stands in the wording too, in runs of at least `FRAME_RUN` words. Near 1, the wording puts
    a frame around the same words, or shuffles whole sentences."""
    ours, kinds = _cut(source)
    size = min(_size(kinds, FRAME_RUN), len(ours))
    known = set(_windows(_cut(wording)[0], size))
    starts = [start for start, run in enumerate(_windows(ours, size)) if run in known]
    kept = {position for start in starts for position in range(start, start + size)}
    return len(kept) / len(ours) if ours else 0.0


@lru_cache(maxsize=256)
def _cut(text: str) -> tuple[tuple[str, ...], str]:
    """`_cut_anew`, remembered: the wordings of one probe are compared with each other several times in a row."""
    return _cut_anew(text)


def _cut_anew(text: str) -> tuple[tuple[str, ...], str]:
    """The words, and a letter for each: `a` where blanks set it apart, else the kind of its character."""
    folded = _folded(text)
    if folded.isascii():
        found = tuple(_ASCII_WORD.findall(folded))
        return found, "a" * len(found)
    classes = folded.translate(_CLASSES)
    places = [match.span() for match in _WORD.finditer(classes)]
    return tuple(folded[start:end] for start, end in places), "".join(classes[start] for start, _ in places)


@lru_cache(maxsize=256)
def _bag(text: str) -> Counter[str]:
    """The words, and for characters of each kind in a row their runs of about a word's length."""
    found, kinds = _cut(text)
    bag: Counter[str] = Counter()
    start = 0
    for kind, group in groupby(kinds):
        end = start + len(list(group))
        size = min(ceil(CHARACTERS_PER_WORD.get(kind, 1.0)), end - start)
        bag.update(map("".join, _windows(found[start:end], size)))
        start = end
    return bag


def _size(kinds: str, length: int) -> int:
    """How many of a text's own units make so many words: characters, where most of the units are characters."""
    most = max("a", *CHARACTERS_PER_WORD, key=kinds.count)
    return round(length * CHARACTERS_PER_WORD.get(most, 1.0))


def _windows(found: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(found[start:] for start in range(size)), strict=False)


def _folded(text: str) -> str:
    """Unicode's form for comparing without case or compatibility (toNFKC_Casefold), apostrophes straightened."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFD", text.translate(_PLAIN)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold()).translate(_PLAIN)


class _Plain(dict[int, str | int | None]):
    """For str.translate: apostrophes become one, what only steers the display goes. Filled as characters are met."""

    def __missing__(self, code: int) -> str | int | None:
        self[code] = found = self._of(chr(code))
        return found

    @staticmethod
    def _of(character: str) -> str | int | None:
        if character in _APOSTROPHES:
            return "'"
        if unicodedata.category(character) == "Cf":
            return " " if character == _ZERO_WIDTH_BLANK else None
        return ord(character)


class _Classes(dict[int, str]):
    """For str.translate: what each character is to `_WORD`, one letter for one character. Filled as they are met."""

    def __missing__(self, code: int) -> str:
        self[code] = found = self._of(chr(code))
        return found

    @staticmethod
    def _of(character: str) -> str:
        category = unicodedata.category(character)
        if character in _WITHIN_WORDS:
            return "'"
        if category[0] == "M":
            return "m"
        if category[0] not in "LN":
            return " "
        return "a" if category == "Nd" else _letter_class(unicodedata.name(character, ""))


def _letter_class(name: str) -> str:
    return next((kind for kind, scripts in _WITHOUT_BLANKS.items() if name.startswith(scripts)), "a")


_PLAIN = _Plain()
_CLASSES = _Classes()
