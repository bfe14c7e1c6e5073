"""`probes rephrase`: what it asks the farm for, what it shows and writes, and how it ends; without processes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lemfarm.errors import BrokerDown
from lemfarm.probes import read_probes
from lemfarm.rephrasing import Kind
from lemfarm.status import read_status
from producer import campaign as module
from producer.course import Course
from producer.plan import PlanResult, apply_plan
from tests.command import Ran, lemfarm
from tests.ground import MODEL, RUN_FILE, Ground
from tests.unit.scorers.rephrasing_texts import GOOD, ISLAND, SOURCE

Say = Callable[..., Ran]
RUN = "rephrase-out"
MISSING, BAD, AWAY, STOPPED, INTERRUPTED = 3, 2, 4, 1, 130


class FakeCampaign:
    """A farm that answers each kind with what `answers` has for it, and others with the source in a frame."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.database = ground, ground.database
        self.answers: dict[Kind, str] = dict(GOOD)
        self.instead: Callable[[], None] | None = None
        self.options: dict[str, Any] = {}
        self.is_at_work = True

    @property
    def state(self) -> str:
        return self.ground.state

    def start(self, config: Any, *, trains: bool) -> PlanResult:
        self.config = config
        result = apply_plan(self.database, Course(config, MODEL), found=None, limit=None, trains=trains)
        self.is_at_work = self.ground.state == "active"
        return result

    def follow(self) -> Iterator[Any]:
        yield read_status(self.database, self.config.run)
        if self.instead:
            self.instead()
        else:
            self._work()
        yield read_status(self.database, self.config.run)

    def _work(self) -> None:
        for sample in self.ground.ids():
            kind = Kind(self.ground.value("SELECT p.domain FROM probe p JOIN sample s ON s.probe_id = p.id "
                                          "WHERE s.id = :id", id=sample))  # fmt: skip
            self.ground.finish([sample], self.answers.get(kind, ISLAND.format(SOURCE)))
        for _ in range(2):
            self.ground.handover.advance(self.ground.run, self.config)

    def close(self, grace_seconds: float) -> None:
        pass


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    from producer import waves

    made = Ground(tmp_path)
    monkeypatch.setattr(waves, "send_generate", made.queue.send_generate)
    monkeypatch.setattr(waves, "queue_length", made.queue.queue_length)
    (tmp_path / "run.yaml").write_text(RUN_FILE)
    line = {"id": "P1", "domain": "Health", "prompt": SOURCE}
    (tmp_path / "library.jsonl").write_text(json.dumps(line) + "\n")
    yield made
    made.database.close()


