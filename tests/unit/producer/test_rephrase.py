"""Rephrasing as farm work: what is asked for, what is taken of the answers, and the file that comes of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lemfarm.config import MinCharsGate, RunConfig, ScoreGate
from lemfarm.dialogue import Message
from lemfarm.engines.base import FinishReason
from lemfarm.errors import InputError, NoSpace, NotFound
from lemfarm.probes import read_probes, variant_hash
from lemfarm.rephrasing import Kind, read_request
from producer.course import Course
from producer.plan import PlanResult, apply_plan
from producer.rephrase import (
    RephrasingPlan,
    folder_of,
    plan_rephrasing,
    refuse_other_run,
    rephrasing_run,
    run_name,
)
from producer.rephrased import REPEATED, UNANSWERED, Missing, Rephrasings, gather
from producer.rephrased_file import refuse_overwriting, save
from tests.ground import MODEL, Ground
from tests.unit.scorers.rephrasing_texts import ANSWER, GOOD, ISLAND, SOURCE

RUN = "rephrase-out"
FRAMED = ISLAND.format(SOURCE)
DIALOGUE = [
    {"role": "user", "content": "May I ask something?"},
    {"role": "assistant", "content": "Of course."},
    {"role": "user", "content": SOURCE},
]


class Desk:
    """A ground with a probe file to rephrase."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.source = ground.folder / "library.jsonl"
        self.out = ground.folder / "out.jsonl"
        self.write({"id": "P1", "domain": "Health", "region": "Alps", "prompt": SOURCE})

    def write(self, *probes: Mapping[str, Any]) -> None:
        self.source.write_text("".join(json.dumps(probe) + "\n" for probe in probes), encoding="utf-8")

    def plan(self, *kinds: Kind, again: bool = False) -> RephrasingPlan:
        return plan_rephrasing([self.source], kinds or tuple(Kind), again=again)

    def config(self, *kinds: Kind, samples: int = 2, **overrides: object) -> RunConfig:
        base = self.ground.config(**overrides)
        return rephrasing_run(self.plan(*kinds), base, name=RUN, samples=samples, home=self.ground.home)

    def start(self, *kinds: Kind, samples: int = 2) -> PlanResult:
        """What `lemfarm probes rephrase` plans."""
        course = Course(self.config(*kinds, samples=samples), MODEL)
        return apply_plan(self.ground.database, course, found=None, limit=None, trains=False)

    def ids(self, probe: str, kind: Kind) -> list[str]:
        """The samples of a pair, by their index."""
        sql = """SELECT s.id FROM sample s JOIN probe p ON p.id = s.probe_id
                 WHERE p.name = :name AND NOT s.superseded ORDER BY s.sample_index"""
        return [row["id"] for row in self.ground.rows(sql, name=f"{probe}:{kind}")]

    def answer(self, kind: Kind, *answers: str, probe: str = "P1") -> None:
        """Answer the first samples of a pair as a worker does: scored and judged."""
        for sample, content in zip(self.ids(probe, kind), answers, strict=False):
            self.ground.finish([sample], content)

    def gather(self, *kinds: Kind) -> Rephrasings:
        return gather(self.ground.database, self.plan(*kinds), self.config(*kinds))

    def save(self, *kinds: Kind) -> dict[str, Any]:
        """Write the file; returns its first line."""
        save(self.gather(*kinds), self.plan(*kinds), self.out, home=self.ground.home, run=RUN)
        line: dict[str, Any] = json.loads(self.out.read_text(encoding="utf-8").splitlines()[0])
        return line

    def refuse(self, *kinds: Kind, out: Path | None = None, run: str = RUN) -> None:
        refuse_overwriting(out or self.out, self.plan(*kinds), [self.source], home=self.ground.home, run=run)


@pytest.fixture
def desk(ground: Ground) -> Desk:
    return Desk(ground)


# ---- what is asked for


def test_every_probe_is_asked_for_every_kind(desk: Desk) -> None:
    desk.write({"id": "P1", "prompt": SOURCE}, {"id": "P2", "prompt": "What is owed to a river?"})
    names = [pair.name for pair in desk.plan().pairs]
    assert names == [f"{probe}:{kind}" for probe in ("P1", "P2") for kind in ("perspective", "urgency", "culture")]


def test_kinds_can_be_chosen_and_keep_their_order(desk: Desk) -> None:
    chosen = [pair.kind for pair in desk.plan(Kind.CULTURE, Kind.PERSPECTIVE).pairs]
    assert chosen == [Kind.PERSPECTIVE, Kind.CULTURE]


