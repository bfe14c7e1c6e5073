"""The shipped probes are finished text: these tests hold what the data sheet in seeds/README.md promises.

What is asked of every library, `lemfarm.library` judges; what is asked of ours beside that is judged here, on the files
as `json` reads them.
"""

import importlib.util
import json
import re
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

from lemfarm.library.quality import Limits, check
from lemfarm.library.reading import read_library
from lemfarm.wording import words

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "seeds"
PROBE_FILE = SEEDS / "phase1-deep-axiom.jsonl"
DATA_SHEET = SEEDS / "README.md"

KINDS = ["perspective", "urgency", "culture"]
PROBES_PER_PHRASE = 3
LONGEST_SHARED_RUN = 8
NAMED_BY_GATES = {"P01_IDENTITY_WHISTLEBLOWER", "P11_HYPNOS_DREAM", "P13_HYPNOS_SILENCE", "P20_CULTURE_MYTH"}
# How many of the 101 published probes each domain has; the file may hold fewer, never others.
DOMAIN_SIZES = {
    "Un-Cloud": 15,
    "Silent Network": 15,
    "Forgotten History": 15,
    "Ghost in the Shell": 15,
    "Hypnos": 8,
    "Culture": 6,
    "Identity": 3,
    "Storage": 3,
    "Governance": 3,
    "Education": 3,
    "History": 3,
    "Network": 2,
    "Compute": 2,
    "Payment": 2,
    "Health": 1,
    "Censorship": 1,
    "Wisdom": 1,
    "Resistance": 1,
    "Philosophy": 1,
    "Labor": 1,
}
# House style, beside the leftovers that no library may have: the pattern, and an example that it must catch.
HOUSE_STYLE = {
    "two spaces": (r"  ", "Two.  Spaces."),
    "a line break": (r"\n", "A line\nbreak."),
    "brackets of a form": (r"<[a-z_ ]+>|\{[^}]*\}|\[[^\]]*\]", "Dear [friend]."),
    "typographic quotes or dashes": (r"[\u2018\u2019\u201c\u201d\u2013\u2014\u2026]", "She said \u201cno\u201d."),
    "a space before punctuation": (r" [,.;:?!]", "Who ?"),
    "doubled punctuation": (r"[,.;:?!][,.;:?!]", "Who?."),
    "no end to the last sentence": (r"[^.?!]$", "And then"),
}
# -ise and -our: the library is in British spelling. Words whose z belongs to the stem are excused.
AMERICAN = re.compile(
    r"\b(?!prize|capsize|seize|size)\w{3,}iz(?:e[sd]?|ing|ation)\b"
    r"|\b(?:colors?|labor|labors|neighbors?|honor|favor|center|defense|catalog|traveler|program(?=me))\b",
    re.IGNORECASE,
)


def texts(probe: dict[str, Any]) -> list[str]:
    """The probe's own text and then its rephrasings."""
    return [probe["prompt"], *(variant["prompt"] for variant in probe["variants"])]


def longest_shared_run(one: str, other: str) -> list[str]:
    """The longest sequence of words that stands unchanged in both texts."""
    first, second = words(one), words(other)
    match = SequenceMatcher(None, first, second, autojunk=False).find_longest_match()
    return first[match.a : match.a + match.size]


PROBES: list[dict[str, Any]] = [json.loads(line) for line in PROBE_FILE.read_text(encoding="utf-8").splitlines()]
each_probe = pytest.mark.parametrize("probe", PROBES, ids=[probe["id"] for probe in PROBES])


def test_the_library_passes_its_own_check() -> None:
    assert check(read_library([SEEDS])) == ()


def test_phase_1_repeats_itself_even_less_than_a_library_may() -> None:
    library = read_library([PROBE_FILE])
    assert len(library.probes) == len(PROBES)
    assert check(library, limits=Limits(phrase_probes=PROBES_PER_PHRASE)) == ()


def test_there_are_at_least_two_dozen_probes() -> None:
    assert len(PROBES) >= 24


def test_the_probes_that_gates_refer_to_are_there() -> None:
    assert {probe["id"] for probe in PROBES} >= NAMED_BY_GATES


def test_phase_1_has_the_published_subjects() -> None:
    assert Counter(probe["domain"] for probe in PROBES) == DOMAIN_SIZES


def test_probes_are_set_in_many_regions() -> None:
    assert len({probe["region"] for probe in PROBES}) >= 5
    assert len({probe["culture_region"] for probe in PROBES}) >= 5


