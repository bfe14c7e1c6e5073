"""A fused model, or a promoted adapter, with its page for the hub: what would be sent."""

from collections.abc import Iterable
from pathlib import Path

from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.errors import ModelError
from lemfarm.evaluation.statistics import Interval
from lemfarm.hub import CARD, Parcel, front_matter, require_hub_name
from lemfarm.records import Evaluation
from lemfarm.training.chosen import Origin
from lemfarm.training.fuse import read_origin
from lemfarm.training.model_card import CardFacts, Compared, Measured, model_card

#: What belongs to a model; whatever else lies in its folder stays there.
_PUBLISHED = ("*.safetensors", "*.gguf", "*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "LICENSE*")


def prepare(
    repo: str,
    folder: Path,
    database: Database,
    *,
    adapter: Origin | None = None,
    licence: str | None = None,
    base_model: str | None = None,
    datasets: Iterable[str] = (),
    card: str | None = None,
) -> Parcel:
    """Gather what is published: a fused model's folder, or, with its origin, an adapter's.

    `card` replaces the page that is made. Raises InputError for a name that no hub takes, ModelError for a folder that
    `fuse` did not make or that has no weights.
    """
    require_hub_name(repo, "--to")
    if base_model is not None:
        require_hub_name(base_model, "--base-model")
    origin, described = (adapter, {}) if adapter else read_origin(folder)
    base = base_model or (origin.model if origin.on_hub else None)
    facts = CardFacts(
        repo=repo,
        kind="adapter" if adapter else "fused",
        origin=origin,
        evaluations=evaluations_of(database, origin.adapter),
        licence=licence or (_licence_of(base, origin.commit) if base else None),
        base_model=base,
        datasets=tuple(datasets),
        comparison=described.get("comparison"),
    )
    return Parcel(repo, "model", card or model_card(facts), _files(folder), f"Adapter {origin.adapter}")


def evaluations_of(database: Database, adapter: str) -> list[Compared]:
    """What was measured of an adapter, in any run, beside the untrained model of the same run."""
    with database.read() as connection, Session(bind=connection) as session:
        rows = session.exec(select(Evaluation).where(Evaluation.adapter_id == adapter).order_by(col(Evaluation.id)))
        found = []
        for row in rows.all():
            same = select(Evaluation).where(
                Evaluation.run_id == row.run_id,
                Evaluation.adapter_id == "",
                Evaluation.condition == row.condition,
                Evaluation.split == row.split,
                Evaluation.scorer == row.scorer,
            )
            base = session.exec(same).first()
            found.append(Compared(_measured(row), _measured(base) if base else None))
    return found


def _measured(row: Evaluation) -> Measured:
    details = row.details
    counts = {name: int(details.get(name, 0)) for name in ("missing", "degenerate", "truncated")}
    interval = Interval(row.mean, row.low, row.high, row.probes)
    return Measured(row.condition, row.split, row.scorer, interval, details.get("by_probe", {}), **counts)


def _files(folder: Path) -> dict[str, Path]:
    found = {path.name: path for pattern in _PUBLISHED for path in folder.glob(pattern) if path.is_file()}
    if not any(path.suffix in (".safetensors", ".gguf") for path in found.values()):
        raise ModelError(f"{folder}: no weights to publish. Name a folder that `lemfarm fuse` made.")
    return dict(sorted(found.items()))


def _licence_of(model: str, commit: str | None) -> str | None:
    """What the base model's page says, where that lies in the hub's cache; nothing is fetched."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model, CARD, revision=commit)
    if not isinstance(path, str):
        return None
    try:
        licence = front_matter(Path(path).read_text(encoding="utf-8")).get("license")
    except (ValueError, OSError):
        return None
    return licence if isinstance(licence, str) else None
