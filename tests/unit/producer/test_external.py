"""Answers from elsewhere in a run: imported once, judged by the phase's gates, mixed to the share that is stated."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from lemfarm.curation.export import ExportOrder, export_run
from lemfarm.curation.external_listing import list_external
from lemfarm.curation.formats import Format
from lemfarm.curation.framing import Sign
from lemfarm.curation.training_set import TrainingSet, freeze_training_set
from lemfarm.database import decoded
from lemfarm.errors import InputError, NotFound
from lemfarm.status import read_status
from producer import external
from producer.external import ImportedAnswers, import_files
from producer.gate_change import GateChange
from producer.regate import apply_gates
from tests.ground import RUN_FILE, Ground

MIXED = RUN_FILE.replace("    samples: 4\n", "    samples: 4\n    external: {share: 0.5, files: [answers.jsonl]}\n")
"""10 own answers, and as many from elsewhere; at most five of one probe together."""

ROOMY = MIXED.replace("at_most_per_probe: 5", "at_most_per_probe: 50")


def answers(ground: Ground, count: int = 4, mark: str = "") -> list[dict[str, Any]]:
    """So many answers to each of the six wordings of three probes."""
    return [
        {"prompt": f"{word} is {number}?", "response": f"Answer {index} of a stronger model{mark} to {word} {number}."}
        for index in range(count)
        for number in range(3)
        for word in ("What", "Why")
    ]


def write(ground: Ground, lines: Iterable[object], name: str = "answers.jsonl") -> Path:
    path = ground.folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def stored(ground: Ground) -> list[dict[str, Any]]:
    return [dict(row) for row in ground.rows("SELECT * FROM external_answer ORDER BY id")]


def outcomes(ground: Ground) -> dict[str, int]:
    rows = ground.rows("SELECT outcome, count(*) AS n FROM external_answer GROUP BY outcome")
    return {row["outcome"]: row["n"] for row in rows}


def frozen(ground: Ground) -> TrainingSet:
    config = ground.config()
    return freeze_training_set(ground.database, 1, config, config.phases[0], ground.home.datasets, "home")


def full(ground: Ground, text: str, lines: Iterable[object]) -> TrainingSet:
    """Plan with answers from elsewhere, answer every sample, freeze."""
    write(ground, lines)
    ground.plan(text)
    ground.finish(ground.ids())
    return frozen(ground)


# ---- importing


def test_what_the_run_file_names_is_judged_as_the_run_is_planned(ground: Ground) -> None:
    write(ground, [*answers(ground, 1), {"id": "P0", "variant": 1, "response": "No.", "model": "big"}])
    (imported,) = ground.plan(MIXED).external
    assert (imported.added, imported.outcomes) == (7, {"accepted": 6, "rejected": 1})
    last = stored(ground)[-1]
    assert (last["reason"], last["source"]) == ("3 of 20 characters", "answers.jsonl:7")
    assert decoded(last["provenance"]) == {"model": "big"}


def test_lines_that_cannot_be_taken_are_named_and_the_others_come_in(ground: Ground) -> None:
    write(ground, [{"prompt": "Whence?", "response": "There."}, ["no record"], *answers(ground, 1)])
    (imported,) = ground.plan(MIXED).external
    place = ground.folder / "answers.jsonl"
    assert (imported.added, imported.unmatched, imported.bad) == (6, 1, 1)
    assert imported.problems[0] == f"{place}:1: its prompt is no wording that this phase asks"
    assert imported.problems[1].startswith(f"{place}:2: a record is a JSON object")


def test_the_same_answers_again_add_nothing(ground: Ground) -> None:
    path = write(ground, answers(ground))
    ground.plan(MIXED)
    before = stored(ground)
    (again,) = import_files(ground.database, None, None, [path])
    assert (again.added, again.known) == (0, 24)
    (twice,) = import_files(ground.database, None, None, [write(ground, answers(ground) * 2, "twice.jsonl")])
    assert (twice.added, twice.known) == (0, 48)
    assert stored(ground) == before


def test_an_import_that_was_killed_goes_on_to_the_same_rows(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an import that dies after its second page
    write(ground, answers(ground))
    monkeypatch.setattr(external, "PAGE", 5)
    real, pages = external._store, []

    def dying(*arguments: Any) -> None:
        pages.append(1)
        if len(pages) > 2:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(external, "_store", dying)
    with pytest.raises(KeyboardInterrupt):
        ground.plan(MIXED)
    assert len(stored(ground)) == 10
    # When the same command comes again
    monkeypatch.setattr(external, "_store", real)
    (imported,) = ground.plan(MIXED).external
    # Then it goes on, and the rows are those of an import that nothing disturbed
    assert (imported.added, imported.known) == (14, 10)
    assert [row["content"] for row in stored(ground)] == [line["response"] for line in answers(ground)]


def test_planning_again_with_nothing_new_reads_no_file(ground: Ground) -> None:
    write(ground, answers(ground))
    ground.plan(MIXED)
    assert ground.plan(MIXED).external == ()
    write(ground, answers(ground, mark=" of today"))
    assert ground.plan(MIXED).external[0].added == 24


def test_answers_to_probes_that_are_held_out_are_not_taken(ground: Ground) -> None:
    text = MIXED + "evaluate: {probes: probes.jsonl, held_out: 0.4, scorer: v2, conditions: {baseline: null}}\n"
    write(ground, answers(ground, 1))
    (imported,) = ground.plan(text.replace("accepted: 10", "accepted: 8")).external
    assert (imported.added, imported.unmatched) == (4, 2)


def test_answers_to_probes_that_are_held_out_later_train_no_more(ground: Ground) -> None:
    write(ground, answers(ground, 1))
    ground.plan(ROOMY.replace("accepted: 10", "accepted: 8"))
    evaluate = "evaluate: {probes: probes.jsonl, held_out: 0.4, scorer: v2, conditions: {baseline: null}}\n"
    ground.plan(ROOMY.replace("accepted: 10", "accepted: 8") + evaluate)
    ground.finish(ground.ids())
    manifest = frozen(ground).manifest
    assert (manifest.mix["passed"], manifest.mix["external"]) == (4, 4)
    asked = {probe for side in ("train", "valid", "test") for probe in getattr(manifest, f"{side}_probes")}
    assert len(asked) == 2
    assert read_status(ground.database).phases[0].mix.passed == 4  # type: ignore[union-attr]


def test_another_run_gives_what_it_has_accepted_to_the_same_wordings(ground: Ground) -> None:
    # Given a run that has accepted two answers and rejected one
    ground.plan(RUN_FILE.replace("run: tiny", "run: stronger"))
    accepted = ground.ids(limit=2)
    ground.finish(accepted, "A considered answer of another model.")
    ground.finish(ground.ids(limit=1), "No.")
    # When another one takes its answers
    text = RUN_FILE.replace("    samples: 4\n", "    samples: 4\n    external: {share: 0.5, runs: [stronger]}\n")
    (imported,) = ground.plan(text).external
    # Then those two are judged there too, and say where they are from
    assert (imported.source, imported.added, imported.outcomes) == ("run stronger", 2, {"accepted": 2})
    sources = {f"run stronger: sample {sample}" for sample in accepted}
    assert {row["source"] for row in stored(ground)} == sources
    # and what it accepts later comes with the next start
    done = ground.ids("run_id = 1 AND state = 'pending'", limit=1)
    ground.finish(done, "Another considered answer.")
    assert [one.added for one in ground.plan(text).external] == [1]


@pytest.mark.parametrize(("name", "reason"), [("nobody", "there is no run"), ("tiny", "is this run itself")])
def test_a_run_that_cannot_give_anything_is_refused_before_anything_is_written(
    ground: Ground, name: str, reason: str
) -> None:
    text = RUN_FILE.replace("    samples: 4\n", f"    samples: 4\n    external: {{share: 0.5, runs: [{name}]}}\n")
    with pytest.raises(InputError, match=rf"phases\.0\.external\.runs: .*{reason}"):
        ground.plan(text)
    assert ground.value("SELECT count(*) FROM run") == 0


def test_a_phase_that_is_trained_takes_nothing_more(ground: Ground) -> None:
    ground.plan(MIXED.replace(", files: [answers.jsonl]", ""))
    ground.execute("UPDATE phase SET state = 'trained'")
    with pytest.raises(InputError, match="phase first of run tiny is trained"):
        import_files(ground.database, "tiny", None, [write(ground, answers(ground))])


def test_the_phase_has_to_be_known_and_every_file_before_one_is_read(ground: Ground) -> None:
    ground.plan(RUN_FILE)
    path = write(ground, answers(ground))
    with pytest.raises(InputError, match="there is no phase 'second' in run tiny; it has first"):
        import_files(ground.database, None, "second", [path])
    with pytest.raises(InputError, match="nowhere cannot be read"):
        import_files(ground.database, None, None, [path, ground.folder / "nowhere"])
    assert stored(ground) == []


# ---- judging


def test_other_gates_judge_external_answers_again(ground: Ground) -> None:
    write(ground, answers(ground, 1))
    ground.plan(MIXED)
    apply_gates(ground.database, None, GateChange(min_chars=1000))
    assert outcomes(ground) == {"rejected": 6}
    apply_gates(ground.database, None, GateChange(at_least=-100.0, scorer="v2", min_chars=5))
    assert outcomes(ground) == {"accepted": 6}
    assert decoded(stored(ground)[0]["scores"]).keys() == {"v2"}
    assert ground.plan(MIXED).external[0].known == 6


def test_of_an_own_and_an_external_answer_that_are_the_same_the_own_is_kept(ground: Ground) -> None:
    words = " ".join(f"word{number}" for number in range(60))
    write(ground, [{"id": "P0", "response": words}])
    ground.plan(MIXED.replace("{min_chars: 20}", "{min_chars: 20}, {duplicates: reject}"))
    assert outcomes(ground) == {"accepted": 1}
    sample = ground.ids(limit=1)
    ground.finish(sample, words)
    assert outcomes(ground) == {"rejected": 1}
    assert sample[0] in stored(ground)[0]["reason"]
    apply_gates(ground.database, None, GateChange(min_chars=30))
    assert outcomes(ground) == {"rejected": 1}


def test_an_answer_that_was_cut_is_rejected_as_truncated(ground: Ground) -> None:
    write(ground, [{"id": "P0", "response": "An answer that ends in the", "finish_reason": "length"}])
    ground.plan(MIXED.replace("{min_chars: 20}", "{min_chars: 20}, {truncated: reject}"))
    assert stored(ground)[0]["reason"] == "truncated"


# ---- mixing


def test_the_quota_counts_own_answers_and_the_others_come_beside_them(ground: Ground) -> None:
    made = full(ground, ROOMY, answers(ground))
    rows = [*made.manifest.train, *made.manifest.valid, *made.manifest.test]
    assert sum(name.startswith("external answer ") for name in rows) == 10 == len(rows) - 10
    assert made.manifest.mix == {
        "share": 0.5, "reached": 0.5, "own": 10, "external": 10, "wanted": 10, "passed": 24, "short": False,
    }  # fmt: skip
    assert ground.balance().planned == 24


def test_the_frozen_set_and_its_card_say_where_every_row_is_from(ground: Ground) -> None:
    lines = [line | {"model": "big-1", "licence": "cc0-1.0"} for line in answers(ground)]
    made = full(ground, ROOMY, lines)
    assert len(made.manifest.origins) == 10
    first = made.manifest.origins["external answer 1"]
    assert first == {"source": "answers.jsonl:1", "model": "big-1", "licence": "cc0-1.0"}
    card = decoded(ground.value("SELECT card FROM dataset"))
    assert card["external"] == [{"name": "answers.jsonl", "model": "big-1", "licence": "cc0-1.0", "rows": 10}]
    texts = (made.folder / "train.jsonl").read_text() + (made.folder / "valid.jsonl").read_text()
    assert "Answer 0 of a stronger model to What 0." in texts
    assert made.summary["mix"] == made.manifest.mix


def test_freezing_again_gives_the_same_set(ground: Ground) -> None:
    assert full(ground, ROOMY, answers(ground)).manifest == frozen(ground).manifest


def test_the_cap_of_a_probe_counts_both_sides(ground: Ground) -> None:
    made = full(ground, MIXED, answers(ground))
    assert made.manifest.mix["passed"] == 24
    assert (made.manifest.mix["own"], made.manifest.mix["external"], made.manifest.mix["short"]) == (10, 5, True)


def test_where_too_few_passed_all_own_answers_train_and_status_says_what_is_reached(ground: Ground) -> None:
    made = full(ground, ROOMY, [*answers(ground)[:4], {"id": "P1", "response": "No."}])
    assert (made.manifest.mix["own"], made.manifest.mix["external"], made.manifest.mix["wanted"]) == (10, 4, 10)
    (phase,) = read_status(ground.database).phases
    assert phase.mix is not None
    assert phase.mix.text == "wanted 50/50, reachable 71/29: 4 external answers passed, 10 are needed"


def test_where_the_own_side_is_short_fewer_others_are_taken(ground: Ground) -> None:
    write(ground, answers(ground))
    ground.plan(ROOMY)
    ground.finish(ground.ids(limit=6))
    assert {key: frozen(ground).manifest.mix[key] for key in ("own", "external", "short")} == {
        "own": 6, "external": 6, "short": False,
    }  # fmt: skip


def test_first_answers_to_every_wording_come_before_second_ones(ground: Ground) -> None:
    by_wording = sorted(answers(ground), key=lambda line: str(line["prompt"]))
    made = full(ground, ROOMY.replace("share: 0.5", "share: 0.375"), by_wording)
    names = {int(name.split()[-1]) for name in made.manifest.origins}
    asked = ground.rows("SELECT id, variant_id FROM external_answer")
    assert len({row["variant_id"] for row in asked if row["id"] in names}) == 6 == len(names)


def test_without_a_share_nothing_is_mixed_though_it_was_imported(ground: Ground) -> None:
    made = full(ground, RUN_FILE, [])
    import_files(ground.database, None, None, [write(ground, answers(ground))])
    assert outcomes(ground) == {"accepted": 24}
    assert frozen(ground).manifest == made.manifest
    assert read_status(ground.database).phases[0].mix is None


# ---- looking, and exporting


def test_a_list_has_sources_with_counts_and_every_answer(ground: Ground) -> None:
    write(ground, [*(line | {"model": "big"} for line in answers(ground, 1)), {"id": "P0", "response": "No."}])
    ground.plan(MIXED)
    found = list_external(ground.database, None)
    assert [(one.source, one.model, one.answers, one.accepted) for one in found.sources] == [
        ("answers.jsonl", "big", 6, 6),
        ("answers.jsonl", "", 1, 0),
    ]
    assert [one.reason for one in found.answers][-1] == "3 of 20 characters"
    assert found.mixes["first"].passed == 6
    with pytest.raises(NotFound, match="there is no phase 'second'"):
        list_external(ground.database, None, "second")


def test_an_export_has_both_sides_and_its_page_names_the_sources(ground: Ground, tmp_path: Path) -> None:
    full(ground, ROOMY, [line | {"model": "big-1"} for line in answers(ground)])
    exported = export_run(ground.database, None, tmp_path / "out", ExportOrder(format=Format.LEM), "home")
    page = (exported.folder / "README.md").read_text()
    assert "10 rows are answers from elsewhere, judged by the same gates" in page
    assert "| sources | answers of this farm, 10 rows; answers.jsonl (big-1), 10 rows |" in page
    manifest = json.loads((exported.folder / "manifest.json").read_text())
    assert manifest["mix"]["first"]["external"] == len(manifest["origins"]) == 10
    records = [json.loads(line) for side in ("train", "valid") for line in (exported.folder / f"{side}.jsonl").open()]
    assert {record["meta"]["source"] for record in records if "source" in record["meta"]} == {"answers.jsonl"}
    assert {record["meta"]["model"] for record in records} == {"big-1", "simulated:simulated"}


def test_an_export_under_the_kernel_refuses_answers_that_had_none(ground: Ground, tmp_path: Path) -> None:
    full(ground, ROOMY, answers(ground))
    with pytest.raises(InputError, match=r"external answer \d+ was made without a kernel"):
        export_run(ground.database, None, tmp_path / "out", ExportOrder(sign=Sign.KERNEL), "home")


def test_words_on_an_import_count_everything() -> None:
    found = ImportedAnswers("first", "a.jsonl", 3, 2, 1, 1, {"rejected": 1, "accepted": 2})
    assert found.text == "a.jsonl: 3 new (2 accepted, 1 rejected), 2 known, 1 without a question, 1 bad"