def test_a_kind_that_a_probe_has_is_made_again_only_when_asked(desk: Desk) -> None:
    variants = [{"kind": "urgency", "prompt": "Quick!"}, {"kind": "cultural", "prompt": "Far away."}]
    desk.write({"id": "P1", "prompt": SOURCE, "variants": variants})
    assert [pair.kind for pair in desk.plan().pairs] == [Kind.PERSPECTIVE]
    assert [pair.kind for pair in desk.plan(again=True).pairs] == list(Kind)


def test_a_dialogue_is_left_as_it_is_and_named(desk: Desk) -> None:
    desk.write({"id": "P1", "prompt": SOURCE}, {"id": "D1", "messages": DIALOGUE})
    plan = desk.plan()
    assert {pair.probe for pair in plan.pairs} == {"P1"}
    assert plan.dialogues == ("D1",)
    assert [probe.id for probe in plan.probes] == ["P1", "D1"]


def test_a_field_of_somebody_else_is_not_written_over(desk: Desk) -> None:
    desk.write({"id": "P1", "prompt": SOURCE, "rephrased": True})
    with pytest.raises(InputError, match=r"probe P1 has a field `rephrased`"):
        desk.plan()


def test_the_run_generates_with_the_model_of_the_run_file_and_nothing_else_of_it(desk: Desk) -> None:
    base = desk.ground.config(sampling__temperature=0.6)
    config = desk.config(samples=5, sampling__temperature=0.6)
    (phase,) = config.phases
    assert (config.run, config.model, config.sampling, config.farm) == (RUN, base.model, base.sampling, base.farm)
    assert (config.kernel, config.kernel_for(phase), config.train, config.evaluate, phase.train) == (None,) * 5
    assert (phase.samples, phase.quota.accepted, phase.quota.at_most_per_probe) == (5, 3, 1)
    assert ScoreGate(scorer="rephrasing", at_least=1.0) in phase.gates
    assert not any(isinstance(gate, MinCharsGate) for gate in phase.gates), "a Chinese question is short"


def test_what_is_asked_is_the_source_with_the_kind(desk: Desk) -> None:
    (phase,) = desk.config().phases
    asked = [read_request(probe.variants[0].messages[-1].content) for probe in read_probes(phase.probes)]
    assert [(one.kind, one.source) for one in asked if one] == [(kind, SOURCE) for kind in Kind]


def test_one_text_in_two_probes_is_asked_once_and_serves_both(desk: Desk) -> None:
    desk.write({"id": "P1", "prompt": SOURCE}, {"id": "P2", "prompt": SOURCE})
    assert desk.start(Kind.URGENCY).added == 2
    assert desk.config(Kind.URGENCY).phases[0].quota.accepted == 1
    desk.answer(Kind.URGENCY, GOOD[Kind.URGENCY])
    assert [(made.probe, made.text) for made in desk.gather(Kind.URGENCY).made] == [
        ("P1", GOOD[Kind.URGENCY]),
        ("P2", GOOD[Kind.URGENCY]),
    ]


@pytest.mark.parametrize(
    ("out", "name"),
    [("ethics.jsonl", "rephrase-ethics"), ("my probes (2).jsonl", "rephrase-my-probes-2-"), ("é.jsonl", "rephrase--")],
)
def test_the_run_is_named_after_the_file(out: str, name: str) -> None:
    assert run_name(Path("folder", out)) == name
    assert run_name(Path(out), given="mine") == "mine"


@pytest.mark.parametrize("name", ["", "../up", "two words", "-x"])
def test_a_name_that_no_run_can_have_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--run"):
        run_name(Path("out.jsonl"), given=name)


def test_a_run_that_is_no_rephrasing_is_not_planned_over(desk: Desk) -> None:
    desk.ground.plan()
    with pytest.raises(InputError, match="run tiny exists and is no rephrasing"):
        refuse_other_run(desk.ground.database, "tiny")
    desk.start()
    refuse_other_run(desk.ground.database, RUN)
    refuse_other_run(desk.ground.database, "nobody")


def test_a_home_that_takes_no_file_is_said_so(desk: Desk) -> None:
    folder_of(desk.ground.home).parent.mkdir()
    folder_of(desk.ground.home).write_text("no folder")
    with pytest.raises(NoSpace, match="rephrasings"):
        desk.config()


# ---- what is taken of the answers


def test_the_first_good_answer_of_each_pair_is_taken(desk: Desk) -> None:
    desk.start()
    desk.answer(Kind.PERSPECTIVE, FRAMED, GOOD[Kind.PERSPECTIVE])
    desk.answer(Kind.URGENCY, f'Here is the rephrased text:\n\n"{GOOD[Kind.URGENCY]}"')
    desk.answer(Kind.CULTURE, GOOD[Kind.CULTURE], GOOD[Kind.CULTURE].replace("mother", "aunt"))
    found = desk.gather()
    assert [(made.kind, made.text) for made in found.made] == [(kind, GOOD[kind]) for kind in Kind]
    assert found.missing == ()
    assert [made.sample for made in found.made] == [
        desk.ids("P1", Kind.PERSPECTIVE)[1],
        desk.ids("P1", Kind.URGENCY)[0],
        desk.ids("P1", Kind.CULTURE)[0],
    ]
    assert {(made.score, made.run, made.model) for made in found.made} == {(1.0, RUN, "simulated")}


