"""What a machine has learnt about a model: kept whole, found again, forgotten on request."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm import engine_record as module
from lemfarm.engine_record import (
    EngineRecord,
    Knee,
    Learnt,
    Peak,
    describe,
    findings,
    forget_shortages,
    length_bucket,
    model_name,
)
from lemfarm.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def record(home: Home) -> EngineRecord:
    return EngineRecord.of(home, "owner/model")


def knee(slots: int = 8, tokens: int = 3000) -> Knee:
    return Knee(slots, {1: 100.0, slots: 500.0}, 32, True, tokens, "mlx 1", "2026-11-21T10:00:00+00:00")


def test_nothing_is_known_at_first(record: EngineRecord) -> None:
    assert record.read() == Learnt()
    assert record.read().shortage() is None
    assert findings(record.read()) == []


def test_after_a_shortage_half_the_slots_are_left_and_one_at_least(record: EngineRecord) -> None:
    assert record.note_shortage(16, "it died").left == 8
    assert record.note_shortage(8, "it died").left == 4
    decides = record.read().shortage()
    assert decides is not None
    assert (decides.slots, decides.left) == (8, 4)
    assert record.note_shortage(1, "it died").left == 1


def test_the_death_of_one_process_is_noted_once(record: EngineRecord) -> None:
    for _ in range(2):
        record.note_shortage(16, "it died", worker="w-1")
    assert len(record.read().shortages) == 1


def test_slots_that_are_asked_for_go_before_what_others_learnt_but_not_before_what_they_led_to(
    record: EngineRecord,
) -> None:
    record.note_shortage(8, "yesterday", session=11)
    assert record.read().shortage(asked=16, session=22) is None
    record.note_shortage(16, "now", session=22)
    mine = record.read().shortage(asked=16, session=22)
    assert mine is not None
    assert mine.left == 8
    assert record.read().shortage(asked=16, session=0) is None, "without a supervisor nobody starts it again"


def test_a_knee_is_found_by_the_length_of_the_sequences(record: EngineRecord) -> None:
    record.note_knee(knee(8, tokens=3000))
    record.note_knee(knee(4, tokens=9000))
    known = record.read()
    assert known.knee(2100) == known.knee(4096) == knee(8, tokens=3000)
    assert known.knee(9000) == knee(4, tokens=9000)
    assert known.knee(1000) is None
    record.note_knee(knee(16, tokens=3000))
    assert record.read().knee(3000) == knee(16, tokens=3000)


def test_the_highest_peak_stays(record: EngineRecord) -> None:
    for size in (5, 9, 7):
        record.note_peak(size << 30, slots=4)
    peak = record.read().peak
    assert peak is not None
    assert (peak.bytes, peak.slots) == (9 << 30, 4)


def test_each_model_and_each_machine_has_a_record_of_its_own(
    home: Home, record: EngineRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.note_shortage(16, "it died")
    assert EngineRecord.of(home, "owner/other").read() == Learnt()
    monkeypatch.setattr(module, "chip", lambda: "Apple M9")
    assert EngineRecord.of(home, "owner/model").read() == Learnt()


def test_limits_are_forgotten_and_measurements_kept(home: Home, record: EngineRecord) -> None:
    record.note_shortage(16, "it died")
    record.note_peak(1 << 30, 16)
    EngineRecord.of(home, "owner/other").note_peak(1 << 30, 16)
    assert forget_shortages(home) == 1
    assert record.read().shortages == ()
    assert record.read().peak is not None
    assert forget_shortages(home) == 0


@pytest.mark.parametrize("damaged", ["", "[]", '{"shortages": [{"slots": 1}]}', '{"knees": {"x": {}}}', '{"peak": 3}'])
def test_a_damaged_file_is_an_empty_one_and_is_written_anew(record: EngineRecord, damaged: str) -> None:
    record.path.parent.mkdir()
    record.path.write_text(damaged)
    assert record.read() == Learnt()
    record.note_peak(1, 1)
    assert record.read().peak is not None


def test_a_home_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("in the way")
    record = EngineRecord.of(Home(tmp_path), "m")
    assert record.note_shortage(8, "it died").left == 4
    assert record.read() == Learnt()


def test_what_several_note_at_once_is_all_kept(record: EngineRecord) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: record.note_shortage(8, "it died", worker=f"w-{number}"), range(8)))
    assert {shortage.worker for shortage in record.read().shortages} == {f"w-{number}" for number in range(8)}


@given(tokens=st.integers(1, 200_000))
def test_a_bucket_holds_lengths_up_to_twice_the_shortest(tokens: int) -> None:
    bucket = length_bucket(tokens)
    assert tokens <= bucket
    assert bucket == 256 or bucket < 2 * tokens
    assert length_bucket(bucket) == bucket


def test_siblings_of_one_architecture_share_a_name_and_another_size_does_not(tmp_path: Path) -> None:
    def make(name: str, weights: bytes) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
        (folder / "model.safetensors").write_bytes(weights)
        return folder

    base, tuned, larger = make("base", b"abc"), make("tuned", b"xyz"), make("larger", b"abcd")
    assert model_name(base, "a/b") == model_name(tuned, "c/d") != model_name(larger, "a/b")
    assert model_name(None, "simulated") == "simulated"
    assert model_name(tmp_path / "gone", "a/b") == str(tmp_path / "gone")


def test_people_read_what_was_learnt(record: EngineRecord) -> None:
    record.note_peak(3 << 30, 16)
    record.note_knee(knee(8))
    said = findings(record.read())
    assert said[0] == "measured peak 3.0 GiB with 16 slots"
    assert "knee at 8 of up to 32 slots for 3,000 tokens (500 tokens/s, 100 at 1)" in said[1]
    record.note_knee(replace(knee(8), sure=False))
    assert "no sure knee for 3,000 tokens" in findings(record.read())[1]
    shortage = record.note_shortage(16, "a worker was killed")
    assert "8 slots instead of 16: a worker was killed on 20" in describe(shortage)
    assert "--forget-limits" in describe(shortage)
    assert isinstance(record.read().peak, Peak)
