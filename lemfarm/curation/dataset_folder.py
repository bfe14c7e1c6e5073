"""The folder of a dataset for others: rows by side, a page for people, the same for programs, a manifest at the end."""

import json
from pathlib import Path
from typing import Any

from lemfarm.curation.dataset import MANIFEST
from lemfarm.curation.formats import Format
from lemfarm.curation.sides import Side
from lemfarm.errors import InputError, NoSpace

CARD = "README.md"
CARD_JSON = "card.json"


def refuse_foreign(folder: Path) -> None:
    """Raises InputError for a place that holds anything but an earlier dataset."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name another one with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CARD_JSON).is_file():
        raise InputError(f"{folder} holds something that is no export: name an empty or a new folder with --out.")


def empty(folder: Path) -> None:
    """Make the folder, and take away the rows of an earlier dataset; its manifest goes first. Raises NoSpace."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        for side in Side:
            for format_ in Format:
                (folder / f"{side}.{format_.suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise NoSpace(f"{folder} cannot be written: {error.strerror or error}") from error


def json_bytes(value: Any) -> bytes:
    """A card or a manifest as it is written."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
