"""What a loss curve says: which validation was best, whether training still helps, whether the loss breaks.

A curve is a list of events (`job.py`) in order, `train_loss` and `valid_loss`, each with the updates done before it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Point = Mapping[str, Any]

#: Nats per token. Below this a loss is no explosion, however small it was at the start.
_CALM_LOSS = 1.0


def validations(curve: Sequence[Point]) -> list[Point]:
    """The validations of trained weights; the one before the first update is no result of training."""
    return [point for point in curve if point["event"] == "valid_loss" and point["iteration"] > 0]


def best_validation(curve: Sequence[Point]) -> Point | None:
    """The validation with the lowest loss, the earliest of equals; none before the first."""
    return min(validations(curve), key=lambda point: point["loss"], default=None)


def has_lost_patience(curve: Sequence[Point], patience: int | None) -> bool:
    """Whether the last `patience` validations were all no better than one before them."""
    best = best_validation(curve)
    if patience is None or best is None:
        return False
    worse = [point for point in validations(curve) if point["iteration"] > best["iteration"]]
    return len(worse) >= patience


def highest_sane_loss(curve: Sequence[Point], ratio: float | None) -> float | None:
    """The loss above which training has gone wrong: `ratio` times the validation before the first update."""
    first = next((point["loss"] for point in curve if point["event"] == "valid_loss"), None)
    if ratio is None or first is None:
        return None
    return max(_CALM_LOSS, ratio * float(first))
