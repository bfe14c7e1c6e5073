"""`lemfarm probes list|show|check|coverage`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import Ran, lemfarm
from tests.probe_library import line, prose, write

Say = Callable[..., Ran]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    return lambda *words: lemfarm(capsys, "probes", *words)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A folder of two files, three probes, nine wordings."""
    first = {"id": "P1_[RIVER]", "domain": "Water", "language": "en-GB", "region": "Oceania"}
    write(tmp_path / "good" / "phase1.jsonl", [line("P1", prose("river", 40), prose("bank", 40)) | first, line("P2")])
    write(tmp_path / "good" / "phase2.jsonl", [line("P3", language="sw", domain="Air")])
    return tmp_path / "good"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A file with three problems: a short text, a doubled word, a line that gives no probe."""
    lines = [line("P1", "Too short."), "nonsense", line("P2", f"Over the the hill. {prose('hill')}")]
    return write(tmp_path / "bad.jsonl", lines)


def test_a_list_has_a_line_for_each(say: Say, good: Path) -> None:
    ran = say("list", good)
    lines = ran.out.splitlines()
    assert (ran.code, len(lines), ran.err) == (0, 4, "")
    assert lines[0].split() == ["id", "domain", "variants", "words", "begins"]
    assert lines[1].split()[:4] == ["P1_[RIVER]", "Water", "2", "40"]


def test_a_list_can_be_narrowed(say: Say, good: Path) -> None:
    def ids(*words: str) -> list[str]:
        return [one["id"] for one in say("list", good, *words, "--json").data["probes"]]

    assert ids("--domain", "water") == ["P1_[RIVER]", "P2"]
    assert ids("--language", "en") == ["P1_[RIVER]"]
    assert ids("--domain", "Fire") == []


def test_a_line_for_programs(say: Say, good: Path) -> None:
    data = say("list", good, "--json").data
    assert (data["kind"], data["problems"]) == ("probes", [])
    assert data["probes"][0] == {
        "id": "P1_[RIVER]",
        "domain": "Water",
        "variants": 2,
        "words": 40,
        "begins": " ".join(prose("river", 40).split()[:12]) + " …",
        "language": "en-GB",
        "region": "Oceania",
        "phase": "1",
        "place": f"{good / 'phase1.jsonl'}:1",
    }


def test_what_cannot_be_read_is_told_beside_the_list(say: Say, bad: Path) -> None:
    ran = say("list", bad)
    assert (ran.code, len(ran.out.splitlines())) == (0, 3)
    assert f"not read {bad}:2: not JSON" in ran.err
    assert len(say("coverage", bad, "--json").data["problems"]) == 1


def test_of_many_bad_lines_the_first_are_told(say: Say, tmp_path: Path) -> None:
    ran = say("list", write(tmp_path / "a.jsonl", [line("P1"), *["nonsense"] * 30]))
    assert (len(ran.err.splitlines()), "and 20 more; `lemfarm probes check` has all" in ran.err) == (11, True)


@pytest.mark.parametrize("verb", ["list", "coverage"])
def test_where_nothing_can_be_read_there_is_nothing_to_show(say: Say, tmp_path: Path, verb: str) -> None:
    ran = say(verb, write(tmp_path / "a.jsonl", ["nonsense"]))
    assert (ran.code, ran.out, "a.jsonl:1: not JSON" in ran.err) == (2, "", True)


def test_everything_about_one_by_the_beginning_of_its_id(say: Say, good: Path) -> None:
    ran = say("show", good, "P1")
    for part in ("P1_[RIVER]  Water", f"{good / 'phase1.jsonl'}:1, phase 1", "region Oceania", "0 original  40 words",
                 "1 kind1  40 words, 100% changed, 0% kept word for word", prose("bank", 40)):  # fmt: skip
        assert part in ran.out, part


def test_one_probe_for_programs(say: Say, good: Path) -> None:
    data = say("show", good, "P1", "--json").data
    assert (data["kind"], data["probe"]["fields"]["region"]) == ("probe", "Oceania")
    assert [one["changed"] for one in data["probe"]["variants"]] == [None, 1.0]


def test_the_turns_of_a_dialogue_are_shown_with_their_roles(say: Say, tmp_path: Path) -> None:
    turns = [("user", "Who keeps the keys?"), ("assistant", "Nobody."), ("user", "And at night?")]
    spoken = {"id": "P1", "messages": [{"role": role, "content": text} for role, text in turns]}
    ran = say("show", write(tmp_path / "a.jsonl", [spoken]), "P1")
    assert ran.out.splitlines()[-3:] == [f"{role} {text}" for role, text in turns]


@pytest.mark.parametrize(("name", "part"), [("P9", "there is no probe 'P9'"), ("P", "several probes go by 'P'")])
def test_no_such_probe_or_too_many(say: Say, good: Path, name: str, part: str) -> None:
    ran = say("show", good, name)
    assert (ran.code, part in ran.err, ran.out) == (2, True, "")


@pytest.mark.parametrize("words", [("list",), ("show", "P1"), ("coverage",), ("check",)])
def test_no_file_steers_a_terminal(words: tuple[str, ...], say: Say, tmp_path: Path) -> None:
    red = "\x1b[31m"
    fields = {"id": f"P1{red}", "domain": red, "note": red, red: 1}
    variants = [{"kind": red, "prompt": f"Over the the hill.\n{red}"}]
    lines = [line("P1", prose(1)) | fields | {"variants": variants}, {"id": f"P3{red}"}]
    file = write(tmp_path / "a.jsonl", lines)
    ran = say(words[0], file, *words[1:])
    assert red not in ran.out + ran.err
    assert "·[31m" in ran.out


def test_coverage_counts_by_what_is_asked(say: Say, good: Path) -> None:
    lines = say("coverage", good, "--by", "phase, domain").out.splitlines()
    assert [row.split()[:4] for row in lines[1:4]] == [
        ["1", "Water", "2", "5"],
        ["2", "Air", "1", "3"],
        ["all", "all", "3", "8"],
    ]
    assert lines[4] == "nothing at all in 1 / Air; 2 / Water"


def test_coverage_names_thin_spots(say: Say, tmp_path: Path) -> None:
    many = [line(f"P{n}", domain=domain) for domain in ("Air", "Fire") for n in range(4)]
    few = line("P9", prose(9), domain="Ice")
    ran = say("coverage", write(tmp_path / "a.jsonl", [*many, few]), "--by", "domain")
    assert "thin Ice: 1 text in all, below half of 12, the median of the cells" in ran.out


def test_coverage_for_programs(say: Say, good: Path) -> None:
    found = say("coverage", good, "--by", "domain", "--json").data["coverage"]
    assert found["cells"][0] | {"words": None} == {
        "key": ["Air"],
        "probes": 1,
        "texts": 3,
        "kinds": {"original": 1, "kind1": 1, "kind2": 1},
        "words": None,
    }
    assert found["total"]["probes"] == 3


def test_coverage_by_something_else_is_refused(say: Say, good: Path) -> None:
    ran = say("coverage", good, "--by", "size")
    assert (ran.code, "domain, language, region, phase" in ran.err) == (2, True)


def test_a_good_library_is_ok(say: Say, good: Path) -> None:
    ran = say("check", good)
    assert (ran.code, ran.out) == (0, "ok: 3 probes, 8 texts\n")


def test_every_problem_begins_with_its_place(say: Say, bad: Path) -> None:
    ran = say("check", bad)
    assert ran.code == 1
    *problems, verdict = ran.out.splitlines()
    assert [problem.split(": ")[:2] for problem in problems] == [
        [f"{bad}:1", "lengths"],
        [f"{bad}:2", "reading"],
        [f"{bad}:3", "leftovers"],
    ]
    assert verdict == "3 problems (lengths 1, reading 1, leftovers 1): 2 probes, 2 texts"


def test_problems_for_programs(say: Say, bad: Path) -> None:
    ran = say("check", bad, "--json")
    data = ran.data
    assert (ran.code, data["kind"], data["ok"], data["probes"]) == (1, "probe-check", False, 2)
    assert data["findings"][0].keys() == {"place", "rule", "probe", "problem"}
    assert [one["rule"] for one in data["findings"]] == ["lengths", "reading", "leftovers"]


def test_rules_can_be_narrowed_and_what_was_not_read_is_told_all_the_same(say: Say, bad: Path) -> None:
    ran = say("check", bad, "--rule", "ids", "--rule", "overlap")
    assert (ran.code, ran.out) == (0, "ok: 2 probes, 2 texts\n")
    assert f"not read {bad}:2" in ran.err


def test_lengths_can_be_set(say: Say, bad: Path) -> None:
    assert say("check", bad, "--rule", "lengths", "--words", "2-100").code == 0


@pytest.mark.parametrize("words", ["20", "20-", "a-b", "30-20", "-5-20"])
def test_lengths_that_are_none_are_refused(say: Say, bad: Path, words: str) -> None:
    ran = say("check", bad, f"--words={words}")
    assert (ran.code, "as 25-160" in ran.err) == (2, True)


def test_phrases_can_be_excused(say: Say, tmp_path: Path) -> None:
    phrase = "in the middle of the night"
    path = write(tmp_path / "a.jsonl", [line(f"P{n}", f"{prose(n)} {phrase}") for n in range(13)])
    assert say("check", path).code == 1
    assert say("check", path, "--excused", write(tmp_path / "mine.txt", [phrase])).code == 0
    write(tmp_path / "excused-phrases.txt", [phrase])
    assert say("check", path).code == 0


def test_a_file_that_gives_no_probe_is_bad_input_and_the_others_are_judged(say: Say, bad: Path, good: Path) -> None:
    junk = write(bad.parent / "junk.jsonl", ["nonsense"])
    ran = say("check", junk, bad)
    assert (ran.code, f"{junk}:1: reading: not JSON" in ran.out, f"{bad}:3: leftovers" in ran.out) == (2, True, True)
    assert say("check", good, junk, "--json").code == 2
    assert json.loads(say("check", good, junk, "--rule", "ids", "--json").out)["ok"] is False


@pytest.mark.parametrize("rule", ["", "speling"])
def test_an_unknown_rule_names_the_known_ones(say: Say, good: Path, rule: str) -> None:
    ran = say("check", good, "--rule", rule)
    assert (ran.code, "one of reading, ids, duplicates" in ran.err) == (2, True)


@pytest.mark.parametrize("verb", ["list", "check", "coverage", "import"])
def test_a_text_in_place_of_a_file_is_bad_input(verb: str, say: Say) -> None:
    ran = say(verb, "How are you? " * 500)
    assert (ran.code, "File name too long" in ran.out + ran.err) == (2, True)
