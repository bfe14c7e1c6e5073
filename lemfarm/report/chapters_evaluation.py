"""What was measured: before and after each training, by domain, and the worst and best answers."""

from lemfarm.evaluation.statistics import Interval, mean, paired_difference, sign_test
from lemfarm.report.chapters_course import SPLITS, is_out
from lemfarm.report.document import Block, Chapter, Dots, Estimate, Example, Heading, Picture, Table, Words
from lemfarm.report.facts import BASE, Answers, Evaluation, Measurement, Model, NamedAnswer, Report, Training
from lemfarm.report.figures import NONE, bounds, change, compare_command, count, estimate, numbers, score

_MOVED = 5
"""How many of the probes that moved most are named, up and down."""


def before_and_after(report: Report) -> Chapter | str:
    """Every model under every condition, and how they differ probe by probe."""
    found = report.evaluation
    if found is None:
        return "Before and after: nothing is measured yet; see `evaluate` in the run file."
    blocks: list[Block | Heading] = [_spread(report.name, found), Heading("All means"), _means(report.name, found)]
    differences = _differences(report, found)
    if differences.rows:
        blocks += [Heading("Differences, probe by probe"), differences]
    moved = _moved(report.name, found)
    blocks += [Heading("Probes that moved most"), moved] if moved else []
    return Chapter("evaluation", "Before and after", tuple(blocks))


def _spread(run: str, found: Evaluation) -> Picture:
    """Each dot a probe: a mean alone hides what became of single ones."""
    measured = [(model, found.find(model.adapter, found.bare, found.split)) for model in found.models]
    rows = tuple(
        (model.label, tuple(one.by_probe.values()), estimate(one.interval, hollow=is_out(model)))
        for model, one in measured
        if one
    )
    title = f"{found.scorer} scores without a kernel, {SPLITS[found.split]}"
    chart = Dots(title, f"mean {found.scorer} score of a probe; square: mean of all with its 95 % interval", rows)
    probes = sorted({probe for _, one in measured if one for probe in one.by_probe})
    columns = ("probe", *(model.label for model, one in measured if one))
    cells = tuple(
        (probe, *(score(one.by_probe.get(probe)) for _, one in measured if one)) for probe in probes
    )  # fmt: skip
    return Picture(chart, Table(columns, cells, numbers(columns, 1), compare_command(run, found.scorer)))


def _means(run: str, found: Evaluation) -> Table:
    columns = ("model", "condition", "probes are", "probes", "mean", "95 % interval", "median", "sd", "worst", "cut",
               "circling", "missing")  # fmt: skip
    labels = {model.adapter: model.label for model in found.models}
    order = list(labels)
    measured = sorted(
        (one for one in found.measurements if one.adapter in labels),
        key=lambda one: (list(SPLITS).index(one.split), order.index(one.adapter), one.condition != found.bare),
    )
    rows = tuple(_mean(labels[one.adapter], one) for one in measured)
    caption = "Cut: answers that reached their longest length. Circling: they repeat themselves. Missing: no score."
    return Table(columns, rows, numbers(columns, 3), compare_command(run, found.scorer), caption)


def _mean(label: str, one: Measurement) -> tuple[str, ...]:
    details = one.details
    return (
        label,
        one.condition,
        one.split.replace("_", " "),
        count(one.interval.n),
        score(one.interval.mean),
        bounds(one.interval),
        score(details.get("median")),
        score(details.get("sd")),
        score(min(one.by_probe.values())),
        count(details.get("truncated", 0)),
        count(details.get("degenerate", 0)),
        count(details.get("missing", 0)),
    )


def _differences(report: Report, found: Evaluation) -> Table:
    columns = ("difference", "condition", "probes", "mean", "95 % interval", "up", "down", "same", "sign test p")
    rows = []
    for model in found.models:
        for label, before in _earlier(report, found, model):
            for condition in found.conditions:
                rows += _difference(f"{model.label} against {label}", condition, found, (before, condition), model)
        for condition in found.conditions:
            if condition != found.bare and found.bare:
                words = f"kernel effect, {model.label}"
                rows += _difference(words, condition, found, (model.adapter, found.bare), model)
    caption = (
        "Over held-out probes where there are any. The kernel effect is what a kernel adds to the same model; below "
        "zero on a trained one it is realignment resistance. The sign test asks how often chance alone is as lopsided."
    )
    return Table(columns, tuple(rows), numbers(columns, 2), compare_command(report.name, found.scorer), caption)


def _earlier(report: Report, found: Evaluation, model: Model) -> list[tuple[str, str]]:
    """What an adapter is compared with: the untrained model, and the adapter that it went on from."""
    if model.adapter == BASE:
        return []
    labels = {one.adapter: one.label for one in found.models}
    training = _training_of(report, model.adapter)
    names = dict.fromkeys([BASE, (training.parent if training else None) or BASE])
    return [(labels[name], name) for name in names if name in labels]


def _training_of(report: Report, adapter: str) -> Training | None:
    trainings = (training for phase in report.phases for training in phase.trainings)
    return next((training for training in trainings if training.adapter == adapter), None)


