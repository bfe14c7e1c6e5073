"""The page of a mixed dataset: how much of what is in it, where it came from, what was left out. Pure."""

from collections.abc import Iterator, Mapping

from lemfarm import __version__
from lemfarm.curation.data_card import Shape, front_matter, table
from lemfarm.curation.mixing.facts import CategoryFacts, MixFacts
from lemfarm.curation.mixing.items import Form
from lemfarm.curation.sides import Side
from lemfarm.identity import short

_SHOWN = 20
_TAGS = ("mixed",)
_KINDS = {
    "no row": "lines that are no rows",
    "leak": "rows that another source keeps out of the side on which they stood",
    "twin": "rows that stand somewhere else as well",
    "near twin": "rows whose answer resembles another one",
}


def mix_card(facts: MixFacts, shape: Shape) -> str:
    """The whole page in Markdown, with the front matter that the hub reads."""
    sections = (
        f"---\n{front_matter(facts.name, facts.taken, shape, _TAGS)}\n---",
        f"# {facts.name}",
        _introduction(facts),
        f"## What is in it\n\n{_contents(facts, shape)}",
        f"## The mix\n\n{_categories(facts)}",
        f"## Sources\n\n{_sources(facts)}",
        f"## Left out\n\n{_left_out(facts)}",
        f"## Limits\n\n{_limits(facts, shape)}",
    )
    return "\n\n".join(sections) + "\n"


def _introduction(facts: MixFacts) -> str:
    smaller = "" if facts.taken == facts.wanted else f" The recipe wants {facts.wanted:,}; a source ran short."
    names = ", ".join(one.name for one in facts.categories)
    return (
        f"{facts.taken:,} rows, mixed by a recipe with seed {facts.seed} from {names}.{smaller} "
        f"Written by lemfarm {__version__}."
    )


def _contents(facts: MixFacts, shape: Shape) -> str:
    sides = [(str(side), f"{facts.rows[side]:,}", shape.files.get(side, "none")) for side in Side]
    template = f" Texts are in the words of {shape.template}." if shape.template else ""
    return (
        f"{table(('side', 'rows', 'file'), sides)}\n\nDataset `{shape.hash}`, format `{shape.format}`.{template} "
        "Rows of one question, or of one probe, stand on one side. Where each row came from stands in `manifest.json`."
    )


def _categories(facts: MixFacts) -> str:
    has_pairs = any(one.forms for one in facts.categories)
    head = ("category", "wanted", "found", "taken", "share", *map(str, Side), *(map(str, Form) if has_pairs else ()))
    rows = [_category_row(one, facts.share(one), has_pairs) for one in facts.categories]
    about = [f"* {one.name}: {one.about}" for one in facts.categories if one.about]
    return "\n\n".join([table(head, rows), *(["\n".join(about)] if about else [])])


def _category_row(one: CategoryFacts, share: float, has_pairs: bool) -> tuple[str, ...]:
    counts = (one.wanted, one.found, one.taken)
    forms = [_number(one.forms.get(form)) for form in map(str, Form)] if has_pairs else []
    sides = [_number(one.sides[side]) for side in map(str, Side)]
    return (one.name, *map(_number, counts), f"{share:.1%}", *sides, *forms)


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _sources(facts: MixFacts) -> str:
    rows = [(one.source, one.category, f"{one.items:,}", _hashes(one.hashes)) for one in facts.sources]
    return table(("source", "category", "entries", "content"), rows)


def _hashes(hashes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} `{short(hash_)}`" for name, hash_ in hashes.items())


def _left_out(facts: MixFacts) -> str:
    if not facts.left_out:
        return "Nothing."
    counts = facts.left_out_counts
    return "\n\n".join(f"{count:,} {_KINDS[kind]}:\n\n{_places(facts, kind)}" for kind, count in counts.items())


def _places(facts: MixFacts, kind: str) -> str:
    own = [one for one in facts.left_out if one.kind == kind]
    lines = [f"* {one.place}: {one.reason}" for one in own[:_SHOWN]]
    return "\n".join([*lines, *([f"* and {len(own) - _SHOWN:,} more, in `card.json`"] if len(own) > _SHOWN else [])])


def _limits(facts: MixFacts, shape: Shape) -> str:
    return "\n".join(f"* {line}" for line in _limit_lines(facts, shape))


def _limit_lines(facts: MixFacts, shape: Shape) -> Iterator[str]:
    yield "Questions are the same only where their words are: another wording of one may stand on another side."
    if facts.similarity is None:
        yield "Answers that are nearly the same were not looked for."
    else:
        yield f"Answers count as one from a similarity of {facts.similarity:g}; short ones where they are the same."
    yield from (f"There is no {side} side." for side in (Side.VALID, Side.TEST) if side not in shape.files)
    if shape.licence is None:
        yield "No licence is stated. What the sources say holds for their rows."
