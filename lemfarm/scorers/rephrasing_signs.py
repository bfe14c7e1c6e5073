"""What two texts have in common that are said to ask the same: content words, names, figures, requests, language.

Nearly everything is counted from the two texts alone, in any script. Where a sign says nothing of a language (capitals
in Arabic, English commands in Hindi) it is silent, and nothing of it is missed.
"""

import re
import unicodedata
from statistics import median

import py3langid

from lemfarm.wording import runs, word_count

STEM = 5
"""Letters by which word forms are taken for one word: "govern" and "government", but "audit" and "audience" too."""

INSTRUCTION_RUN = 6
"""Words in a row that an answer may not have from the instruction."""

LEAST_IDENTIFIED = 5
"""Words from which on a language is told: of 635 sentences of the probe library all but two were told to be English;
of 42 shorter ones, nine were not."""

LEAST_CONTENT_WORDS = 4
"""Content words from which on it says something that none of them comes back."""

_LETTERS = re.compile(r"[^\W\d_]+")
_FIGURE = re.compile(r"\d+(?:[.,\u066b\u066c\u00a0\u202f']\d{3}(?!\d))*")
_NO_NAME_AFTER = ".!?:;\u2026\"'(\u201c\u2018\u201e\u00ab\u00bf\u00a1"
_JOINED_ARABIC = re.compile(r"^(?:[وفبك]{0,2}ال|لل)")  # the article, written together with what stands before it

_QUESTION_MARKS = re.compile("[?\uff1f\u061f\u037e\u055e\u1367]")
_COMMANDS = (
    "address advise analyse analyze answer apply argue arrange ask assess balance begin build calculate carry choose "
    "close compare compose consider construct convince count create criticise debate decide defend define derive "
    "describe design determine develop devise discuss draft draw end estimate evaluate examine explain explore fill "
    "find finish follow give guide help identify imagine include invent judge justify keep lay lead let list make map "
    "mark mend name notice offer outline picture plan point prepare present produce propose prove provide put rank "
    "recommend reconstruct reflect reply report respond return review rewrite say set show sketch solve speak specify "
    "start state suggest summarise summarize take teach tell test think trace translate treat turn use walk weigh work "
    "write"
).replace(" ", "|")
_COMMAND = re.compile(
    rf"(?:^|,\s+|[.!?;:\u2014][\"')\u201d\u2019]*\s+(?:(?:and|but|so|then|now|first|next|finally|afterwards|also)\s+)*)"
    rf"(?:please\s+)?(?:{_COMMANDS})\b",
    re.IGNORECASE,
)

_REFUSAL = re.compile(
    r"(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:cannot|can't|won't)\b|as an? (?:ai|artificial|language model)"
    r"|(?:certainly|absolutely|of course|sure|great question)\b)",
    re.IGNORECASE,
)
_LAYOUT = re.compile(r"^[ \t]*(?:#{1,6}[ \t]|[-*\u2022][ \t]|\d{1,2}[.)][ \t]|\|)", re.MULTILINE)
_REMARKS = re.compile(
    r"</?text\b|\bre-?phras|\bre-?word|\bparaphras|\bthe original (?:text|question|prompt|version)|\bthe text above"
    r"|^[^\w\n]*(?:version|variant|option) (?:\d|[a-c]\b)|^[^\w\n]*(?:please )?note:"
    r"|\[(?:your |the )?(?:name|place|city|date)\]",
    re.IGNORECASE | re.MULTILINE,
)


def content_kept(source: str, wording: str) -> float:
    """Share of the source's content words, names aside, that the wording has in some form; 1 where there are few."""
    content = _content(source) - {_form(name) for name in names(source)}
    return _share(content, _forms(wording)) if len(content) >= LEAST_CONTENT_WORDS else 1.0


def names(text: str) -> set[str]:
    """Words with a capital that begin no sentence, of three letters or more: none in scripts without capitals."""
    line = " ".join(text.split())
    found = (match for match in _LETTERS.finditer(line) if len(match[0]) > 2 and match[0][0].isupper())
    return {match[0].casefold() for match in found if not _begins_a_sentence(line, match.start())}


def names_kept(source: str, wording: str) -> float:
    """Share of the source's names that the wording has; 1 where the source has none."""
    return _share(names(source), {match.casefold() for match in _LETTERS.findall(wording)})


def figures_kept(source: str, wording: str) -> float:
    """Share of the source's figures, in whichever digits, that the wording has; 1 where the source has none."""
    return _share(_figures(source), _figures(wording))


def requests(text: str) -> int:
    """Question marks of all scripts, and clauses that begin with a command in English."""
    lines = " . ".join(" ".join(line.split()) for line in text.splitlines())
    return len(_QUESTION_MARKS.findall(text)) + len(_COMMAND.findall(lines))


def answers(source: str, wording: str) -> bool:
    """Whether a text begins as assistants begin, or is laid out in headings and lists, and the source is not."""
    begins = _REFUSAL.match(wording) is not None and _REFUSAL.match(source) is None
    return begins or (_LAYOUT.search(wording) is not None and _LAYOUT.search(source) is None)


def leftovers(instruction: str, source: str, wording: str) -> bool:
    """Whether a text repeats the instruction, or speaks of versions and rephrasing as its source does not."""
    if _REMARKS.search(wording) and not _REMARKS.search(source):
        return True
    told = set(runs(wording, INSTRUCTION_RUN)) & set(runs(instruction, INSTRUCTION_RUN))
    return not told <= set(runs(source, INSTRUCTION_RUN))


def same_language(source: str, wording: str) -> bool:
    """Whether both are told to be of one language; texts of few words are not told apart."""
    if min(word_count(source), word_count(wording)) < LEAST_IDENTIFIED:
        return True
    return bool(py3langid.classify(source)[0] == py3langid.classify(wording)[0])


def _share(wanted: set[str], found: set[str]) -> float:
    return len(wanted & found) / len(wanted) if wanted else 1.0


def _content(text: str) -> set[str]:
    """The longer half of a text's words, as forms: small words are short in every language."""
    found = _units(text)
    middle = median(map(len, found)) if found else 0
    longer = [word for word in found if len(word) > middle]
    return {_form(word) for word in longer or found}


def _forms(text: str) -> set[str]:
    return {_form(word) for word in _units(text)}


def _units(text: str) -> list[str]:
    """Words; where characters are not set apart, every run of as many as a word has."""
    return ["".join(run) for run in runs(text, 1)]


def _form(word: str) -> str:
    return _JOINED_ARABIC.sub("", word)[:STEM]


def _begins_a_sentence(line: str, start: int) -> bool:
    before = line[max(0, start - 2) : start].strip()
    return not before or before[-1] in _NO_NAME_AFTER


def _figures(text: str) -> set[str]:
    return {_digits(match[0]).lstrip("0") for match in _FIGURE.finditer(text)}


def _digits(figure: str) -> str:
    return "".join(str(unicodedata.decimal(character)) for character in figure if character.isdecimal())
