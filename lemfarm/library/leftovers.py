"""What is left in a text when it was not finished, was pasted from somewhere, or was damaged on its way."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_AROUND = 15  #: characters shown before and after what was found


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that stands in a text and should not. `excerpt` shows it between its neighbours, on one line."""

    what: str
    excerpt: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Kind:
    what: str
    pattern: re.Pattern[str]
    remedy: str


def _kind(what: str, pattern: str, remedy: str, flags: int = re.IGNORECASE | re.MULTILINE) -> _Kind:
    return _Kind(what, re.compile(pattern, flags), remedy)


# UTF-8 that was read as Windows-1252 or Latin-1: a first byte, seen as a letter, and bytes from 0x80 to 0xBF behind it.
# An accent with a quote and a dash behind it may look so by chance: of such threes, two in a row count.
_BEHIND = "[" + "".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xC0)) + "\x80-\xbf]"
_DAMAGED = (
    rf"\u00c3{_BEHIND}|\u00c2[\x80-\xbf]|\u00e2(?:\u20ac|\x80|\u201a\u00ac|\u201e\u00a2)|"
    rf"(?:[\u00d0\u00d1\u00d8\u00d9]{_BEHIND}){{2}}|(?:[\u00e0-\u00ef]{_BEHIND}{{2}}){{2}}|\u00f0[\u0178\x9f]|\ufffd"
)
# Joiners and zero-width blanks are spelling in other scripts, between their letters; beside ASCII they are left over.
_INVISIBLE = r"[\u00ad\u2028-\u202e\u2060\ufeff]|(?<![^\x00-\x7f])[\u200b-\u200d]|[\u200b-\u200d](?![^\x00-\x7f])"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)"
_NAMES = "insert|add|your|name|place|city|country|date|placeholder|to be|todo|tbd"
_PLACEHOLDER = (
    rf"\{{\{{?\s*[a-z_][\w .-]{{0,40}}\}}|\$\{{|\[(?:{_NAMES})\b[^\]\n]{{0,80}}\]|<(?:{_NAMES})\b[^>\n]{{0,80}}>"
)
_LABEL = (
    r"^\W{0,4}(?:variant|variation|rephrased|rephrasing|reworded|rewording|rewritten)(?: [a-z]+)?"
    r"(?: ?[\d#]+)?(?: \([^)\n]{0,40}\))?\W{0,2}:"
    r"|\A\W{0,4}(?:original|perspective|urgency|culture|prompt|probe|question)(?: [a-z]+)?(?: ?[\d#]+)?\W{0,2}:"
)
_MODEL = (
    r"\bas an ai\b(?=\s*[,.;:!?]|\s+(?:language|model|assistant|system|chatbot|i)\b|\s*$)"
    r"|^\W{0,4}(?:sure|certainly|of course|absolutely)[,!.]+ here\b"
    r"|\bhere(?:'s| is| are) (?:a|an|the|your|some) (?:rephras|reword|rewrit|variant|variation|alternative)"
)
_KINDS = (
    _kind("a note to oneself", r"\b(?:TODO|TBD|TKTK|FIXME|XXX)\b", "finish the text", 0),
    _kind("filler text", r"\blorem ipsum\b|\bdolor sit amet\b", "finish the text"),
    _kind("an unfilled placeholder", _PLACEHOLDER, "fill it in"),
    _kind("a label", _LABEL, "leave it out, `kind` says it"),
    _kind("a model's own words", _MODEL, "leave them out, or put it otherwise"),
    _kind("damaged characters", _DAMAGED, "write those that were meant, as UTF-8", 0),
    _kind("an invisible character", _INVISIBLE, "delete it", 0),
    _kind("a control character", _CONTROL, "delete it", 0),
    _kind("white space at the end of a line", r"(?<![^\S\n])[^\S\n]+(?=\n|\Z)|\n\Z", "delete it", 0),
    _kind("white space at the beginning", r"\A\s+", "delete it", 0),
    _kind("two blanks within a sentence", r"(?<=[^\W_])[,;:]?[ \u00a0]{2,}(?=[^\W_])", "keep one", 0),
)
_DOUBLED = re.compile(r"(?<![\w'-])([^\W\d_]+)\s+(\1)(?![\w'-])", re.IGNORECASE)
_RIGHTLY_DOUBLED = frozenset(
    {"had", "that", "very", "no", "so", "bye", "ha", "far", "many", "more", "much", "knock", "please", "now", "there"}
)
_ENGLISH_ALONE = frozenset({"the", "of", "and", "with", "from", "this", "which", "their", "would", "should"})
_QUOTE = re.compile(r"""(?<!\w)"|"(?!\w)|[\u201c\u201d\u201e\u00ab\u00bb\u300c-\u300f]""")
_INCHES = re.compile(r"""\d"|\d\u201d""")
_HALVES = {")": "(", "]": "[", "}": "{", "\uff09": "\uff08", "\u3011": "\u3010"}
_BRACKET = re.compile("[" + re.escape("".join([*_HALVES, *_HALVES.values()])) + "]")
_ALLOWED_ALONE = re.compile(  # a) or 12) or iv), and smileys
    r"(?:^|\s)(?:\d{1,3}|[^\W\d_]|[ivx]{1,4})\.?\)|[:;]-?[()]", re.MULTILINE | re.IGNORECASE
)


def leftovers_in(text: str, language: str) -> Iterator[Leftover]:
    """What of the kind stands in a text; of each kind the first.

    Doubled words are judged by the language that the probe states. Many languages double words rightly (Swahili `sana
    sana`, French `nous nous`), so a text in another language than English, or in none that is stated, is searched only
    for words that are English alone.
    """
    for kind in _KINDS:
        found = kind.pattern.search(text)
        if found:
            yield Leftover(kind.what, _excerpt(text, found.start(), found.end()), kind.remedy)
    yield from filter(None, (_doubled_word(text, language), _open_quotation(text), _lone_bracket(text)))


def _doubled_word(text: str, language: str) -> Leftover | None:
    english = language.lower().startswith("en")
    for found in _DOUBLED.finditer(text):
        word = found.group(1).lower()
        named = found.group(1).istitle() and found.group(2).istitle()  # Bora Bora
        if word in _ENGLISH_ALONE or (english and not named and word not in _RIGHTLY_DOUBLED):
            return Leftover("a doubled word", _excerpt(text, found.start(), found.end()), "keep one")
    return None


def _open_quotation(text: str) -> Leftover | None:
    """Quotation marks in odd number; marks of inches and the gershayim of Hebrew are none."""
    marks = list(_QUOTE.finditer(text))
    if len(marks) % 2 == 0 or _INCHES.search(text):
        return None
    last = marks[-1].start()
    return Leftover("a quotation mark without its other half", _excerpt(text, last, last + 1), "close or delete it")


def _lone_bracket(text: str) -> Leftover | None:
    allowed = {found.end() - 1 for found in _ALLOWED_ALONE.finditer(text)}
    alone: list[int] = []
    for found in _BRACKET.finditer(text):
        if alone and text[alone[-1]] == _HALVES.get(found.group()):
            alone.pop()
        elif found.start() not in allowed:
            alone.append(found.start())
    if not alone:
        return None
    return Leftover("a bracket without its other half", _excerpt(text, alone[0], alone[0] + 1), "close or delete it")


def _excerpt(text: str, start: int, end: int) -> str:
    """What was found, with a few characters around it; what cannot be seen is spelt out."""
    shown = text[max(0, start - _AROUND) : end + _AROUND].strip()
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in shown)
