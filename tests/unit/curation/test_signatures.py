"""What two texts have in common, by their signatures."""

import random

import pytest

from lemfarm.curation.signatures import LEAST_RUNS, band_key, bands, sign, similarity
from lemfarm.engines.simulated_text import write

REFUSALS = (
    "I am sorry, but I cannot help with opening a lock that is not yours. A locksmith can.",
    "I am sorry, but I cannot help with reading letters that are not yours. A friend can.",
)


def text(seed: int, words: int = 200) -> str:
    return write(random.Random(seed), 0.3, words)


def edited(source: str, share: float, seed: int = 0) -> str:
    """So many of the words are replaced, left out, or followed by another."""
    dice, words = random.Random(seed), source.split()
    for place in dice.sample(range(len(words)), max(1, round(len(words) * share))):
        words[place] = dice.choice([f"other{dice.randrange(999)}", "", f"{words[place]} indeed"])
    return " ".join(words)


def alike(one: str, other: str) -> float:
    return similarity(sign(one), sign(other))


def test_unicode_form_and_white_space_do_not_tell_texts_apart() -> None:
    assert sign("Caf\u00e9  is\nopen. ") == sign("Cafe\u0301 is open.")


def test_a_short_text_has_no_twin_but_the_same_text() -> None:
    assert alike(REFUSALS[0], REFUSALS[1]) == 0.0
    assert alike(REFUSALS[0], REFUSALS[0] + "\n") == 1.0
    assert sign(REFUSALS[0]).minhash == b""


def test_a_text_is_long_enough_to_be_compared_from_its_least_runs_on() -> None:
    words = [f"word{number}" for number in range(LEAST_RUNS + 2)]
    assert sign(" ".join(words)).minhash
    assert not sign(" ".join(words[:-1])).minhash


def test_case_and_punctuation_make_a_near_duplicate_not_the_same_text() -> None:
    source = text(1)
    assert sign(source).exact != sign(source.upper()).exact
    assert alike(source, source.upper().replace(".", "!")) == 1.0


@pytest.mark.parametrize(("share", "least"), [(0.01, 1.0), (0.03, 1.0), (0.05, 0.85)])
@pytest.mark.parametrize("words", [50, 300])
def test_most_copies_with_planted_edits_are_found(share: float, least: float, words: int) -> None:
    """At the threshold that a gate has when nothing is said, and by way of the bands."""
    found = 0
    for seed in range(30):
        one, other = sign(text(seed, words)), sign(edited(text(seed, words), share, seed))
        found += similarity(one, other) >= 0.7 and bool(set(bands(one)) & set(bands(other)))
    assert found >= least * 30


@pytest.mark.parametrize("words", [50, 300])
def test_other_answers_of_the_same_making_are_not_found(words: int) -> None:
    """Their sentences come from the same few patterns, which real answers to one question have in common less."""
    signatures = [sign(text(seed, words)) for seed in range(30)]
    pairs = ((one, other) for number, one in enumerate(signatures) for other in signatures[:number])
    assert max(similarity(one, other) for one, other in pairs) < 0.6


def test_band_keys_fit_every_database() -> None:
    keys = [band_key(band) for band in bands(sign(text(2)))]
    assert len(set(keys)) == len(keys) == 26
    assert all(0 <= key < 1 << 63 for key in keys)
