"""A loss curve as lines of text."""

from collections.abc import Sequence

Curve = Sequence[tuple[int, float]]

TRAIN_MARK, VALID_MARK = "⠒", "o"
_TICKS = 6


def draw(train: Curve, valid: Curve, *, width: int, height: int, colour: bool) -> str:
    """Losses over updates: training as a line, validations as points; `width` and `height` in characters."""
    import plotext

    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)  # a width that was asked for holds, whatever the terminal's
    figure.plot_size(width, height)
    figure.theme("clear")
    if train:
        figure.draw(figure.signal(*_columns(train), marker="braille").lines())
    if valid:
        figure.draw(figure.signal(*_columns(valid), marker=VALID_MARK))
    figure.ruler("x").ticks(_ticks(max(update for update, _ in (*train, *valid))))
    return str(figure.build().string(colorless=not colour)).rstrip()


def _columns(curve: Curve) -> tuple[list[int], list[float]]:
    return [update for update, _ in curve], [loss for _, loss in curve]


def _ticks(last: int) -> list[int]:
    """Whole numbers of updates, evenly apart, the last one among them."""
    return sorted({round(part * last / _TICKS) for part in range(_TICKS + 1)})