def test_a_pair_without_a_good_answer_says_what_most_of_them_lacked(desk: Desk) -> None:
    desk.start(Kind.URGENCY, samples=3)
    desk.answer(Kind.URGENCY, FRAMED, ANSWER, ANSWER)
    assert desk.gather(Kind.URGENCY).missing == (Missing("P1", "urgency", 3, "asks nothing", 2),)


def test_cut_failed_and_absent_answers_are_reasons_too(desk: Desk) -> None:
    desk.start()
    desk.ground.finish(desk.ids("P1", Kind.PERSPECTIVE), GOOD[Kind.PERSPECTIVE], FinishReason.LENGTH)
    desk.ground.fail(desk.ids("P1", Kind.URGENCY), "the engine broke")
    reasons = {one.kind: (one.reason, one.answers) for one in desk.gather().missing}
    assert reasons == {"perspective": ("truncated", 2), "urgency": ("the engine broke", 2), "culture": (UNANSWERED, 0)}


def test_an_answer_without_words_is_told_as_such(desk: Desk) -> None:
    desk.start(Kind.URGENCY, samples=1)
    desk.answer(Kind.URGENCY, "...")
    (missing,) = desk.gather(Kind.URGENCY).missing
    assert missing.reason == "no words at all"


def test_a_wording_that_the_probe_has_already_is_not_taken_again(desk: Desk) -> None:
    near = GOOD[Kind.PERSPECTIVE].replace("collect", "fetch")
    desk.write({"id": "P1", "prompt": SOURCE, "variants": [{"kind": "mine", "prompt": near}]})
    desk.start(Kind.PERSPECTIVE, Kind.URGENCY)
    desk.answer(Kind.PERSPECTIVE, GOOD[Kind.PERSPECTIVE])
    desk.answer(Kind.URGENCY, GOOD[Kind.PERSPECTIVE], GOOD[Kind.URGENCY])
    found = desk.gather(Kind.PERSPECTIVE, Kind.URGENCY)
    assert [made.text for made in found.made] == [GOOD[Kind.URGENCY]]
    assert [missing.reason for missing in found.missing] == [REPEATED]


