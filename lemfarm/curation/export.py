"""A run's accepted answers as a dataset for others: sides by probe, a shape, a page that says what it is.

Ids are chosen first and texts are read in pieces, so memory holds ids and one piece, whatever the answers' length. All
is read in one transaction: a run that goes on meanwhile gives what was accepted when the export began. The manifest is
written last, so that a folder with one is whole.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.config import PhaseConfig, RunConfig, config_from_data
from lemfarm.curation.contenders import external_name
from lemfarm.curation.data_card import Shape, data_card
from lemfarm.curation.data_facts import DataFacts, data_facts
from lemfarm.curation.dataset import MANIFEST
from lemfarm.curation.dataset_folder import CARD, CARD_JSON, empty, json_bytes, refuse_foreign
from lemfarm.curation.external import (
    ExternalSource,
    external_answers,
    gate_score,
    origins,
    source_name,
    sources_of,
)
from lemfarm.curation.formats import AddRows, ExportRow, Format, Render, require_parquet, rows_file
from lemfarm.curation.framing import Sign, frame, gemma_text
from lemfarm.curation.freezing import freeze
from lemfarm.curation.selection import (
    ChosenAnswer,
    choose_rows,
    external_ids,
    pieces,
    read_examples,
    rows_per_probe,
)
from lemfarm.curation.sides import Side, Sides, sides_of
from lemfarm.database import Database
from lemfarm.errors import InputError, NotFound
from lemfarm.external_mix import Mix
from lemfarm.gates import gate_scorer
from lemfarm.home import write_whole
from lemfarm.identity import content_hash, file_hash
from lemfarm.records import Answer, Attempt, Kernel, Phase, Probe, Run, Sample, Score
from lemfarm.runs import find_run

Advance = Callable[[int, int | None], None]
"""Told how many rows are written, and how many there are."""


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What is wanted. `signature` closes a sandwich; `render` gives `text` its words, which `template` names."""

    format: Format = Format.MLX
    sign: Sign = Sign.NONE
    signature: str = ""
    phase: str | None = None
    render: Render = gemma_text
    template: str = "Gemma's template"
    licence: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if self.sign is Sign.SANDWICH and not self.signature:
            raise InputError("a sandwich needs a signature: name its file with --signature.")
        if self.format is Format.PARQUET:
            require_parquet()


@dataclass(frozen=True, slots=True)
class Exported:
    """A dataset that was written. `files` are its row files by side; `goes_on`: the run may still add to it."""

    folder: Path
    hash: str
    files: Mapping[str, str]
    facts: DataFacts

    @property
    def goes_on(self) -> bool:
        """Whether the run was still at work."""
        return self.facts.state in ("active", "paused")


@dataclass(frozen=True, slots=True)
class _Part:
    phase: Phase
    config: PhaseConfig
    answers: Sequence[ChosenAnswer]
    mix: Mix | None


def export_run(
    database: Database,
    name: str | None,
    folder: Path,
    order: ExportOrder,
    home_id: str,
    advance: Advance = lambda _done, _total: None,
) -> Exported:
    """Write the accepted answers of a run, or of one of its phases, into a folder of their own.

    Raises NotFound for a run or phase that is not there, InputError for a folder with something else in it and where
    too little is accepted for two sides, NoSpace when it cannot be written.
    """
    refuse_foreign(folder)
    run = find_run(database, name)
    assert run.id is not None
    config = config_from_data(run.config)
    with database.read() as connection, Session(bind=connection) as session:
        parts = _choose(session, run.id, config, order.phase)
        sides = _sides(session, run.id, config, parts)
        kernels = _kernels(session, parts, order.sign)
        origin = origins(session, external_ids(answer for part in parts for answer in part.answers))
        facts = _facts(session, run, parts, sides, sources_of(origin.values()))
        empty(folder)
        files = {side: f"{side}.{order.format.suffix}" for side, rows in facts.rows.items() if rows}
        with ExitStack() as stack:
            writers = {
                Side(side): stack.enter_context(rows_file(order.format, folder / file, order.render))
                for side, file in files.items()
            }
            _write_rows(_rows(session, run, parts, kernels, order), sides, writers, _total(parts), advance)
    return _finish(database, run.id, folder, order, facts, files, _manifest(parts, sides, origin), home_id)


