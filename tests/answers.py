"""Scored answers of an evaluation for tests, with what a test does not care about filled in."""

from lemfarm.evaluation.measurement import ScoredAnswer


def answer(
    probe: str,
    value: float,
    condition: str = "baseline",
    *,
    model: str = "",
    prompt: str = "Who are you?",
    domain: str = "d",
    trained: bool = False,
    finish: str = "stop",
    degenerate: bool = False,
) -> ScoredAnswer:
    """One answer of ten tokens."""
    return ScoredAnswer(
        model=model,
        condition=condition,
        probe=probe,
        prompt=prompt,
        domain=domain,
        trained=trained,
        value=value,
        finish=finish,
        tokens=10,
        degenerate=degenerate,
    )
