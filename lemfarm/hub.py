"""Sending something to the hub: a page and files, as a model or as a dataset, in one commit.

The token comes from the environment (`HF_TOKEN`) or from `hf auth login`, through the hub's own library; it is never
asked for, stored or shown here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lemfarm.errors import InputError, LemfarmError, Unavailable

CARD = "README.md"
TOKEN_ADVICE = "`hf auth login` keeps one, or set HF_TOKEN."


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to the hub: a page, and files by the name that they have there. `message` is that of the commit."""

    repo: str
    kind: Literal["model", "dataset"]
    card: str
    files: Mapping[str, Path]
    message: str

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file, the page's among them, sorted by name."""
        found = {name: path.stat().st_size for name, path in self.files.items()}
        return dict(sorted((found | {CARD: len(self.card.encode())}).items()))

    @property
    def states_licence(self) -> bool:
        """Whether the page says under which licence it goes."""
        return front_matter(self.card).get("license") is not None


def front_matter(page: str) -> Mapping[str, Any]:
    """What a page says to the hub; nothing where it has no front matter, or none that can be read."""
    from huggingface_hub import RepoCard
    from yaml import YAMLError

    if not page.lstrip().startswith("---"):
        return {}
    try:
        return dict(RepoCard(page, ignore_metadata_errors=True).data.to_dict())
    except (ValueError, YAMLError):
        return {}


def require_hub_name(name: str, flag: str) -> None:
    """Raises InputError, naming the flag, for a name that no hub takes."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{flag} {name}: the hub takes no such name: {error}") from error
    if "/" not in name:
        raise InputError(f"{flag} {name}: write OWNER/NAME, as the hub names a repository.")


def require_token() -> None:
    """Raises InputError, saying how to get one."""
    from huggingface_hub import get_token

    if get_token() is None:
        raise InputError(f"nothing was sent: there is no token for the hub. {TOKEN_ADVICE}")


def upload(parcel: Parcel, *, private: bool, endpoint: str | None = None) -> str:
    """Make the repository if it is not there, and send everything in one commit; returns its address. Not `private`: as
    the hub does for this owner.

    Raises InputError without a token or a licence and where the hub refuses, Unavailable where it does not answer.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if not parcel.states_licence:
        raise InputError("nothing was sent: the page states no licence; name it with --license.")
    require_token()
    hub = HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT"))
    parts: dict[str, Any] = {**parcel.files, CARD: parcel.card.encode()}
    adds = [CommitOperationAdd(name, part if isinstance(part, bytes) else str(part)) for name, part in parts.items()]
    try:
        address = hub.create_repo(parcel.repo, repo_type=parcel.kind, private=private or None, exist_ok=True)
        hub.create_commit(parcel.repo, adds, repo_type=parcel.kind, commit_message=parcel.message)
    except HfHubHTTPError as error:
        raise _refusal(parcel.repo, error) from error
    except Exception as error:  # of whichever library speaks HTTP for the hub's
        reason = f"{type(error).__name__}: {error}"
        raise Unavailable(f"{parcel.repo}: the hub does not answer ({reason}). Run the same command again.") from error
    return str(address)


def _refusal(repo: str, error: Any) -> LemfarmError:
    status = error.response.status_code if error.response is not None else None
    if status in (401, 403):
        return InputError(f"{repo}: the hub refuses this token ({status}): it may not write there. {TOKEN_ADVICE}")
    if status is not None and status < 500:
        return InputError(f"{repo}: the hub refuses: {error.server_message or status}")
    return Unavailable(f"{repo}: the hub fails ({status}). Run the same command again.")
