"""Finished adapters: immutable folders named by what is in them.

A folder holds `adapters.safetensors` and `adapter_config.json` (what stock mlx-lm loads), perhaps checkpoints, and
`manifest.json`. The manifest is written last: where it stands, the rest is whole. The id of an adapter is the hash of
its configuration and its tensors in the order of their names, 32 hex digits, so that equal weights have one name on
every machine, whatever order or padding a library wrote them with. The safetensors format is read here directly
(eight bytes of header length, a JSON header with type, shape and offsets, then the data), without any array library.
"""

import json
import os
import shutil
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from lemfarm.errors import ModelError
from lemfarm.home import write_whole
from lemfarm.identity import PREFIX, content_hash, file_hash
from lemfarm.training.job import JOB_FILE

MANIFEST = "manifest.json"
WEIGHTS = "adapters.safetensors"
CONFIG = "adapter_config.json"

_CHUNK_BYTES = 1 << 20
_LONGEST_HEADER_BYTES = 100_000_000  # the limit that the safetensors format itself sets


@dataclass(frozen=True, slots=True)
class AdapterManifest:
    """What a finished adapter is and how it came about.

    `files` maps a name to its content hash; `parent` is the id of the adapter it continues, or None for the base
    model; `job` names the training job, `dataset` the rows. `curve` holds the loss points in order, as events:
    `event`, `iteration` (optimizer updates done), `loss`, `learning_rate` where it applies. `refused` maps the ids of
    samples that were longer than the limit to their tokens. `record` is whatever else was worth keeping.
    """

    id: str
    files: Mapping[str, str]
    config: Mapping[str, Any]
    job: str
    dataset: str
    parent: str | None = None
    curve: tuple[Mapping[str, Any], ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def losses(self, event: str) -> list[tuple[int, float]]:
        """The points of one curve, `train_loss` or `valid_loss`, as (updates, loss)."""
        return [(point["iteration"], point["loss"]) for point in self.curve if point["event"] == event]


def adapter_id(config: Mapping[str, Any], weights: Path) -> str:
    """Name an adapter by its configuration and sorted tensors. Raises ModelError when the file is not safetensors."""
    tensors = _tensor_hashes(weights)
    return content_hash({"config": dict(config), "tensors": tensors}).removeprefix(PREFIX)


def seal(
    folder: Path,
    *,
    job: str,
    dataset: str,
    parent: str | None = None,
    curve: tuple[Mapping[str, Any], ...] = (),
    refused: Mapping[str, int] | None = None,
    versions: Mapping[str, str] | None = None,
    record: Mapping[str, Any] | None = None,
) -> AdapterManifest:
    """Declare the weights and configuration in the folder finished: everything to disk, then the manifest.

    Raises ModelError when a file is missing or unreadable, OSError when the disk is full.
    """
    config = _read_config(folder)
    names = [*sorted(path.name for path in folder.glob("*.safetensors")), CONFIG]
    for name in names:
        to_disk(folder / name)
    manifest = AdapterManifest(
        id=adapter_id(config, folder / WEIGHTS),
        files={name: file_hash(folder / name) for name in names},
        config=config,
        job=job,
        dataset=dataset,
        parent=parent,
        curve=curve,
        refused=refused or {},
        versions=versions or {},
        record=record or {},
    )
    write_whole(folder / MANIFEST, (json.dumps(asdict(manifest), indent=2, allow_nan=False) + "\n").encode())
    return manifest


def read_manifest(folder: Path) -> AdapterManifest:
    """The manifest of a finished adapter. Raises ModelError when there is none or it cannot be read."""
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_text())
        return AdapterManifest(**{**fields, "curve": tuple(fields["curve"])})
    except FileNotFoundError as error:
        raise ModelError(f"{path}: not found, so this adapter was never finished; train it again.") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path}: not an adapter's manifest ({error!r}); train the adapter again.") from error


def is_complete(folder: Path) -> bool:
    """Whether training finished here. Says nothing about later damage: `verify` does."""
    return (folder / MANIFEST).is_file()


def verify(folder: Path) -> AdapterManifest:
    """Compare every file with the manifest, and the id with both. Raises ModelError naming the file that differs."""
    manifest = read_manifest(folder)
    for name, expected in manifest.files.items():
        _verify_file(folder / name, expected)
    if _read_config(folder) != manifest.config:
        raise ModelError(f"{folder / MANIFEST}: its configuration is not that of {CONFIG}; train the adapter again.")
    found = adapter_id(manifest.config, folder / WEIGHTS)
    if found != manifest.id:
        raise ModelError(f"{folder / MANIFEST}: names adapter {manifest.id}, the weights are {found}.")
    return manifest


def publish(folder: Path, adapters: Path) -> AdapterManifest:
    """Give a finished folder its name, the adapter's id, among the adapters.

    Equal weights may be there already and stay; a damaged copy of them is replaced. Raises ModelError when the folder
    is not whole.
    """
    manifest = verify(folder)
    (folder / JOB_FILE).unlink(missing_ok=True)
    target = adapters / manifest.id
    if target.exists():
        try:
            return verify(target)
        except ModelError:
            shutil.rmtree(target)
    folder.rename(target)
    to_disk(adapters)
    return manifest


def find_finished(adapters: Path, job: str) -> Path | None:
    """The finished adapter of this very job in a folder of adapters, whole, or None: hours need not be spent twice."""
    for path in sorted(adapters.glob(f"[!.]*/{MANIFEST}")):
        if _is_whole_result_of(path.parent, job):
            return path.parent
    return None


def to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, so that a power cut cannot take them. Raises ModelError, OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); the adapter is not finished.") from error
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_whole_result_of(folder: Path, job: str) -> bool:
    try:
        return read_manifest(folder).job == job and verify(folder).job == job
    except ModelError:
        return False  # a damaged adapter is trained again; the fresh one takes its place


def _verify_file(path: Path, expected: str) -> None:
    try:
        found = file_hash(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); train or copy it anew.") from error
    if found != expected:
        raise ModelError(f"{path}: was changed: hash {found}, the manifest says {expected}. Train or copy it anew.")


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); train the adapter again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: not a JSON object; train the adapter again.")
    return config


def _tensor_hashes(weights: Path) -> dict[str, list[Any]]:
    """Name -> [type, shape, hash of the data] of every tensor."""
    try:
        with weights.open("rb") as file:
            header, start = _read_header(file)
            return {
                name: [facts["dtype"], facts["shape"], _slice_hash(file, start, *facts["data_offsets"])]
                for name, facts in sorted(header.items())
                if name != "__metadata__"
            }
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ModelError(f"{weights}: not a readable safetensors file ({error}); train the adapter again.") from error


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST_HEADER_BYTES:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    return header, 8 + length


def _slice_hash(file: BinaryIO, start: int, begin: int, end: int) -> str:
    digest = blake2b(digest_size=16)
    file.seek(start + begin)
    left = end - begin
    while left > 0:
        chunk = file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise ValueError(f"the file ends {left} bytes too early")
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()
