"""How things get their names: canonical JSON, content hashes, sample ids, seeds.

This is a contract: ids made by one version must be found again by the next, so nothing here may change
without a new prefix. `lemfarm verify` derives every id again and compares.

* canonical JSON: UTF-8, keys sorted, no white space, non-ASCII kept, no NaN or infinity.
* content hash: `b2:` + 32 hex digits of BLAKE2b with a 16-byte digest, over bytes, text (UTF-8) or canonical JSON.
* fingerprint: content hash of `[model key, adapter, kernel hash, placement, messages, sampling]`.
* sample id: 32 hex digits of the same hash over `[run, phase, fingerprint, index]`, without prefix.
* seed: the first 63 bits of BLAKE2b over `seed/<sampling.seed>/<sample id>`; never Python's salted `hash()`.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

PREFIX = "b2:"
_DIGEST_BYTES = 16
_CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """One spelling for one value, so that equal values have equal hashes. Raises ValueError on NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """Name a value by its content: bytes as they are, text as UTF-8, everything else as canonical JSON."""
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, str):
        data = value.encode()
    else:
        data = canonical_json(value).encode()
    return PREFIX + blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def file_hash(path: Path) -> str:
    """Name a file by its bytes, read in pieces: weights do not fit in memory twice. Raises OSError."""
    digest = blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return PREFIX + digest.hexdigest()


def short(hashed: str) -> str:
    """Ten hex digits of a content hash, for names of queues and folders."""
    return hashed.removeprefix(PREFIX)[:10]


def fingerprint(
    model_key: str,
    adapter: str | None,
    kernel_hash: str | None,
    placement: str,
    messages: Sequence[Mapping[str, str]],
    sampling: Mapping[str, Any],
) -> str:
    """What a sample is an answer to. Two equal fingerprints may differ only by their random stream."""
    return content_hash([model_key, adapter, kernel_hash, placement, [dict(m) for m in messages], dict(sampling)])


def sample_id(run: str, phase: str, fingerprint: str, index: int) -> str:
    """The id of the index-th answer to what the fingerprint describes, in one phase of one run."""
    return content_hash([run, phase, fingerprint, index]).removeprefix(PREFIX)


def sample_seed(base: int, sample: str) -> int:
    """A 63-bit seed that depends on `sampling.seed` and the sample id only."""
    digest = blake2b(f"seed/{base}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
