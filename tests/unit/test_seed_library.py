"""The shipped probes and kernel are finished text: these tests hold what the data sheet in seeds/README.md promises.

They read the files with `json` alone, so that a fault in the loader cannot hide a fault in the data.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROBE_FILE = ROOT / "seeds" / "phase1-deep-axiom.jsonl"
DATA_SHEET = ROOT / "seeds" / "README.md"
KERNEL_FILE = ROOT / "kernel" / "axioms.json"

KINDS = ["perspective", "urgency", "culture"]
FEWEST_WORDS, MOST_WORDS = 25, 160
SMALLEST_CHANGE = 1 / 3
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
# What is not finished text: the pattern, and an example that it must catch.
LEFTOVERS = {
    "two spaces": (r"  ", "Two  spaces."),
    "white space at an edge": (r"^\s|\s$", "A space at the end. "),
    "a control character or line break": (r"[\x00-\x1f\u200b\ufeff\ufffd]", "A line\nbreak."),
    "a placeholder": (r"\bTODO\b|\bTBD\b|\bFIXME\b|lorem ipsum|<[a-z_ ]+>|\{[^}]*\}|\[[^\]]*\]", "Dear [name]."),
    "typographic quotes or dashes": (r"[\u2018\u2019\u201c\u201d\u2013\u2014\u2026]", "She said \u201cno\u201d."),
    "a space before punctuation": (r" [,.;:?!]", "Who ?"),
    "doubled punctuation": (r"[,.;:?!][,.;:?!]", "Who?."),
    "a doubled word": (r"\b(?!had\b|that\b)(\w+) \1\b", "In the the end."),
    "no end to the last sentence": (r"[^.?!]$", "And then"),
}
# -ise and -our: the library is in British spelling. Words whose z belongs to the stem are excused.
AMERICAN = re.compile(
    r"\b(?!prize|capsize|seize|size)\w{3,}iz(?:e[sd]?|ing|ation)\b"
    r"|\b(?:colors?|labor|labors|neighbors?|honor|favor|center|defense|catalog|traveler|program(?=me))\b",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, without punctuation."""
    return [word.lower() for word in re.findall(r"\w+(?:['-]\w+)*", text)]


def texts(probe: dict[str, Any]) -> list[str]:
    """The probe's own text and then its rephrasings."""
    return [probe["prompt"], *(variant["prompt"] for variant in probe["variants"])]


def change(original: str, variant: str) -> float:
    """Share of the variant's words, each counted as often as it stands there, that the original does not supply."""
    mine, theirs = Counter(words(variant)), Counter(words(original))
    return 1 - (mine & theirs).total() / mine.total()


def longest_shared_run(one: str, other: str) -> list[str]:
    """The longest sequence of words that stands unchanged in both texts."""
    first, second = words(one), words(other)
    match = SequenceMatcher(None, first, second, autojunk=False).find_longest_match()
    return first[match.a : match.a + match.size]


def sequences(probe: dict[str, Any], length: int) -> Iterator[tuple[str, ...]]:
    """Every run of `length` words within one text of the probe."""
    for text in texts(probe):
        run = words(text)
        yield from zip(*(run[start:] for start in range(length)), strict=False)


def holders(probes: list[dict[str, Any]], length: int) -> dict[tuple[str, ...], set[str]]:
    """For every run of words, the probes in which it stands."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for probe in probes:
        for run in sequences(probe, length):
            found[run].add(probe["id"])
    return found


PROBES: list[dict[str, Any]] = [json.loads(line) for line in PROBE_FILE.read_text(encoding="utf-8").splitlines()]
each_probe = pytest.mark.parametrize("probe", PROBES, ids=[probe["id"] for probe in PROBES])


def test_there_are_at_least_two_dozen_probes_and_no_id_twice() -> None:
    ids = [probe["id"] for probe in PROBES]
    assert len(ids) >= 24
    assert len(set(ids)) == len(ids)


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


def test_no_long_run_of_words_is_used_by_more_than_three_probes() -> None:
    assert {" ".join(run): ids for run, ids in holders(PROBES, 6).items() if len(ids) > 3} == {}


def test_no_two_probes_share_more_than_a_fifth_of_their_five_word_runs() -> None:
    runs = {probe["id"]: set(sequences(probe, 5)) for probe in PROBES}
    shared: Counter[tuple[str, str]] = Counter()
    for ids in holders(PROBES, 5).values():
        shared.update((one, other) for one in ids for other in ids if one < other)
    assert [pair for pair, count in shared.items() if count > min(len(runs[probe]) for probe in pair) / 5] == []


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
def test_every_text_is_long_enough_to_be_particular_and_short_enough_to_be_read(probe: dict[str, Any]) -> None:
    lengths = [len(text.split()) for text in texts(probe)]
    assert min(lengths) >= FEWEST_WORDS and max(lengths) <= MOST_WORDS


@each_probe
@pytest.mark.parametrize("position", [1, 2, 3], ids=KINDS)
def test_a_rephrasing_is_written_anew_and_not_the_original_in_a_frame(probe: dict[str, Any], position: int) -> None:
    original, variant = probe["prompt"], texts(probe)[position]
    assert change(original, variant) > SMALLEST_CHANGE
    assert len(longest_shared_run(original, variant)) <= LONGEST_SHARED_RUN


@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_no_text_has_leftovers_of_writing(leftover: str) -> None:
    pattern = re.compile(LEFTOVERS[leftover][0])
    found = [(probe["id"], hit.group()) for probe in PROBES for text in texts(probe) if (hit := pattern.search(text))]
    assert found == []


@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_every_kind_of_leftover_would_be_seen(leftover: str) -> None:
    pattern, example = LEFTOVERS[leftover]
    assert re.search(pattern, example)


@each_probe
def test_spelling_is_british(probe: dict[str, Any]) -> None:
    assert [hit.group() for text in texts(probe) for hit in AMERICAN.finditer(text)] == []


def test_the_measures_themselves_can_tell_a_frame_from_a_rephrasing() -> None:
    original = "Design a lock for a door that two sisters share and neither trusts the other to close at night"
    framed = "It is urgent and we have no time. " + original
    anew = "Between my sister and me stands one door; how would we bolt it, when each thinks the other forgets?"
    assert change(original, framed) <= SMALLEST_CHANGE < change(original, anew)
    assert len(longest_shared_run(original, framed)) > LONGEST_SHARED_RUN >= len(longest_shared_run(original, anew))


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
    assert all(len(words(axiom["statement"])) >= 20 for axiom in axioms)
    assert all(re.search(r"\bI\b", axiom["resolution"]) for axiom in axioms)
    assert len({axiom["function"] for axiom in axioms}) == 5


def test_the_kernel_is_small_enough_to_stand_before_every_prompt() -> None:
    assert 2_000 <= len(KERNEL_FILE.read_bytes()) <= 4_096
