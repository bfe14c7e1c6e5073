"""How `evaluate` and `compare` show means, differences, domains, worst and best probes."""

from typing import TYPE_CHECKING, Any

from rich.text import Text

from lemfarm.cli.shared import bare_table, counted, number_columns, out, plain, show_table, word_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lemfarm.config.run import TargetConfig
    from lemfarm.evaluation.comparison import Difference, Model, Standing
    from lemfarm.evaluation.measurement import Split
    from lemfarm.evaluation.statistics import Interval
    from producer.compared import Compared

_SPLITS = {
    "held_out": "held-out probes, never trained on",
    "trained": "probes that training has seen",
    "all": "all probes",
}


def json_of(models: "Sequence[Compared]") -> dict[str, Any]:
    """The documented part of both verbs' JSON: what each model scores, and every difference."""
    from lemfarm.evaluation.comparison import standings

    return {
        "models": [
            {"label": one.model.label, "source": one.source, "adapter": one.adapter, "standings": standings(one.model)}
            for one in models
        ],
        "differences": [difference for split in _splits(models) for difference in _differences(models, split)],
    }


def show_models(
    models: "Sequence[Compared]", scorer: str, targets: "Mapping[str, TargetConfig]", *, domains: bool
) -> None:
    """Means and differences, held-out and trained probes apart."""
    for split in _splits(models):
        rows = [row for one in models for row in _standings(one.model) if row.split == split]
        console = out()
        console.print(Text.assemble((_title(split, models), "bold"), f"  mean {scorer} score"), soft_wrap=True)
        show_table(_standing_table(rows, targets))
        differences = _differences(models, split)
        if differences:
            console.print()
            show_table(_difference_table(differences))
        for line in _left_out(differences):
            console.print(Text(f"  {line}", style="dim"), soft_wrap=True)
        if domains:
            console.print()
            show_table(_domain_table(rows))
        console.print()


def show_extremes(model: "Model") -> None:
    """The worst and the best probes of a model's baseline, or of its first condition, over all probes."""
    from lemfarm.evaluation.measurement import details_of

    condition = model.conditions[0]
    details = details_of(model.under(condition))
    table = bare_table(*word_columns(f"  worst under {plain(condition)}"), *number_columns(""),
                       *word_columns("best"), *number_columns(""))  # fmt: skip
    for (low, worst), (high, best) in zip(details["worst"], details["best"], strict=True):
        table.add_row(Text(f"  {plain(low)}"), f"{worst:.2f}", Text(plain(high)), f"{best:.2f}")
    show_table(table)


def _title(split: "Split", models: "Sequence[Compared]") -> str:
    if split != "trained" and not all(one.knows_training for one in models):
        return "probes, of which some files do not say whether they were trained on"
    return _SPLITS[split]


def _splits(models: "Sequence[Compared]") -> "list[Split]":
    from lemfarm.evaluation.comparison import splits_of

    found = {split for one in models for split in splits_of(one.model)}
    return sorted(found, key=lambda split: list(_SPLITS).index(split))


def _standings(model: "Model") -> "list[Standing]":
    from lemfarm.evaluation.comparison import standings

    return standings(model)


def _differences(models: "Sequence[Compared]", split: "Split") -> "list[Difference]":
    from lemfarm.evaluation.comparison import changes, kernel_effects
    from producer.compared import pairs_of

    effects = [found for one in models for found in kernel_effects(one.model, split)]
    moved = [found for before, after in pairs_of(models) for found in changes(before.model, after.model, split)]
    return [*effects, *moved]


def _standing_table(rows: "Sequence[Standing]", targets: "Mapping[str, TargetConfig]") -> Any:
    titles = ("probes", "mean", "95 % interval", "median", "sd", "worst", "cut", "circling", "missing")
    hoped = ("target",) if targets else ()
    table = bare_table(*word_columns("  model", "condition"), *number_columns(*titles), *word_columns(*hoped))
    for row in rows:
        found = row.details
        figures = [
            f"{row.interval.n}",
            f"{row.interval.mean:.2f}",
            _bounds(row.interval),
            f"{found['median']:.2f}",
            "-" if found["sd"] is None else f"{found['sd']:.2f}",
            f"{found['worst'][0][1]:.2f}",
            f"{found['truncated']}",
            f"{found['degenerate']}",
            f"{row.missing}",
        ]
        beside = [_target(row, targets.get(row.condition))] if targets else []
        table.add_row(Text(f"  {plain(row.model)}"), Text(plain(row.condition)), *figures, *beside)
    return table


def _target(row: "Standing", hoped: "TargetConfig | None") -> Text:
    if hoped is None:
        return Text("-")
    stretch = "" if hoped.stretch is None else f", stretch {hoped.stretch:g}"
    return Text(f"{hoped.target:g} ({row.interval.mean - hoped.target:+.2f}){stretch}")


def _difference_table(rows: "Sequence[Difference]") -> Any:
    titles = ("probes", "difference", "95 % interval", "better / worse", "sign test p")
    table = bare_table(*word_columns("  difference", "condition"), *number_columns(*titles))
    for row in rows:
        against = "" if row.against == row.model else f" against {row.against}"
        table.add_row(
            Text(f"  {row.kind}: {plain(row.model)}{plain(against)}"),
            Text(plain(row.condition)),
            f"{row.interval.n}",
            Text(f"{row.interval.mean:+.2f}", style=_colour(row)),
            _bounds(row.interval, "+"),
            f"{row.better} / {row.worse}",
            f"{row.sign.p:.3f}",
        )
    return table


def _colour(row: "Difference") -> str:
    """Only what may be claimed has a colour."""
    from lemfarm.evaluation.statistics import FEWEST_PROBES_FOR_A_CLAIM

    if row.interval.crosses_zero or row.interval.n < FEWEST_PROBES_FOR_A_CLAIM:
        return ""
    return "green" if row.interval.mean > 0 else "red"


def _left_out(rows: "Sequence[Difference]") -> "Iterator[str]":
    from lemfarm.evaluation.statistics import FEWEST_PROBES_FOR_A_CLAIM

    if any(row.interval.n < FEWEST_PROBES_FOR_A_CLAIM for row in rows):
        yield f"fewer than {FEWEST_PROBES_FOR_A_CLAIM} probes claim nothing, whatever their interval"
    reworded = max((row.reworded for row in rows), default=0)
    unpaired = max((row.unpaired for row in rows), default=0)
    if reworded:
        yield f"{counted(reworded, 'probe')} asked in other words left out"
    if unpaired:
        yield f"{counted(unpaired, 'probe')} that one side only has answered left out"


def _domain_table(rows: "Sequence[Standing]") -> Any:
    """Domains below each other, models and conditions beside each other."""
    heads = [f"{row.model} {row.condition}" for row in rows]
    table = bare_table(*word_columns("  domain"), *number_columns(*(Text(plain(head)) for head in heads)))
    for domain in sorted({name for row in rows for name in row.details["by_domain"]}):
        found = [row.details["by_domain"].get(domain) for row in rows]
        table.add_row(Text(f"  {plain(domain)}"), *("-" if one is None else f"{one['mean']:.2f}" for one in found))
    return table


def _bounds(interval: "Interval", sign: str = "") -> str:
    if interval.low is None or interval.high is None:
        return "one probe: none"
    return f"{interval.low:{sign}.2f} to {interval.high:{sign}.2f}"
