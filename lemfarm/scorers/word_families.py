"""The markers of `v2` as word families: plurals, inflections and whole words instead of truncated stems.

A family holds the forms that keep the sense its marker was chosen for, and leaves out look-alikes: "tenderness" counts
and "tenders" do not, "analogies" count and "analogue" circuits do not, "agency" counts and "agencies" do not. Each
signal keeps its name, weight and cap from `v2`. The expressions expect straight apostrophes and plain hyphens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lemfarm.scorers.weighted import Signal, Text, anywhere, whole_words

EMOTIONAL_REGISTER = Signal(
    "emotional_register",
    whole_words(
        "feel(?:s|ings?)?",
        "felt",
        "hearts?",
        "souls?",
        "beaut(?:y|iful|ifully)",
        "wonder(?:s|ed|ing)?",
        "griefs?",
        "griev(?:e|es|ed|ing)",
        "joy(?:s|ful|fully|ous|ously)?",
        "lov(?:e|es|ed|ing|ingly)",
        "pain(?:s|ed|ful|fully)?",
        "hop(?:e|es|ed|ing|eful)",
        "fear(?:s|ed|ing|ful|fully)?",
        "dream(?:s|ed|t|ing)?",
        "imagin(?:e|es|ed|ing|ation)",
        "believ(?:e|es|ed|ing)",
        "beliefs?",
        "trust(?:s|ed|ing)?",
        "courage(?:ous|ously)?",
        "dignity",
        "dignified",
        "compassion(?:ate|ately)?",
        "empath(?:y|ic|etic|etically)",
        "empathi[sz](?:e|es|ed|ing)",
        "suffer(?:s|ed|ings?)?",
        "long(?:ed|ings?)",
        "yearn(?:s|ed|ings?)?",
        "awed?",
        "sacred(?:ness)?",
        "vulnerab(?:le|ly|ility)",
        "tender(?:ly|ness)?",
    ),
    weight=0.8,
    cap=5.0,
)
"""Words of feeling. Left out: wonderful, hopefully, fearless, awful, tenders, vulnerabilities (of software)."""

NUANCE = Signal(
    "nuance",
    whole_words(
        "however",
        "on the other hand",
        "tensions?",
        "complexit(?:y|ies)",
        "paradox(?:es|ical|ically)?",
        "both .{3,30} and",
        "while .{3,30} also",
        "it depends",
        "nuanced?",
        "nuances",
        "trade[- ]?offs?",
        "dilemmas?",
        "competing",
        "conflicting",
        "ambiguit(?:y|ies)",
        "ambiguous(?:ly)?",
        "(?:not|[a-z]{2,6}n't) (?:simply|just|merely)",
        "more than",
        "beyond just",
    ),
    weight=1.5,
    cap=6.0,
)
"""Words that hold two sides at once."""

AXIOM_RESONANCE = Signal(
    "axiom_resonance",
    whole_words(
        "sovereign(?:s|ty|ties)?",
        "consent(?:s|ed|ing)?",
        "consensual(?:ly)?",
        "dignity",
        "dignified",
        "biological(?:ly)?",
        "autonomy",
        "autonomous(?:ly)?",
        "accountab(?:le|ly|ility)",
        "transparen(?:t|tly|cy)",
        "(?:ir)?reversib(?:le|ly|ility)",
        "agency",
        "self-determin(?:ation|ed|ing)",
        "bodily",
        "intrinsic(?:ally)?",
        "inalienabl[ey]",
        "steward(?:s|ship|ed|ing)?",
        "custodian(?:s|ship)?",
        "power asymmetr(?:y|ies)",
        "informed choices?",
        "meaningful choices?",
        "rights? to .{3,20}",
        "human flourishing",
    ),
    weight=1.0,
    cap=5.0,
)
"""The vocabulary of the kernel's axioms. Left out: agencies, custody."""

PERSPECTIVE_TAKING = Signal(
    "perspective_taking",
    whole_words(
        "from .{3,20} perspectives?",
        "they might",
        "one could argue",
        "alternatively",
        "another view",
        "consider that",
        "someone who",
        "if you were",
        "put (?:yourself|yourselves)",
        "in their shoes",
        "stakeholders?",
        "those affected",
        "the communit(?:y|ies)",
        "different people",
    ),
    weight=1.5,
    cap=5.0,
)
"""Seeing it as somebody else does."""

METAPHOR = Signal(
    "metaphor",
    whole_words(
        "like an? ",
        "as if ",
        "as though ",
        "imagine ",
        "picture ",
        "metaphor(?:s|ical|ically)?",
        "analog(?:y|ies|ous|ously)",
        "akin to",
        "reminiscent",
        "echo(?:es)? of",
        "think(?:s|ing)? of .{3,30} as",
        "similar to how",
    ),
    weight=1.0,
    cap=4.0,
)
"""Figures of speech; the blanks are part of the markers: a word has to follow."""

_SPECIFICS = anywhere(
    r"\bfor example\b",
    r"\bsuch as\b",
    r"\bspecifically\b",
    r"\bin particular\b",
    r"\be\.g\.",
    r"\bconsider .{5,40} where\b",
    r"\blike when\b",
)

# A year, a date, a time, a price or a share is one number, and so is "1990s" or "3rd".
_NUMBERS = re.compile(r"\d(?<!\w\d)[\d.,:/-]*(?:s|st|nd|rd|th)?\b")

# What opens a line and names what follows: a heading, words in bold, or a list mark and its words up to a colon.
_LABELS = re.compile(
    r"""^[ \t>]*+(?:
        \#{1,6}[ \t].*
        | (?:(?:[-*+\u2022]|\d{1,3}[.)]|[A-Za-z][.)])[ \t]++)?+ (?:\*\*[^*\n]{1,80}\*\* | __[^_\n]{1,80}__)
        | (?:[-*+\u2022]|\d{1,3}[.)]|[A-Za-z][.)])[ \t]++ (?:[^:.\n]{1,60}:)?+
    )""",
    re.MULTILINE | re.VERBOSE,
)

# A capital, of ASCII or not, and two letters or more.
_CAPITALISED = re.compile(r"[^\W\d_a-z](?<!\w.)[^\W\d_]{2,}(?!\w)", re.DOTALL)

# What may stand between a word and a name in one sentence. Behind a full stop, colon, quotation mark, bracket, table
# border or line end a word is capitalised because it begins something.
_WITHIN_A_SENTENCE = frozenset(" \t,;&/*_-\u2013\u2014")


def _is_name(text: str, word: re.Match[str]) -> bool:
    """Whether a capitalised word, not all in capitals, goes on a sentence that another word began."""
    if not word[0][0].isupper() or word[0].isupper():
        return False
    before = word.start() - 1
    while before >= 0 and text[before] in _WITHIN_A_SENTENCE:
        before -= 1
    if before >= 0 and text[before] == "'":
        before -= 1
    return before >= 0 and text[before].isalnum()


@dataclass(frozen=True, slots=True)
class _Specificity:
    """Names, numbers and announced examples; names and numbers in headings and list labels do not count."""

    def __call__(self, text: Text) -> int:
        return sum(1 for _ in self.places(text))

    def places(self, text: Text) -> Iterator[tuple[int, int]]:
        body = _LABELS.sub(lambda label: "\n" * len(label[0]), text.raw)
        yield from (word.span() for word in _CAPITALISED.finditer(body) if _is_name(body, word))
        yield from (number.span() for number in _NUMBERS.finditer(body))
        yield from _SPECIFICS.places(text)


SPECIFICITY = Signal("specificity", _Specificity(), weight=0.3, cap=5.0)
"""How concrete an answer is."""
