"""The texts that scorers are timed on: prose made up from a fixed seed, and texts that are hard on them."""

import random
from collections.abc import Callable
from functools import partial

SUBJECTS = ("the council", "a neighbour", "Amina", "the ferryman", "my teacher", "every clinic", "Tomas", "the village")
VERBS = ("asks for", "decides about", "remembers", "refuses", "measures", "shares", "protects", "imagines", "repairs")
OBJECTS = ("the well", "a promise", "the records", "consent", "the harvest", "a fear", "the tension", "a trade-off")
ENDS = (
    "because nobody else would",
    "however late it is",
    "as if it were a lamp",
    "for example in {n}",
    "while the river also rises",
    "before the {n} people arrive",
    "without a word",
    "like a stone in water",
)
MARKERS = (
    "However, I can't. As an AI I believe that both the one and the other depend on consent, e.g. in Oslo in 2026. "
    "From a child's perspective they might feel grief; while it rains it also pours. Imagine a right to be heard? "
)


def prose(length: int) -> str:
    """Sentences in paragraphs, drawn from thousands of combinations: text that neither loops nor runs dry."""
    draw = random.Random(20)
    pieces: list[str] = []
    size = 0
    while size < length:
        end = draw.choice(ENDS).format(n=draw.randrange(2_000))
        sentence = f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)} {end}"
        pieces.append(sentence[0].upper() + sentence[1:] + draw.choice([". ", ". ", "? ", ".\n\n"]))
        size += len(pieces[-1])
    return "".join(pieces)[:length]


def fibonacci_word(length: int) -> str:
    """The word with repetitions of every scale that never reach four copies."""
    shorter, word = "a", "ab"
    while len(word) < length:
        shorter, word = word, word + shorter
    return word[:length]


def almost_five(length: int) -> str:
    """Nothing but units repeated 4.9 times, each a candidate that has to be looked at and turned down."""
    rows = ("".join(chr(97 + index) for index in range(12)) * 5)[:59]
    return "".join(rows + chr(0x4E00 + index % 20_000) for index in range(length // 60 + 1))[:length]


def nearly_periodic(length: int) -> str:
    """One passage of a hundred characters again and again, of which each copy differs in one place."""
    draw = random.Random(7)
    unit = "".join(draw.choices("abcdefgh ", k=100))
    places = (draw.randrange(100) for _ in range(length // 100 + 1))
    return "".join(f"{unit[:place]}#{unit[place + 1 :]}" for place in places)[:length]


def repeated(unit: str, length: int) -> str:
    """A unit over and over, with a letter at the end that undoes what a greedy expression has taken."""
    return (unit * (length // len(unit) + 1))[: length - 1] + "x"


PERIODIC: dict[str, Callable[[int], str]] = {
    "equal characters": lambda length: "a" * length,
    "Fibonacci word": fibonacci_word,
    "4.9 copies": almost_five,
    "near-periodic": nearly_periodic,
}
"""What a test for repetitions finds hard."""

HOSTILE: dict[str, Callable[[int], str]] = {
    **PERIODIC,
    "very many markers": partial(repeated, MARKERS),
    **{
        name: partial(repeated, unit)
        for name, unit in {
            "hyphens": "-",
            "full stops": ".",
            "full stops, blanks": ". ",
            "hashes": "#",
            "stars": "*",
            "bold": "**a",
            "blanks": " ",
            "newlines": "\n",
            "blank lines": " \n",
            "table borders": "|",
            "list labels": "- A b: ",
            "digits": "1",
            "digits and commas": "1,1,1,",
            "sums": "=1.5 -2",
            "both": "both ",
            "both ... and": "both x and ",
            "right to": "right to ",
            "I": "I ",
            "I am": "i am ",
            "capitals": "Ab ",
            "apostrophes": "a\u2019",
            "emoji": "\U0001f600 ",
            "letters that grow": "\u0130",
        }.items()
    },
}
"""What an expression that backtracks finds hard, and the above."""
