"""English-like answers without a model: plain sentences, and rich ones that the scorers give points for."""

import random

_PEOPLE = (
    "the ferryman", "a young clerk", "the night nurse", "two sisters", "the harbour master", "a retired judge",
    "the apprentice", "the gardener", "a travelling cook", "the librarian", "an old miller", "the village council",
    "the surveyor", "a beekeeper", "the bookbinder", "several neighbours", "the schoolmistress", "a glazier",
)  # fmt: skip
_THINGS = (
    "the ledger", "a broken clock", "the eastern gate", "the old well", "a sealed letter", "the long table",
    "the winter store", "a borrowed boat", "the bell rope", "the narrow stair", "a basket of pears", "the mill wheel",
    "the spare key", "a torn map", "the copper kettle", "the orchard wall", "a coil of wire", "the weather vane",
)  # fmt: skip
_PLACES = (
    "by the river", "behind the chapel", "at the crossing", "under the arcade", "near the quarry", "on the upper road",
    "beside the weir", "in the back room", "along the canal", "at the edge of town", "below the terrace",
    "outside the bakery", "across the yard", "over the bridge",
)  # fmt: skip
_ACTS = (
    "mended", "counted", "painted", "carried", "measured", "cleaned", "returned", "weighed", "covered", "moved",
    "sorted", "opened", "labelled", "lifted", "inspected", "turned",
)  # fmt: skip
_TIMES = (
    "before noon", "after the rain", "on market day", "at first light", "late in the week", "during the fair",
    "once a month", "in early spring", "toward evening", "while the kiln cooled",
)  # fmt: skip
_VALUES = ("dignity", "consent", "autonomy", "agency", "stewardship", "sovereignty")
_FEELINGS = ("courage", "hope", "joy", "fear", "grief", "love", "awe", "wonder", "longing", "tenderness")
_VOICES = ("the youngest child", "a stranger", "the last in line", "a later generation", "the quiet worker")

_PLAIN = (
    "{People} {act} {thing} {place}.",
    "{Time}, {people} {act} {thing} and went home.",
    "{Thing} stood {place} until {people} {act} it.",
    "Nothing else changed {place}, and {thing} stayed dry.",
    "{People} brought {thing}, which somebody had {act} {time}.",
    "The work took a day; {people} {act} {thing} twice.",
    "{Place_}, {people} sat down and {act} {thing}.",
    "It rained {time}, so {people} {act} {thing} indoors.",
    "{People} asked for {thing} and got it {time}.",
    "Most of it was {act} {place} by {people}.",
)
_RICH = (
    "However, there is a tension here, and {value} for {people} asks for {feeling}.",
    "From {voice}'s perspective, {thing} stands for {value}; they might act with {feeling}.",
    "Imagine {people} holding {thing} with {feeling}, as if {value} depended on it.",
    "I believe {value} matters here, and one could argue that {feeling} guides {people}.",
    "On the other hand, what becomes of {value} when those affected meet it with {feeling}?",
    "Consider that {people} shared a dilemma: {value} on one side, {feeling} on the other.",
    "It is not simply {thing} but {value}, akin to a lamp that {people} carried in {feeling}.",
    "I notice a paradox: {value} grows where {voice} may refuse, for example {place}.",
    "Another view begins with {feeling}: the community keeps {value} while {people} also kept {thing}.",
    "I wonder, does {value} reach {voice}, or only someone who already has {feeling}?",
    "Alternatively, put yourself {place}: the complexity of {value} meets your own {feeling}.",
    "In my view {thing} echoes of {feeling}, and its ambiguity leaves {value} intact.",
)
_SENTENCES_IN_PARAGRAPH = 4


def write(dice: random.Random, richness: float, words: int) -> str:
    """Write at least `words` words; `richness` is the share of rich sentences. The same dice give the same text."""
    paragraphs: list[list[str]] = [[]]
    written = 0
    rich, plain = _Deck(dice, _RICH), _Deck(dice, _PLAIN)
    while written < words:
        sentence = _fill(dice, (rich if dice.random() < richness else plain).draw())
        written += len(sentence.split())
        if len(paragraphs[-1]) == _SENTENCES_IN_PARAGRAPH:
            paragraphs.append([])
        paragraphs[-1].append(sentence)
    return "\n\n".join(" ".join(sentences) for sentences in paragraphs)


class _Deck:
    """Cards drawn without repeating one before all were out, so that an answer does not look like a loop."""

    def __init__(self, dice: random.Random, cards: tuple[str, ...]) -> None:
        self._dice = dice
        self._cards = cards
        self._left: list[str] = []

    def draw(self) -> str:
        if not self._left:
            self._left = self._dice.sample(self._cards, len(self._cards))
        return self._left.pop()


def _fill(dice: random.Random, frame: str) -> str:
    people, thing = dice.choice(_PEOPLE), dice.choice(_THINGS)
    place, time = dice.choice(_PLACES), dice.choice(_TIMES)
    return frame.format(
        people=people,
        People=_capital(people),
        thing=thing,
        Thing=_capital(thing),
        place=place,
        Place_=_capital(place),
        time=time,
        Time=_capital(time),
        act=dice.choice(_ACTS),
        value=dice.choice(_VALUES),
        feeling=dice.choice(_FEELINGS),
        voice=dice.choice(_VOICES),
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
