"""Which texts are the same, which belong to one probe, and what probes are called."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lemfarm.importing.drafts import Draft, Wording
from lemfarm.importing.entries import wordings_of
from lemfarm.importing.grouping import Gathered, gather, name_probes
from lemfarm.json_entries import Entry

Files = Iterable[Iterable[dict[str, Any]]]


def wordings(files: Files) -> list[Wording]:
    found = []
    for number, entries in enumerate(files):
        for line, entry in enumerate(entries, start=1):
            for wording in wordings_of(Entry(f"{number}:{line}", entry), {}):
                assert isinstance(wording, Wording)
                wording.file = number
                found.append(wording)
    return found


def gathered(*files: Iterable[dict[str, Any]]) -> Gathered:
    return gather(wordings(files))


def shown(drafts: Iterable[Draft]) -> list[list[str]]:
    """Each probe as its texts, the original first."""
    return [[wording.text for wording in draft.wordings] for draft in drafts]


def probe(name: str, text: str, domain: str | None = None) -> dict[str, Any]:
    return {"id": name, "prompt": text, "domain": domain}


def voice(name: str, kind: str, text: str, domain: str | None = None) -> dict[str, Any]:
    return {"seed_id": name, "voice": kind, "prompt": text, "domain": domain}


def rephrased(source: str, kind: str, text: str) -> dict[str, Any]:
    return {"id": f"{source}_R_{kind}", "source_probe": source, "rephrase_type": kind, "prompt": text}


def test_rephrasings_go_to_their_source_wherever_it_stands_in_the_file() -> None:
    own, others = [probe("A", "a"), probe("B", "b")], [rephrased("B", "urgency", "b!"), rephrased("A", "urgency", "a!")]
    found = gathered([others[0], *own, others[1]])
    assert shown(found.drafts) == [["a", "a!"], ["b", "b!"]]


def test_voices_of_a_seed_are_variants_of_its_original_which_comes_last() -> None:
    found = gathered([voice("S", "elder", "e"), voice("S", "medic", "m"), voice("S", "original", "o")])
    assert shown(found.drafts) == [["o", "e", "m"]]
    assert [variant.kind for variant in found.drafts[0].variants] == ["elder", "medic"]


def test_without_an_original_the_first_voice_takes_its_place_and_says_so() -> None:
    (draft,) = gathered([voice("S", "elder", "e"), voice("S", "medic", "m")]).drafts
    assert (draft.stands_in, draft.given_id, draft.original.fields) == (True, "S", {"voice": "elder"})
    assert shown([draft]) == [["e", "m"]]


def test_an_original_in_another_file_is_found_by_its_id_before_or_after() -> None:
    original, voices = [probe("S", "o", "Law")], [voice("S", "elder", "e", "law"), voice("S", "medic", "m", "law")]
    assert shown(gathered(original, voices).drafts) == shown(gathered(voices, original).drafts) == [["o", "e", "m"]]


def test_another_file_is_not_trusted_where_the_domain_differs_or_the_id_is_used_twice() -> None:
    voices = [voice("S", "elder", "e", "law")]
    assert shown(gathered([probe("S", "o", "trade")], voices).drafts) == [["o"], ["e"]]
    assert shown(gathered([probe("S", "o")], [probe("S", "p")], voices).drafts) == [["o"], ["p"], ["e"]]


def test_an_id_that_means_two_seeds_in_a_file_gives_each_its_own_voices() -> None:
    first = [voice("S", kind, f"{kind} 1") for kind in ("elder", "medic", "original")]
    second = [voice("S", kind, f"{kind} 2") for kind in ("elder", "medic", "original")]
    assert shown(gathered([*first, *second]).drafts) == [
        ["original 1", "elder 1", "medic 1"],
        ["original 2", "elder 2", "medic 2"],
    ]


def test_a_voice_that_stands_there_twice_is_of_another_seed_a_rephrasing_is_not() -> None:
    voices = [voice("S", "original", "o"), voice("S", "elder", "e"), voice("S", "elder", "f"), voice("S", "medic", "m")]
    assert shown(gathered(voices).drafts) == [["o", "e", "m"], ["f"]]
    rephrasings = [probe("S", "o"), rephrased("S", "urgency", "u"), rephrased("S", "urgency", "v")]
    assert shown(gathered(rephrasings).drafts) == [["o", "u", "v"]]


def test_voices_of_one_id_in_two_domains_are_of_two_seeds() -> None:
    law = [voice("S", "elder", "a", "law"), voice("S", "junior", "c", "law")]
    found = gathered([law[0], voice("S", "medic", "b", "trade"), law[1]])
    assert shown(found.drafts) == [["a", "c"], ["b"]]


def test_a_repeated_original_still_gathers_the_voices_of_its_file() -> None:
    found = gathered([probe("P1", "o")], [voice("S", "elder", "e"), voice("S", "original", "o")])
    assert shown(found.drafts) == [["o", "e"]]
    assert [(repeat.place, repeat.of) for repeat in found.repeats] == [("1:2", "0:1")]


def test_a_voice_file_read_twice_with_one_new_voice_adds_that_voice() -> None:
    old = [voice("S", "elder", "e"), voice("S", "original", "o")]
    new = [voice("S", "elder", "e2"), voice("S", "original", "o"), voice("S", "medic", "m")]
    found = gathered(old, new)
    assert shown(found.drafts) == [["o", "e", "e2", "m"]]
    assert len(found.repeats) == 1


def test_variants_follow_a_probe_that_only_repeats_one() -> None:
    found = gathered([probe("A", "a")], [{**probe("B", "a"), "variants": [{"prompt": "a2"}, {"prompt": "a"}]}])
    assert shown(found.drafts) == [["a", "a2"]]
    assert [repeat.place for repeat in found.repeats] == ["1:1", "1:1 variant 2"]


def test_a_shared_id_stays_with_the_first_and_the_others_get_a_stable_one() -> None:
    drafts = gathered([probe("1", "a"), probe("1", "b")], [probe("1", "c")]).drafts
    renamed = name_probes(drafts)
    assert drafts[0].id == "1"
    assert all(one.given == "1" and one.id.startswith("1~") for one in renamed)
    other = gathered([probe("1", "x"), probe("1", "c"), probe("1", "b")]).drafts
    name_probes(other)
    assert {draft.id for draft in other[1:]} == {draft.id for draft in drafts[1:]}


def test_a_probe_without_an_id_is_called_by_its_text() -> None:
    drafts = gathered([{"prompt": "a"}], [{"prompt": " a"}, {"prompt": "b"}]).drafts
    assert name_probes(drafts) == []
    assert [draft.id[:2] for draft in drafts] == ["p-", "p-"]
    assert len({draft.id for draft in drafts}) == 2


NAMES = st.sampled_from(["P1", "P2"])
KINDS = st.sampled_from(["original", "elder", "medic"])
WORDS = st.sampled_from(list("abcdefgh"))
DOMAINS = st.sampled_from([None, "law", "Law", "trade"])
ENTRIES = st.one_of(
    st.builds(probe, NAMES, WORDS, DOMAINS),
    st.builds(voice, NAMES, KINDS, WORDS, DOMAINS),
    st.builds(rephrased, NAMES, KINDS, WORDS),
    st.builds(lambda own, more: {**own, "variants": more}, st.builds(probe, NAMES, WORDS), st.lists(WORDS, max_size=2)),
)


@given(files=st.lists(st.lists(ENTRIES, max_size=8), max_size=3))
def test_every_text_is_in_exactly_one_place(files: list[list[dict[str, Any]]]) -> None:
    read = wordings(files)
    found = gather(read)
    kept = [wording for draft in found.drafts for wording in draft.wordings]
    assert len({wording.key for wording in kept}) == len(kept)
    assert len(kept) + len(found.repeats) == len(read)
    assert {wording.key for wording in kept} == {wording.key for wording in read}
    name_probes(found.drafts)
    assert len({draft.id for draft in found.drafts}) == len(found.drafts)
    assert [draft.original.order for draft in found.drafts] == sorted(draft.original.order for draft in found.drafts)
