"""What training did, and what was decided of it: loss curves, what they have to do with the scores, the gates."""

from typing import Any

from lemfarm.decisions import Decision
from lemfarm.evaluation.statistics import FEWEST_PROBES_FOR_A_CLAIM, Interval, paired_difference
from lemfarm.records import GateOutcome
from lemfarm.report.document import Block, Chapter, Heading, Lines, Picture, Series, Table, Words
from lemfarm.report.facts import BASE, Curve, Evaluation, PhaseFacts, Report, Training
from lemfarm.report.figures import NONE, bounds, change, compare_command, count, listed, moment, numbers, short, span

_MARKS = {GateOutcome.PASSED: "✓", GateOutcome.HELD: "◐", GateOutcome.FAILED: "✗"}


def trainings(report: Report) -> Chapter | str:
    """Loss curves by attempt, and beside them what became of the scores."""
    found = [(phase, training) for phase in report.phases for training in phase.trainings]
    if not found:
        return "Training: no phase has been handed to training yet."
    blocks: list[Block | Heading] = []
    for phase, training in found:
        name = _attempt_name(phase, training)
        if training.train or training.valid:
            blocks.append(_loss(report.name, name, training))
        if training.error:
            blocks.append(Words(f"{name}: {training.error}", is_warning=True))
    blocks += [Heading("What was trained"), _took(report.name, found)]
    if report.evaluation is not None:
        blocks += _related(report.name, report.evaluation, found)
    return Chapter("training", "Training", tuple(blocks))


def _attempt_name(phase: PhaseFacts, training: Training) -> str:
    return phase.name + (f", attempt {training.attempt}" if len(phase.trainings) > 1 else "")


def _loss(run: str, name: str, training: Training) -> Picture:
    series = [Series("training", _points(training.train))] if training.train else []
    series += [Series("validation", _points(training.valid), marked=True)] if training.valid else []
    mark = (float(training.used), f"weights of update {training.used}") if training.used is not None else None
    chart = Lines(f"{name}: loss over updates", "optimizer updates", "loss, nats per token", tuple(series), mark)
    columns = ("updates", "validation loss", "training loss at that update")
    by_update = dict(training.train)
    rows = tuple((count(at), f"{loss:.4f}", _loss_cell(by_update.get(at))) for at, loss in training.valid)
    return Picture(chart, Table(columns, rows, numbers(columns, 0), f"lemfarm train show {run} --json"))


def _points(curve: Curve) -> tuple[tuple[float, float], ...]:
    return tuple((float(update), loss) for update, loss in curve)


def _loss_cell(loss: float | None) -> str:
    return NONE if loss is None else f"{loss:.4f}"


def _took(run: str, found: list[tuple[PhaseFacts, Training]]) -> Table:
    columns = ("training", "state", "set for this attempt", "rows", "validating", "examples seen", "epochs", "took")
    rows = tuple(
        (
            _attempt_name(phase, training),
            training.state,
            listed(f"{key}: {value}" for key, value in sorted(training.overrides.items())),
            _side(training.dataset.get("train")),
            _side(training.dataset.get("valid")),
            _side(training.record.get("examples_seen")),
            f"{training.record['epochs']:.2f}" if "epochs" in training.record else NONE,
            span(training.seconds),
        )
        for phase, training in found
    )
    return Table(columns, rows, numbers(columns, 3), f"lemfarm train show {run} --json")


def _side(value: Any) -> str:
    """A number of rows; a dataset may have stored them by name."""
    return count(len(value) if isinstance(value, (list, tuple)) else value) if value is not None else NONE


def _related(run: str, found: Evaluation, all_: list[tuple[PhaseFacts, Training]]) -> list[Block | Heading]:
    """The loss says how well the training's answers are predicted, the score what the model says by itself: whether
    the one followed the other is for the reader to see, attempt by attempt."""
    columns = ("training", "validation loss", "lowest", "after updates", "used", "score change", "95 % interval", "so")
    rows = tuple(_relation(phase, training, found) for phase, training in all_ if training.adapter and training.valid)
    if not rows:
        return []
    caption = f"Score change: mean {found.scorer} against the model that the attempt went on from, without a kernel."
    table = Table(columns, rows, frozenset(range(1, 7)), compare_command(run, found.scorer), caption)
    return [Heading("Loss and scores"), table]


def _relation(phase: PhaseFacts, training: Training, found: Evaluation) -> tuple[str, ...]:
    curve = training.valid
    trained = [point for point in curve if point[0] > 0] or list(curve)
    at, lowest = min(trained, key=lambda point: (point[1], point[0]))
    moved = _score_change(found, training)
    return (
        _attempt_name(phase, training),
        f"{curve[0][1]:.3f} → {curve[-1][1]:.3f}",
        f"{lowest:.3f}",
        count(at),
        NONE if training.used is None else count(training.used),
        change(moved.mean if moved else None),
        bounds(moved, signed=True),
        _in_words(lowest - curve[0][1], moved),
    )


def _score_change(found: Evaluation, training: Training) -> Interval | None:
    before = found.find(training.parent or BASE, found.bare, found.split)
    after = found.find(training.adapter or BASE, found.bare, found.split)
    if before is None or after is None or not before.by_probe.keys() & after.by_probe.keys():
        return None
    return paired_difference(before.by_probe.items(), after.by_probe.items()).interval


def _in_words(loss: float, moved: Interval | None) -> str:
    """No more than the interval carries."""
    fell = "the loss fell" if loss < 0 else "the loss did not fall"
    if moved is None:
        return f"{fell}; the scores were not measured"
    if moved.crosses_zero or moved.n < FEWEST_PROBES_FOR_A_CLAIM:
        return f"{fell}; of the scores no change can be claimed"
    return f"{fell}, the scores {'rose' if moved.mean > 0 else 'fell'}"


def gates(report: Report) -> Chapter | str:
    """Every decision with the gates behind it, oldest first."""
    blocks: list[Block | Heading] = []
    for phase in report.phases:
        for decision in phase.decisions:
            blocks += _decision(report, phase, decision)
    if not blocks:
        return "Gates after training: nothing was decided of an adapter yet."
    return Chapter("gates", "Gates after training", tuple(blocks))


def _decision(report: Report, phase: PhaseFacts, decision: Decision) -> list[Block | Heading]:
    who = decision.by or "the gates"
    blocks: list[Block | Heading] = [Heading(f"{phase.name}: {decision.outcome}, by {who}, {moment(decision.created)}")]
    is_bad = decision.outcome != GateOutcome.PASSED
    if decision.reason:
        blocks.append(Words(decision.text, is_warning=is_bad))
    source = f"lemfarm phases {report.name} --json"
    results = decision.details.get("gates", ())
    if results:
        columns = ("", "gate", "measured", "wanted", "outcome")
        rows = tuple(_gate(one) for one in results)
        caption = f"Adapter {short(decision.adapter)}"
        blocks.append(Table(columns, rows, frozenset({2}), source, caption))
    worst = decision.details.get("worst", ())
    if worst:
        heads = ("worst probes", "scored", "untrained model")
        probes = tuple((str(name), f"{value:.2f}", NONE if was is None else f"{was:.2f}") for name, value, was in worst)
        blocks.append(Table(heads, probes, frozenset({1, 2}), source))
    return blocks


def _gate(result: Any) -> tuple[str, ...]:
    measured = NONE if result["measured"] is None else f"{result['measured']:.4g}"
    outcome = GateOutcome(result["outcome"])
    return (_MARKS.get(outcome, ""), str(result["gate"]), measured, str(result["wanted"]), str(outcome))
