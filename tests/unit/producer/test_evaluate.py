"""An evaluation outside of a campaign: what is measured, what it is asked, and the run that does it."""

from pathlib import Path

import pytest

from lemfarm.config import RunConfig
from lemfarm.errors import ConfigError, InputError, NotFound, ProbeError
from lemfarm.records import Purpose
from lemfarm.scoring.ab_files import read_ab_file
from producer.ab_answers import save
from producer.compared import compared, pairs_of
from producer.course import Course
from producer.evaluate import (
    Questions,
    Subject,
    conditions_of,
    evaluation_run,
    find_subject,
    refuse_other_run,
    run_name,
)
from producer.evaluation import measure, plan_adapter_evaluation
from producer.plan import apply_plan
from tests.ground import MODEL, RUN_FILE, Ground
from tests.unit.producer.test_evaluation import EVALUATE, FILE, add_adapter

ADAPTER = "a1b2c3d4e5f6"


@pytest.fixture
def trained(ground: Ground) -> Ground:
    """A run with an adapter that it has promoted."""
    ground.plan()
    add_adapter(ground, ADAPTER)
    ground.execute("UPDATE run SET promoted = :adapter", adapter=ADAPTER)
    return ground


def questions(ground: Ground, **more: object) -> Questions:
    return Questions(ground.folder / "probes.jsonl", **more)  # type: ignore[arg-type]


def start(ground: Ground, config: RunConfig) -> int:
    """Plan as the verb does."""
    return apply_plan(ground.database, Course(config, MODEL), found=None, limit=0, trains=False).run_id


# ---- what is measured


def test_a_run_file_means_its_untrained_model(ground: Ground) -> None:
    (ground.folder / "other.yaml").write_text(RUN_FILE)
    found = find_subject(ground.database, str(ground.folder / "other.yaml"), {})
    assert (found.name, found.adapter, found.data["model"]["engine"]) == ("tiny", None, "simulated")


def test_a_run_means_its_promoted_adapter_and_an_adapter_may_be_shortened(trained: Ground) -> None:
    by_run = find_subject(trained.database, "tiny", {})
    assert by_run == find_subject(trained.database, ADAPTER[:6], {}) == find_subject(trained.database, ADAPTER, {})
    assert (by_run.name, by_run.adapter) == ("tiny", ADAPTER)


def test_a_beginning_that_fits_two_adapters_is_refused(trained: Ground) -> None:
    add_adapter(trained, ADAPTER + "ff")
    with pytest.raises(InputError, match="2 adapters begin so"):
        find_subject(trained.database, ADAPTER[:8], {})


def test_a_run_that_promoted_nothing_says_what_to_name(ground: Ground) -> None:
    ground.plan()
    with pytest.raises(InputError, match="promoted no adapter yet; name its run file"):
        find_subject(ground.database, "tiny", {})


def test_a_folder_and_a_hub_id_are_models(ground: Ground, tmp_path: Path) -> None:
    folder = find_subject(ground.database, str(tmp_path), {})
    assert folder.data["model"] == {"engine": "mlx", "path": str(tmp_path.resolve())}
    hub = find_subject(ground.database, "owner/model-4bit", {})
    assert (hub.name, hub.data["model"]["path"]) == ("model-4bit", "owner/model-4bit")


def test_anything_else_is_refused_with_what_may_stand_there(ground: Ground) -> None:
    with pytest.raises(InputError, match="neither a run file, a model's folder"):
        find_subject(ground.database, "nothing", {})


# ---- what it is asked


def test_conditions_are_the_bare_prompt_and_kernel_files(ground: Ground) -> None:
    kernel = ground.folder / "kernel.txt"
    assert conditions_of([]) == {"baseline": None}
    assert conditions_of(["baseline", f"json={kernel}", str(kernel)]) == {
        "baseline": None,
        "json": kernel,
        "kernel": kernel,
    }


@pytest.mark.parametrize("given", ["json=", "json=nowhere.json", "nowhere.json", ""])
def test_a_condition_without_its_file_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="write baseline, or NAME=FILE"):
        conditions_of([given])


