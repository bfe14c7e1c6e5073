"""The dataset of one training: chosen, parted, written under its hash, kept in the database, before anything trains."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog
from sqlmodel import Session

from lemfarm.candidates import cell_candidates
from lemfarm.config import PhaseConfig, RunConfig
from lemfarm.curation.contenders import external_name
from lemfarm.curation.data_facts import data_facts
from lemfarm.curation.dataset import DatasetManifest, describe, split, write_dataset
from lemfarm.curation.external import origins, sources_of
from lemfarm.curation.freezing import freeze
from lemfarm.curation.selection import choose_rows, external_ids, pieces, read_examples, rows_per_probe
from lemfarm.curation.sides import Side, sides_of
from lemfarm.database import Database
from lemfarm.external_mix import Mix
from lemfarm.identity import PREFIX
from lemfarm.records import Phase, Run

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A frozen dataset and its folder, which nothing changes any more."""

    folder: Path
    manifest: DatasetManifest

    @property
    def summary(self) -> dict[str, object]:
        """What a training's row keeps of it."""
        manifest = self.manifest
        counts = {"train": len(manifest.train), "valid": len(manifest.valid), "test": len(manifest.test)}
        probes = {f"{side}_probes": list(getattr(manifest, f"{side}_probes")) for side in Side}
        mix = {"mix": dict(manifest.mix)} if manifest.mix else {}
        return {"hash": manifest.hash, **counts, **probes, **mix}


def freeze_training_set(
    database: Database, phase_id: int, config: RunConfig, phase: PhaseConfig, datasets: Path, home_id: str
) -> TrainingSet:
    """Write what a phase is trained on into a folder of `datasets` named by its hash; from then on the probes in it
    keep their sides.

    Raises InputError naming what is missing when there is too little for two sides, OSError when it cannot be written.
    """
    batch_size = config.train.batch_size if config.train else 1
    with database.read() as connection, Session(bind=connection) as session:
        row = session.get_one(Phase, phase_id)
        run = session.get_one(Run, row.run_id)
        selection = choose_rows(session, phase_id, phase)
        chosen = selection.answers
        examples = [example for piece in pieces(chosen) for example in read_examples(session, piece)]
        rows = rows_per_probe(chosen)
        sides = sides_of(session, row.run_id, rows, batch_size=batch_size, seed=config.sampling.seed)
        parts = split(examples, sides)
        origin = origins(session, external_ids(chosen))
        manifest = replace(
            describe(parts, cell_candidates(connection, phase_id)),
            origins={external_name(number): told for number, told in origin.items()},
            mix=selection.mix.to_dict() if selection.mix else {},
        )
        kernels = {one.kernel_hash for one in chosen if one.kernel_hash}
        sources = sources_of(origin.values())
        facts = data_facts(session, run, {row.name: _rows(manifest)}, _probes(manifest), kernels, sources)
        run_id = row.run_id
    folder = datasets / config.run / phase.name / manifest.hash.removeprefix(PREFIX)
    write_dataset(parts, folder, manifest)
    _tell(config.run, phase.name, selection.mix)
    stored = {"trains": True, **asdict(manifest)}
    freeze(database, manifest.hash, run_id, phase_id, home_id, manifest=stored, card=facts.to_dict())
    return TrainingSet(folder, manifest)


def _tell(run: str, phase: str, mix: Mix | None) -> None:
    if mix is not None:
        tell = log.warning if mix.is_short else log.info
        tell("own and external answers", run=run, phase=phase, mix=mix.text)


def _rows(manifest: DatasetManifest) -> dict[str, int]:
    return {side: len(getattr(manifest, side)) for side in map(str, Side)}


def _probes(manifest: DatasetManifest) -> dict[str, int]:
    return {side: len(getattr(manifest, f"{side}_probes")) for side in map(str, Side)}
