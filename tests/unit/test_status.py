"""How a run stands: what every view shows, read from the rows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from lemfarm.engines.base import FinishReason
from lemfarm.errors import NotFound
from lemfarm.records import Purpose, Worker
from lemfarm.runs import find_run, list_runs
from lemfarm.status import PhaseStatus, read_status
from lemfarm.worker_status import WorkerMemory, read_workers
from producer.evaluation import measure
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground
from workers.host import add_facts

EVALUATE = "evaluate: {probes: other.jsonl, held_out: 0.5, trained: 0.0, scorer: v2, conditions: {bare: null}}\n"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    yield made
    made.database.close()


def only_phase(ground: Ground) -> PhaseStatus:
    (phase,) = read_status(ground.database).phases
    return phase


def test_a_farm_without_runs_says_how_to_start_one(ground: Ground) -> None:
    with pytest.raises(NotFound, match="lemfarm run CONFIG"):
        find_run(ground.database, None)


def test_the_latest_run_is_meant_and_an_unknown_one_names_those_that_exist(ground: Ground) -> None:
    ground.plan()
    ground.plan(RUN_FILE.replace("run: tiny", "run: other"))
    ground.execute("UPDATE run SET activated = activated + 100 WHERE name = 'tiny'")
    assert find_run(ground.database, None).name == "tiny"
    assert find_run(ground.database, "other").name == "other"
    assert [run.name for run in list_runs(ground.database)] == ["tiny", "other"]
    with pytest.raises(NotFound, match="'nope'; known: tiny, other"):
        find_run(ground.database, "nope")


def test_the_counts_of_a_phase_are_those_of_the_ledger(ground: Ground) -> None:
    ground.plan()
    ids = ground.ids()
    ground.finish(ids[:3])
    ground.finish(ids[3:5], SHORT_ANSWER)
    ground.fail(ids[5:6])
    ground.claim(ids[6])
    ground.ledger.skip(1, "quota full", probe_id=ground.value("SELECT probe_id FROM sample WHERE id = :i", i=ids[23]))
    phase, balance = only_phase(ground), ground.balance()
    for name in ("planned", "pending", "leased", "done", "failed", "skipped", "accepted", "rejected", "held"):
        assert getattr(phase, name) == getattr(balance, name), name
    assert (phase.name, phase.state, phase.wanted, phase.pass_rate) == ("first", "open", 10, 3 / 5)


def test_what_counts_for_the_quota_is_capped_by_probe(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids("probe.name = 'P0'"))
    assert (only_phase(ground).accepted, only_phase(ground).counted) == (8, 5)


def test_candidates_for_each_accepted_sample_are_counted_by_cell(ground: Ground) -> None:
    # Given three judged answers to one wording, one of them accepted, one accepted of another, and a failure
    ground.plan()
    ground.finish(ground.ids("probe.name = 'P0' AND position = 0")[:1])
    ground.finish(ground.ids("state = 'pending' AND probe.name = 'P0' AND position = 0")[:2], SHORT_ANSWER)
    ground.finish(ground.ids("probe.name = 'P1' AND position = 1")[:1])
    ground.fail(ground.ids("state = 'pending' AND probe.name = 'P1' AND position = 1")[:1])
    # Then each cell says how many candidates an accepted one took, and so does the phase
    phase = only_phase(ground)
    taken = {(cell.probe, cell.variant): (cell.candidates, cell.accepted, cell.per_accepted) for cell in phase.cells}
    assert len(taken) == 6
    assert (taken["P0", 0], taken["P1", 1], taken["P2", 0]) == ((3, 1, 3.0), (1, 1, 1.0), (0, 0, None))
    assert phase.candidates_per_accepted == 2.0


def test_probes_that_were_given_up_are_named_and_no_others(ground: Ground) -> None:
    ground.plan()
    for probe, reason in (("P2", "given up"), ("P1", "probe has its share")):
        key = ground.value("SELECT id FROM probe WHERE name = :name", name=probe)
        ground.ledger.skip(1, reason, probe_id=key)
    assert only_phase(ground).given_up == ("P2",)
    assert {cell.probe: cell.given_up for cell in only_phase(ground).cells} == {"P0": 0, "P1": 0, "P2": 4}


def test_nothing_judged_has_no_pass_rate(ground: Ground) -> None:
    ground.plan()
    assert (only_phase(ground).pass_rate, only_phase(ground).candidates_per_accepted) == (None, None)


def test_reasons_are_counted_without_what_was_measured(ground: Ground) -> None:
    ground.plan(RUN_FILE.replace("{min_chars: 20}", "{truncated: reject}, {min_chars: 20}"))
    ids = ground.ids()
    ground.finish(ids[:2], "Short.")
    ground.finish(ids[2:3], "Shorter")
    ground.finish(ids[3:4], reason=FinishReason.LENGTH)
    ground.fail(ids[4:5], "out of memory")
    assert only_phase(ground).reasons[0] == ("… of 20 characters", 3)
    assert dict(only_phase(ground).reasons) == {"… of 20 characters": 3, "truncated": 1, "out of memory": 1}


def test_superseded_samples_are_counted_apart(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=3))
    ground.plan(sampling__temperature=0.1)
    assert (only_phase(ground).done, only_phase(ground).planned) == (0, 24)
    assert read_status(ground.database).superseded == 24


def test_retired_phases_are_not_shown(ground: Ground) -> None:
    ground.plan()
    ground.plan(RUN_FILE.replace("name: first", "name: second"))
    assert [phase.name for phase in read_status(ground.database).phases] == ["second"]


def test_evaluation_is_counted_apart_and_measurements_are_shown(ground: Ground) -> None:
    ground.plan(RUN_FILE + EVALUATE)
    status = read_status(ground.database)
    assert (status.evaluation, status.measurements) == ({"planned": 1, "done": 0, "failed": 0}, ())
    ground.finish(ground.ids(purpose=Purpose.EVALUATE))
    measure(ground.database, ground.run_id, "v2")
    status = read_status(ground.database)
    assert status.evaluation["done"] == 1
    found = {(row["model"], row["condition"], row["split"], row["probes"]) for row in status.measurements}
    assert found == {("base", "bare", "held_out", 1), ("base", "bare", "all", 1)}


def test_the_pace_is_that_of_the_last_minutes_and_time_left_follows_from_it(ground: Ground) -> None:
    # Given six samples that were done in one minute, half of them accepted; ten accepted are wanted
    ground.plan()
    ids = ground.ids()
    ground.finish(ids[:3])
    ground.finish(ids[3:6], SHORT_ANSWER)
    ground.execute("UPDATE run SET activated = activated - 60")
    status = read_status(ground.database)
    assert status.samples_per_minute == pytest.approx(6.0, rel=0.05)
    assert status.seconds_left == pytest.approx((10 - 3) / 0.5 * 10, rel=0.05)
    # When they were done long ago, then the pace is nought and the time left unknown
    ground.execute("UPDATE sample SET finished = finished - 1000 WHERE state = 'done'")
    assert (read_status(ground.database).samples_per_minute, read_status(ground.database).seconds_left) == (0.0, None)


def test_no_time_is_left_of_a_phase_that_is_full(ground: Ground) -> None:
    ground.plan()
    ground.finish(ground.ids(limit=10))
    ground.look()
    ground.look()
    assert read_status(ground.database).seconds_left == 0.0


def test_workers_that_live_and_those_that_are_gone(ground: Ground) -> None:
    ground.plan()
    assert read_workers(ground.database) == [], "it was never heard of"
    ground.execute(f"UPDATE worker SET last_seen = {ground.database.now} - 5, state = 'ready'")
    (worker,) = read_workers(ground.database)
    assert (worker.name, worker.state, worker.slots) == ("w", "ready", 4)
    assert worker.seen_ago == pytest.approx(5.0, abs=1.0)
    ground.execute("UPDATE worker SET state = 'stopped'")
    assert read_workers(ground.database) == []
    assert [one.state for one in read_workers(ground.database, all_of_them=True)] == ["stopped"]


def test_what_a_worker_planned_to_hold_stands_beside_what_it_held(ground: Ground) -> None:
    ground.plan()
    ground.execute(f"UPDATE worker SET last_seen = {ground.database.now}, state = 'ready'")
    assert read_status(ground.database).workers[0].memory is None, "an engine that holds no model"
    facts = {"memory_limit": 100, "planned_bytes": 70, "slots_by_memory": 16, "slots_by_knee": 8, "shortage": ""}
    with ground.database.session() as session:
        for row in session.exec(select(Worker)):
            row.facts = facts
    memory = read_status(ground.database).workers[0].memory
    assert memory == WorkerMemory(limit=100, planned=70, peak=0, slots_by_memory=16, slots_by_knee=8, shortage="")
    add_facts(ground.database, "w", peak_bytes=65)
    memory = read_workers(ground.database)[0].memory
    assert memory is not None
    assert (memory.planned, memory.peak) == (70, 65)


def test_a_worker_that_refused_is_shown_with_its_reason(ground: Ground) -> None:
    ground.plan()
    ground.execute(f"UPDATE worker SET last_seen = {ground.database.now}, state = 'refused', message = 'other weights'")
    assert [worker.message for worker in read_status(ground.database).workers] == ["other weights"]


def test_the_limit_and_the_reason_are_told(ground: Ground) -> None:
    ground.plan(limit=3)
    ground.finish(ground.ids())
    ground.look()
    ground.look()
    status = read_status(ground.database, "tiny")
    assert (status.limit, status.state) == (3, "starved")
    assert "--limit 3" in status.reason