def test_two_conditions_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="'baseline' already"):
        conditions_of(["baseline", "baseline"])


def test_what_no_run_may_ask_is_refused_before_any_work(ground: Ground) -> None:
    subject, kernel = Subject("s", {"model": {"engine": "simulated"}}), ground.folder / "kernel.txt"
    with pytest.raises(ConfigError, match="has the kernel of 'a' again"):
        evaluation_run(subject, questions(ground, conditions={"a": kernel, "b": kernel}), "r")
    with pytest.raises(InputError, match="add --no-greedy"):
        evaluation_run(subject, questions(ground, samples=2), "r")
    with pytest.raises(InputError, match="no scorer"):
        evaluation_run(subject, questions(ground, scorer="nope"), "r")
    with pytest.raises(ProbeError):
        evaluation_run(subject, Questions(ground.folder / "nowhere.jsonl"), "r")


def test_a_run_is_named_by_what_it_measures() -> None:
    assert run_name(Subject("tiny run", {}), Path("x/P100.json")) == "evaluate-tiny-run-P100"
    assert run_name(Subject("tiny", {}, ADAPTER), Path("P.jsonl")) == "evaluate-tiny-a1b2c3d4e5-P"
    assert run_name(Subject("tiny", {}), Path("P.jsonl"), "mine") == "mine"
    with pytest.raises(InputError, match="--run 'a b'"):
        run_name(Subject("tiny", {}), Path("P.jsonl"), "a b")


def test_a_run_that_samples_is_never_turned_into_one_that_measures(ground: Ground) -> None:
    ground.plan()
    with pytest.raises(InputError, match="exists and is no evaluation"):
        refuse_other_run(ground.database, "tiny")
    refuse_other_run(ground.database, "another")


# ---- the run


def test_the_run_measures_every_probe_and_samples_nothing(trained: Ground) -> None:
    # Given an adapter, asked under two conditions
    subject = find_subject(trained.database, "tiny", {})
    conditions = {"baseline": None, "json": trained.folder / "kernel.txt"}
    config = evaluation_run(subject, questions(trained, conditions=conditions), "measuring")
    run_id = start(trained, config)
    # Then there is a row for each probe and condition, all of them the adapter's
    rows = trained.rows("SELECT * FROM sample WHERE run_id = :run", run=run_id)
    assert {(row["purpose"], row["adapter_id"], row["placement"] == "none") for row in rows} == {
        ("evaluate", ADAPTER, True),
        ("evaluate", ADAPTER, False),
    }
    assert len(rows) == 3 * 2
    # and the same command again adds nothing
    start(trained, config)
    assert trained.value("SELECT count(*) FROM sample WHERE run_id = :run", run=run_id) == 6


def test_the_probes_that_the_adapter_was_trained_on_are_reported_apart(trained: Ground) -> None:
    subject = find_subject(trained.database, "tiny", {})
    (trained.folder / "both.jsonl").write_text(
        (trained.folder / "probes.jsonl").read_text() + '{"id": "new", "domain": "d", "prompt": "What is new?"}\n'
    )
    run_id = start(trained, evaluation_run(subject, Questions(trained.folder / "both.jsonl"), "measuring"))
    trained.finish([row["id"] for row in trained.rows("SELECT id FROM sample WHERE run_id = :run", run=run_id)])
    by_split = {row.split: set(row.details["by_probe"]) for row in measure(trained.database, run_id, "v2")}
    assert (by_split["held_out"], by_split["trained"]) == ({"new"}, {"P0", "P1", "P2"})


def test_an_adapter_of_another_model_is_refused(trained: Ground) -> None:
    config = evaluation_run(find_subject(trained.database, "tiny", {}), questions(trained), "measuring")
    with pytest.raises(InputError, match="belongs to the model of run tiny"):
        apply_plan(trained.database, Course(config, "another"), found=None, limit=0, trains=False)
    unknown = Subject("tiny", config.model_dump(mode="json"), "f" * 32)
    with pytest.raises(InputError, match="knows no adapter"):
        start(trained, evaluation_run(unknown, questions(trained), "measuring"))


