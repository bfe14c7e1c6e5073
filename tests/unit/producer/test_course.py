"""What a run file asks for, spelled out as rows: ids, order, held-out probes, kernels."""

import json

import pytest

from lemfarm.dialogue import Placement
from lemfarm.identity import content_hash, fingerprint, sample_id, sample_seed
from lemfarm.records import Purpose
from lemfarm.work import PlannedSample
from producer.course import Course, as_json
from tests.ground import MODEL, RUN_FILE, Ground

EVALUATE = """\
evaluate:
  {probes: probes.jsonl, held_out: 0.34, trained: 0.0, wordings: all, conditions: {bare: null, whole: kernel.txt}}
"""


def rows_of(course: Course, limit: int | None = None) -> list[PlannedSample]:
    return course.distil_rows(1, {phase.name: number for number, phase in enumerate(course.config.phases)}, limit)


def test_the_same_file_gives_the_same_rows(ground: Ground) -> None:
    first, second = rows_of(ground.course()), rows_of(ground.course())
    assert first == second
    assert len(first) == len({row.id for row in first}) == 24


def test_ids_are_the_documented_ones(ground: Ground) -> None:
    """A second version must find the rows of the first: the derivation is a contract."""
    course = ground.course()
    row = rows_of(course)[0]
    variant = course.phase_probes["first"][0].variants[0]
    kernel = content_hash("Be kind.\n")
    sampling = {"temperature": 0.8, "top_p": 0.95, "max_tokens": 64, "seed": 42}
    mark = fingerprint(MODEL, None, kernel, "system", as_json(variant), sampling)
    assert (row.fingerprint, row.kernel_hash, row.placement) == (mark, kernel, "system")
    assert row.id == sample_id("tiny", "first", mark, 0)
    assert row.seed == sample_seed(42, row.id)


def test_what_the_fingerprint_holds_changes_ids_and_nothing_else_does(ground: Ground) -> None:
    before = {row.id for row in rows_of(ground.course())}

    def after(**overrides: object) -> set[str]:
        return {row.id for row in rows_of(ground.course(**overrides))}

    for changed in ({"sampling__temperature": 0.7}, {"sampling__seed": 1}, {"kernel__placement": "user"}):
        assert after(**changed).isdisjoint(before), changed
    assert after(kernel__file=str(ground.folder / "other.txt")).isdisjoint(before)
    for kept in ({"phases__0__quota__accepted": 12}, {"farm__retries": 1}, {"model__tokens_per_second": 5.0}):
        assert after(**kept) == before, kept
    assert after(phases__0__samples=5) > before, "more samples of one text leave the first ones as they are"
    assert {row.id for row in rows_of(Course(ground.config(), "simulated:other"))}.isdisjoint(before)


def test_a_further_probe_leaves_the_ids_of_the_others(ground: Ground) -> None:
    before = {row.id for row in rows_of(ground.course())}
    ground.write_probes(4)
    assert {row.id for row in rows_of(ground.course())} > before


def test_first_samples_of_all_texts_come_before_second_ones(ground: Ground) -> None:
    indices = [row.sample_index for row in rows_of(ground.course())]
    assert indices == [index for index in range(4) for _ in range(6)]


