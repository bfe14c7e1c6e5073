"""The rules of the grammar scorer a second time, as slowly and plainly as they can be said: on bytes, word by word,
looking through the whole text again for every doubtful word. Only the lists are shared with the real one."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from lemfarm.scorers.grammar import english
from lemfarm.scorers.grammar.lookup import Vocabulary

GO_BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
NEVER_DOUBLED = re.findall(
    r"\w+",
    """
    benefit budget cover credit deliver develop differ edit enter focus happen limit listen market offer open orbit
    suffer target total visit
    """,
)


def _ends(word: bytes, ending: bytes) -> bool:
    return re.search(rb"(?s:" + ending + rb")\Z", word) is not None


def doubles(verb: bytes) -> bool:
    if verb.decode("utf-8", "replace") in NEVER_DOUBLED:
        return False
    return re.fullmatch(rb"(?s).?[^aeiou][aeiou][^aeiouwxy]", verb) is not None


def past(verb: bytes) -> bytes:
    listed = english.IRREGULAR_PAST.get(verb.decode("utf-8", "replace"))
    if listed:
        return listed.encode()
    if _ends(verb, rb"[^aeiou]ed"):
        return verb
    if _ends(verb, rb"e"):
        return verb + b"d"
    if _ends(verb, rb"[^aeiou]y"):
        return re.sub(rb"y\Z", b"ied", verb)
    return verb + (verb[-1:] if doubles(verb) else b"") + b"ed"


def gerund(verb: bytes) -> bytes:
    listed = english.IRREGULAR_GERUND.get(verb.decode("utf-8", "replace"))
    if listed:
        return listed.encode()
    if _ends(verb, rb"ie"):
        return re.sub(rb"ie\Z", b"ying", verb)
    if _ends(verb, rb"[^eyo]e"):
        return re.sub(rb"e\Z", b"ing", verb)
    return verb + (verb[-1:] if doubles(verb) else b"") + b"ing"


def plural(noun: bytes) -> bytes:
    listed = english.IRREGULAR_PLURAL.get(noun.decode("utf-8", "replace"))
    if listed:
        return listed.encode()
    if _ends(noun, rb"s|sh|ch|x|z"):
        return noun + b"es"
    if _ends(noun, rb"[^aeiou]y"):
        return re.sub(rb"y\Z", b"ies", noun)
    if _ends(noun, rb"fe?"):
        return re.sub(rb"fe?\Z", b"ves", noun)
    return noun + (b"es" if noun in (b"hero", b"potato", b"tomato", b"echo", b"veto") else b"s")


def past_candidates(word: bytes) -> list[bytes]:
    stem, n = word[:-2], len(word)
    rules = [
        (word.endswith(b"ied") and n > 3, word[: n - 3] + b"y"),
        (n > 4 and stem[-1:] == stem[-2:-1], stem[:-1]),
        (n > 2, stem + b"e"),
        (n > 2, stem),
    ]
    return [base for applies, base in rules if applies and word.endswith(b"ed")]


def gerund_candidates(word: bytes) -> list[bytes]:
    stem, n = word[: max(0, len(word) - 3)], len(word)
    rules = [
        (word.endswith(b"ying") and n > 4, word[: max(0, n - 4)] + b"ie"),
        (len(stem) >= 2 and stem[-1:] == stem[-2:-1], stem[:-1]),
        (True, stem),
        (True, stem + b"e"),
    ]
    return [base for applies, base in rules if applies and word.endswith(b"ing") and n >= 4]


def plural_candidates(word: bytes) -> list[bytes]:
    n = len(word)
    rules = [
        (word.endswith(b"ies") and n > 3, word[: max(0, n - 3)] + b"y"),
        (word.endswith(b"ves") and n > 3, word[: max(0, n - 3)] + b"f"),
        (word.endswith(b"ves") and n > 3, word[: max(0, n - 3)] + b"fe"),
        (_ends(word, rb"ses|xes|zes|ches|shes"), word[: max(0, n - 2)]),
        (word.endswith(b"s") and n > 1, word[: max(0, n - 1)]),
    ]
    return [base for applies, base in rules if applies]


def _rank(base: bytes, verbs: frozenset[str]) -> int:
    if base.decode("utf-8", "replace") in verbs:
        return 0
    if _ends(base, rb"[aeiou][^aeiou]e"):
        return 1
    return 3 if base.endswith(b"e") else 2


def find_verb(word: bytes, verbs: frozenset[str]) -> tuple[bytes, str] | None:
    if word.decode("utf-8", "replace") in verbs:
        return word, "base"
    inflections: list[tuple[str, Callable[[bytes], bytes], list[bytes]]] = [
        ("past", past, past_candidates(word)),
        ("gerund", gerund, gerund_candidates(word)),
    ]
    for tense, inflect, _ in inflections:
        for base in verbs:
            if inflect(base.encode()) == word:
                return base.encode(), tense
    for tense, inflect, candidates in inflections:
        bases = [base for base in candidates if inflect(base) == word]
        if bases:
            return min(bases, key=lambda base: _rank(base, verbs)), tense
    return None


def find_noun(word: bytes, nouns: frozenset[str]) -> tuple[bytes, bool] | None:
    if word.decode("utf-8", "replace") in nouns:
        return word, False
    for base in [*(noun.encode() for noun in nouns), *plural_candidates(word)]:
        if plural(base) == word:
            return base, True
    return None


@dataclass
class Word:
    """A token: its text, kind, readings, and how far it counts as each."""

    text: str
    kind: str
    verb: tuple[bytes, str] | None = None
    noun: tuple[bytes, bool] | None = None
    verb_share: float = 0.0
    noun_share: float = 0.0


def lower(text: str) -> str:
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)


def split(text: str) -> list[str]:
    pieces = [""]
    for letter in text:
        pieces = [*pieces, ""] if letter in GO_BLANKS else [*pieces[:-1], pieces[-1] + letter]
    return [piece for piece in pieces if piece]


def cut(piece: str) -> tuple[str, str]:
    for form in (r"(.*)(\.\.\.)", r"(.+)([?:!;,])", r"(.+)()"):
        if found := re.fullmatch(form, piece, re.DOTALL):
            return found[1], found[2]
    return "", ""


def classify(word: str, vocabulary: Vocabulary) -> Word:
    if word in ("a", "an", "the"):
        return Word(word, "article")
    letters = word.encode("utf-8", "surrogatepass")
    verb, noun = find_verb(letters, vocabulary.verbs), find_noun(letters, vocabulary.nouns)
    if verb and noun and word in vocabulary.verbs & vocabulary.nouns:
        return Word(word, "ambiguous", verb, noun)
    if verb:
        return Word(word, "verb", verb, None, 1.0, 0.0)
    if noun:
        return Word(word, "noun", None, noun, 0.0, 1.0)
    return Word(word, "domain" if word in vocabulary.domain_words else "unknown")


def read(text: str, vocabulary: Vocabulary) -> list[Word]:
    words = []
    for piece in split(lower(text)):
        word, mark = cut(piece)
        if word:
            words.append(classify(word, vocabulary))
        if mark:
            words.append(Word(mark, "mark"))
    for index, doubtful in enumerate(words):
        if doubtful.kind == "ambiguous":
            decide(words, index)
    return words


def _bounds_clause(word: Word) -> bool:
    return word.kind == "mark" or word.text in english.CLAUSE_BREAKERS


def clause_around(words: list[Word], index: int) -> list[Word]:
    start = end = index
    while start > 0 and not _bounds_clause(words[start - 1]):
        start -= 1
    while end + 1 < len(words) and not _bounds_clause(words[end + 1]):
        end += 1
    return words[start:index] + words[index + 1 : end + 1]


def decide(words: list[Word], index: int) -> None:
    word, verb, noun = words[index], 0.0, 0.0
    if index > 0 and words[index - 1].text in english.DETERMINERS:
        noun += 0.35
    if index > 0 and (words[index - 1].text in english.AUXILIARIES or words[index - 1].text == "to"):
        verb += 0.25
    if index + 1 < len(words) and words[index + 1].kind != "ambiguous":
        behind = words[index + 1]
        if behind.kind in ("article", "noun") or behind.text in english.DETERMINERS:
            verb += 0.15
        elif behind.kind == "verb":
            noun += 0.15
    if index == 0:
        verb += 0.10
    if any(other.kind == "verb" and other.verb_share >= 1 for other in clause_around(words, index)):
        noun += 0.10
    own_base = word.text.encode()
    others = words[:index] + words[index + 1 :]
    if any(other.kind == "noun" and other.noun == (own_base, True) for other in others):
        verb += 0.03
    if any(other.kind == "verb" and other.verb in ((own_base, "past"), (own_base, "gerund")) for other in others):
        noun += 0.03
    verb += 0.02
    word.kind = "verb" if verb >= noun else "noun"
    if verb + noun < 0.10:
        verb, noun = (0.55, 0.45) if verb >= noun else (0.45, 0.55)
        word.verb_share, word.noun_share = verb, noun
    else:
        word.verb_share, word.noun_share = verb / (verb + noun), noun / (verb + noun)


def similarity(pairs: list[tuple[float, dict[str, float], dict[str, float]]]) -> float:
    """Of weighted pairs of shares; a pair that is empty on both sides gives its weight to the others."""
    weights = total = 0.0
    for weight, one, other in pairs:
        if not one and not other:
            continue
        weights += weight
        if one and other:
            keys = sorted(one.keys() | other.keys())
            left, right = [one.get(key, 0.0) for key in keys], [other.get(key, 0.0) for key in keys]
            lengths = math.hypot(*left) * math.hypot(*right)
            total += weight * sum(map(operator.mul, left, right)) / lengths if lengths else 0.0
    return total / weights if weights else 1.0
