"""`status`, `pause`, `resume`, `cancel`, `requeue`, `verify`: what they say, and how they end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lemfarm.engines.base import FinishReason
from tests.command import Ran, lemfarm
from tests.ground import SHORT_ANSWER, Ground

Say = Callable[..., Ran]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    made.plan()
    made.execute(f"UPDATE worker SET state = 'ready', last_seen = {made.database.now}, tokens_per_second = 12.4")
    yield made
    made.database.close()


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> Ran:
        return lemfarm(capsys, *words, "--home", ground.home.root, "--database", ground.database.url)

    return run


def test_status_shows_quotas_counts_workers_and_speed(ground: Ground, say: Say) -> None:
    ground.finish(ground.ids(limit=3))
    ground.finish(ground.ids(limit=1), SHORT_ANSWER)
    ground.fail(ground.ids(limit=1))
    ran = say("status")
    assert ran.code == 0
    for part in ("tiny", "active", "first", "3/10", "4/24", "75%", "1 failed", "w@h", "ready", "samples/min"):
        assert part in ran.out, part


def test_status_for_programs_is_one_object(ground: Ground, say: Say) -> None:
    ground.finish(ground.ids(limit=3))
    data = say("status", "tiny", "--json").data
    assert (data["kind"], data["format"]) == ("status", 1)
    status = data["status"]
    assert (status["run"], status["state"], status["limit"]) == ("tiny", "active", None)
    assert (status["phases"][0]["accepted"], status["phases"][0]["wanted"]) == (3, 10)
    assert status["workers"][0]["name"] == "w"


def test_status_says_which_worker_is_on_battery_hot_or_rests(ground: Ground, say: Say) -> None:
    def with_power(source: str, heat: str) -> str:
        facts = {"power": {"source": source, "percent": 63, "heat": heat, "speed_limit": None}}
        ground.execute("UPDATE worker SET facts = :facts", facts=json.dumps(facts))
        return " ".join(say("status").out.split())

    assert "mains" not in with_power("mains", "nominal"), "that is nothing to speak of"
    assert "ready, battery 63 %" in with_power("battery", "nominal")
    assert "ready, heat heavy" in with_power("mains", "heavy")
    ground.execute("UPDATE worker SET state = 'resting', message = 'outside its hours: goes on Fri 22:00'")
    assert "outside its hours: goes on" in with_power("battery", "heavy")


def test_status_names_the_probes_that_were_given_up(ground: Ground, say: Say) -> None:
    assert "gave up" not in say("status").out
    ground.finish(ground.ids("probe.name = 'P1'")[:1])
    ground.finish(ground.ids("state = 'pending' AND probe.name = 'P1'")[:2], SHORT_ANSWER)
    ground.ledger.skip(1, "given up", probe_id=ground.value("SELECT id FROM probe WHERE name = 'P1'"))
    assert "first gave up 1 of its probes, which would hardly reach their share: P1" in say("status").out
    phase = say("status", "--json").data["status"]["phases"][0]
    assert (phase["given_up"], phase["candidates_per_accepted"]) == (["P1"], 3.0)
    assert sum(cell["given_up"] for cell in phase["cells"]) == 5


def test_status_says_what_cutting_loops_has_spared(ground: Ground, say: Say) -> None:
    assert "repetition" not in say("status").out
    ground.finish(ground.ids()[:1], reason=FinishReason.REPETITION)
    cut = say("status", "--json").data["status"]["cut_loops"]
    assert cut["answers"] == 1
    assert cut["tokens_spared"] > 0
    assert f"1 answer ended as repetition, which spared up to {cut['tokens_spared']:,} tokens" in say("status").out


def test_status_tells_why_a_run_ended(ground: Ground, say: Say) -> None:
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look()
    ground.look()
    ran = say("status")
    assert (ran.code, "starved" in ran.out, "Raise `samples`" in ran.out) == (0, True, True)


def test_status_that_watches_ends_with_the_run(ground: Ground, say: Say) -> None:
    ground.execute("UPDATE run SET state = 'done'")
    assert say("status", "--watch").code == 0


def test_words_in_square_brackets_are_shown_as_they_are(ground: Ground, say: Say) -> None:
    """What a model's library says of an error may look like markup."""
    ground.execute("UPDATE worker SET state = 'refused', message = 'no [/gpu] here'")
    ground.fail(ground.ids(limit=20), "IndexError: cache[/b]")
    ground.look()
    said = say("status").out
    assert "no [/gpu] here" in said and "IndexError: cache[/b]" in said
    assert "no [/gpu] here" in say("workers", "list").out
    assert "IndexError: cache[/b]" in say("samples", "list", "--state", "failed").out


@pytest.mark.parametrize("verb", ["status", "pause", "resume", "cancel", "verify"])
def test_an_unknown_run_names_those_that_exist(say: Say, verb: str) -> None:
    ran = say(verb, "nope")
    assert (ran.code, "known: tiny" in ran.err, ran.out) == (2, True, "")


def test_pause_resume_and_cancel_say_what_they_did_and_how_to_undo_it(ground: Ground, say: Say) -> None:
    assert "`lemfarm resume tiny`" in say("pause").out
    assert ground.state == "paused"
    assert "tiny goes on" in say("resume", "tiny").out
    assert ground.state == "active"
    assert "`lemfarm resume tiny` takes that back" in say("cancel").out
    assert (ground.state, ground.balance().skipped) == ("cancelled", 24)


def test_what_cannot_be_is_refused_with_its_reason(ground: Ground, say: Say) -> None:
    ground.execute("UPDATE run SET state = 'done'")
    ran = say("pause")
    assert (ran.code, ran.out) == (2, "")
    assert "run tiny is done: it cannot become paused" in ran.err


def test_requeue_wants_to_be_told_which(ground: Ground, say: Say) -> None:
    ground.fail(ground.ids(limit=2))
    refused = say("requeue")
    assert (refused.code, "lemfarm requeue --failed" in refused.err) == (2, True)
    assert ground.balance().failed == 2
    assert say("requeue", "--failed").out == "2 samples of run tiny are pending again.\n"
    assert ground.balance().failed == 0


def test_verify_passes_and_names_every_rule(ground: Ground, say: Say) -> None:
    ran = say("verify")
    assert ran.code == 0
    assert "BROKEN" not in ran.out
    assert "the distil books balance: planned 24 = 24 pending" in ran.out


def test_verify_fails_with_the_offending_ids(ground: Ground, say: Say) -> None:
    sample = ground.ids()[0]
    ground.execute("UPDATE sample SET lease_expires = 5.0 WHERE id = :id", id=sample)
    ran = say("verify")
    assert ran.code == 1
    assert f"BROKEN  only leased samples have a lease: 1: {sample}" in ran.out
    data = say("verify", "--json")
    assert data.code == 1
    broken = [check for check in data.data["checks"] if not check["holds"]]
    assert [check["offenders"] for check in broken] == [[sample]]
