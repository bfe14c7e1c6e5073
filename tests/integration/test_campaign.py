"""A campaign through the command line, in real processes: to its end, interrupted, killed, paused, shared."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lemfarm import valkey
from lemfarm.database import open_database
from lemfarm.local_workers import living_workers
from producer import campaign
from producer.verify import verify_run
from tests.command import Ran, lemfarm
from tests.lemfarm_process import Site
from tests.postgres import postgres, postgres_url  # noqa: F401

SAMPLES = 40
SLOW = 300.0
"""Tokens a second with which forty samples on four slots take a while: time enough for a signal to meet work."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        yield made


Say = Callable[..., Ran]


@pytest.fixture
def say(site: Site, capsys: pytest.CaptureFixture[str]) -> Say:
    """A verb that looks or steers, in this process: they are the same code, and start faster."""

    def run(*words: object) -> Ran:
        return lemfarm(capsys, *words, "--home", site.home.root)

    return run


def _worker_pids(site: Site) -> set[int | None]:
    return {place.pid for place in living_workers(site.home)}


def _supervisors(site: Site) -> set[int]:
    return {place.supervisor for place in living_workers(site.home)}


@contextlib.contextmanager
def _held_back(site: Site) -> Iterator[None]:
    """Let the run wait while commands come and go."""
    database = open_database(f"sqlite:///{site.home.database}")
    campaign.pause(database, None)
    try:
        yield
    finally:
        campaign.resume(database, None)
        database.close()


def _ledger(site: Site) -> list[tuple[Any, ...]]:
    return site.rows("SELECT * FROM sample ORDER BY id")


def _assert_finished(site: Site) -> None:
    """All samples are done, each generated once to its end, and every invariant holds."""
    assert site.count("state = 'done'") == site.count() == SAMPLES, site.story()
    assert site.rows("SELECT count(*) FROM text") == [(SAMPLES,)]
    assert site.rows("SELECT sample_id FROM attempt WHERE generation <> '{}' GROUP BY 1 HAVING count(*) > 1") == []
    database = open_database(f"sqlite:///{site.home.database}")
    broken = [finding for finding in verify_run(database, "tiny") if not finding.holds]
    database.close()
    assert broken == []


def test_a_run_to_its_end_and_the_same_command_again(site: Site, say: Say) -> None:
    # Given a run of forty samples that two workers bring to its end
    first = site.run("run", site.run_file, "--workers", 2)
    assert first.code == 0, first.err
    assert "40 samples planned" in first.err
    assert "run tiny is done" in first.out
    _assert_finished(site)
    before = _ledger(site)

    # When the same command is given again
    again = site.run("run", site.run_file, "--workers", 2, "--json")

    # Then it says that nothing is left, ends well and has changed nothing
    assert "nothing is left to do" in again.err
    assert again.data["status"]["state"] == "done"
    assert _ledger(site) == before
    # and every view of it can be read by a program
    status = say("status", "--json").data["status"]
    assert (status["run"], status["phases"][0]["done"]) == ("tiny", SAMPLES)
    samples = say("samples", "list", "--outcome", "accepted", "--limit", 3, "--json").data["samples"]
    assert len(samples) == 3
    shown = say("samples", "show", samples[0]["id"], "--json").data["sample"]
    assert shown["answer"] and shown["attempts"][0]["ending"] == "done"
    workers = say("workers", "list", "--all", "--json").data["workers"]
    assert {worker["state"] for worker in workers} == {"stopped"}
    verified = say("verify", "--json")
    assert verified.code == 0 and all(check["holds"] for check in verified.data["checks"])
    # and nothing of it is left running
    assert living_workers(site.home) == []
    assert not valkey.is_running(site.home)


def test_a_limit_plans_so_many_samples_once(site: Site) -> None:
    # Given a run that was limited to ten samples: too few for its quota
    first = site.run("run", site.run_file, "--limit", 10)
    assert (first.code, site.count()) == (3, 10), first.err
    assert "--limit 10 is used up" in first.out
    before = _ledger(site)
    # When the limit is repeated, then nothing is added
    again = site.run("run", site.run_file, "--limit", 10)
    assert (again.code, _ledger(site)) == (3, before)
    assert "nothing is left to do" in again.err


def test_ctrl_c_releases_what_is_in_hand_and_the_same_command_goes_on(site: Site) -> None:
    # Given a run in the middle of its work
    site.write(speed=SLOW)
    command = site.start("run", site.run_file)
    site.wait_done(8)
    # When a person presses Ctrl-C once
    command.signal(signal.SIGINT)
    # Then it ends with 130, all workers are gone, nobody holds a sample, and the text says what to do
    assert command.ended() == 130
    assert "Run the same command to go on" in command.said
    assert living_workers(site.home) == []
    assert site.count("state = 'leased'") == 0
    assert site.rows("SELECT * FROM attempt WHERE ending = ''") == []
    assert site.count("state = 'pending'") > 0, "the run was over before the signal came"
    # When the same command is given again, then it finishes without doing anything twice
    assert site.run("run", site.run_file).code == 0
    _assert_finished(site)


def test_ctrl_c_twice_lets_go_of_long_answers_at_once(site: Site) -> None:
    # Given answers that take far longer than the grace
    site.write(speed=0.5)
    command = site.start("run", site.run_file)
    site.wait(lambda: site.count("state = 'leased'") >= 4, "four answers to be in the making")
    # When Ctrl-C is pressed, and again while the workers have their grace
    command.signal(signal.SIGINT)
    site.wait(lambda: "again: at once" in command.said, "the first signal to be heard")
    command.signal(signal.SIGINT)
    # Then everything is given back, no retry is spent, and nothing goes on
    assert command.ended() == 130
    assert living_workers(site.home) == []
    assert site.count("state = 'pending' AND failures = 0 AND deaths = 0") == SAMPLES, site.story()
    assert {row[0] for row in site.rows("SELECT ending FROM attempt")} == {"released"}


