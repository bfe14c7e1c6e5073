"""From a completion to what is stored: scores, verdict, and the record of how it was generated."""

import array
import sys
import zlib
from dataclasses import asdict, replace
from typing import Any

import structlog

from lemfarm.curation.review import with_review
from lemfarm.engines.base import Completion
from lemfarm.gates import Answer, duplicates_gate, gate_hash, judge, required_scorers
from lemfarm.records import Outcome, Purpose
from lemfarm.text_files import storable
from lemfarm.work import Claim, Result, ScoredBy
from producer.score_tasks import ScoreTask, score_task
from workers.library import Rules, Wording

log = structlog.get_logger()


def make_result(claim: Claim, worker_id: str, wording: Wording, completion: Completion, rules: Rules) -> Result:
    """Score and judge a completion. Evaluation samples have no gates: they are all accepted."""
    distil = claim.purpose == Purpose.DISTIL
    wanted = required_scorers(rules.phase.gates) if distil else frozenset(filter(None, [rules.scorer]))
    scores = [score for name in sorted(wanted) if (score := _score(name, wording, completion.text))]
    outcome, reason, gates = str(Outcome.ACCEPTED), "", ""
    if distil:
        values = {score.scorer: score.value for score in scores}
        verdict = judge(rules.phase.gates, Answer(completion.text, completion.finish_reason, values))
        verdict = with_review(verdict, claim.sample_id, rules.phase.review)
        outcome, reason = str(verdict.outcome), verdict.reason
        gates = gate_hash(rules.phase.gates, rules.phase.review)
    return Result(
        sample_id=claim.sample_id,
        epoch=claim.epoch,
        worker_id=worker_id,
        content=storable(completion.text),
        thoughts=storable(completion.thoughts),
        token_ids=pack_tokens(completion.token_ids),
        generation=_record(completion),
        scores=scores,
        outcome=outcome,
        reason=reason,
        gate_hash=gates,
        rejects_duplicates=distil and duplicates_gate(rules.phase.gates) is not None,
    )


def pack_tokens(token_ids: tuple[int, ...]) -> bytes:
    """Token ids as deflated little-endian 32-bit numbers: a quarter of their size as JSON."""
    numbers = array.array("I", token_ids)
    if sys.byteorder == "big":
        numbers.byteswap()
    return zlib.compress(numbers.tobytes())


def unpack_tokens(packed: bytes) -> tuple[int, ...]:
    """The inverse of `pack_tokens`."""
    numbers = array.array("I")
    numbers.frombytes(zlib.decompress(packed))
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)


def _score(name: str, wording: Wording, answer: str) -> ScoredBy | None:
    """None where there is no score: the gates then hold the sample, which need not be generated again."""
    scored = score_task(ScoreTask(0, name, wording.prompt, answer, wording.expected))
    if scored.score is None:
        log.warning("an answer has no score", scorer=name, reason=scored.reason)
    return scored.score


def _record(completion: Completion) -> dict[str, Any]:
    stored_elsewhere: dict[str, Any] = {"text": "", "thoughts": "", "token_ids": (), "counted_tokens": None}
    record = asdict(replace(completion, **stored_elsewhere))  # emptied first: asdict copies token by token
    for name in stored_elsewhere:
        del record[name]
    record["completion_tokens"] = completion.completion_tokens
    record["batch_mates"] = list(completion.batch_mates)
    return record