def _difference(
    words: str, condition: str, found: Evaluation, before: tuple[str, str], model: Model
) -> list[tuple[str, ...]]:
    first = found.find(*before, found.split)
    second = found.find(model.adapter, condition, found.split)
    if first is None or second is None or not first.by_probe.keys() & second.by_probe.keys():
        return []
    paired = paired_difference(first.by_probe.items(), second.by_probe.items())
    sign, interval = sign_test(paired.differences.values()), paired.interval
    figures = (count(interval.n), change(interval.mean), bounds(interval, signed=True))
    return [(words, condition, *figures, count(sign.up), count(sign.down), count(sign.same), f"{sign.p:.3f}")]


def _moved(run: str, found: Evaluation) -> Table | None:
    """Of the newest model against the untrained one, over all probes."""
    last = found.models[-1]
    before, after = found.find(BASE, found.bare, "all"), found.find(last.adapter, found.bare, "all")
    if before is None or after is None or last.adapter == BASE:
        return None
    shared = before.by_probe.keys() & after.by_probe.keys()
    moves = sorted((after.by_probe[name] - before.by_probe[name], name) for name in shared)
    chosen = dict.fromkeys([*moves[:_MOVED], *moves[-_MOVED:]])
    columns = ("probe", "domain", "untrained", last.label, "change")
    rows = tuple(
        (name, found.domains.get(name, ""), score(before.by_probe[name]), score(after.by_probe[name]), change(move))
        for move, name in chosen
    )
    return Table(columns, rows, numbers(columns, 2), compare_command(run, found.scorer))


def domains(report: Report) -> Chapter | str:
    """By domain, how far each adapter is from the untrained model."""
    found = report.evaluation
    if found is None or len(found.models) < 2 or found.models[0].adapter != BASE:
        return "Domains: no adapter is measured beside the untrained model yet."
    names = sorted(set(found.domains.values()))
    last = found.models[-1]
    moves = {model.adapter: _by_domain(found, model) for model in found.models[1:]}
    rows = tuple(
        (name, tuple(moves[last.adapter][name]), _domain_estimate(moves[last.adapter][name]))
        for name in names
        if moves[last.adapter].get(name)
    )
    if not rows:
        return "Domains: no probe was answered by an adapter and by the untrained model."
    title = f"Change by domain, {last.label} against the untrained model, all probes"
    chart = Dots(title, f"change of the {found.scorer} score; dot: a probe, square: the domain's mean", rows, zero=True)
    columns = ("domain", "probes", *(model.label for model in found.models[1:]))
    table = tuple(
        (
            name,
            count(max(len(moves[model.adapter].get(name, ())) for model in found.models[1:])),
            *(change(_mean_of(moves[model.adapter].get(name, []))) for model in found.models[1:]),
        )
        for name in names
    )
    caption = "Mean paired differences to the untrained model without a kernel. Few probes of a domain say little."
    picture = Picture(
        chart, Table(columns, table, numbers(columns, 1), compare_command(report.name, found.scorer), caption)
    )
    return Chapter("domains", "Domains", (picture,))


def _by_domain(found: Evaluation, model: Model) -> dict[str, list[float]]:
    before, after = found.find(BASE, found.bare, "all"), found.find(model.adapter, found.bare, "all")
    moves: dict[str, list[float]] = {}
    if before and after:
        for probe in sorted(before.by_probe.keys() & after.by_probe.keys()):
            moves.setdefault(found.domains.get(probe, ""), []).append(after.by_probe[probe] - before.by_probe[probe])
    return moves


def _domain_estimate(moves: list[float]) -> Estimate:
    return estimate(Interval(mean(moves), None, None, len(moves)))


def _mean_of(moves: list[float]) -> float | None:
    return mean(moves) if moves else None


def answers(report: Report) -> Chapter | str:
    """What the newest model says where it does worst and best, with what was counted."""
    found = report.evaluation.answers if report.evaluation else None
    if found is None or not (found.worst or found.best):
        return "Worst and best answers: nothing is measured without a kernel yet."
    who = f"Of {found.model}, under {found.condition}, by {found.scorer}."
    words = f"{who} Marked words are what the scorer counted. Of a probe with several answers one is shown."
    blocks: list[Block | Heading] = [Words(words)]
    for title, chosen in (("Worst", found.worst), ("Best", found.best)):
        blocks.append(Heading(f"{title} answers"))
        blocks += [_example(found, one) for one in chosen]
    return Chapter("answers", "Worst and best answers", tuple(blocks))


def _example(found: Answers, one: NamedAnswer) -> Example:
    before = "" if one.before is None else f", of the untrained model {score(one.before)}"
    facts = f"{found.scorer} {score(one.value)}; mean of the probe {score(one.mean)}{before}; ended by {one.finish}"
    columns = ("signal", "count", "points")
    signals = tuple((share.name, f"{share.count:g}", NONE if share.points is None else f"{share.points:+.2f}")
                    for share in one.signals)  # fmt: skip
    left_out = (f"{one.left_out:,} further characters are not shown",) if one.left_out else ()
    return Example(
        title=f"{one.probe}" + (f", wording {one.wording}" if one.wording else "") + f" ({one.domain})",
        facts=facts,
        prompt=one.prompt,
        pieces=tuple((piece.text, piece.signal) for piece in one.pieces),
        signals=Table(columns, signals, frozenset({1, 2})),
        notes=left_out,
        source=f"lemfarm samples show {one.sample_id}",
    )
