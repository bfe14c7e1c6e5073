"""What a dead worker's files say of its death, and what does not count as memory running short."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lemfarm.engine_record import EngineRecord
from lemfarm.errors import DatabaseDown
from lemfarm.home import Home
from lemfarm.local_workers import WorkerPlace
from workers.vitals import Vitals, VitalsFile, new_vitals, note_death, session_of

GIB = 1 << 30
BUSY = Vitals("w-1", "boot", "owner/model", slots=8, limit=10 * GIB, session=7, peak=5 * GIB, together=True)


@pytest.fixture
def place(tmp_path: Path) -> WorkerPlace:
    return WorkerPlace(Home(tmp_path), "mac-1")


def leave(place: WorkerPlace, vitals: Vitals, fault: str = "") -> None:
    """What a process that was ended leaves."""
    made = VitalsFile(place, vitals)
    made._change()
    place.fault.write_text(fault)


def learnt(place: WorkerPlace) -> list[tuple[int, int, int]]:
    known = EngineRecord.of(place.home, "owner/model").read()
    return [(one.slots, one.left, one.session) for one in known.shortages]


def test_an_abort_with_several_samples_halves_the_slots(place: WorkerPlace) -> None:
    leave(place, BUSY, "Fatal Python error: Aborted\n\nCurrent thread 0x1 (most recent call first):\n")
    noted = note_death(place.home, place, "boot")
    assert noted is not None
    assert "aborted" in noted.why
    assert learnt(place) == [(8, 4, 7)]
    note_death(place.home, place, "boot")
    assert learnt(place) == [(8, 4, 7)], "a second look notes nothing more"


def test_a_kill_with_memory_near_its_limit_counts(place: WorkerPlace) -> None:
    leave(place, replace(BUSY, peak=9 * GIB))
    noted = note_death(place.home, place, "boot")
    assert noted is not None
    assert "9.0 of 10.0 GiB" in noted.why


@pytest.mark.parametrize(
    ("vitals", "fault"),
    [
        (BUSY, ""),  # kill -9 by somebody, or a crash with a code of its own
        (BUSY, "Fatal Python error: Segmentation fault\n"),
        (replace(BUSY, together=False), "Fatal Python error: Aborted\n"),  # alone: fewer slots would not help
        (replace(BUSY, slots=1), "Fatal Python error: Aborted\n"),
        (replace(BUSY, boot_id="before the power cut", peak=9 * GIB), ""),
        (replace(BUSY, limit=0, peak=9 * GIB), ""),  # an engine that holds no model
    ],
)
def test_other_deaths_leave_the_slots_alone(place: WorkerPlace, vitals: Vitals, fault: str) -> None:
    leave(place, vitals, fault)
    assert note_death(place.home, place, "boot") is None
    assert learnt(place) == []


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"worker": "w"}'])
def test_files_that_are_missing_or_damaged_tell_nothing(place: WorkerPlace, text: str | None) -> None:
    if text is not None:
        place.vitals.parent.mkdir()
        place.vitals.write_text(text)
    assert note_death(place.home, place, "boot") is None


_ENDS = """
import os, signal, sys
from pathlib import Path
from lemfarm.home import Home
from lemfarm.local_workers import WorkerPlace
from workers.vitals import VitalsFile, new_vitals

file = VitalsFile(WorkerPlace(Home(Path(sys.argv[1])), "mac-1"), new_vitals("w-1", "boot", "owner/model", 8, 0))
file.open()
file.company(True)
if sys.argv[2] == "goodbye":
    file.company(False)
    file.close()
elif sys.argv[2] == "abort":
    os.abort()
"""


@pytest.mark.parametrize(("how", "code", "expected"), [("abort", -signal.SIGABRT, [(8, 4, 4711)]), ("goodbye", 0, [])])
def test_a_real_process_leaves_what_it_takes(
    place: WorkerPlace, how: str, code: int, expected: list[tuple[int, int, int]]
) -> None:
    environment = os.environ | {"LEMFARM_SUPERVISOR": "4711"}
    done = subprocess.run([sys.executable, "-c", _ENDS, str(place.home.root), how], env=environment, check=False)
    assert done.returncode == code
    note_death(place.home, place, "boot")
    assert learnt(place) == expected
    assert place.vitals.exists() == (how == "abort")


def test_a_peak_is_told_when_it_has_grown(place: WorkerPlace) -> None:
    told: list[int] = []
    file = VitalsFile(place, replace(BUSY, peak=0), lambda peak, _slots: told.append(peak))
    for peak in (1000, 1010, 900, 2000):
        file.look(peak, BUSY.slots)
    assert told == [1000, 2000]
    assert '"peak": 2000' in place.vitals.read_text()


def test_a_peak_that_could_not_be_told_is_told_again(place: WorkerPlace) -> None:
    told: list[int] = []

    def away_at_first(peak: int, _slots: int) -> None:
        told.append(peak)
        if len(told) == 1:
            raise DatabaseDown("away")

    file = VitalsFile(place, replace(BUSY, peak=0), away_at_first)
    with pytest.raises(DatabaseDown):
        file.look(1000, BUSY.slots)
    for _ in range(2):
        file.look(1000, BUSY.slots)
    assert told == [1000, 1000]
    assert file.now.peak == 1000


def test_slots_that_became_fewer_are_told_until_they_were_heard(place: WorkerPlace) -> None:
    told: list[int] = []

    def away_at_first(slots: int) -> None:
        told.append(slots)
        if len(told) == 1:
            raise DatabaseDown("away")

    file = VitalsFile(place, BUSY, on_slots=away_at_first)
    file.look(0, BUSY.slots)
    assert told == []
    with pytest.raises(DatabaseDown):
        file.look(0, BUSY.slots // 2)
    for _ in range(2):
        file.look(0, BUSY.slots // 2)
    assert told == [BUSY.slots // 2] * 2
    assert file.now.slots == BUSY.slots // 2, "the next shortage halves these"


def test_a_home_that_cannot_be_written_stops_no_worker(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("in the way")
    file = VitalsFile(WorkerPlace(Home(tmp_path), "mac-1"), BUSY)
    file.company(True)
    file.look(9 * GIB, BUSY.slots)
    file.close()
    assert file.now.together


def test_the_supervisor_is_named_by_the_environment() -> None:
    assert session_of({"LEMFARM_SUPERVISOR": "12"}) == 12
    assert session_of({}) == 0
    assert new_vitals("w", "b", "m", 2, 3).slots == 2
