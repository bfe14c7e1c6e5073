"""A fused model, or a promoted adapter, with its page on the hub: what would be sent, and sending it.

The token comes from the environment (`HF_TOKEN`) or from `hf auth login`, through the hub's own library; it is never
asked for, stored or shown here.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from lemfarm.database import Database
from lemfarm.errors import InputError, LemfarmError, ModelError, Unavailable
from lemfarm.evaluation.statistics import Interval
from lemfarm.records import Evaluation
from lemfarm.training.chosen import Origin
from lemfarm.training.fuse import read_origin
from lemfarm.training.model_card import CardFacts, Compared, Measured, model_card

CARD = "README.md"
TOKEN_ADVICE = "`hf auth login` keeps one, or set HF_TOKEN."

#: What belongs to a model; whatever else lies in its folder stays there.
_PUBLISHED = ("*.safetensors", "*.gguf", "*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt", "LICENSE*")


@dataclass(frozen=True, slots=True)
class Release:
    """What goes to the hub: a page, and files by the name that they have there."""

    repo: str
    card: str
    files: Mapping[str, Path]
    facts: CardFacts

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file, the page's among them, sorted by name."""
        found = {name: path.stat().st_size for name, path in self.files.items()}
        return dict(sorted((found | {CARD: len(self.card.encode())}).items()))


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
) -> Release:
    """Gather what is published: a fused model's folder, or, with its origin, an adapter's.

    `card` replaces the page that is made. Raises InputError for a name that no hub takes, ModelError for a folder that
    `fuse` did not make or that has no weights.
    """
    for name, flag in ((repo, "--to"), (base_model, "--base-model")):
        _require_hub_name(name, flag)
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
    return Release(repo, card or model_card(facts), _files(folder), facts)


def upload(release: Release, *, private: bool, endpoint: str | None = None) -> str:
    """Make the repository if it is not there, and send everything in one commit; returns its address. Not `private`: as
    the hub does for this owner.

    Raises InputError without a token or a licence and where the hub refuses, Unavailable where it does not answer.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, get_token
    from huggingface_hub.errors import HfHubHTTPError

    if ModelCard(release.card).data.to_dict().get("license") is None:
        raise InputError("nothing was sent: the base model's licence is not known here; name it with --license.")
    if get_token() is None:
        raise InputError(f"nothing was sent: there is no token for the hub. {TOKEN_ADVICE}")
    hub = HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT"))
    parts: dict[str, Any] = {**release.files, CARD: release.card.encode()}
    adds = [CommitOperationAdd(name, part if isinstance(part, bytes) else str(part)) for name, part in parts.items()]
    try:
        address = hub.create_repo(release.repo, private=private or None, exist_ok=True)
        hub.create_commit(release.repo, adds, commit_message=f"Adapter {release.facts.origin.adapter}")
    except HfHubHTTPError as error:
        raise _refusal(release.repo, error) from error
    except Exception as error:  # of whichever library speaks HTTP for the hub's
        reason = f"{type(error).__name__}: {error}"
        raise Unavailable(f"{release.repo}: the hub does not answer ({reason}). Run the same command again.") from error
    return str(address)


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


def _require_hub_name(name: str | None, flag: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if name is None:
        return
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{flag} {name}: the hub takes no such name: {error}") from error
    if "/" not in name:
        raise InputError(f"{flag} {name}: write OWNER/NAME, as the hub names a repository.")


def _files(folder: Path) -> dict[str, Path]:
    found = {path.name: path for pattern in _PUBLISHED for path in folder.glob(pattern) if path.is_file()}
    if not any(path.suffix in (".safetensors", ".gguf") for path in found.values()):
        raise ModelError(f"{folder}: no weights to publish. Name a folder that `lemfarm fuse` made.")
    return dict(sorted(found.items()))


def _licence_of(model: str, commit: str | None) -> str | None:
    """What the base model's page says, where that lies in the hub's cache; nothing is fetched."""
    from huggingface_hub import ModelCard, try_to_load_from_cache

    path = try_to_load_from_cache(model, CARD, revision=commit)
    if not isinstance(path, str):
        return None
    try:
        licence = ModelCard.load(path).data.to_dict().get("license")
    except (ValueError, OSError):  # a page without front matter, or none that can be read
        return None
    return licence if isinstance(licence, str) else None


def _refusal(repo: str, error: Any) -> LemfarmError:
    status = error.response.status_code if error.response is not None else None
    if status in (401, 403):
        return InputError(f"{repo}: the hub refuses this token ({status}): it may not write there. {TOKEN_ADVICE}")
    if status is not None and status < 500:
        return InputError(f"{repo}: the hub refuses: {error.server_message or status}")
    return Unavailable(f"{repo}: the hub fails ({status}). Run the same command again.")
