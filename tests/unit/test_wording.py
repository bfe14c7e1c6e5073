"""How texts compare as wordings, in any script."""

import sys
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lemfarm.wording import FRAME_RUN, changed_share, kept_share, runs, same_text, same_words, word_count, words

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN_WORD = st.text("abcdefgh", min_size=1, max_size=6)
PLAIN_WORDS = st.lists(PLAIN_WORD, min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The ferry's late; don't wait!", ["the", "ferry's", "late", "don't", "wait"]),
        ("The ferry\u2019s late", ["the", "ferry's", "late"]),
        ("'Tis rock 'n' roll'", ["tis", "rock", "n", "roll"]),
        ("well-known snake_case", ["well", "known", "snake", "case"]),
        ("Stra\u00dfe STRASSE", ["strasse", "strasse"]),
        ("\ufb01nd \u2460 x\u00b2", ["find", "1", "x2"]),
        ("e\u0301t\u00e9", ["\u00e9t\u00e9"]),
        ("नदी का पानी", ["नदी", "का", "पानी"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("کِتابْ می\u200cخواهم", ["کِتابْ", "میخواهم"]),
        ("שָׁלוֹם צה״ל", [unicodedata.normalize("NFKC", "שָׁלוֹם"), "צה״ל"]),
        ("Tiếng Việt", ["tiếng", "việt"]),
        ("col·lega", ["col·lega"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("河水, Delta", ["河", "水", "delta"]),
        ("น้ำ ไป", ["น้ํ", "า", "ไ", "ป"]),
        ("カヌー", ["カ", "ヌ", "ー"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zero", "width"]),
        ("!?… 🙂", []),
    ],
)
def test_words_are_runs_of_letters_with_their_marks_or_single_characters(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_every_combining_mark_stays_with_its_letter() -> None:
    """Of all scripts, not of those that somebody thought of."""
    marks = [chr(code) for code in range(0x300, sys.maxunicode) if unicodedata.category(chr(code)) in ("Mn", "Mc")]
    torn = [mark for mark in marks if len(words(f"a{mark}b")) != 1]
    assert (len(marks) > 2000, torn) == (True, [])


@given(TEXT)
def test_words_read_from_words_are_the_same_words(text: str) -> None:
    assert words(same_words(text)) == words(text)


@given(TEXT, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_unicode_form_does_not_tell_words_apart(text: str, form: str) -> None:
    assert words(unicodedata.normalize(form, text)) == words(text)


@given(TEXT)
def test_space_and_unicode_form_do_not_tell_texts_apart(text: str) -> None:
    spaced = "  " + "\n ".join(unicodedata.normalize("NFD", text).split())
    assert same_text(spaced) == same_text(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_read_as_it_is_in_a_text_with_other_letters(text: str) -> None:
    assert [*words(text), "é"] == words(f"{text} é")


def test_case_and_punctuation_do_not_tell_words_apart() -> None:
    assert same_words("Who KEEPS the keys?") == same_words("who keeps, the keys")
    assert same_words("Who keeps the keys?") != same_words("Who kept the keys?")


@given(PLAIN_WORDS)
def test_the_length_of_a_text_with_blanks_is_its_number_of_words(found: list[str]) -> None:
    assert word_count(" ".join(found)) == len(found)


@pytest.mark.parametrize(("character", "expected"), [("河", 100), ("か", 64), ("ก", 40), ("한", 1)])
def test_characters_without_blanks_count_as_their_part_of_a_word(character: str, expected: int) -> None:
    assert word_count(character * 160) == expected


def test_a_text_of_two_scripts_has_the_words_of_both() -> None:
    assert word_count("The river 河水河水河水河水 rises") == 3 + 5


def test_runs_are_all_runs_of_words_in_order() -> None:
    assert runs("One, two. Three four", 3) == ["one two three", "two three four"]
    assert runs("One two", 3) == []


def test_runs_of_characters_are_as_long_as_so_many_words() -> None:
    assert [len(run.split()) for run in runs("河" * 9, 5)] == [8, 8]
    assert [len(run.split()) for run in runs("ก" * 20, 5)] == [20]


def test_what_has_changed_is_counted_in_words_of_the_longer_text() -> None:
    assert changed_share("one two three four", "one two three five") == 0.25
    assert changed_share("one two", "one two three four") == 0.5
    assert changed_share("one two two", "one one two") == pytest.approx(1 / 3)
    assert changed_share("", "!") == 0.0


@given(TEXT, TEXT)
def test_shares_lie_between_none_and_all(one: str, other: str) -> None:
    assert 0.0 <= changed_share(one, other) <= 1.0
    assert 0.0 <= kept_share(one, other) <= 1.0


@given(TEXT, TEXT)
def test_change_is_the_same_both_ways_and_none_for_the_same_words(one: str, other: str) -> None:
    assert changed_share(one, other) == changed_share(other, one)
    assert changed_share(one, same_words(one)) == 0.0


def test_two_texts_with_the_same_characters_need_not_be_the_same() -> None:
    assert changed_share("河水上涨,村民搬走", "村上河民水搬涨走") > 0.9
    assert changed_share("แม่น้ำไหล", "ไหลแม่น้ำ") > 0.3


@given(PLAIN_WORDS, PLAIN_WORDS, PLAIN_WORDS)
def test_a_frame_keeps_everything(before: list[str], text: list[str], after: list[str]) -> None:
    framed = " ".join([*before, *text, *after])
    assert kept_share(" ".join(text), framed) == 1.0


@given(st.lists(PLAIN_WORD, min_size=FRAME_RUN, max_size=40))
def test_words_in_another_company_are_not_kept(text: list[str]) -> None:
    parted = " ".join(f"{word} zz{number}" for number, word in enumerate(text))
    assume(not any(word.startswith("zz") for word in text))
    assert kept_share(" ".join(text), parted) == 0.0


def test_what_is_kept_counts_in_runs_of_four_wherever_they_stand() -> None:
    source = "the old ferry leaves at nine with eight cows aboard"
    assert kept_share(source, "with eight cows aboard the old ferry leaves") == 0.8
    assert kept_share(source, "the old ferry was late, with eight cows") == 0.0
    assert kept_share("", "anything") == 0.0


def test_a_single_word_of_thai_is_not_a_kept_run() -> None:
    assert kept_share("แม่น้ำไหลผ่านหมู่บ้านของเราทุกปี", "เมืองใหญ่มีแม่น้ำสองสาย") == 0.0
