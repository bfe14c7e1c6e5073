"""Gates: from an answer and its scores to a verdict. Pure; a verdict never deletes a sample.

The gates of a phase are looked at in the order of the run file, and the first that fails gives the reason. A sample
whose score is missing (its scorer is not installed here) is held, unless another gate rejects it anyway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lemfarm.config import DuplicatesGate, Gate, LoopingGate, MinCharsGate, ReviewConfig, ScoreGate, TruncatedGate
from lemfarm.engines.base import FinishReason
from lemfarm.identity import content_hash

NO_SCORE = "no score by "
"""How the reason of an answer begins that waits for a score."""

_MOST_DECIMALS = 6


class Outcome(StrEnum):
    """Where a finished sample stands; done = accepted + rejected + held."""

    ACCEPTED = "accepted"  #: passed every gate
    REJECTED = "rejected"  #: a gate failed; kept, and judged again when a gate changes
    HELD = "held"  #: waits for a person, or for a score that could not be computed


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome and its reason, in words with figures."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gates look at. `scores` by scorer name; `tokens` of the answer, 0 where unknown."""

    text: str
    finish_reason: FinishReason
    scores: Mapping[str, float] = field(default_factory=dict)
    tokens: int = 0


def judge(gates: Sequence[Gate], answer: Answer) -> Verdict:
    """Accepted when every gate passes, else the reason of the first that fails."""
    reasons = (_failure(gate, answer) for gate in gates)
    rejected = next((reason for reason in reasons if reason), None)
    if rejected:
        return Verdict(Outcome.REJECTED, rejected)
    missing = [name for name in required_scorers(gates) if name not in answer.scores]
    if missing:
        return Verdict(Outcome.HELD, f"{NO_SCORE}{', '.join(missing)}")
    return Verdict(Outcome.ACCEPTED, "passed every gate" if gates else "no gates")


def required_scorers(gates: Sequence[Gate]) -> tuple[str, ...]:
    """The scorers without which these gates cannot accept, each once, in the order of the gates."""
    return tuple(dict.fromkeys(gate.scorer for gate in gates if isinstance(gate, ScoreGate)))


def gate_scorer(gates: Sequence[Gate]) -> str | None:
    """The scorer of the first gate that has one: by its score answers are better or worse."""
    return next(iter(required_scorers(gates)), None)


def duplicates_gate(gates: Sequence[Gate]) -> DuplicatesGate | None:
    """The gate that rejects duplicates, if there is one. It takes all answers of a run to apply it: see
    `curation.duplicates`."""
    found = (gate for gate in gates if isinstance(gate, DuplicatesGate))
    return next((gate for gate in found if gate.duplicates == "reject"), None)


def gate_hash(gates: Sequence[Gate], review: ReviewConfig | None = None) -> str:
    """Name the gates by what they say, so that verdicts of other gates can be told and made anew. A review that comes
    before training is one of them: it holds what the others accept."""
    rules = [gate.model_dump(mode="json") for gate in gates]
    if review is not None and review.before_training:
        rules.append(review.model_dump(mode="json"))
    return content_hash(rules)


def _failure(gate: Gate, answer: Answer) -> str | None:
    """Why the gate rejects the answer; None when it passes, or when its score is missing."""
    match gate:
        case ScoreGate():
            return _low_score(gate, answer)
        case TruncatedGate(truncated="reject") if answer.finish_reason == FinishReason.LENGTH:
            return f"truncated at {answer.tokens} tokens" if answer.tokens else "truncated"
        case TruncatedGate(truncated="reject") if answer.finish_reason == FinishReason.OTHER:
            return "ended by the endpoint"
        case LoopingGate(looping="reject") if answer.finish_reason == FinishReason.REPETITION:
            return "looping"
        case MinCharsGate() if (length := len(answer.text.strip())) < gate.min_chars:
            return f"{length} of {gate.min_chars} characters"
    return None


def _low_score(gate: ScoreGate, answer: Answer) -> str | None:
    score = answer.scores.get(gate.scorer)
    if score is None or score >= gate.at_least:
        return None
    return f"{gate.scorer} {_compared(score, gate.at_least)}"


def _compared(score: float, threshold: float) -> str:
    """`18.3 < 24.0`, with as many decimals as it takes to tell the two apart."""
    for decimals in range(1, _MOST_DECIMALS):
        if f"{score:.{decimals}f}" != f"{threshold:.{decimals}f}":
            break
    return f"{score:.{decimals}f} < {threshold:.{decimals}f}"