def _choose(session: Session, run_id: int, config: RunConfig, wanted: str | None) -> list[_Part]:
    query = select(Phase).where(Phase.run_id == run_id, col(Phase.retired).is_(False)).order_by(col(Phase.position))
    phases = session.exec(query).all()
    if wanted is not None and wanted not in [phase.name for phase in phases]:
        raise NotFound(f"there is no phase {wanted!r} in this run; it has {', '.join(phase.name for phase in phases)}")
    configs = {one.name: one for one in config.phases}
    found = []
    for phase in phases:
        if wanted in (None, phase.name):
            assert phase.id is not None
            selection = choose_rows(session, phase.id, configs[phase.name])
            found.append(_Part(phase, configs[phase.name], selection.answers, selection.mix))
    return [part for part in found if part.answers]


def _sides(session: Session, run_id: int, config: RunConfig, parts: Iterable[_Part]) -> Sides:
    rows = rows_per_probe(answer for part in parts for answer in part.answers)
    batch = config.train.batch_size if config.train else 1
    return sides_of(session, run_id, rows, batch_size=batch, seed=config.sampling.seed)


def _kernels(session: Session, parts: Iterable[_Part], sign: Sign) -> dict[str, str]:
    if sign is Sign.NONE:
        return {}
    bare = next((one for part in parts for one in part.answers if one.kernel_hash is None), None)
    if bare is not None:
        which = bare.sample_id if bare.external_id else f"sample {bare.sample_id}"
        raise InputError(f"{which} was made without a kernel, so there is none to sign with.")
    wanted = {one.kernel_hash for part in parts for one in part.answers}
    return {kernel.hash: kernel.text for kernel in session.exec(select(Kernel)) if kernel.hash in wanted}


def _facts(
    session: Session, run: Run, parts: Sequence[_Part], sides: Sides, external: Sequence[ExternalSource]
) -> DataFacts:
    rows = {part.phase.name: _count(sides[answer.probe] for answer in part.answers) for part in parts}
    kernels = {one.kernel_hash for part in parts for one in part.answers if one.kernel_hash}
    return data_facts(session, run, rows, _count(sides.values()), kernels, external)


def _count(sides: Iterable[Side]) -> dict[str, int]:
    counts = {str(side): 0 for side in Side}
    for side in sides:
        counts[side] += 1
    return counts


def _total(parts: Iterable[_Part]) -> int:
    return sum(len(part.answers) for part in parts)


def _rows(
    session: Session, run: Run, parts: Iterable[_Part], kernels: Mapping[str, str], order: ExportOrder
) -> Iterator[list[ExportRow]]:
    """Rows in pieces, in the order of phases and of their answers."""
    for part in parts:
        for piece in pieces(part.answers):
            is_lem = order.format is Format.LEM
            meta = _lem_meta(session, run, part, piece) | _external_meta(session, part, piece) if is_lem else {}
            yield [
                ExportRow(
                    sample_id=example.sample_id,
                    phase=part.phase.name,
                    probe=example.probe,
                    prompt=frame(
                        example.prompt_messages, order.sign, kernels.get(one.kernel_hash or "", ""), order.signature
                    ),
                    answer=example.answer,
                    meta={**meta.get(example.sample_id, {}), "chars": len(example.answer)} if meta else {},
                )
                for one, example in zip(piece, read_examples(session, piece), strict=True)
            ]


