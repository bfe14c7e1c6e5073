"""Which texts are nearly the same."""

from lemfarm.importing.drafts import Wording
from lemfarm.importing.entries import wordings_of
from lemfarm.importing.grouping import gather, name_probes
from lemfarm.importing.near import NearGroup, near_duplicates
from lemfarm.json_entries import Entry

LONG = (
    "The harbour master keeps a list of every boat that left in the night of the storm, and the widows ask to see it. "
    "Two names on it are wrong, he knows, and one of the wrong names is that of his own brother, who never came back."
)


def near(*entries: dict[str, object], threshold: float = 0.8) -> tuple[NearGroup, ...]:
    wordings = [one for n, entry in enumerate(entries) for one in wordings_of(Entry(f"f:{n}", entry), {})]
    gathered = gather([wording for wording in wordings if isinstance(wording, Wording)])
    name_probes(gathered.drafts)
    return near_duplicates(gathered.drafts, threshold)


def test_case_and_punctuation_do_not_make_a_text_another() -> None:
    (group,) = near({"id": "A", "prompt": "Who keeps the keys?"}, {"id": "B", "prompt": "who keeps: THE KEYS"})
    assert group == NearGroup(True, 1.0, ("f:0", "f:1"), ("A", "B"))


def test_a_word_changed_in_a_long_text_is_near_with_its_similarity() -> None:
    (group,) = near({"id": "A", "prompt": LONG}, {"id": "B", "prompt": LONG.replace("storm", "flood")})
    assert (group.same_words, group.probes) == (False, ("A", "B"))
    assert 0.8 <= group.similarity < 0.95


def test_the_threshold_decides() -> None:
    entries = {"id": "A", "prompt": LONG}, {"id": "B", "prompt": LONG.replace("storm", "flood")}
    assert near(*entries, threshold=0.95) == ()


def test_wordings_of_one_probe_may_resemble_each_other() -> None:
    variant = {"prompt": LONG.replace("storm", "flood")}
    assert near({"id": "A", "prompt": LONG, "variants": [variant]}) == ()
    other = {"id": "B", "prompt": LONG + " Who is to know?"}
    (group,) = near({"id": "A", "prompt": LONG, "variants": [variant]}, other)
    assert group.probes == ("A", "B")


def test_the_same_words_are_told_within_a_probe_too() -> None:
    (group,) = near({"id": "A", "prompt": "Who keeps the keys?", "variants": [{"prompt": "Who keeps the KEYS?"}]})
    assert group.places == ("f:0", "f:0 variant 1")


def test_short_texts_and_texts_without_words_are_compared_with_care() -> None:
    assert near({"prompt": "Why?"}, {"prompt": "Who?"}, {"prompt": "?!"}, {"prompt": "!?"}) == ()


def test_a_language_without_blanks_is_compared_too() -> None:
    text = "碼頭嘅更夫每晚都要數一次船，今晚少咗一隻，佢知道係邊個嘅，但係冇人問佢。你會唔會自己講出嚟，定係等人問？"
    (group,) = near({"id": "A", "prompt": text}, {"id": "B", "prompt": text + "點解？"})
    assert group.similarity >= 0.8
