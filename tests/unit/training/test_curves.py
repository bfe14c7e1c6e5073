"""What is read from a loss curve: the best validation, lost patience, a loss that broke."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemfarm.training.curves import best_validation, has_lost_patience, highest_sane_loss, validations


def curve(*losses: float) -> list[dict[str, float | str]]:
    """A validation before the first update, and one after every tenth, with training losses between them."""
    points: list[dict[str, float | str]] = []
    for place, loss in enumerate(losses):
        points.append({"event": "valid_loss", "iteration": 10 * place, "loss": loss})
        points.append({"event": "train_loss", "iteration": 10 * place + 1, "loss": 0.0})
    return points


def test_the_lowest_validation_is_the_best_and_the_earliest_of_equals() -> None:
    best = best_validation(curve(3.0, 2.0, 1.5, 1.5, 1.8))
    assert best is not None and best["iteration"] == 20


def test_weights_that_were_not_trained_are_never_the_best() -> None:
    # Given a training that only made things worse, then its first weights are chosen, not those it began with.
    best = best_validation(curve(1.0, 1.2, 1.4))
    assert best is not None and best["iteration"] == 10
    assert best_validation(curve(1.0)) is None
    assert best_validation([]) is None


@pytest.mark.parametrize(
    ("losses", "patience", "lost"),
    [
        ((3.0, 2.0, 2.1, 2.2), 2, True),
        ((3.0, 2.0, 2.1, 2.2), 3, False),
        ((3.0, 2.0, 2.1, 1.9), 1, False),
        ((3.0, 2.0, 2.0), 1, True),
        ((3.0,), 1, False),
        ((3.0, 2.0, 2.1, 2.2), None, False),
    ],
)
def test_patience_ends_after_so_many_validations_without_a_better_one(
    losses: tuple[float, ...], patience: int | None, lost: bool
) -> None:
    assert has_lost_patience(curve(*losses), patience) is lost


@given(st.lists(st.floats(0.1, 9.0), min_size=2, max_size=12), st.integers(1, 12))
def test_a_training_that_has_just_found_its_best_goes_on(losses: list[float], patience: int) -> None:
    points = curve(*losses)
    best = best_validation(points)
    assert best is not None
    if best["iteration"] == validations(points)[-1]["iteration"]:
        assert not has_lost_patience(points, patience)


def test_a_loss_may_grow_by_the_ratio_and_never_counts_as_broken_below_one() -> None:
    assert highest_sane_loss(curve(2.0, 0.1), 4.0) == 8.0
    assert highest_sane_loss(curve(0.05), 4.0) == 1.0
    assert highest_sane_loss(curve(2.0), None) is None
    assert highest_sane_loss([], 4.0) is None