@pytest.fixture
def farm(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> FakeCampaign:
    made = FakeCampaign(ground)

    def open_campaign(_home: object, _connections: object, **options: Any) -> FakeCampaign:
        made.options = options
        return made

    monkeypatch.setattr(module, "open_campaign", open_campaign)
    return made


@pytest.fixture
def say(ground: Ground, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object, probes: str = "library.jsonl", out: str = "out.jsonl", config: str = "run.yaml") -> Ran:
        files = (ground.folder / probes, "--config", ground.folder / config, "--out", ground.folder / out)
        return lemfarm(capsys, "probes", "rephrase", *files, *words, "--home", ground.home.root)

    return run


@pytest.mark.usefixtures("farm")
def test_every_kind_that_was_made_is_in_the_file(ground: Ground, say: Say) -> None:
    ran = say()
    assert ran.code == 0, ran.err
    assert f"run {RUN}: 12 samples planned" in ran.err
    assert ran.out == f"{ground.folder / 'out.jsonl'}: 1 probes, 3 new wordings to review, 0 missing\n"
    (probe,) = read_probes([ground.folder / "out.jsonl"])
    assert {variant.kind: variant.messages[0].content for variant in probe.variants[1:]} == GOOD


def test_what_is_missing_is_named_with_its_reason(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    del farm.answers[Kind.URGENCY]
    ran = say("--samples", 2)
    assert ran.code == MISSING
    assert "none  P1 urgency: 2 of 2: the same words in a frame" in ran.err
    assert "More --samples" in ran.err
    assert "2 new wordings to review, 1 missing" in ran.out
    assert len(read_probes([ground.folder / "out.jsonl"])[0].variants) == 3


def test_a_program_gets_all_of_it_as_one_object(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    del farm.answers[Kind.CULTURE]
    data = say("--json", "--kind", "urgency", "--kind", "culture").data
    assert (data["kind"], data["run"], data["out"]) == ("rephrasings", RUN, str(ground.folder / "out.jsonl"))
    (made,) = data["made"]
    assert (made["probe"], made["kind"], made["text"]) == ("P1", "urgency", GOOD[Kind.URGENCY])
    assert len(made["sample"]) == 32 and made["signals"]["framed"] == 0.0
    assert data["missing"] == [
        {"probe": "P1", "kind": "culture", "answers": 4, "reason": "the same words in a frame", "count": 4}
    ]
    assert data["dialogues"] == []


@pytest.mark.usefixtures("farm")
def test_the_same_command_again_makes_nothing_twice(ground: Ground, say: Say) -> None:
    say()
    first = (ground.folder / "out.jsonl").read_bytes()
    before = ground.rows("SELECT * FROM sample ORDER BY id")
    again = say()
    assert (again.code, "nothing is left to do" in again.err) == (0, True)
    assert (ground.folder / "out.jsonl").read_bytes() == first
    assert ground.rows("SELECT * FROM sample ORDER BY id") == before


def test_more_samples_go_on_where_the_run_ended(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    del farm.answers[Kind.URGENCY]
    assert say("--samples", 1).code == MISSING
    farm.answers[Kind.URGENCY] = GOOD[Kind.URGENCY]
    ran = say("--samples", 2)
    assert (ran.code, "3 samples added, 0 superseded" in ran.err) == (0, True), ran.err
    assert "3 new wordings to review" in ran.out


def test_the_options_reach_the_campaign(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    folder = ground.folder
    say("--workers", 3, "--slots", 5, "--run", "mine", "--model", f"owner/model={folder}", "--samples", 7,
        "--set", "sampling.temperature=0.5")  # fmt: skip
    assert (farm.options["workers"], farm.options["models"]) == (3, {"owner/model": folder})
    assert farm.options["worker_environment"]["LEMFARM_RUN"] == "mine"
    assert (farm.config.run, farm.config.phases[0].samples, farm.config.sampling.temperature) == ("mine", 7, 0.5)


def test_ctrl_c_ends_with_130_and_writes_nothing(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    farm.instead = interrupt
    ran = say()
    assert ran.code == INTERRUPTED
    assert "Run the same command to go on" in ran.err
    assert not (ground.folder / "out.jsonl").exists()


def test_a_run_that_was_stopped_keeps_what_it_has_and_says_why(ground: Ground, farm: FakeCampaign, say: Say) -> None:
    def stop() -> None:
        ground.finish(ground.ids(limit=1), GOOD[Kind.CULTURE])
        ground.execute("UPDATE run SET state = 'stopped', reason = 'the model [/broke]'")

    farm.instead = stop
    ran = say("--kind", "culture")
    assert ran.code == STOPPED
    assert f"run {RUN} is stopped. the model [/broke]" in ran.err
    assert "1 new wordings to review" in ran.out


def test_a_library_that_lacks_nothing_is_written_without_a_farm(ground: Ground, say: Say) -> None:
    variants = [{"kind": kind, "prompt": text} for kind, text in GOOD.items()]
    line = {"id": "P1", "domain": "Health", "prompt": SOURCE, "variants": variants}
    (ground.folder / "library.jsonl").write_text(json.dumps(line) + "\n")
    ran = say()
    assert (ran.code, "Nothing is to be made" in ran.err) == (0, True)
    assert read_probes([ground.folder / "out.jsonl"]) == read_probes([ground.folder / "library.jsonl"])
    assert not ground.home.valkey.exists()


@pytest.mark.usefixtures("farm")
def test_dialogues_are_named_and_left_as_they_are(ground: Ground, say: Say) -> None:
    turns = [{"role": role, "content": f"{role}?"} for role in ("user", "assistant", "user")]
    with (ground.folder / "library.jsonl").open("a") as file:
        file.write(json.dumps({"id": "D[1]", "messages": turns}) + "\n")
    ran = say()
    assert ran.code == 0
    assert "left as they are, for their earlier turns fix who speaks: D[1]" in ran.err


@pytest.mark.parametrize(
    ("words", "files", "said"),
    [
        ((), {"probes": "nowhere.jsonl"}, "nowhere.jsonl: there is no such file"),
        ((), {"config": "nowhere.yaml"}, "nowhere.yaml: cannot be read"),
        ((), {"out": "library.jsonl"}, "is read and cannot be written"),
        ((), {"out": "nowhere/out.jsonl"}, "there is no folder"),
        ((), {"out": "probes.jsonl"}, "was not written by run rephrase-probes"),
        (("--run", "a b"), {}, "--run 'a b': a name begins with a letter or digit"),
        (("--set", "sampling"), {}, "write KEY=VALUE"),
        (("--set", "sampling.warmth=1"), {}, "sampling.warmth"),
        (("--kind", "mood"), {}, "'mood'"),
        (("--samples", 0), {}, "--samples"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    words: tuple[object, ...], files: dict[str, str], said: str, ground: Ground, say: Say
) -> None:
    ran = say(*words, **files)
    assert ran.code == BAD
    assert said in ran.err and "Traceback" not in ran.err
    assert not ground.home.root.exists()


@pytest.mark.usefixtures("farm")
def test_the_name_of_a_campaign_is_not_taken(ground: Ground, say: Say) -> None:
    ground.plan()
    ran = say("--run", "tiny")
    assert (ran.code, "run tiny exists and is no rephrasing" in ran.err) == (BAD, True)
    assert ground.balance().planned == 24


def test_a_missing_service_is_said_so(ground: Ground, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **_options: object) -> None:
        raise BrokerDown("nobody answers")

    monkeypatch.setattr(module, "open_campaign", away)
    ran = say()
    assert (ran.code, "nobody answers" in ran.err) == (AWAY, True)
