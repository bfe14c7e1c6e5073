"""A text as the tokens that the grammar scorer counts: words and the marks behind them.

Only one mark is cut from a word, and a full stop, a quote or a bracket never is: the last word of a sentence keeps its
stop and is unknown, and a question ending in `?"` is none. Those are rules of the published scorer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from lemfarm.scorers import go_text
from lemfarm.scorers.grammar.english import ARTICLES
from lemfarm.scorers.grammar.lookup import Noun, Verb, Vocabulary, bytewise

_LONGEST_REMEMBERED = 64  # characters; longer pieces seldom come twice, and would fill the memory with texts


class Kind(Enum):
    """What a token was taken for."""

    UNKNOWN = "unknown"
    VERB = "verb"
    NOUN = "noun"
    AMBIGUOUS = "ambiguous"  #: until `ambiguity` has decided
    ARTICLE = "article"
    DOMAIN = "domain"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Token:
    """A word or mark in lower case, what it was taken for, and how far it counts as verb and as noun (0 to 1 each).

    `label` is the type of an article or mark. A word that could be both keeps both readings, even one that counts 0.
    """

    text: str
    kind: Kind
    label: str = ""
    verb: Verb | None = None
    noun: Noun | None = None
    verb_share: float = 0.0
    noun_share: float = 0.0


_PROGRESS = Token("...", Kind.MARK, "progress")
_MARKS = {
    mark: Token(mark, Kind.MARK, label)
    for mark, label in {"?": "question", ":": "label", "!": "exclamation", ";": "separator", ",": "comma"}.items()
}


def lower(text: str) -> str:
    """Lower case letter by letter, as Go has it, and so of the same length; Python alone has a second small sigma for
    the end of a word."""
    return go_text.lower(text.replace("\u03a3", "\u03c3"))


def tokenise(text: str, vocabulary: Vocabulary) -> list[Token]:
    """The tokens in the order of the text; words that may be verb or noun are left ambiguous."""
    tokens: list[Token] = []
    for piece in go_text.fields(lower(text)):
        read = _remembered if len(piece) <= _LONGEST_REMEMBERED else _read
        tokens += read(piece, vocabulary)
    return tokens


def places(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each token of the text, in characters."""
    end = 0
    for piece in go_text.fields(text):
        start = text.index(piece, end)  # only blanks lie between
        end = start + len(piece)
        word, mark = _cut(piece)
        border = start + len(word)
        if word:
            yield start, border
        if mark:
            yield border, end


def _cut(piece: str) -> tuple[str, Token | None]:
    """The word (nothing, if the piece is an ellipsis) and the mark behind it; a mark by itself is a word."""
    if piece.endswith("..."):
        return piece[:-3], _PROGRESS
    mark = _MARKS.get(piece[-1]) if len(piece) > 1 else None
    return (piece[:-1], mark) if mark else (piece, None)


def _read(piece: str, vocabulary: Vocabulary) -> tuple[Token, ...]:
    word, mark = _cut(piece)
    tokens = (_classify(word, vocabulary) if word else None, mark)
    return tuple(token for token in tokens if token)


_remembered = lru_cache(maxsize=2**14)(_read)


def _classify(word: str, vocabulary: Vocabulary) -> Token:
    if word in ARTICLES:
        return Token(word, Kind.ARTICLE, ARTICLES[word])
    letters = bytewise(word)
    verb, noun = vocabulary.verb(letters), vocabulary.noun(letters)
    if word in vocabulary.verbs and word in vocabulary.nouns:
        return Token(word, Kind.AMBIGUOUS, verb=verb, noun=noun)
    if verb:
        return Token(word, Kind.VERB, verb=verb, verb_share=1.0)
    if noun:
        return Token(word, Kind.NOUN, noun=noun, noun_share=1.0)
    return Token(word, Kind.DOMAIN if word in vocabulary.domain_words else Kind.UNKNOWN)
