"""The worst and the best answers of a model, with what its scorer counted in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from lemfarm.database import decoded
from lemfarm.errors import LemfarmError
from lemfarm.evaluation.measurement import Split
from lemfarm.report.facts import BASE, Answers, Measurement, Model, NamedAnswer, Piece, SignalShare
from lemfarm.scorers import EXPECTED_KEY, Hit, Scorer, scorer_for
from lemfarm.scorers.weighted import WeightedScorer

LONGEST_ANSWER = 1500
"""Characters of an answer that are shown."""

LONGEST_PROMPT = 600
_CUT = " […]"


def read_answers(
    session: Session, run_id: int, model: Model, bare: str, measurements: Sequence[Measurement]
) -> Answers | None:
    """Of each of the worst probes the worst answer, of each of the best the best one, under the condition without a
    kernel; none where that was not measured."""
    found = {one.adapter: one for one in measurements if one.condition == bare and one.split == Split.ALL}
    if model.adapter not in found:
        return None
    chosen = found[model.adapter]
    before = found[BASE].by_probe if BASE in found and model.adapter != BASE else {}
    values = {"run": run_id, "adapter": model.adapter, "condition": bare, "scorer": chosen.scorer}
    by_probe: dict[str, dict[str, Any]] = {}
    for row in session.execute(text(_ROWS), values):
        by_probe.setdefault(row.name, {})[row.id] = row

    def named(ranked: Iterable[Sequence[Any]], sign: int) -> Iterator[NamedAnswer]:
        for probe, mean in ranked:
            rows = by_probe.get(probe, {}).values()
            if rows:
                row = min(rows, key=lambda one: (sign * one.value, one.position, one.sample_index, one.id))
                yield _answer(row, chosen.scorer, mean, before.get(probe))

    worst, best = chosen.details["worst"], chosen.details["best"]
    known = {probe for probe, _ in worst}
    others = [item for item in best if item[0] not in known]  # of a few probes the same ones would be both
    return Answers(model.label, bare, chosen.scorer, tuple(named(worst, 1)), tuple(named(others, -1)))


def _answer(row: Any, scorer_name: str, mean: float, before: float | None) -> NamedAnswer:
    prompt = str(decoded(row.messages)[-1]["content"])
    scorer = _scorer(scorer_name, decoded(row.fields), row.version)
    shown = row.content[:LONGEST_ANSWER]
    generation = decoded(row.generation) or {}
    return NamedAnswer(
        sample_id=row.id,
        probe=row.name,
        domain=row.domain,
        wording=row.position,
        prompt=prompt if len(prompt) <= LONGEST_PROMPT else prompt[:LONGEST_PROMPT] + _CUT,
        value=row.value,
        mean=mean,
        pieces=pieces_of(shown, _hits(scorer, prompt, row.content)),
        left_out=len(row.content) - len(shown),
        finish=str(generation.get("finish_reason") or "nobody knows what"),
        signals=_shares(scorer, decoded(row.signals)),
        before=before,
    )


def _scorer(name: str, fields: Mapping[str, Any], version: str) -> Scorer | None:
    """None where this scorer cannot be had, or is another than the one whose score is stored."""
    expected = fields.get(EXPECTED_KEY)
    try:
        found = scorer_for(name, None if expected is None else str(expected))
    except LemfarmError:
        return None
    return found if found.version == version else None


def _hits(scorer: Scorer | None, prompt: str, content: str) -> tuple[Hit, ...]:
    return () if scorer is None else scorer.score(prompt, content).hits


def pieces_of(shown: str, hits: Iterable[Hit]) -> tuple[Piece, ...]:
    """The text in stretches, those that a scorer counted with the names of the signals; where hits overlap, the
    stretch belongs to the one that began first. What has no letters, as the gap between paragraphs, is not marked."""
    pieces: list[Piece] = []
    end = 0
    for hit in hits:
        stop = min(hit.end, len(shown))
        if hit.start < end or not shown[hit.start : stop].strip():
            continue
        pieces += [Piece(shown[end : hit.start])] if hit.start > end else []
        pieces.append(Piece(shown[hit.start : stop], hit.signal))
        end = stop
    return (*pieces, Piece(shown[end:])) if end < len(shown) else tuple(pieces)


def _shares(scorer: Scorer | None, signals: Mapping[str, float]) -> tuple[SignalShare, ...]:
    """Signals that counted anything, those with most points first."""
    weighted = {one.name: one for one in scorer.signals} if isinstance(scorer, WeightedScorer) else {}
    shares = [
        SignalShare(name, count, weighted[name].points(count) if name in weighted else None)
        for name, count in signals.items()
        if count
    ]
    return tuple(sorted(shares, key=lambda share: (-abs(share.points or 0.0), share.name)))


# Of several versions of a scorer's value the newest comes last, and stays.
_ROWS = """SELECT s.id, s.sample_index, p.name, p.domain, p.fields, v.position, v.messages, t.content, sc.value,
        sc.version, sc.signals, a.generation
    FROM sample s JOIN probe p ON p.id = s.probe_id JOIN variant v ON v.id = s.variant_id
    JOIN text t ON t.sample_id = s.id AND t.revision = 0
    JOIN score sc ON sc.text_id = t.id AND sc.scorer = :scorer
    LEFT JOIN attempt a ON a.sample_id = s.id AND a.ending = 'done'
    WHERE s.run_id = :run AND s.purpose = 'evaluate' AND NOT s.superseded
    AND coalesce(s.adapter_id, '') = :adapter AND s.condition = :condition
    ORDER BY s.id, sc.id"""
