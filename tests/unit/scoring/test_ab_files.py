"""A/B files: written from an evaluation, read back, and read as others write them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lemfarm.errors import InputError
from lemfarm.scorers import get_scorer
from lemfarm.scoring.ab_files import AbAnswer, AbFile, read_ab_file, write_ab_file
from lemfarm.scoring.comparison import compare_file
from tests.unit.scoring.shapes import LONG, PLAIN, SHORT, ab_record, condition, read, summary, write


def asked(probe: str, name: str = "baseline", response: str = LONG, **more: Any) -> AbAnswer:
    """An answer as an evaluation gives it."""
    known: dict[str, Any] = {
        "category": "craft", "prompt": f"Who asked {probe}?", "variant": 0, "sample_index": 0, "trained": False,
        "seconds": 1.25, "finished": 1_700_000_000.0, "facts": {"finish_reason": "stop", "tokens": 9},
    }  # fmt: skip
    return AbAnswer(probe=probe, condition=name, response=response, **(known | more))


def wrote(path: Path, answers: list[AbAnswer]) -> list[Any]:
    write_ab_file(path, answers, model="tiny", max_tokens=64, facts={"run": "r"})
    return read(path)


def test_a_record_holds_one_probe_under_every_condition(tmp_path: Path) -> None:
    record, _ = wrote(tmp_path / "ab.jsonl", [asked("A"), asked("A", "json", PLAIN)])
    assert (record["type"], record["id"], record["category"]) == ("probe", "A", "craft")
    assert record["prompt"] == "Who asked A?"
    assert list(record["conditions"]) == ["baseline", "json"]
    held, score = record["conditions"]["baseline"], get_scorer("v2").score("Who asked A?", LONG)
    assert (held["response"], held["lek_score"], held["chars"], held["time_s"]) == (LONG, score.value, len(LONG), 1.25)
    assert len(held["heuristic"]) == 15
    assert held["heuristic"]["lek_score"] == score.value
    assert record["ts"] == "2023-11-14T22:13:20+00:00"
    assert held["lemfarm"] == {"finish_reason": "stop", "tokens": 9}


def test_the_last_line_sums_up(tmp_path: Path) -> None:
    answers = [asked("A"), asked("A", "json", SHORT), asked("B", response=PLAIN), asked("B", "json", PLAIN)]
    *_, last = wrote(tmp_path / "ab.jsonl", answers)
    means = {row["name"]: row for row in last["conditions"]}
    assert (last["type"], last["model"], last["total_probes"], last["max_tokens"]) == ("summary", "tiny", 2, 64)
    assert (means["json"]["improved"], means["json"]["regressed"], means["json"]["unchanged"]) == (0, 1, 1)
    assert means["json"]["delta_vs_baseline"] == pytest.approx(
        means["json"]["avg_lek"] - means["baseline"]["avg_lek"], abs=0.011
    )
    assert last["categories"] == {"craft": {name: row["avg_lek"] for name, row in means.items()}}
    assert last["duration"] == 5.0


def test_what_is_written_is_what_rescore_finds(tmp_path: Path) -> None:
    wrote(tmp_path / "ab.jsonl", [asked("A"), asked("A", "json", PLAIN), asked("B"), asked("B", "json", SHORT)])
    found = compare_file(str(tmp_path / "ab.jsonl"))
    assert (found.model, found.probes, found.bad_lines) == ("tiny", 2, 0)
    assert found.recorded_by == {"v2": 4}
    assert {row.difference for row in found.conditions} == {0.0}
    (change,) = found.changes
    assert change.recorded["delta_vs_baseline"] == pytest.approx(change.interval.mean, abs=0.006)


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        wrote(tmp_path / name, [asked("A"), asked("B")])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_several_answers_of_a_probe_are_several_records(tmp_path: Path) -> None:
    *records, last = wrote(tmp_path / "ab.jsonl", [asked("A"), asked("A", response=SHORT, sample_index=1)])
    assert [record["lemfarm"]["sample_index"] for record in records] == [0, 1]
    assert (last["total_probes"], len(last["conditions"])) == (1, 1)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ABC"), _TEXT, _TEXT, st.booleans()), min_size=1, max_size=6))
def test_what_is_written_is_read_back(tmp_path: Path, rows: list[tuple[str, str, str, bool]]) -> None:
    answers = [
        asked(probe, name, text, sample_index=place, trained=trained)
        for place, (probe, text, other, trained) in enumerate(rows)
        for name, text in (("baseline", text), ("json", other))
    ]
    wrote(tmp_path / "ab.jsonl", answers)
    found = read_ab_file(str(tmp_path / "ab.jsonl"))
    assert (found.model, found.bad_lines) == ("tiny", 0)
    scorer = get_scorer("v2")
    assert [(a.probe, a.condition, a.prompt, a.trained, a.finish, a.tokens, a.value) for a in found.answers] == [
        (a.probe, a.condition, a.prompt, a.trained, "stop", 9, scorer.score(a.prompt, a.response).value)
        for a in answers
    ]


# ---- files of others


def foreign(path: Path, *records: object) -> AbFile:
    return read_ab_file(str(write(path, records)))


def test_a_file_of_others_is_read_with_fresh_scores(tmp_path: Path) -> None:
    record = ab_record("A", {"baseline": condition(LONG, 3.0), "json": condition(PLAIN, 4.0)})
    found = foreign(tmp_path / "ab.jsonl", record, summary())
    assert {answer.value for answer in found.answers} == {
        get_scorer("v2").score("", text).value for text in (LONG, PLAIN)
    }
    assert {(answer.domain, answer.finish, answer.trained) for answer in found.answers} == {("craft", "", False)}
    assert not found.knows_training


def test_an_id_that_names_two_probes_is_told_apart_by_their_prompts(tmp_path: Path) -> None:
    records = [ab_record("A", {"baseline": condition(LONG)}, prompt=prompt) for prompt in ("Who?", "Why?")]
    found = foreign(tmp_path / "ab.jsonl", *records)
    assert [answer.probe for answer in found.answers] == ["A: Who?", "A: Why?"]


def test_lines_that_are_no_record_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = [b"{not json\n", {"response": "no A/B record"}, ab_record("A", {"baseline": condition(LONG)})]
    found = foreign(tmp_path / "ab.jsonl", *lines)
    assert (len(found.answers), found.bad_lines) == (1, 2)
    assert found.problems[0].startswith(f"{tmp_path / 'ab.jsonl'}:1: ")
    assert found.problems[1].endswith("not an A/B record: it has no `conditions`")


def test_a_file_without_any_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no answers of A/B records"):
        foreign(tmp_path / "ab.jsonl", summary())


def test_foreign_values_under_our_key_do_no_harm(tmp_path: Path) -> None:
    held = condition(LONG) | {"lemfarm": {"tokens": "many", "finish_reason": None}}
    (found,) = foreign(tmp_path / "ab.jsonl", ab_record("A", {"baseline": held}, lemfarm=[1])).answers
    assert (found.tokens, found.trained) == (0, False)