def _lem_meta(session: Session, run: Run, part: _Part, piece: Sequence[ChosenAnswer]) -> dict[str, dict[str, Any]]:
    """What LEM's raw training records say of each sample; `lek_score` is the score that the phase's gate looked at."""
    ids = [one.sample_id for one in piece]
    gates = [gate for gate in part.config.gates if hasattr(gate, "scorer")]
    scores = _scores(session, piece, gate_scorer(part.config.gates))
    attempts = select(Attempt.sample_id, Attempt.started, Attempt.ended).where(
        col(Attempt.sample_id).in_(ids), Attempt.ending == "done"
    )
    seconds = {sample: ended - started for sample, started, ended in session.exec(attempts) if ended}
    samples = select(Sample, Probe).join(Probe, col(Probe.id) == Sample.probe_id).where(col(Sample.id).in_(ids))
    return {
        sample.id: {
            "probe_id": probe.name,
            "category": probe.domain,
            "sample_idx": sample.sample_index,
            "lek_score": scores.get(sample.id),
            "time_s": round(seconds[sample.id], 2) if sample.id in seconds else None,
            "model": f"{run.model_key} + {sample.adapter_id}" if sample.adapter_id else run.model_key,
            "threshold": getattr(gates[0], "at_least", None) if gates else None,
            "temperature": sample.sampling.get("temperature"),
            "ts": datetime.fromtimestamp(sample.finished, UTC).isoformat() if sample.finished else None,
        }
        for sample, probe in session.exec(samples)
    }


def _external_meta(session: Session, part: _Part, piece: Sequence[ChosenAnswer]) -> dict[str, dict[str, Any]]:
    """The same of answers from elsewhere, as far as their source tells."""
    gates = [gate for gate in part.config.gates if hasattr(gate, "scorer")]
    return {
        external_name(number): {
            "probe_id": probe.name,
            "category": probe.domain,
            "lek_score": gate_score(answer.scores, part.config),
            "model": answer.provenance.get("model"),
            "threshold": getattr(gates[0], "at_least", None) if gates else None,
            "ts": answer.provenance.get("date"),
            "source": source_name(answer.source),
        }
        for number, answer, probe in external_answers(session, external_ids(piece))
    }


def _scores(session: Session, piece: Sequence[ChosenAnswer], scorer: str | None) -> dict[str, float]:
    query = (
        select(Answer.sample_id, Score.value)
        .join(Score, col(Score.text_id) == Answer.id)
        .where(col(Answer.id).in_([one.text_id for one in piece if one.text_id]), Score.scorer == scorer)
        .order_by(col(Score.id))
    )
    return dict(session.exec(query).all())


def _write_rows(
    batches: Iterable[Sequence[ExportRow]],
    sides: Sides,
    writers: Mapping[Side, AddRows],
    total: int,
    advance: Advance,
) -> None:
    done = 0
    for rows in batches:
        for side, add in writers.items():
            if own := [row for row in rows if sides[row.probe] == side]:
                add(own)
        done += len(rows)
        advance(done, total)


def _manifest(parts: Sequence[_Part], sides: Sides, origin: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The sample of every row, the probes of every side; where rows are from elsewhere, what each is, and the mix."""
    found: dict[str, Any] = {str(side): [] for side in Side}
    for part in parts:
        for answer in part.answers:
            found[sides[answer.probe]].append(answer.sample_id)
    probes = {f"{side}_probes": sorted(probe for probe, own in sides.items() if own == side) for side in Side}
    if any(part.mix for part in parts):
        found["origins"] = {external_name(number): told for number, told in origin.items()}
        found["mix"] = {part.phase.name: part.mix.to_dict() for part in parts if part.mix}
    return found | probes


def _finish(
    database: Database,
    run_id: int,
    folder: Path,
    order: ExportOrder,
    facts: DataFacts,
    files: Mapping[str, str],
    rows: Mapping[str, Any],
    home_id: str,
) -> Exported:
    """Name the dataset by its files and samples, write its page and manifest, and keep a row of it."""
    hashes = {file: file_hash(folder / file) for file in files.values()}
    name = content_hash({"files": hashes, "samples": content_hash([rows[side] for side in map(str, Side)])})
    template = order.template if order.format is Format.TEXT else ""
    shape = Shape(name, order.format, order.sign, files, template, order.licence, order.language)
    described = {"hash": name, "run": facts.run, "format": order.format, "sign": order.sign, "files": hashes}
    card = {**asdict(shape), **facts.to_dict()}
    write_whole(folder / CARD, data_card(facts, shape).encode())
    write_whole(folder / CARD_JSON, json_bytes(card))
    write_whole(folder / MANIFEST, json_bytes({**described, **rows}))
    kept = {key: value for key, value in rows.items() if key.endswith("_probes") or key == "mix"}
    freeze(database, name, run_id, None, home_id, manifest={**described, **kept}, card=card)
    return Exported(folder, name, files, facts)
