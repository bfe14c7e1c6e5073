"""Which accepted answers of a phase are trained on, and reading them: ids first, texts in pieces, so that memory does
not grow with the texts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig
from lemfarm.curation.contenders import external_name
from lemfarm.curation.dataset import Example
from lemfarm.curation.external import AcceptedExternal, accepted_external, external_contents
from lemfarm.dialogue import Message
from lemfarm.external_mix import Mix, within_caps
from lemfarm.gates import gate_scorer
from lemfarm.records import Answer, Outcome, Probe, Purpose, Sample, SampleState, Score, Variant

PIECE = 500
"""Answers whose texts are in memory at once."""


@dataclass(frozen=True, slots=True)
class ChosenAnswer:
    """An answer that is trained on, without its text. One from elsewhere has an `external_id` instead of a text's, and
    a name in place of a sample's id."""

    sample_id: str
    probe: str
    variant_id: str
    text_id: int | None
    kernel_hash: str | None
    external_id: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a phase is trained on, own answers first; `mix` is None where its configuration mixes nothing."""

    answers: Sequence[ChosenAnswer]
    mix: Mix | None


def choose_rows(session: Session, phase_id: int, config: PhaseConfig) -> Selection:
    """Own answers as `choose_answers` has them, and as many from elsewhere as the share asks for beside them,
    within what the cap leaves of each probe."""
    own, external = choose_answers(session, phase_id, config), config.external
    if not external.share:
        return Selection(own, None)
    passed, wanted = accepted_external(session, phase_id, config), external.beside(len(own))
    cap = config.quota.at_most_per_probe
    places = within_caps((one.probe for one in passed), rows_per_probe(own), cap, wanted)
    mix = Mix(external.share, len(own), len(places), wanted, len(passed))
    return Selection([*own, *(_chosen(passed[place]) for place in places)], mix)


def choose_answers(session: Session, phase_id: int, config: PhaseConfig) -> list[ChosenAnswer]:
    """The own answers that are trained on: in sample-index order (or best first) up to the quota, no more of one probe
    than its share. Never in the order of completion, which favours short answers."""
    chosen: list[ChosenAnswer] = []
    taken: dict[str, int] = {}
    cap = config.quota.at_most_per_probe
    for answer in _accepted(session, phase_id, config):
        if len(chosen) >= config.quota.accepted:
            break
        if cap is not None and taken.get(answer.probe, 0) >= cap:
            continue
        taken[answer.probe] = taken.get(answer.probe, 0) + 1
        chosen.append(answer)
    return chosen


def read_examples(session: Session, chosen: Sequence[ChosenAnswer]) -> Iterator[Example]:
    """The texts of a piece of what was chosen, in its order."""
    texts = dict(_by_id(session, columns(col(Answer.id), col(Answer.content)), Answer.id, {a.text_id for a in chosen}))
    external = external_contents(session, external_ids(chosen))
    wordings = columns(col(Variant.id), col(Variant.messages))
    messages = {
        variant: tuple(Message(turn["role"], turn["content"]) for turn in turns)
        for variant, turns in _by_id(session, wordings, Variant.id, {answer.variant_id for answer in chosen})
    }
    for one in chosen:
        answer = texts[one.text_id] if one.external_id is None else external[one.external_id]
        yield Example(one.sample_id, one.probe, messages[one.variant_id], answer)


def external_ids(chosen: Iterable[ChosenAnswer]) -> list[int]:
    """Those that come from elsewhere."""
    return [one.external_id for one in chosen if one.external_id is not None]


def rows_per_probe(chosen: Iterable[ChosenAnswer | Example]) -> Mapping[str, int]:
    """How many rows each probe has."""
    rows: dict[str, int] = {}
    for one in chosen:
        rows[one.probe] = rows.get(one.probe, 0) + 1
    return rows


def pieces(chosen: Iterable[ChosenAnswer]) -> Iterator[list[ChosenAnswer]]:
    """What was chosen in pieces whose texts fit into memory."""
    rest = iter(chosen)
    while piece := list(islice(rest, PIECE)):
        yield piece


def _chosen(one: AcceptedExternal) -> ChosenAnswer:
    return ChosenAnswer(external_name(one.id), one.probe, one.variant_id, None, None, one.id)


def _accepted(session: Session, phase_id: int, config: PhaseConfig) -> Iterable[ChosenAnswer]:
    texts = columns(col(Answer.id)).where(col(Answer.sample_id) == Sample.id)
    newest = texts.order_by(col(Answer.revision).desc()).limit(1)
    query = (
        columns(
            col(Sample.id),
            col(Probe.name),
            col(Sample.variant_id),
            newest.correlate(Sample).scalar_subquery(),
            col(Sample.kernel_hash),
        )
        .join(Probe, col(Probe.id) == Sample.probe_id)
        .join(Variant, col(Variant.id) == Sample.variant_id)
        .where(
            col(Sample.phase_id) == phase_id,
            col(Sample.purpose) == Purpose.DISTIL,
            col(Sample.superseded).is_(False),
            col(Sample.state) == SampleState.DONE,
            col(Sample.outcome) == Outcome.ACCEPTED,
        )
        .order_by(col(Sample.sample_index), col(Probe.name), col(Variant.position))
    )
    found = [ChosenAnswer(*row) for row in session.execute(query)]
    best = gate_scores(session, phase_id, config) if config.quota.select == "best" else {}
    return sorted(found, key=lambda answer: -best.get(answer.text_id or 0, 0.0)) if best else found


def gate_scores(session: Session, phase_id: int, config: PhaseConfig) -> dict[int, float]:
    """The score that the phase's gate looks at, by text; none where it has no such gate."""
    scorer = gate_scorer(config.gates)
    if scorer is None:
        return {}
    query = (
        select(Score.text_id, Score.value)
        .join(Answer, col(Answer.id) == Score.text_id)
        .join(Sample, col(Sample.id) == Answer.sample_id)
        .where(Sample.phase_id == phase_id, Score.scorer == scorer)
    )
    return dict(session.exec(query).all())


def _by_id(session: Session, query: Any, key: Any, wanted: set[Any]) -> Iterable[Any]:
    return session.execute(query.where(col(key).in_(wanted))).all()
