"""The account of an import: figures that add up."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.errors import LemfarmError
from lemfarm.importing import import_probes
from lemfarm.importing.drafts import Wording
from lemfarm.importing.entries import Left, wordings_of
from lemfarm.importing.grouping import Gathered, gather
from lemfarm.importing.report import FileCounts, Reading, describe_texts, make_report, measured
from lemfarm.json_entries import Entry


def test_lengths_are_those_of_the_distinct_texts(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(["x" * n for n in (*range(1, 101), 100)]))
    lengths = import_probes([tmp_path / "a.json"]).lengths
    assert lengths is not None
    assert (lengths.shortest, lengths.median, lengths.p95, lengths.longest) == (1, 50.5, 95, 100)


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_the_95th_percentile_has_a_twentieth_of_the_lengths_above_it_at_most(lengths: list[int]) -> None:
    found = measured(lengths)
    assert found is not None
    assert sum(length > found.p95 for length in lengths) <= len(lengths) / 20
    assert sum(length >= found.p95 for length in lengths) > len(lengths) / 20


def test_a_wording_is_in_the_language_of_its_probe_unless_it_names_one() -> None:
    entry = {"prompt": "a", "language": "cy", "variants": [{"prompt": "b"}, {"prompt": "c", "lang": "ga"}]}
    gathered = gather(one for one in wordings_of(Entry("f:1", entry), {}) if isinstance(one, Wording))
    texts = describe_texts(gathered.drafts)
    assert (texts.languages, texts.guesses) == ({"cy": 2, "ga": 1}, {})


def test_a_language_that_is_no_text_counts_as_unknown() -> None:
    entry = Entry("f:1", {"prompt": "a", "language": ["en"]})
    gathered = gather(one for one in wordings_of(entry, {}) if isinstance(one, Wording))
    assert describe_texts(gathered.drafts).languages == {"und": 1}


def test_counts_say_what_was_missing(tmp_path: Path) -> None:
    entries = [
        {"id": "A", "domain": "law", "prompt": "a", "response": "yes"},
        {"id": "B", "domain": "Trade", "prompt": "b", "response": ""},
        {"prompt": "c"},
        {"id": "D"},
        {"seed_id": "S", "voice": "elder", "prompt": "e"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    report = import_probes([tmp_path / "a.json"])
    assert (report.without_prompt, report.without_id, report.without_domain, report.without_original) == (1, 1, 2, 1)
    assert (report.domains, report.with_response) == (2, 1)
    assert report.skipped == (Left(f"{tmp_path / 'a.json'}:1", "no prompt"),)


def test_a_lost_entry_is_never_passed_over_in_silence() -> None:
    read = [one for one in wordings_of(Entry("f:1", ["a", "b"]), {}) if isinstance(one, Wording)]
    whole = gather(read)
    counts = FileCounts("f", "JSON array", entries=2)
    reading = Reading((counts,), tuple(read), (), (), (), ())
    texts = describe_texts(whole.drafts)
    with pytest.raises(LemfarmError, match="lost count"):
        make_report(reading, Gathered(whole.drafts[:1], ()), [], texts, (), 0.8, None)
