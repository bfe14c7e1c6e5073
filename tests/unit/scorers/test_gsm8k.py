"""`gsm8k`: which number an answer gives, and when it is the expected one."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.scorers import ComparingScorer, get_scorer, scorer_for
from lemfarm.scorers.base import Score
from lemfarm.scorers.gsm8k import Gsm8k
from tests.unit.scorers.texts import any_characters, texts


def score(answer: str, expected: str = "18") -> Score:
    return Gsm8k().against(expected).score("How many?", answer)


def given_number(answer: str) -> str | None:
    """The place that was taken for the number, or none."""
    places = [answer[hit.start : hit.end] for hit in score(answer).hits]
    return places[0] if places else None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # behind the mark, the first that has a number
        ("We add.\n#### 18", "18"),
        ("####18 and 20", "18"),
        ("#### \n\n 18", "18"),
        ("#####18", "18"),
        ("### 18 of 20", "20"),
        ("#### 17\n#### 18", "17"),
        ("#### $18\n#### 20", "20"),
        ("#### -1,234.50 in all", "-1,234.50"),
        ("#### ...", "..."),
        ("#### .\n18", "."),
        ("####\u00a018", "18"),
        # no such mark: the last number that follows a blank, an equals sign or the start
        ("#### $18, or 20", "20"),
        ("18", "18"),
        ("3 + 15 = 18 apples", "18"),
        ("3+15=18.", "18"),
        ("it is -5.25", "-5.25"),
        ("it is 5.", "5"),
        ("it is 5.x", "5"),
        ("12 of them cost $18 (18), 20%", "20"),
        ("in the 3rd", "3"),
        ("it is --5", None),
        ("it is .5", None),
        ("18 , or so", ","),
        ("it is \u0661\u0668", "\u0661\u0668"),
        ("$18 (18) *18* x18", None),
        ("", None),
        ("ERROR: #### 18", None),
        (" ERROR: #### 18", "18"),
    ],
)
def test_the_number_of_an_answer(answer: str, expected: str | None) -> None:
    assert given_number(answer) == expected
    assert score(answer).signals["answered"] == (expected is not None)


@pytest.mark.parametrize(
    ("expected", "answer", "correct"),
    [
        ("18", "#### 18", 1),
        ("18", "#### 18.00", 1),
        ("18", "#### 18.0099", 1),
        ("18", "#### 18.02", 0),
        ("0", "#### 0.01", 0),  # a hundredth is too much
        ("1800", "#### 1,800", 1),
        ("1,800", "#### 1,800", 0),  # commas are removed from the answer only
        (" 18\n", "#### 18", 1),
        ("18", "#### 18.", 1),
        ("18", "#### 18-", 0),
        ("18", "#### .", 0),
        ("1-2", "#### 1-2", 1),  # no numbers: compared as texts
        (" 1-2 ", "#### 1-2", 1),
        ("", "#### ,", 1),
        ("18", "\u0661\u0668", 1),
        ("18", "none", 0),
        ("nan", "18", 0),
        ("inf", "9" * 400, 0),
    ],
)
def test_what_is_correct(expected: str, answer: str, correct: int) -> None:
    found = score(answer, expected)

    assert (found.value, found.signals["correct"]) == (float(correct), correct)


def test_the_number_is_a_signal_where_it_is_one() -> None:
    assert dict(score("#### 1,800.5").signals) == {"correct": 0, "answered": 1, "extracted": 1800.5}
    assert dict(score("#### .").signals) == {"correct": 0, "answered": 1}
    assert dict(score("9" * 400).signals) == {"correct": 0, "answered": 1}  # too large for a float
    assert dict(score("none").signals) == {"correct": 0, "answered": 0}


def test_without_an_expected_answer_it_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"expected answer.*correct_answer"):
        Gsm8k().score("", "18")


def test_the_registry_hands_out_a_scorer_that_was_told() -> None:
    assert isinstance(get_scorer("gsm8k"), ComparingScorer)
    scorer = scorer_for("gsm8k", "18")

    assert (scorer.name, scorer.version) == (get_scorer("gsm8k").name, get_scorer("gsm8k").version)
    assert scorer.score("", "#### 18").value == 1.0


def plainly(answer: str) -> str | None:
    """The rules read character by character."""
    if answer[:5] == "ERROR":
        return None
    for start in range(len(answer)):
        marked = run(answer[start + 4 :].lstrip(), ",.-") if answer.startswith("####", start) else ""
        if marked:
            return marked
    numbers = [number_at(answer, start) for start in range(len(answer))]
    return next((number for number in reversed(numbers) if number), None)


def run(text: str, others: str) -> str:
    end = 0
    while end < len(text) and (text[end].isdecimal() or text[end] in others):
        end += 1
    return text[:end]


def number_at(answer: str, start: int) -> str:
    """The number that begins here, or nothing."""
    if start > 0 and not (answer[start - 1].isspace() or answer[start - 1] == "="):
        return ""
    sign = "-" if answer[start] == "-" else ""
    whole = run(answer[start + len(sign) :], ",")
    rest = answer[start + len(sign) + len(whole) :]
    fraction = run(rest[1:], "") if rest.startswith(".") else ""
    return sign + whole + (f".{fraction}" if fraction else "") if whole else ""


numbers = st.lists(st.sampled_from([*"0123456789.,-=# \n\t", "####", "#### ", "$", "\u0664", "\u00b2", "x"])).map(
    "".join
)


@settings(max_examples=150)
@given(texts | numbers)
@example("#" * 9 + " " * 9 + "#" * 9 + "7")
@example("= -1,2.3.4 ")
def test_the_number_is_that_of_a_plain_reading_of_the_rules(answer: str) -> None:
    assert given_number(answer) == plainly(answer)


@settings(deadline=None)
@given(texts | numbers, st.sampled_from(("18", "0", "1-2", "", ".", "nan", "-inf", "x")) | any_characters)
def test_correct_is_what_differs_by_less_than_a_hundredth_or_reads_the_same(answer: str, expected: str) -> None:
    found, number = score(answer, expected), plainly(answer)

    if number is None:
        assert found.value == 0
    else:
        assert found.value == is_same(expected, number.replace(",", ""))


def is_same(expected: str, number: str) -> bool:
    try:
        return -0.01 < float(expected) - float(number) < 0.01
    except ValueError:
        return expected.strip() == number.strip()