def test_a_wording_that_two_probes_share_is_asked_once(ground: Ground) -> None:
    """Its fingerprint is one: two rows of it would be the same row."""
    lines = [{"id": name, "domain": "d", "prompt": "Who are you?"} for name in ("A", "B")]
    (ground.folder / "probes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = rows_of(ground.course(phases__0__quota__accepted=4))
    assert [row.sample_index for row in rows] == [0, 1, 2, 3]
    assert len({row.id for row in rows}) == 4


@pytest.mark.parametrize("limit", [1, 6, 7, 23, 24, 25])
def test_a_limit_takes_the_first_rows(ground: Ground, limit: int) -> None:
    course = ground.course()
    assert rows_of(course, limit) == rows_of(course)[:limit]


def test_held_out_probes_are_no_part_of_a_phase_and_all_of_the_evaluation(ground: Ground) -> None:
    course = ground.course(RUN_FILE + EVALUATE)
    assert len(course.held_out) == 1
    sampled = {probe.id for probe in course.phase_probes["first"]}
    measured = {probe.id for probe in course.evaluation_probes}
    assert measured == course.held_out
    assert sampled == {"P0", "P1", "P2"} - course.held_out
    assert course.grid(course.config.phases[0]) == len(rows_of(course)) == 2 * 2 * 4


@pytest.mark.parametrize(("share", "others"), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_a_share_of_the_probes_that_are_trained_on_is_measured_too(ground: Ground, share: float, others: int) -> None:
    course = ground.course(RUN_FILE + EVALUATE, evaluate__trained=share)
    measured = {probe.id for probe in course.evaluation_probes}
    assert measured > course.held_out or others == 0
    assert len(measured) == 1 + others
    assert len(course.phase_probes["first"]) == 2, "measuring takes nothing from a phase"


def test_the_original_wordings_alone_may_be_measured_and_all_are_still_sampled(ground: Ground) -> None:
    course = ground.course(RUN_FILE + EVALUATE, evaluate__wordings="original", evaluate__trained=1.0)
    assert {len(probe.variants) for probe in course.evaluation_probes} == {1}
    assert {variant.position for probe in course.evaluation_probes for variant in probe.variants} == {0}
    assert max(len(probe.variants) for probe in course.all_probes) == 2


def test_evaluation_asks_every_text_once_under_every_condition(ground: Ground) -> None:
    course = ground.course(RUN_FILE + EVALUATE)
    rows = course.evaluation_rows(1, 7)
    assert {(row.condition, row.sample_index, row.phase_id, row.purpose) for row in rows} == {
        ("bare", 0, 7, Purpose.EVALUATE),
        ("whole", 0, 7, Purpose.EVALUATE),
    }
    assert len(rows) == 2 * 2
    assert {row.sampling["temperature"] for row in rows} == {0.0}, "greedy unless the file says otherwise"
    assert {(row.condition, row.kernel_hash is None, row.placement) for row in rows} == {
        ("bare", True, "none"),
        ("whole", False, "system"),
    }


def test_a_condition_with_a_kernel_sends_it_even_where_the_run_has_none(ground: Ground) -> None:
    """Else two conditions would measure the same, and say that the kernel does nothing."""
    without = RUN_FILE.replace("kernel: {file: kernel.txt}", "kernel: null") + EVALUATE
    hidden = RUN_FILE.replace("{file: kernel.txt}", "{file: kernel.txt, placement: none}") + EVALUATE
    before = RUN_FILE.replace("{file: kernel.txt}", "{file: kernel.txt, placement: user}") + EVALUATE
    for text, placement in ((without, "system"), (hidden, "system"), (before, "user")):
        rows = ground.course(text).evaluation_rows(1, 1)
        assert {row.placement for row in rows if row.kernel_hash} == {placement}
        assert {row.placement for row in rows if not row.kernel_hash} == {"none"}


def test_a_kernel_placed_nowhere_is_no_kernel(ground: Ground) -> None:
    course = ground.course(kernel__placement="none")
    assert course.kernel_of(course.config.phases[0]) is None
    assert course.kernels == ()
    assert {(row.kernel_hash, row.placement) for row in rows_of(course)} == {(None, Placement.NONE)}


def test_a_phase_may_have_its_own_kernel_or_none(ground: Ground) -> None:
    own = RUN_FILE.replace("    samples: 4\n", "    samples: 4\n    kernel: {file: other.txt, placement: user}\n")
    assert {row.placement for row in rows_of(ground.course(own))} == {"user"}
    assert [kernel.text for kernel in ground.course(own).kernels] == ["Be brief.\n"]
    without = RUN_FILE.replace("    samples: 4\n", "    samples: 4\n    kernel: null\n")
    assert {row.kernel_hash for row in rows_of(ground.course(without))} == {None}
