"""Queues are named after what decides who may serve them: the model, and the home where an adapter lies."""

from lemfarm.broker import generate_queue, train_queue


def test_models_that_are_named_alike_have_queues_of_their_own() -> None:
    names = {"hub:mlx-community/gemma-3-27b", "hub:mlx-community/gemma-3-12b", "simulated:a", "simulated:b", "b2:0123"}
    assert len({generate_queue(name) for name in names}) == len(names)
    assert not {generate_queue(name) for name in names} & {train_queue(name) for name in names}


def test_homes_that_were_made_in_the_same_minute_have_queues_of_their_own() -> None:
    first, second = "01a1fc727e5a7f1b8c2d3e4f5a6b7c8d", "01a1fc727e5a7f1b9c0d1e2f3a4b5c6d"
    assert generate_queue("b2:0123", first) != generate_queue("b2:0123", second)
