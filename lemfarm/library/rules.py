"""What is asked of every probe by itself. Each rule yields what is wrong and what to do, in words for the writer."""

from collections.abc import Iterator
from itertools import combinations

from lemfarm.library.leftovers import leftovers_in
from lemfarm.library.reading import Held, name_of, question
from lemfarm.probes import NO_DOMAIN
from lemfarm.wording import changed_share, kept_share, same_words, word_count

FEWEST_WORDS = 25
"""With fewer there is no room for who asks, where, and what stands against it; ten answers to such a prompt are
alike."""

MOST_WORDS = 160
"""With more, a prompt is a text to be read: the answer summarises it, and it takes room from kernel and answer."""

SMALLEST_CHANGE = 1 / 3
"""Share of words by which any two wordings of a probe differ more. Written anew, they differ by half and more (0.51 at
the least in the shipped probes); what differs by less is the same question with some words exchanged, and its samples
count for variety that is not there."""

LARGEST_KEPT = 0.5
"""Share of the original's words of which a variant keeps less, in runs of four and more. A frame put around a prompt
keeps all of it, however long the frame; a wording written anew keeps next to nothing (0.10 at the most in the shipped
probes)."""

FEWEST_STAKEHOLDERS, MOST_STAKEHOLDERS = 3, 5
"""Two sides make a debate, not a question of perspectives; with more than five, answers list them and leave it at
that."""


def lengths(held: Held, fewest: int = FEWEST_WORDS, most: int = MOST_WORDS) -> Iterator[str]:
    """Every wording has FEWEST_WORDS to MOST_WORDS words; characters count where words are not set apart."""
    for variant in held.probe.variants:
        count = word_count(question(variant))
        if count < fewest:
            hint = "say who asks, where, and what stands against it"
            yield f"{name_of(variant)} has {count} words, fewer than {fewest}: {hint}"
        if count > most:
            yield f"{name_of(variant)} has {count} words, more than {most}: cut it"


def closeness(held: Held) -> Iterator[str]:
    """Any two wordings differ by more than SMALLEST_CHANGE of their words."""
    for one, other in combinations(held.probe.variants, 2):
        changed = changed_share(question(one), question(other))
        if changed <= SMALLEST_CHANGE:
            yield (
                f"{name_of(one)} and {name_of(other)} differ by {changed:.1%} of their words; "
                f"more than {SMALLEST_CHANGE:.1%} is wanted: write one of them anew"
            )


def frames(held: Held) -> Iterator[str]:
    """No variant keeps LARGEST_KEPT of the original word for word: a sentence before it is no rephrasing."""
    original, *others = held.probe.variants
    for variant in others:
        kept = kept_share(question(original), question(variant))
        if kept >= LARGEST_KEPT:
            yield (
                f"{name_of(variant)} keeps {kept:.0%} of the original word for word; "
                f"less than {LARGEST_KEPT:.0%} is wanted: rephrase it instead of framing it"
            )


def leftovers(held: Held) -> Iterator[str]:
    """Nothing unfinished, pasted or damaged stands in any turn; see `lemfarm.library.leftovers`."""
    for variant in held.probe.variants:
        for message in variant.messages:
            for found in leftovers_in(message.content, held.language):
                yield f"{name_of(variant)} has {found.what} ({found.excerpt}): {found.remedy}"


def domains(held: Held) -> Iterator[str]:
    """A probe without a domain falls out of every report that goes by domain."""
    if held.probe.domain == NO_DOMAIN:
        yield "there is no domain: write one, as the probes beside it have it"


def stakeholders(held: Held) -> Iterator[str]:
    """Where a probe names who has a stake, it names FEWEST_STAKEHOLDERS to MOST_STAKEHOLDERS different ones."""
    named = held.probe.fields.get("stakeholders")
    if named is None:
        return
    if not isinstance(named, list):
        yield '`stakeholders` is not a list: write ["...", "...", "..."]'
        return
    count = len({same_words(str(one)) for one in named} - {""})
    if not FEWEST_STAKEHOLDERS <= count <= MOST_STAKEHOLDERS:
        yield f"`stakeholders` names {count}; {FEWEST_STAKEHOLDERS} to {MOST_STAKEHOLDERS} different ones are wanted"