def test_workers_outlive_a_killed_run_and_the_next_one_adopts_them(site: Site) -> None:
    # Given a run in the middle of its work, whose process is killed
    site.write(speed=SLOW)
    command = site.start("run", site.run_file, "--workers", 2)
    site.wait_done(4)
    before = _worker_pids(site)
    assert len(before) == 2
    site.kill(command)
    # Then the workers go on by themselves
    done = site.count("state = 'done'")
    site.wait(lambda: site.count("state = 'done'") >= done + 6, "workers to go on without a supervisor")
    # When the same command is given again (the work waits meanwhile, so that the test needs no haste)
    with _held_back(site):
        again = site.start("run", site.run_file, "--workers", 2)
        site.wait(lambda: _supervisors(site) == {again.process.pid}, "the workers to be adopted")
        assert _worker_pids(site) == before, "the workers of the killed command are used"
    # Then it finishes with these workers and ends them
    assert again.ended() == 0, site.story()
    assert living_workers(site.home) == []
    _assert_finished(site)


def test_orphaned_workers_end_with_their_run(site: Site) -> None:
    # Given a run whose process is killed, and whom nobody starts again
    site.write(speed=SLOW)
    command = site.start("run", site.run_file)
    site.wait_done(4)
    site.kill(command)
    # Then its worker finishes the run and leaves the machine's memory to others
    site.wait(lambda: site.rows("SELECT state FROM run") == [("done",)], "the worker to finish the run")
    site.wait(lambda: not living_workers(site.home), "the worker to end")
    _assert_finished(site)


def test_pause_cancel_and_resume_of_a_run_at_work(site: Site, say: Say) -> None:
    # Given a run at work
    site.write(speed=SLOW / 2)
    command = site.start("run", site.run_file)
    site.wait_done(2)
    # When it is paused, then what is leased finishes and nothing more is claimed
    assert say("pause").code == 0
    site.wait(lambda: site.count("state = 'leased'") == 0, "leased samples to finish")
    paused = site.rows("SELECT max(epoch), count(*) FROM attempt")
    assert say("status", "--json").data["status"]["state"] == "paused"
    assert site.rows("SELECT max(epoch), count(*) FROM attempt") == paused
    assert command.lives
    # When it is resumed, then it goes on
    done = site.count("state = 'done'")
    assert say("resume").code == 0
    site.wait_done(done + 2)
    # When it is cancelled, then pending samples are skipped, leased ones let go, and the command ends saying so
    assert say("cancel").code == 0
    assert command.ended() == 1, site.story()
    assert "run tiny is cancelled" in command.said
    assert site.count("state IN ('pending', 'leased')") == 0
    assert site.count("state = 'skipped' AND reason = 'cancelled'") > 0
    refused = site.run("run", site.run_file)
    assert (refused.code, "lemfarm resume tiny" in refused.err) == (2, True)
    # When that is taken back, then the same command finishes the run
    assert say("resume").code == 0
    site.write()
    assert site.run("run", site.run_file).code == 0
    _assert_finished(site)


def test_a_second_command_attaches_and_takes_over_when_the_first_one_leaves(site: Site) -> None:
    # Given a run at work
    site.write(speed=SLOW)
    first = site.start("run", site.run_file)
    site.wait_done(2)
    before = _worker_pids(site)
    with _held_back(site):
        # When the same command is given a second time, then it attaches and uses the worker that is there
        second = site.start("run", site.run_file)
        site.wait(lambda: "tiny paused" in second.said, "the second command to attach")
        assert _worker_pids(site) == before
        # When the first one is interrupted, then it ends its worker, and the second one starts its own
        first.signal(signal.SIGINT)
        assert first.ended() == 130
        site.wait(lambda: _supervisors(site) == {second.process.pid}, "the second command to start a worker")
    # Then that one brings the run to its end
    assert second.ended() == 0, site.story()
    _assert_finished(site)


def test_a_detached_run_and_one_that_looks_on_both_see_the_end(site: Site) -> None:
    # Given a run in the background, and at once the same command in the foreground
    detached = site.start("run", site.run_file, "--detach")
    other = site.start("run", site.run_file)
    # Then both bring the run to its one end, and leave nothing running
    assert detached.ended() == 0, site.story()
    assert "goes on in the background" in detached.said
    assert other.ended() == 0, site.story()
    assert "run tiny is done" in other.said
    log = site.home.logs / "detached-tiny.log"
    site.wait(lambda: log.exists() and "run tiny is done" in log.read_text(), "the end in the background")
    site.wait(lambda: not living_workers(site.home) and not valkey.is_running(site.home), "its processes to end")
    _assert_finished(site)


def test_the_same_campaign_on_postgresql(site: Site, say: Say, postgres_url: str) -> None:  # noqa: F811
    ran = site.run("run", site.run_file, "--workers", 2, "--database", postgres_url)
    assert ran.code == 0, ran.err
    status = say("status", "--json", "--database", postgres_url).data["status"]
    assert (status["state"], status["phases"][0]["done"]) == ("done", SAMPLES)
    assert say("verify", "--database", postgres_url).code == 0
    assert not site.home.database.exists(), "the embedded database is not used"
