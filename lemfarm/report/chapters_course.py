"""How the run stands: the course at a glance, the quotas, and the scores that samples had."""

from math import ceil, floor
from pathlib import PurePath

from lemfarm.evaluation.statistics import describe_change, mean, median, paired_difference
from lemfarm.records import PhaseState
from lemfarm.report.document import (
    Bars,
    Block,
    Chapter,
    Estimate,
    Heading,
    Histogram,
    Picture,
    Steps,
    Table,
    Tile,
    Tiles,
    Words,
)
from lemfarm.report.facts import BASE, Evaluation, Model, PhaseFacts, Report, ScoreSpread
from lemfarm.report.figures import (
    NONE,
    bounds,
    compare_command,
    count,
    counted,
    estimate,
    listed,
    numbers,
    score,
    share,
    span,
)
from lemfarm.status import PhaseStatus

SPLITS = {"held_out": "held-out probes, never trained on", "trained": "probes that training saw", "all": "all probes"}
_BINS = 24


def at_a_glance(report: Report) -> Chapter:
    """What a reader in a hurry needs: where it stands, what it measured, what it took."""
    status = report.status
    blocks: list[Block | Heading] = [Tiles(_tiles(report), f"lemfarm status {report.name} --json")]
    if status.reason:
        blocks.append(Words(status.reason, is_warning=True))
    blocks += [Words(f"Waiting: {line}", is_warning=True) for line in status.waits_for]
    blocks.append(_phases(report))
    answered = [(phase.name, phase.status.answered_by) for phase in report.phases if phase.status.answered_by]
    blocks += [Words(f"Phase {name} is answered by {model}.") for name, model in answered]
    if report.evaluation is not None:
        blocks += [Words(line) for line in _claims(report.evaluation, status.promoted)]
        blocks.append(_course(report.name, report.evaluation))
    return Chapter("glance", "The course at a glance", tuple(blocks))


def _tiles(report: Report) -> tuple[Tile, ...]:
    phases = report.phases
    trained = sum(phase.status.state == PhaseState.TRAINED for phase in phases)
    accepted = sum(phase.status.counted for phase in phases)
    wanted = sum(phase.status.wanted for phase in phases)
    tokens = sum(work.answer_tokens for work in report.work)
    hours = sum(machine.busy_seconds + machine.training_seconds for machine in report.machines)
    return (
        Tile("run", report.status.state, PurePath(report.origin.model_name).name),
        Tile("phases promoted", f"{trained} of {len(phases)}"),
        Tile("accepted samples", f"{accepted:,}", f"of {wanted:,} wanted"),
        *_mean_tiles(report),
        Tile("tokens written", count(tokens), f"on {counted(len(report.machines), 'machine')}"),
        Tile("machine time", span(hours), "generating and training"),
    )


def _mean_tiles(report: Report) -> tuple[Tile, ...]:
    found = report.evaluation
    if found is None:
        return ()
    before = found.find(BASE, found.bare, found.split)
    after = found.find(report.status.promoted or "", found.bare, found.split) if report.status.promoted else None
    words = f"mean {found.scorer}, {before.interval.n if before else 0} {_SHORT[found.split]}"
    last = score(after.interval.mean) if after else "nothing promoted"
    return (Tile("untrained → promoted", f"{score(before.interval.mean if before else None)} → {last}", words),)


_SHORT = {"held_out": "held-out probes", "all": "probes"}


def _phases(report: Report) -> Table:
    columns = ("phase", "state", "accepted", "wanted", "trainings", "last decision")
    rows = tuple(
        (
            phase.name,
            phase.status.state,
            count(phase.status.counted),
            count(phase.status.wanted),
            count(len(phase.trainings)),
            phase.decisions[-1].text if phase.decisions else NONE,
        )
        for phase in report.phases
    )
    return Table(columns, rows, frozenset({2, 3, 4}), f"lemfarm phases {report.name}")


def _claims(found: Evaluation, promoted: str | None) -> list[str]:
    """What may be said of the promoted model, and no more."""
    if promoted is None:
        return ["No adapter is promoted, so nothing is claimed of one."]
    lines = []
    for condition in found.conditions:
        before, after = found.find(BASE, condition, found.split), found.find(promoted, condition, found.split)
        if before and after and before.by_probe.keys() & after.by_probe.keys():
            change = paired_difference(before.by_probe.items(), after.by_probe.items()).interval
            said = describe_change(change)
            lines.append(f"Promoted against untrained under {condition}, {SPLITS[found.split]}: {said}")
    return lines


def _course(name: str, found: Evaluation) -> Picture:
    steps = tuple(model.label for model in found.models)
    series = tuple(
        (condition, tuple(_step(found, model, condition) for model in found.models)) for condition in found.conditions
    )
    levels = [
        (value, f"{word} {condition} {value:g}")
        for condition, hoped in found.targets.items()
        for word, value in hoped.items()
        if value is not None
    ]
    title = f"Mean {found.scorer} score after each training, {SPLITS[found.split]}"
    hollow = "; hollow: not part of the course" if any(is_out(model) for model in found.models) else ""
    chart = Steps(title, f"mean score, 95 % interval{hollow}", steps, series, tuple(levels))
    columns = ("model", "became", *(f"{word}{c}" for c in found.conditions for word in ("", "interval, ")))
    rows = tuple((model.label, model.standing or NONE, *_means(found, model)) for model in found.models)
    return Picture(chart, Table(columns, rows, numbers(columns, 2), compare_command(name, found.scorer)))


def _step(found: Evaluation, model: Model, condition: str) -> Estimate | None:
    one = found.find(model.adapter, condition, found.split)
    return estimate(one.interval, hollow=is_out(model)) if one else None


