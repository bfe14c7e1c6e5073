"""`check`: all rules by their names, over a library on disk."""

import re
from pathlib import Path

import pytest

from lemfarm.errors import InputError
from lemfarm.library.quality import RULES, Limits, check
from lemfarm.library.reading import read_library
from tests.probe_library import held, library, line, prose, write

PAGE = Path(__file__).parents[3] / "docs" / "how-do-i-write-good-probes.md"


def test_a_library_with_nothing_wrong_has_no_findings() -> None:
    assert check(library(*(held(f"P{number}") for number in range(20)))) == ()


def test_findings_come_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", [line("P4", "Too short.")])
    write(tmp_path / "a.jsonl", [line("P1"), *["nonsense"] * 9, line("P2", "Too short too."), line("P1")])
    found = check(read_library([tmp_path]))
    assert [(Path(one.place).name, one.rule, one.probe) for one in found] == [
        *((f"a.jsonl:{number}", "reading", "") for number in range(2, 11)),
        ("a.jsonl:11", "lengths", "P2"),
        ("a.jsonl:12", "ids", "P1"),
        ("b.jsonl:1", "lengths", "P4"),
    ]


def test_what_concerns_a_whole_file_comes_after_its_lines(tmp_path: Path) -> None:
    found = check(read_library([write(tmp_path / "a.jsonl", ["nonsense"] * 7)]))
    assert [one.place.rpartition(":")[2] for one in found[:-1]] == ["1", "2", "3", "4", "5"]
    assert found[-1].problem == "and 2 more problems"


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_asked_for_alone(rule: str, tmp_path: Path) -> None:
    """One library that does something against every rule."""
    frame, phrase = prose("frame"), "in the middle of the night"
    habits = [line(f"H{number}", f"{prose(number)} {phrase}", region="north") for number in range(13)]
    faults = [
        line("P1", "Too short."),
        line("P1", "Too short!"),
        line("P2", frame, f"{frame} now", domain="", stakeholders=["one"]),
        line("P3", f"{frame} {{town}}"),
        "nonsense",
    ]
    found = check(read_library([write(tmp_path / "a.jsonl", [*habits, *faults])]), only=[rule])
    assert {one.rule for one in found} == {rule}


def test_a_rule_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(InputError, match=r"no rule 'speling': one of reading, ids"):
        check(library(), only=["ids", "speling"])


def test_limits_reach_the_rules_they_are_for() -> None:
    short = library(*(held(f"P{number}", f"{prose(number, 16)} and so on and on again") for number in range(3)))
    assert {one.rule for one in check(short)} == {"lengths"}
    assert check(short, limits=Limits(fewest_words=20)) == ()
    assert {one.rule for one in check(short, limits=Limits(most_words=20))} == {"lengths"}
    assert {one.rule for one in check(short, limits=Limits(20, 160, phrase_probes=2))} == {"stock-phrases"}


def test_the_page_on_good_probes_explains_every_rule_in_order() -> None:
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == RULES
