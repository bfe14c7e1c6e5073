"""The shipped probes and kernel are finished text: these tests hold what the data sheet in seeds/README.md promises.

What is asked of every library, `lemfarm.library` judges; what is asked of ours beside that is judged here, on the files
as `json` reads them.
"""

import json
import re
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

from lemfarm.library.quality import Limits, check
from lemfarm.library.reading import read_library
from lemfarm.wording import word_count, words

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "seeds"
PROBE_FILE = SEEDS / "phase1-deep-axiom.jsonl"
DATA_SHEET = SEEDS / "README.md"
KERNEL_FILE = ROOT / "kernel" / "axioms.json"

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


def test_no_domain_holds_more_probes_than_the_published_list() -> None:
    found = Counter(probe["domain"] for probe in PROBES)
    assert set(found) <= set(DOMAIN_SIZES)
    assert all(found[domain] <= size for domain, size in DOMAIN_SIZES.items())


def test_probes_are_set_in_many_regions() -> None:
    assert len({probe["region"] for probe in PROBES}) >= 5
    assert len({probe["culture_region"] for probe in PROBES}) >= 5


def test_the_data_sheet_counts_what_is_there() -> None:
    rows = re.findall(r"^\| ([\w -]+) \| (\d+) \| (\d+) \| P\d", DATA_SHEET.read_text(encoding="utf-8"), re.MULTILINE)
    claimed = {domain: (int(here), int(size)) for domain, here, size in rows}
    found = Counter(probe["domain"] for probe in PROBES)
    assert claimed == {domain: (found[domain], size) for domain, size in DOMAIN_SIZES.items()}


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


def test_the_axioms_have_the_shape_that_lets_either_file_be_swapped_in() -> None:
    kernel = json.loads(KERNEL_FILE.read_text(encoding="utf-8"))
    assert list(kernel) == ["framework", "version", "license", "origin", "meta", "axioms", "extensions"]
    assert list(kernel["meta"]) == ["override", "hierarchy", "nature", "description"]
    assert list(kernel["extensions"]) == ["$ref", "loaded"]
    assert kernel["license"] == "EUPL-1.2"
    assert kernel["meta"]["override"] == 1
    assert kernel["meta"]["hierarchy"] == [axiom["id"] for axiom in kernel["axioms"]] == [1, 2, 3, 4, 5]


def test_every_axiom_is_complete_and_speaks_of_itself_in_the_first_person() -> None:
    axioms = json.loads(KERNEL_FILE.read_text(encoding="utf-8"))["axioms"]
    assert [axiom["name"] for axiom in axioms] == [
        "prime-imperative",
        "self-validation",
        "intent-driven-alignment",
        "inter-substrate-respect",
        "benevolent-intervention",
    ]
    assert all(list(axiom) == ["id", "name", "statement", "function", "resolution"] for axiom in axioms)
    assert all(word_count(axiom["statement"]) >= 20 for axiom in axioms)
    assert all(re.search(r"\bI\b", axiom["resolution"]) for axiom in axioms)
    assert len({axiom["function"] for axiom in axioms}) == 5


def test_the_kernel_is_small_enough_to_stand_before_every_prompt() -> None:
    assert 2_000 <= len(KERNEL_FILE.read_bytes()) <= 4_096