def is_out(model: Model) -> bool:
    """Whether an adapter is measured and yet no part of the course."""
    return model.standing in ("rejected", "held", "rolled back")


def _means(found: Evaluation, model: Model) -> list[str]:
    cells = []
    for condition in found.conditions:
        one = found.find(model.adapter, condition, found.split)
        cells += [score(one.interval.mean if one else None), bounds(one.interval if one else None)]
    return cells


def quotas(report: Report) -> Chapter | str:
    """What each phase wanted, what it has, and what was given up."""
    if not any(phase.status.planned for phase in report.phases):
        return "Quotas: the run samples nothing for training."
    parts = ("accepted", "rejected", "held", "failed", "to come", "skipped")
    rows = tuple(
        (
            phase.name,
            tuple(map(float, _parts(phase.status))),
            float(phase.status.wanted),
        )
        for phase in report.phases
    )
    chart = Bars("Samples of each phase; the upright line is its quota", "samples", parts, rows)
    blocks: list[Block | Heading] = [Picture(chart, _quota_table(report))]
    for phase in report.phases:
        blocks += [Words(line, is_warning=True) for line in _given_up(phase)]
    blocks += _reasons(report)
    return Chapter("quotas", "Quotas", tuple(blocks))


def _parts(found: PhaseStatus) -> tuple[int, ...]:
    to_come = found.pending + found.leased
    return found.accepted, found.rejected, found.held, found.failed, to_come, found.skipped


def _quota_table(report: Report) -> Table:
    columns = (
        "phase", "quota", "counting", "accepted", "rejected", "held", "failed", "to come", "skipped", "passing",
        "candidates each",
    )  # fmt: skip
    rows = []
    for phase in report.phases:
        found = phase.status
        figures = (found.wanted, found.counted, *_parts(found))
        each = NONE if found.candidates_per_accepted is None else f"{found.candidates_per_accepted:.1f}"
        passing = share(found.accepted, found.accepted + found.rejected)
        rows.append((phase.name, *map(count, figures), passing, each))
    caption = (
        "Counting: accepted samples, no more of one probe than its share. Passing: accepted of those judged. "
        "Candidates each: judged samples for each accepted one."
    )
    return Table(columns, tuple(rows), numbers(columns, 1), f"lemfarm status {report.name} --json", caption)


def _given_up(phase: PhaseFacts) -> list[str]:
    lines = []
    if phase.status.given_up:
        names = listed(phase.status.given_up)
        lines.append(
            f"{phase.name} gave up {len(phase.status.given_up)} probes that would hardly reach their share: {names}"
        )
    empty = sorted({c.probe for c in phase.status.cells} - {c.probe for c in phase.status.cells if c.accepted})
    if empty and phase.status.state != PhaseState.OPEN:
        lines.append(f"{phase.name} has no accepted answer to {len(empty)} probes: {listed(empty)}")
    return lines


def _reasons(report: Report) -> list[Block | Heading]:
    rows = tuple(
        (phase.name, reason, count(number)) for phase in report.phases for reason, number in phase.status.reasons
    )
    if not rows:
        return []
    source = f"lemfarm status {report.name} --json"
    return [
        Heading("Why samples were rejected or failed"),
        Table(("phase", "reason", "samples"), rows, frozenset({2}), source),
    ]


def scores(report: Report) -> Chapter | str:
    """How the scores of samples lie around the gate's threshold."""
    spreads = [(phase, phase.spread) for phase in report.phases if phase.spread]
    if not spreads:
        return "Scores of samples: no phase has a gate with a scorer and a scored sample yet."
    pictures = [_histogram(report.name, phase.name, spread) for phase, spread in spreads]
    return Chapter("scores", "Scores of the samples", tuple(pictures))


def _histogram(run: str, phase: str, spread: ScoreSpread) -> Picture:
    edges = _edges(spread)
    parts = (("accepted", _binned(spread.accepted, edges)), ("not accepted", _binned(spread.others, edges)))
    chart = Histogram(
        f"{phase}: {spread.scorer} scores of finished samples",
        f"{spread.scorer} score",
        edges,
        parts,
        (spread.threshold, f"gate: at least {spread.threshold:g}"),
    )
    columns = ("samples", "number", "mean", "median", "lowest", "highest")
    sides = (("accepted", spread.accepted), ("not accepted", spread.others),
             ("all", tuple(sorted(spread.accepted + spread.others))))  # fmt: skip
    rows = tuple((name, count(len(values)), *_summary(values)) for name, values in sides)
    number = len(spread.accepted) + len(spread.others)
    source = f"lemfarm samples list {run} --phase {phase} --purpose distil --state done --limit {number} --json"
    return Picture(chart, Table(columns, rows, numbers(columns, 1), source))


def _summary(values: tuple[float, ...]) -> tuple[str, ...]:
    if not values:
        return (NONE,) * 4
    return score(mean(values)), score(median(values)), score(values[0]), score(values[-1])


def _edges(spread: ScoreSpread) -> tuple[float, ...]:
    """Bins of one width, one of whose edges is the threshold: a bar is then on one side of it."""
    values = (*spread.accepted, *spread.others, spread.threshold)
    width = max((max(values) - min(values)) / _BINS, 0.25)
    below = ceil((spread.threshold - min(values)) / width - 1e-9)
    above = floor((max(values) - spread.threshold) / width + 1e-9) + 1
    return tuple(spread.threshold + number * width for number in range(-max(below, 1), above + 1))


def _binned(values: tuple[float, ...], edges: tuple[float, ...]) -> tuple[int, ...]:
    found = [0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for value in values:
        place = floor((value - edges[0]) / width + 1e-9)
        found[min(max(place, 0), len(found) - 1)] += 1
    return tuple(found)
