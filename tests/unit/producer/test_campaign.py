"""A campaign from the outside: following it while services come and go, ending it, and the verbs that steer it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lemfarm.connections import Connections
from lemfarm.errors import DatabaseDown, InputError, ModelError
from lemfarm.models import FoundModel
from lemfarm.records import RunState
from lemfarm.supervisor import Event
from lemfarm.work import Balance
from producer import campaign as module
from producer.campaign import Campaign, key_of
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground


class Workers:
    """The supervisor's part, without processes."""

    def __init__(self) -> None:
        self.all_ended = False
        self.codes = {"mac-1": 2}
        self.stopped_with: float | None = None

    def poll(self) -> list[Event]:
        return []

    def stop(self, grace_seconds: float) -> bool:
        self.stopped_with = grace_seconds
        return True


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def campaign(ground: Ground, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """A campaign at work on a planned run; no time passes between two looks."""
    ground.plan()
    monkeypatch.setattr(module, "FOLLOW_SECONDS", 0.0)
    made = Campaign(
        ground.home,
        Connections(ground.database.url, "redis://127.0.0.1:1", embedded_broker=False),
        ground.database,
        workers=1,
        on_event=lambda event: told.append(f"{event.member} {event.kind} {event.text}".strip()),
    )
    made._run, made._supervisor = "tiny", Workers()  # type: ignore[assignment]
    return made


def end_run(ground: Ground, state: str) -> None:
    ground.execute("UPDATE run SET state = :state", state=state)


def test_following_ends_though_the_exception_of_a_signal_was_lost(campaign: Campaign) -> None:
    """Python drops what is raised in a callback of its garbage collector; Ctrl-C once fell into one."""
    looks = campaign.follow()
    next(looks)
    campaign.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        next(looks)


# ---- following


@pytest.mark.parametrize("state", ["done", "starved", "held", "stopped", "cancelled"])
def test_it_is_followed_until_the_run_has_ended(ground: Ground, campaign: Campaign, state: str) -> None:
    looks = campaign.follow()
    assert next(looks).state == "active"
    end_run(ground, "paused")
    assert next(looks).state == "paused"
    end_run(ground, state)
    assert [status.state for status in looks] == [state]
    assert RunState(state) in module.EXIT_CODES


def test_a_database_that_goes_away_is_waited_for(
    ground: Ground, campaign: Campaign, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers keep their results in the spool: to end them would be the only loss."""
    # Given a campaign that is followed, and a database that is away for three looks
    looks = campaign.follow()
    assert next(looks).state == "active"
    left, read = 3, module.read_status

    def away(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise DatabaseDown("postgresql://farm: connection refused")
        return read(*arguments)

    monkeypatch.setattr(module, "read_status", away)
    # Then that is told once, and its return too, and following goes on
    assert next(looks).state == "active"
    assert told == ["database not started is away, waiting for it: postgresql://farm: connection refused",
                    "database restarted"]  # fmt: skip
    end_run(ground, "done")
    assert next(looks).state == "done"


def test_workers_that_all_gave_up_end_it_with_what_they_said(ground: Ground, campaign: Campaign) -> None:
    ground.execute(f"UPDATE worker SET state = 'refused', message = 'other weights', last_seen = {ground.database.now}")
    campaign._supervisor.all_ended = True  # type: ignore[union-attr,misc]
    looks = campaign.follow()
    next(looks)
    with pytest.raises(ModelError, match="other weights"):
        next(looks)


def test_workers_that_ended_without_a_word_are_looked_up_in_their_logs(campaign: Campaign) -> None:
    campaign._supervisor.all_ended = True  # type: ignore[union-attr,misc]
    looks = campaign.follow()
    next(looks)
    with pytest.raises(ModelError, match=r"see .*mac-1\.log"):
        next(looks)


def test_workers_elsewhere_are_enough(ground: Ground, campaign: Campaign) -> None:
    ground.execute(f"UPDATE worker SET state = 'ready', last_seen = {ground.database.now}")
    campaign._supervisor.all_ended = True  # type: ignore[union-attr,misc]
    looks = campaign.follow()
    assert [next(looks).state for _ in range(3)] == ["active"] * 3


def test_a_head_node_without_workers_only_watches(ground: Ground, campaign: Campaign) -> None:
    campaign.workers = 0
    campaign._supervisor.all_ended = True  # type: ignore[union-attr,misc]
    looks = campaign.follow()
    assert [next(looks).state for _ in range(3)] == ["active"] * 3


# ---- the end


@pytest.mark.parametrize(
    ("embedded", "leave", "kept", "living", "stops"),
    [
        (True, False, False, False, True),
        (False, False, False, False, False),
        (True, True, False, False, False),
        (True, False, True, False, False),
        (True, False, False, True, False),
    ],
)
def test_valkey_ends_with_the_last_who_needs_it(
    campaign: Campaign,
    monkeypatch: pytest.MonkeyPatch,
    embedded: bool,
    leave: bool,
    kept: bool,
    living: bool,
    stops: bool,
) -> None:
    stopped: list[object] = []
    monkeypatch.setattr(module, "stop", stopped.append)
    monkeypatch.setattr(module, "is_kept", lambda _home: kept)
    monkeypatch.setattr(module, "living_workers", lambda _home: ["mac-1"] if living else [])
    campaign.connections = Connections(campaign.database.url, "redis://x", embedded_broker=embedded)
    campaign.leave_services = leave
    workers: Any = campaign._supervisor
    campaign.close(7.0)
    assert (bool(stopped), workers.stopped_with) == (stops, 7.0)


# ---- models


def test_a_model_is_known_by_its_content_or_its_hub_id(ground: Ground, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    found = FoundModel(str(folder), folder, None, "b2:" + "1" * 32)
    config = ground.config(RUN_FILE.replace("{engine: simulated}", f"{{engine: mlx, path: {folder}}}"))
    assert key_of(config, found) == found.content_hash
    hub = ground.config(RUN_FILE.replace("{engine: simulated}", "{engine: mlx, path: a/b, revision: c}"))
    assert key_of(hub, None) == "hub:a/b@c"
    assert key_of(ground.config(RUN_FILE), None) == "simulated:simulated"


def test_a_head_node_needs_no_weights_of_a_hub_model(ground: Ground, campaign: Campaign) -> None:
    config = ground.config(RUN_FILE.replace("{engine: simulated}", "{engine: mlx, path: owner/not-here}"))
    with pytest.raises(ModelError, match="lemfarm model get owner/not-here"):
        campaign.find_model(config)
    campaign.workers = 0
    assert campaign.find_model(config) is None


# ---- steering


def test_pause_and_resume(ground: Ground) -> None:
    ground.plan()
    ground.look()
    paused = module.pause(ground.database, None)
    assert (paused.state, "lemfarm resume tiny" in paused.reason) == ("paused", True)
    assert ground.ledger.claim(ground.ids()[0], "w", 9.0) is None
    resumed = module.resume(ground.database, "tiny")
    assert (resumed.state, resumed.reason) == ("active", "")
    assert ground.ids("wave IS NOT NULL") == [], "messages were taken in vain meanwhile, and are sent again"


def test_steering_twice_changes_nothing(ground: Ground) -> None:
    ground.plan()
    for verb in (module.pause, module.pause, module.resume, module.resume, module.cancel, module.cancel):
        verb(ground.database, None)
    assert ground.state == "cancelled"
    assert ground.balance() == Balance(skipped=24)


Verb = Callable[..., Any]


@pytest.mark.parametrize(
    ("state", "verb"),
    [
        ("done", module.pause),
        ("done", module.cancel),
        ("done", module.resume),
        ("starved", module.resume),
        ("cancelled", module.pause),
    ],
)
def test_what_cannot_be_is_refused(ground: Ground, state: str, verb: Verb) -> None:
    ground.plan()
    end_run(ground, state)
    with pytest.raises(InputError, match=f"tiny is {state}"):
        verb(ground.database, None)
    assert ground.state == state


def test_cancel_skips_what_waits_and_resume_takes_that_back(ground: Ground) -> None:
    # Given a run with a full probe, a sample in hand and one that failed
    ground.plan()
    ground.finish(ground.ids("probe.name = 'P0'")[:5])
    ground.look()
    held = ground.claim(ground.ids()[0])
    module.cancel(ground.database, None)
    ground.ledger.release(held.sample_id, held.epoch)
    assert ground.balance() == Balance(done=5, accepted=5, skipped=19)
    # When it is resumed, then the probe's skipped samples stay so
    module.resume(ground.database, None)
    assert ground.balance() == Balance(done=5, accepted=5, skipped=3, pending=16)


def test_failed_samples_get_a_new_budget(ground: Ground) -> None:
    ground.plan()
    ground.fail(ground.ids(limit=3))
    run, count = module.requeue_failed(ground.database, None)
    assert (run.name, count) == ("tiny", 3)
    assert ground.balance() == Balance(pending=24)
    assert module.requeue_failed(ground.database, None)[1] == 0


def test_a_requeued_sample_opens_its_phase_again(ground: Ground) -> None:
    ground.plan()
    ground.fail(ground.ids(limit=1))
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look()
    ground.look()
    assert (ground.state, ground.phase_states()) == ("starved", {"first": "exhausted"})
    module.requeue_failed(ground.database, None)
    ground.plan()
    assert len(ground.look()) == 1
    assert ground.phase_states() == {"first": "open"}


def test_the_report_is_written_into_the_home(ground: Ground, campaign: Campaign, told: list[str]) -> None:
    written = campaign.write_report()
    assert written is not None and written.html == ground.home.reports / "tiny.html"
    assert "Report of run tiny" in written.html.read_text() and told == []


def test_a_report_that_cannot_be_written_is_told_and_ends_nothing(
    ground: Ground, campaign: Campaign, told: list[str]
) -> None:  # fmt: skip
    # Given a file where the folder of reports should be
    ground.home.ensure()
    ground.home.reports.write_text("in the way")
    # When the report is written, then that is said, and nothing is raised
    assert campaign.write_report() is None
    assert len(told) == 1 and "cannot be written" in told[0] and "`lemfarm report tiny` tries again" in told[0]