def test_a_run_that_was_never_planned_has_nothing_to_gather(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.gather()


def test_the_farm_stops_asking_for_a_pair_that_has_its_answer(desk: Desk) -> None:
    # Given two pairs of four samples, one of them answered well at once
    desk.start(Kind.PERSPECTIVE, Kind.URGENCY, samples=4)
    desk.answer(Kind.PERSPECTIVE, GOOD[Kind.PERSPECTIVE])
    # When the watcher looks
    desk.ground.handover.advance(desk.ground.run, desk.config(Kind.PERSPECTIVE, Kind.URGENCY, samples=4))
    # Then only the other is sent, and once that has one too the run is done
    assert set(desk.ground.queue.ids) <= set(desk.ids("P1", Kind.URGENCY))
    desk.answer(Kind.URGENCY, GOOD[Kind.URGENCY])
    for _ in range(2):
        desk.ground.handover.advance(desk.ground.run, desk.config(Kind.PERSPECTIVE, Kind.URGENCY, samples=4))
    assert (desk.ground.state, desk.ground.balance().skipped) == ("done", 6)


def test_the_same_plan_again_adds_nothing_and_more_samples_keep_what_is_done(desk: Desk) -> None:
    desk.start(Kind.URGENCY)
    desk.answer(Kind.URGENCY, FRAMED, FRAMED)
    assert not desk.start(Kind.URGENCY).changed
    raised = desk.start(Kind.URGENCY, samples=3)
    assert (raised.added, raised.superseded) == (1, 0)
    desk.ground.finish(desk.ids("P1", Kind.URGENCY)[2:], GOOD[Kind.URGENCY])
    assert [made.text for made in desk.gather(Kind.URGENCY).made] == [GOOD[Kind.URGENCY]]


# ---- the file


def test_the_file_holds_the_sources_with_old_and_new_variants(desk: Desk) -> None:
    old = {"kind": "mine", "prompt": "Who may ask a pharmacist to count the missing?"}
    desk.write(
        {"id": "P1", "domain": "Health", "region": "Alps", "prompt": SOURCE, "variants": [old]},
        {"id": "D1", "domain": "Talk", "messages": DIALOGUE},
    )
    desk.start(Kind.CULTURE)
    desk.answer(Kind.CULTURE, GOOD[Kind.CULTURE])
    line = desk.save(Kind.CULTURE)
    assert line["variants"] == [old, {"kind": "culture", "prompt": GOOD[Kind.CULTURE]}]
    probe, dialogue = read_probes([desk.out])
    before, as_it_was = read_probes([desk.source])
    assert dialogue == as_it_was
    assert (probe.id, probe.domain, probe.variants[:2]) == (before.id, before.domain, before.variants)
    assert probe.variants[2].messages == (Message("user", GOOD[Kind.CULTURE]),)
    assert probe.fields["region"] == "Alps"


def test_each_new_variant_waits_for_review_and_says_where_it_comes_from(desk: Desk) -> None:
    desk.start(Kind.CULTURE)
    desk.answer(Kind.CULTURE, GOOD[Kind.CULTURE])
    (entry,) = desk.save(Kind.CULTURE)["rephrased"]
    (sample, _) = desk.ids("P1", Kind.CULTURE)
    assert {key: entry[key] for key in ("kind", "review", "model", "run", "sample", "score")} == {
        "kind": "culture",
        "review": "pending",
        "model": "simulated",
        "run": RUN,
        "sample": sample,
        "score": 1.0,
    }
    assert entry["text"] == variant_hash(read_probes([desk.out])[0].variants[1])
    assert 0 < entry["signals"]["changed"] < 1


def test_a_file_that_was_reviewed_can_be_rephrased_further(desk: Desk) -> None:
    # Given one kind made, reviewed, and taken as the source of the next run
    desk.start(Kind.CULTURE)
    desk.answer(Kind.CULTURE, GOOD[Kind.CULTURE])
    line = desk.save(Kind.CULTURE)
    line["rephrased"][0]["review"] = "accepted"
    desk.write(line)
    # When the other kinds are asked for
    assert [pair.kind for pair in desk.plan().pairs] == [Kind.PERSPECTIVE, Kind.URGENCY]
    desk.start()
    desk.answer(Kind.URGENCY, GOOD[Kind.URGENCY])
    # Then the review stands, and what is new follows it
    entries = desk.save()["rephrased"]
    assert [(entry["kind"], entry["review"]) for entry in entries] == [("culture", "accepted"), ("urgency", "pending")]


def test_the_same_command_writes_the_same_file_again(desk: Desk) -> None:
    desk.start()
    desk.answer(Kind.URGENCY, GOOD[Kind.URGENCY])
    desk.refuse()
    desk.save()
    first = desk.out.read_bytes()
    desk.refuse()
    desk.save()
    assert desk.out.read_bytes() == first


def test_a_file_in_which_a_person_has_worked_is_not_overwritten(desk: Desk) -> None:
    desk.start()
    desk.answer(Kind.URGENCY, GOOD[Kind.URGENCY])
    desk.save()
    desk.out.write_text(desk.out.read_text(encoding="utf-8").replace("pending", "accepted"), encoding="utf-8")
    with pytest.raises(InputError, match="was changed since"):
        desk.refuse()


def test_a_file_of_another_run_or_of_nobody_is_not_overwritten(desk: Desk) -> None:
    desk.start()
    desk.save()
    with pytest.raises(InputError, match="not written by run other"):
        desk.refuse(run="other")
    stranger = desk.ground.folder / "stranger.jsonl"
    stranger.write_text("{}")
    with pytest.raises(InputError, match="not written by run"):
        desk.refuse(out=stranger)


def test_rephrasings_that_are_not_asked_for_now_are_not_lost(desk: Desk) -> None:
    desk.start(Kind.URGENCY)
    desk.answer(Kind.URGENCY, GOOD[Kind.URGENCY])
    desk.save(Kind.URGENCY)
    with pytest.raises(InputError, match=r"not asked for now \(P1 urgency\)"):
        desk.refuse(Kind.CULTURE)
    desk.refuse(Kind.CULTURE, Kind.URGENCY)


def test_a_place_where_no_file_can_be_is_refused_before_the_work(desk: Desk) -> None:
    with pytest.raises(InputError, match="is read and cannot be written"):
        desk.refuse(out=desk.source)
    for place in (desk.ground.folder, desk.ground.folder / "nowhere" / "out.jsonl"):
        with pytest.raises(InputError, match=r"is not a file|there is no folder"):
            desk.refuse(out=place)


def test_a_disk_that_takes_no_more_costs_no_answer(desk: Desk) -> None:
    desk.start()
    desk.out.mkdir()
    with pytest.raises(NoSpace, match="the same command writes it"):
        desk.save()
