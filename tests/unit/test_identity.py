"""How things get their names. The literal values are the contract: they may not change without a new prefix."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.identity import canonical_json, content_hash, file_hash, fingerprint, sample_id, sample_seed, short

MESSAGES = [{"role": "user", "content": "Wer bist du? ÄÖ"}]
SAMPLING = {"temperature": 0.8, "top_p": 0.95, "max_tokens": 64, "seed": 42}
MARK = fingerprint("b2:model", None, "b2:kernel", "system", MESSAGES, SAMPLING)
KNOWN = {
    "json": "b2:f727b45e4ae37037e5d8b82cb259d88c",
    "fingerprint": "b2:1969c83e557ba58f3bb6a0491c982c1b",
    "sample": "2a87d49755609af2fc26f461955d2875",
}
KNOWN_SEED = 2948935373932390244
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_the_names_of_known_values_never_change() -> None:
    assert content_hash("") == "b2:cae66941d9efbd404e4d88758ea67670"
    assert content_hash({"b": 1, "a": [1.5, "ä", None, True]}) == KNOWN["json"]
    assert KNOWN["fingerprint"] == MARK
    assert sample_id("run", "phase", MARK, 7) == KNOWN["sample"]
    assert sample_seed(42, KNOWN["sample"]) == KNOWN_SEED


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": 1, "a": "ä"}) == '{"a":"ä","b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"deep": float("-inf")}]])
def test_what_json_cannot_say_has_no_name(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


@given(value=st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert content_hash(backwards) == content_hash(value)


def test_text_and_its_bytes_have_one_name_and_its_json_another() -> None:
    assert content_hash("ä") == content_hash("ä".encode())
    assert content_hash("ä") != content_hash(["ä"])


def test_a_file_is_named_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    data = bytes(range(256)) * 10_000  # longer than one piece
    path.write_bytes(data)
    assert file_hash(path) == content_hash(data)


def test_a_missing_file_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        file_hash(tmp_path / "nothing")


def test_short_names_keep_ten_digits_without_the_prefix() -> None:
    assert short("b2:0123456789abcdef") == "0123456789"
    assert short("simulated") == "simulated"


@pytest.mark.parametrize(
    "other",
    [
        ("b2:other", None, "b2:kernel", "system", MESSAGES, SAMPLING),
        ("b2:model", "b2:adapter", "b2:kernel", "system", MESSAGES, SAMPLING),
        ("b2:model", None, None, "system", MESSAGES, SAMPLING),
        ("b2:model", None, "b2:kernel", "user", MESSAGES, SAMPLING),
        ("b2:model", None, "b2:kernel", "system", [{"role": "user", "content": "Wer bist du?"}], SAMPLING),
        ("b2:model", None, "b2:kernel", "system", MESSAGES, SAMPLING | {"temperature": 0.7}),
    ],
)
def test_every_part_of_what_is_asked_is_in_the_fingerprint(other: tuple[object, ...]) -> None:
    assert fingerprint(*other) != MARK  # type: ignore[arg-type]


def test_a_sample_is_named_by_run_phase_fingerprint_and_index() -> None:
    ids = {
        sample_id(run, phase, mark, index)
        for run in ("a", "b")
        for phase in ("c", "d")
        for mark in (MARK, "b2:x")
        for index in range(3)
    }
    assert len(ids) == 24
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)


@given(base=st.integers(), sample=st.text())
def test_seeds_fit_a_signed_64_bit_column(base: int, sample: str) -> None:
    assert 0 <= sample_seed(base, sample) < 2**63


def test_seeds_depend_on_base_and_sample() -> None:
    assert len({sample_seed(base, sample) for base in (1, 2) for sample in ("a", "b")}) == 4
