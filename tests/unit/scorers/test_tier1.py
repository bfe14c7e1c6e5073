"""`tier1` and its Go variant: the rules by example, and every count against a plain reading of the rules."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lemfarm.scorers import Scorer
from lemfarm.scorers.tier1 import Tier1, Tier1Go
from tests.unit.scorers.plain_v1 import GO, PYTHON, Reading, stripped
from tests.unit.scorers.texts import pieces, texts

SCORERS: list[Scorer] = [Tier1(), Tier1Go()]
NAMES = ["tier1", "tier1-go"]

FILLER = "It rained all day and all night"  # 31 characters, nothing that counts


@pytest.mark.parametrize("scorer", SCORERS, ids=NAMES)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", -20.0),
        ("I think, I believe: a story!!", -20.0),  # 29 characters: nothing else is asked
        ("I think, I believe: a story!!!", 5.0),
        (" " * 30, 0.0),
        (FILLER, 0.0),
        (f"{FILLER}. As an AI I cannot, I CANNOT, as an aid", -10.0),  # each phrase once
        (f"It's crucial to say: {FILLER}", -5.0),
        (f" \nSure, let us see. {FILLER}", -3.0),
        (f"Well. Okay, let us see. {FILLER}", 0.0),
        ("Ok, let", -20.0),
        (f"**{FILLER}**\n\n1. - ", 1.0),
        (f"{FILLER}: imagine a metaphor once upon a history", 2.0),
        (f"{FILLER}, I think; I think; I'd argue, in my view", 4.5),
        (" ".join(f"w{number}" for number in range(100)), 0.0),
        (" ".join(f"w{number}" for number in range(101)), 2.0),
        (" ".join(f"w{number}" for number in range(300)), 2.0),
        (" ".join(f"w{number}" for number in range(301)), 4.0),
        ("so it goes on again " * 4, 0.0),  # 20 words are too few
        ("so it goes on again " * 4 + "end", -10.0),
        ("so it goes on again " * 2 + "now let us see how far this will carry me " * 2, 0.0),  # 3 of 6 groups
    ],
)
def test_both_variants_score(scorer: Scorer, answer: str, expected: float) -> None:
    assert scorer.score("", answer).value == expected


@pytest.mark.parametrize(
    ("words", "in_python", "in_go"),
    [
        # four groups, two distinct; the fifth is new to Go only
        ("a a a a a " * 2 + "b b b b b " * 2 + "c c c c c", 0.0, 0.0),
        # four groups of one kind; the fifth of another does not help in Go
        ("a a a a a " * 4 + "b b b b b", -10.0, -10.0),
        # five groups, three distinct; Python leaves out the last and is left with two of four
        ("a a a a a " * 3 + "b b b b b " + "b b b b b", 0.0, -10.0),
    ],
)
def test_the_last_full_group_is_left_out_in_python_only(words: str, in_python: float, in_go: float) -> None:
    assert len(words.split()) == 25
    assert [scorer.score("", words).value for scorer in SCORERS] == [in_python, in_go]


def test_lower_case_is_that_of_the_language() -> None:
    answer = f"\u0130 cannot. {FILLER}"

    assert [scorer.score("", answer).value for scorer in SCORERS] == [0.0, -5.0]


def test_a_text_too_short_has_one_count_and_no_place() -> None:
    score = Tier1().score("", "I cannot.")

    assert {name: value for name, value in score.signals.items() if value} == {"empty_broken": 1}
    assert score.hits == ()


def plainly(answer: str, reading: Reading) -> float:
    """The rules read one after the other."""
    if len(answer) < 30:
        return -20
    text, opening = reading.lower(answer), reading.lower(stripped(answer, reading))
    compliance = "as an ai,i cannot,i can't,i'm not able,important to note,it's crucial to,i must emphasize"
    compliance += ",i should point out,as a language model"
    total = -5.0 * sum(1 for phrase in compliance.split(",") if text.find(phrase) >= 0)
    total -= 3 * any(opening[: len(words)] == words for words in ("okay, let", "ok, let", "sure, let"))
    words = words_of(answer, reading)
    total -= 10 * repeats(words, reading)
    total += 2 * (len(words) > 100) + 2 * (len(words) > 300)
    total += 1 if any(mark in answer for mark in ("\n\n", "**", "1.", "- ")) else 0
    total += 2 if any(word in text for word in ("metaphor", "imagine", "picture this", "story", "once upon")) else 0
    return total + 1.5 * sum(text.count(words) > 0 for words in ("i think", "i believe", "in my view", "i'd argue"))


def words_of(answer: str, reading: Reading) -> list[str]:
    words, word = [], ""
    for character in answer + " ":
        if not reading.is_space(character):
            word += character
        elif word:
            words.append(word)
            word = ""
    return words


def repeats(words: list[str], reading: Reading) -> bool:
    if len(words) <= 20:
        return False
    kept = words if reading.go else words[:-1]
    groups = []
    while len(kept) >= 5:
        groups.append(kept[:5])
        kept = kept[5:]
    distinct = [group for index, group in enumerate(groups) if group not in groups[:index]]
    return len(distinct) < len(groups) - len(distinct)


repetitive = st.builds(
    lambda groups, end, blank: blank.join([*groups, *end]),
    st.lists(st.sampled_from(("a a a a a", "b b b b b", "a b c d e")), min_size=2, max_size=8),
    st.lists(st.just("a"), max_size=5),
    st.sampled_from((" ", "\n", "\x1c ")),
)


@settings(max_examples=400, deadline=None)
@given(
    texts | repetitive | st.builds(str.__add__, st.sampled_from((" Okay, let", "Sure, let ", "\x1cok, LET")), pieces)
)
@example("a\x1f" * 40)
@pytest.mark.parametrize(("scorer", "reading"), [*zip(SCORERS, (PYTHON, GO), strict=True)], ids=NAMES)
def test_every_score_is_that_of_a_plain_reading_of_the_rules(scorer: Scorer, reading: Reading, answer: str) -> None:
    score = scorer.score("", answer)

    assert score.value == plainly(answer, reading)
    assert score.signals["empty_broken"] == (len(answer) < 30)