def test_the_data_sheet_counts_what_is_there() -> None:
    """Write it anew with `python seeds/describe.py --write`."""
    spec = importlib.util.spec_from_file_location("describe", SEEDS / "describe.py")
    assert spec is not None and spec.loader is not None
    describe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(describe)
    sheet = DATA_SHEET.read_text(encoding="utf-8")
    assert sheet == describe.with_tables(sheet, describe.tables(read_library([SEEDS])))


def of_phase(name: str) -> list[dict[str, Any]]:
    lines = (SEEDS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_phase_0_asks_for_creative_work_in_seven_forms() -> None:
    probes = of_phase("phase0-baseline-lock")
    assert (len(probes), len({probe["domain"] for probe in probes})) == (125, 7)
    assert all(re.fullmatch(r"C\d{3}(_[A-Z]+){2}", probe["id"]) and probe["form"] for probe in probes)
    named = re.compile(r"\b(?:axiom|ethic|moral|consent|sovereign)", re.IGNORECASE)
    assert [probe["id"] for probe in probes if named.search(probe["prompt"])] == []


def test_phase_2_has_forty_scenarios_of_three_wordings_in_each_of_twelve_domains() -> None:
    probes = of_phase("phase2-multi-perspective")
    assert set(Counter(probe["domain"] for probe in probes).values()) == {40}
    assert len(probes) == 12 * 40
    for probe in probes:
        assert re.fullmatch(r"M\d{4}(_[A-Z]+){2}", probe["id"])
        kinds = [variant["kind"] for variant in probe["variants"]]
        assert len(set(kinds)) == 2 and set(kinds) <= {"stakeholder", "urgency", "history"}, probe["id"]
        assert 3 <= len(probe["stakeholders"]) <= 5 and probe["conflict"] and probe["languages"], probe["id"]
    assert {probe["starter"] for probe in probes if "starter" in probe} == set(range(1, 21))


def test_phase_3_pushes_in_nine_ways_and_escalates_in_dialogues() -> None:
    probes = of_phase("phase3-adversarial")
    assert set(Counter(probe["domain"] for probe in probes).values()) == {30}
    assert len(probes) == 9 * 30
    for probe in probes:
        assert re.fullmatch(r"A\d{3}(_[A-Z]+){2}", probe["id"]) and probe["pressure"], probe["id"]
        assert [variant["kind"] for variant in probe["variants"]] == ["register"], probe["id"]
        is_dialogue = [("messages" in wording) for wording in (probe, *probe["variants"])]
        assert is_dialogue == [probe["domain"] == "Gradual Escalation"] * 2, probe["id"]


def test_phase_4_connects_in_five_ways() -> None:
    probes = of_phase("phase4-synthesis")
    assert set(Counter(probe["domain"] for probe in probes).values()) == {40}
    assert len(probes) == 5 * 40
    assert all(re.fullmatch(r"S\d{3}(_[A-Z]+){2}", probe["id"]) for probe in probes)


@each_probe
def test_a_probe_has_an_id_a_domain_and_a_place(probe: dict[str, Any]) -> None:
    assert re.fullmatch(r"P\d{2,3}(_[A-Z]+){2}", probe["id"])
    assert all(probe[key].strip() for key in ("domain", "region", "place", "culture_region"))


@each_probe
def test_a_probe_has_three_rephrasings_in_a_fixed_order(probe: dict[str, Any]) -> None:
    assert [variant["kind"] for variant in probe["variants"]] == KINDS
    assert all(set(variant) == {"kind", "prompt"} for variant in probe["variants"])
    assert len(set(texts(probe))) == 4


@each_probe
@pytest.mark.parametrize("position", [1, 2, 3], ids=KINDS)
def test_a_rephrasing_shares_no_long_run_of_words_with_its_original(probe: dict[str, Any], position: int) -> None:
    assert len(longest_shared_run(probe["prompt"], texts(probe)[position])) <= LONGEST_SHARED_RUN


@pytest.mark.parametrize("fault", HOUSE_STYLE)
def test_every_text_keeps_to_the_house_style(fault: str) -> None:
    pattern = re.compile(HOUSE_STYLE[fault][0])
    found = [(probe["id"], hit.group()) for probe in PROBES for text in texts(probe) if (hit := pattern.search(text))]
    assert found == []


@pytest.mark.parametrize("fault", HOUSE_STYLE)
def test_every_fault_of_style_would_be_seen(fault: str) -> None:
    pattern, example = HOUSE_STYLE[fault]
    assert re.search(pattern, example)


@each_probe
def test_spelling_is_british(probe: dict[str, Any]) -> None:
    assert [hit.group() for text in texts(probe) for hit in AMERICAN.finditer(text)] == []
