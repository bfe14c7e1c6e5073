"""`run`, `try`, `train`: what they ask the campaign to do, what they show, and how they end; without processes."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lemfarm.cli.campaign import GRACE_SECONDS, overrides
from lemfarm.errors import BrokerDown, InputError
from lemfarm.report import WrittenReport, read_report, write_report
from lemfarm.status import read_status
from producer import campaign as module
from producer.plan import PlanResult, apply_plan
from tests.command import Ran, lemfarm
from tests.ground import RUN_FILE, SHORT_ANSWER, Ground

Say = Callable[..., Ran]


class FakeCampaign:
    """A farm whose work is done by `work` between two looks: all that waits, unless a test says otherwise."""

    def __init__(self, ground: Ground, options: dict[str, Any]) -> None:
        self.ground, self.options = ground, options
        self.database, self.is_at_work = ground.database, True
        self.work: Callable[[Ground], None] = lambda ground: ground.finish(ground.ids())
        self.closed: list[float] = []
        self.hurried = 0
        self.started: dict[str, Any] = {}

    @property
    def state(self) -> str:
        return self.ground.state

    def start(self, config: Any, *, limit: int | None = None, trains: bool = True) -> PlanResult:
        self.started = {"limit": limit, "trains": trains, "config": config}
        course = self.ground.course()
        result = apply_plan(self.ground.database, course, found=None, limit=limit, trains=trains)
        self.is_at_work = self.ground.state == "active"
        return result

    def follow(self) -> Iterator[Any]:
        yield read_status(self.ground.database, "tiny")
        self.work(self.ground)
        self.ground.look()
        self.ground.look()
        yield read_status(self.ground.database, "tiny")

    def write_report(self) -> WrittenReport:
        return write_report(read_report(self.database, "tiny"), self.ground.home)

    def hurry(self) -> None:
        self.hurried += 1

    def close(self, grace_seconds: float) -> None:
        self.closed.append(grace_seconds)


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    from producer import handover, waves

    made = Ground(tmp_path)
    for place in (waves, handover):
        monkeypatch.setattr(place, "queue_length", made.queue.queue_length)
    monkeypatch.setattr(waves, "send_generate", made.queue.send_generate)
    monkeypatch.setattr(handover, "send_train", made.queue.send_train)
    (tmp_path / "run.yaml").write_text(RUN_FILE)
    yield made
    made.database.close()


@pytest.fixture
def farm(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> FakeCampaign:
    made = FakeCampaign(ground, {})

    def open_campaign(_home: object, _connections: object, **options: Any) -> FakeCampaign:
        made.options = options
        return made

    monkeypatch.setattr(module, "open_campaign", open_campaign)
    return made


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(verb: str, *words: object) -> Ran:
        return lemfarm(capsys, verb, *words, "--home", ground.home.root)

    return run


def finish_ten(ground: Ground) -> None:
    ground.finish(ground.ids(limit=10))


def test_a_run_that_ends_well_is_summed_up(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    farm.work = finish_ten
    ran = say("run", ground.folder / "run.yaml")
    assert ran.code == 0
    assert "run tiny: 24 samples planned" in ran.err
    assert "tiny active: first open 0/10 accepted, 0/24 done" in ran.err
    assert "run tiny is done" in ran.out
    assert "first: 10 accepted, 100% of the judged ones (1.0 candidates each); 10 generated, 14 not needed" in ran.out
    assert farm.closed == [GRACE_SECONDS + 10]


def test_the_options_reach_the_campaign(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    folder = ground.folder
    say("run", folder / "run.yaml", "--workers", 3, "--slots", 5, "--limit", 7, "--no-train", "--keep-services",
        "--model", f"owner/model={folder}", "--set", "sampling.temperature=0.5")  # fmt: skip
    assert (farm.options["workers"], farm.options["leave_services"]) == (3, True)
    assert farm.options["models"] == {"owner/model": folder}
    assert farm.options["worker_environment"] == {
        "LEMFARM_SLOTS": "5", "LEMFARM_MODELS": f"owner/model={folder}", "LEMFARM_RUN": "tiny",
    }  # fmt: skip
    assert (farm.started["limit"], farm.started["trains"]) == (7, False)
    assert farm.started["config"].sampling.temperature == 0.5


def test_a_starved_run_ends_with_three_and_its_reason(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    farm.work = lambda ground: ground.finish(ground.ids(), SHORT_ANSWER)
    ran = say("run", ground.folder / "run.yaml")
    assert ran.code == 3
    assert "run tiny is starved" in ran.out
    assert "Raise `samples`, lower a gate or `enough`" in ran.out
    assert "24 x … of 20 characters" in ran.out


def test_a_stopped_run_ends_with_one_and_its_reason(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    farm.work = lambda ground: ground.fail(ground.ids(), "cache[/b] is out of memory")
    ran = say("run", ground.folder / "run.yaml")
    assert (ran.code, ran.out.count("cache[/b] is out of memory")) == (1, 2)


def test_a_second_start_says_going_on_changed_or_nothing_left(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    ground.plan()
    assert "run tiny: going on" in say("run", ground.folder / "run.yaml").err
    ground.plan(phases__0__samples=3)
    assert "run tiny: changed, 0 samples added, 0 superseded, 6 restored" in say("run", ground.folder / "run.yaml").err
    ground.finish(ground.ids(limit=10))
    ground.look()
    ground.look()
    again = say("run", ground.folder / "run.yaml")
    assert (again.code, "run tiny: nothing is left to do" in again.err) == (0, True)


def test_a_summary_for_programs(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    farm.work = finish_ten
    data = say("run", ground.folder / "run.yaml", "--json").data
    assert (data["kind"], data["status"]["state"]) == ("run", "done")
    assert data["report"] == str(ground.home.reports / "tiny.html")


def test_the_report_of_an_ended_run_is_there_and_its_place_is_told(
    ground: Ground, farm: FakeCampaign, say: Say
) -> None:  # fmt: skip
    farm.work = finish_ten
    ran = say("run", ground.folder / "run.yaml")
    page = ground.home.reports / "tiny.html"
    assert f"report {page}" in ran.out
    assert "Report of run tiny" in page.read_text() and page.with_suffix(".md").exists()


@pytest.mark.parametrize(
    ("interrupts", "hurried", "graces"),
    [(0, 0, [GRACE_SECONDS + 10]), (1, 1, [GRACE_SECONDS + 10] * 2), (2, 1, [*[GRACE_SECONDS + 10] * 2, 0.0])],
)
def test_ctrl_c_gives_a_grace_again_hurries_and_the_third_time_kills(
    ground: Ground, farm: FakeCampaign, say: Say, interrupts: int, hurried: int, graces: list[float]
) -> None:
    def interrupt(_ground: Ground) -> None:
        raise KeyboardInterrupt

    def close(grace_seconds: float) -> None:
        farm.closed.append(grace_seconds)
        if len(farm.closed) <= interrupts:
            raise KeyboardInterrupt

    farm.work, farm.close = interrupt, close  # type: ignore[method-assign]
    ran = say("run", ground.folder / "run.yaml")
    assert (ran.code, "Run the same command to go on" in ran.err) == (130, True)
    assert (farm.hurried, farm.closed) == (hurried, graces)


def test_an_error_on_the_way_still_closes(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    def lose(_ground: Ground) -> None:
        raise BrokerDown("redis://x does not answer")

    farm.work = lose
    ran = say("run", ground.folder / "run.yaml")
    assert (ran.code, len(farm.closed)) == (4, 1)
    assert ran.err.rstrip().endswith("error redis://x does not answer")


def test_a_detached_run_is_the_same_command_without_the_flag(
    ground: Ground, farm: FakeCampaign, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    started: list[tuple[list[str], dict[str, Any]]] = []

    class Child:
        pid = 4711

        def __init__(self, arguments: list[str], **options: Any) -> None:
            started.append((arguments, options))

    monkeypatch.setattr(subprocess, "Popen", Child)
    ran = say("run", ground.folder / "run.yaml", "--workers", 2, "--detach")
    assert (ran.code, "process 4711" in ran.out) == (0, True)
    ((arguments, options),) = started
    assert arguments[:4] == [sys.executable, "-m", "lemfarm", "run"]
    assert "--detach" not in arguments and arguments[5:7] == ["--workers", "2"]
    assert options["start_new_session"]
    assert farm.closed == [], "nothing was opened here"


@pytest.mark.parametrize("pair", ["temperature", "=5", ""])
def test_a_setting_that_is_none_is_refused(pair: str) -> None:
    with pytest.raises(InputError, match="KEY=VALUE"):
        overrides([pair])


def test_settings_may_hold_an_equals_sign() -> None:
    assert overrides(["a.b=c=d", "e="]) == {"a.b": "c=d", "e": ""}
    assert overrides(None) == {}


def test_an_unknown_setting_is_refused_before_anything_starts(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    ran = say("run", ground.folder / "run.yaml", "--set", "sampling.temprature=0.5")
    assert (ran.code, "sampling.temprature" in ran.err, farm.started) == (2, True, {})


def test_train_says_what_it_lets_go_on(ground: Ground, say: Say) -> None:
    ground.plan(RUN_FILE + "    train: {iterations: 5, learning_rate: 1e-4}\ntrain: {rank: 4}\n")
    refused = say("train", "--database", ground.database.url)
    assert (refused.code, "train" in refused.err) == (2, True)
    ground.finish(ground.ids(limit=5))
    ground.finish(ground.ids(), SHORT_ANSWER)
    ground.look()
    ground.look()
    assert ground.state == "held"
    for words in (("train", "tiny"), ("train", "now", "tiny"), ("train",)):
        ran = say(*words, "--database", ground.database.url)
        assert (ran.code, "run tiny will train with what it has" in ran.out, ground.state) == (0, True, "active")


def test_try_shows_what_was_measured(
    ground: Ground, farm: FakeCampaign, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from producer.trial import PhaseTrial, Trial, TrialResult

    done = TrialResult((PhaseTrial("first", 12, 6, 0.5, 200.0, 1, 20.0, 40.0),), 24.0, 100.0, 30.0)
    hard = TrialResult((PhaseTrial("first", 12, 0, 0.0, 200.0, 1, None, None),), 24.0, 100.0, 30.0)
    for result, part in ((done, "about 20 generations, 40 s"), (hard, "does not fill the quota")):
        monkeypatch.setattr(Trial, "campaign", lambda _self, **_options: farm)
        monkeypatch.setattr(Trial, "measure", lambda _self, _database, result=result: result)
        ran = lemfarm(capsys, "try", ground.folder / "run.yaml", "--probes", 2)
        assert (ran.code, part in ran.out) == (0, True)
        assert "100 tokens/s, 30.0 samples/min" in ran.out
    data = lemfarm(capsys, "try", ground.folder / "run.yaml", "--json").data
    assert (data["kind"], data["trial"]["phases"][0]["done"]) == ("trial", 12)
