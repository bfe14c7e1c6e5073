"""Recorded scores beside fresh ones: what is the same, what is of another scorer, what a file's summary said."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.scorers import get_scorer
from lemfarm.scoring.comparison import FileComparison, compare_file
from tests.unit.scoring.shapes import LONG, PLAIN, ab_record, answered, condition, summary, write


def value(text: str) -> float:
    return get_scorer("v2").score("", text).value


def compared(folder: Path, *records: object, scorer: str = "v2") -> FileComparison:
    return compare_file(str(write(folder / "ab.jsonl", records)), scorer)


def test_means_are_told_for_each_condition(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        ab_record("P1", {"baseline": condition(PLAIN, 7.0), "json": condition(LONG, 8.0)}),
        ab_record("P2", {"baseline": condition(LONG, 8.0), "json": condition(LONG, 4.0)}),
    )
    baseline, json_ = found.conditions
    assert (baseline.condition, baseline.n, baseline.recorded) == ("baseline", 2, 7.5)
    assert baseline.fresh == pytest.approx((value(PLAIN) + value(LONG)) / 2)
    assert baseline.difference == pytest.approx(baseline.fresh - 7.5)
    assert (json_.recorded, json_.fresh) == (6.0, value(LONG))
    assert (found.probes, found.scorer) == (2, "v2")


def test_a_file_of_the_same_scorer_has_no_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, ab_record("P1", {"baseline": condition(LONG, value(LONG))}))
    assert (found.conditions[0].same, found.conditions[0].difference) == (1, 0.0)
    assert found.recorded_by == {"v2": 1}


def test_the_older_scorer_is_told_by_its_counts(tmp_path: Path) -> None:
    conditions = {"baseline": condition(PLAIN, 8.0, later=False), "json": condition(LONG, 8.0), "txt": answered(LONG)}
    found = compared(tmp_path, ab_record("P1", conditions))
    assert found.recorded_by == {"ab-v1": 1, "v2": 1, "unknown": 1}


def test_answers_without_a_recorded_score_count_for_the_fresh_mean_only(tmp_path: Path) -> None:
    found = compared(
        tmp_path,
        ab_record("P1", {"baseline": condition(PLAIN, 7.0)}),
        ab_record("P2", {"baseline": condition(LONG), "json": condition(LONG)}),
    )
    baseline, json_ = found.conditions
    assert (baseline.n, baseline.recorded) == (2, 7.0)
    assert baseline.difference == pytest.approx(value(PLAIN) - 7.0), "of the pair alone"
    assert (json_.recorded, json_.difference, json_.same) == (None, None, 0)


def test_a_condition_is_compared_with_the_baseline_probe_by_probe(tmp_path: Path) -> None:
    # Given three probes of which one gains, one loses and one stays, then each is counted so, beside the summary's own.
    pairs = [(PLAIN, LONG), (LONG, PLAIN), (PLAIN, PLAIN)]
    records = [
        ab_record(f"P{n}", {"baseline": condition(before), "json": condition(after)})
        for n, (before, after) in enumerate(pairs)
    ]
    recorded = {"delta_vs_baseline": -0.2, "improved": 0, "regressed": 1, "unchanged": 2}
    found = compared(tmp_path, *records, summary({"name": "baseline"}, {"name": "json", "avg_lek": 6.0, **recorded}))
    (change,) = found.changes
    assert (change.condition, change.improved, change.regressed, change.unchanged) == ("json", 1, 1, 1)
    assert (change.interval.mean, change.interval.n) == (pytest.approx(0.0), 3)
    assert change.recorded == recorded
    assert found.model == "tiny"


def test_only_a_noticeable_difference_is_one(tmp_path: Path) -> None:
    # One question mark more is half a point, which is not more than half a point.
    records = [ab_record("P1", {"baseline": condition(PLAIN), "json": condition(PLAIN + "?")})]
    assert compared(tmp_path, *records).changes[0].unchanged == 1


def test_answers_to_other_probes_are_not_compared(tmp_path: Path) -> None:
    found = compared(
        tmp_path, ab_record("P1", {"baseline": condition(PLAIN)}), ab_record("P2", {"json": condition(LONG)})
    )
    assert found.changes == ()


def test_probes_that_share_an_id_are_told_apart_by_their_prompt(tmp_path: Path) -> None:
    records = [
        ab_record("P1", {"baseline": condition(PLAIN), "json": condition(LONG)}, prompt=prompt) for prompt in "ab"
    ]
    assert compared(tmp_path, *records).changes[0].interval.n == 2


def test_another_scorer_may_be_named(tmp_path: Path) -> None:
    found = compared(tmp_path, ab_record("P1", {"baseline": condition(LONG, 8.0)}), scorer="v2-distill")
    assert found.conditions[0].fresh == get_scorer("v2-distill").score("", LONG).value


def test_lines_that_are_no_ab_record_are_named_and_left_out(tmp_path: Path) -> None:
    found = compared(tmp_path, ab_record("P1", {"baseline": condition(LONG)}), answered(LONG), b"{half\n")
    assert (found.bad_lines, found.conditions[0].n) == (2, 1)
    assert [problem.partition("ab.jsonl")[2].partition(": ")[0] for problem in found.problems] == [":2", ":3"]
    assert "no `conditions`" in found.problems[0]


def test_a_file_or_scorer_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        compare_file(str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="no scorer named"):
        compared(tmp_path, scorer="nobody")


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
odd_conditions = st.dictionaries(
    st.sampled_from(["baseline", "json", ""]),
    st.fixed_dictionaries({"response": st.text(max_size=9) | junk}, optional={"lek_score": junk, "heuristic": junk})
    | junk,
)
odd_records = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(["probe", "summary"]) | junk, "id": junk, "prompt": junk, "model": junk,
                  "conditions": odd_conditions | st.lists(st.fixed_dictionaries({"name": junk, "improved": junk}))}
)  # fmt: skip


@given(st.lists(odd_records | junk, max_size=4))
def test_no_file_whatever_raises(tmp_path_factory: pytest.TempPathFactory, records: list[Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    found = compare_file(str(path))
    assert found.bad_lines <= len(records)