# ---- files and comparisons


@pytest.fixture
def measured(ground: Ground) -> Ground:
    """A run whose base model and two adapters have answered."""
    ground.plan(FILE + EVALUATE.replace("bare:", "baseline:"))
    for adapter, parent in (("adapterone", None), ("adaptertwo2", "adapterone")):
        add_adapter(ground, adapter, parent)
        plan_adapter_evaluation(ground.database, ground.run_id, adapter)
    ground.finish(ground.ids(purpose=Purpose.EVALUATE))
    return ground


def test_the_file_of_a_model_says_what_the_database_says(measured: Ground) -> None:
    path = measured.folder / "ab.jsonl"
    assert save(measured.database, "tiny", path, "adapterone") == 12
    found = read_ab_file(str(path))
    assert found.model.endswith("+adapterone")
    (stored,) = [one for one in compared(measured.database, ["tiny"], "v2") if one.adapter == "adapterone"]
    assert {(a.probe, a.condition, a.trained, a.value, a.tokens) for a in found.answers} == {
        (a.probe, a.condition, a.trained, a.value, a.tokens) for a in stored.model.answers
    }


def test_a_model_without_answers_has_no_file(ground: Ground) -> None:
    ground.plan(FILE + EVALUATE)
    with pytest.raises(NotFound, match="no answer of the base model"):
        save(ground.database, "tiny", ground.folder / "ab.jsonl")
    assert not (ground.folder / "ab.jsonl").exists()


def test_a_run_gives_its_base_model_and_its_adapters_in_order(measured: Ground) -> None:
    found = compared(measured.database, ["tiny"], "v2")
    assert [one.adapter for one in found] == [None, "adapterone", "adaptertwo2"]
    assert [one.model.label for one in found] == ["tiny base", "tiny first adaptero", "tiny first adaptert"]
    assert [(before.adapter, after.adapter) for before, after in pairs_of(found)] == [
        (None, "adapterone"),
        (None, "adaptertwo2"),
        ("adapterone", "adaptertwo2"),
    ]


def test_files_and_runs_are_compared_with_the_first(measured: Ground) -> None:
    path = measured.folder / "ab.jsonl"
    save(measured.database, "tiny", path)
    found = compared(measured.database, [str(path), "tiny"], "v2")
    assert [(before.source, after.adapter) for before, after in pairs_of(found)][:2] == [
        (str(path), None),
        ("tiny", "adapterone"),
    ]


def test_two_files_of_one_name_are_told_apart(measured: Ground) -> None:
    paths = [measured.folder / name / "ab.jsonl" for name in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        save(measured.database, "tiny", path)
    found = compared(None, [str(path) for path in paths], "v2")
    assert [one.model.label for one in found] == [str(path) for path in paths]


def test_a_run_that_measured_nothing_has_nothing_to_compare(ground: Ground) -> None:
    ground.plan()
    with pytest.raises(InputError, match="no scored answer"):
        compared(ground.database, ["tiny"], "v2")
    with pytest.raises(InputError, match="no farm here"):
        compared(None, ["tiny"], "v2")
    with pytest.raises(InputError, match="no scorer"):
        compared(ground.database, ["tiny"], "nope")


# ---- the end of the run


def test_a_run_that_measures_is_done_when_all_is_answered(ground: Ground) -> None:
    # Given an evaluation of an untrained model
    config = evaluation_run(Subject("s", {"model": {"engine": "simulated"}}), questions(ground), "measuring")
    start(ground, config)
    # When its answers are in
    ground.handover.advance(ground.run, config)
    assert (ground.state, len(ground.queue.messages)) == ("active", 3)
    ground.finish(ground.queue.ids)
    ground.handover.advance(ground.run, config)
    # Then it is done, measured, and its phase has starved nobody
    assert (ground.state, ground.reason) == ("done", "")
    assert ground.value("SELECT count(*) FROM evaluation") == 2
    # and the same command again has nothing left to do
    start(ground, config)
    assert ground.state == "done"
