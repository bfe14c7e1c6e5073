"""Where adapters travel: a folder that all machines share, or the head node over HTTP.

An adapter is one archive there, named by its id, which is the hash of its configuration and tensors. It is written
whole or not at all, and whoever fetches it verifies every file and the id before the folder appears under its name, so
that neither a torn transfer nor a wrong archive can be generated with. The archive is a plain tar: weights do not
compress.
"""

import os
import re
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import IO, BinaryIO, Protocol
from urllib.parse import urlsplit

from lemfarm.errors import InputError, ModelError, Unavailable
from lemfarm.training.adapters import MANIFEST, AdapterManifest, publish, read_manifest, verify

ADAPTER_ID = re.compile(r"[0-9a-f]{32}")
PLACE = "/adapters/"
NOBODY = "0" * 32
"""An id that no adapter has: asking for it tells whether a store is there."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SECONDS = 30.0  # without a byte: the other side counts as away
_CHUNK_BYTES = 1 << 20


class ArtifactStore(Protocol):
    """A place for archives. Every method raises Unavailable when the place is away, InputError when it refuses us."""

    def has(self, adapter: str) -> bool:
        """Whether the archive is there, whole."""

    def put(self, adapter: str, archive: Path) -> None:
        """Store an archive; one that is there stays."""

    def get(self, adapter: str, archive: Path) -> bool:
        """Write the archive to a file; False when it is not there."""


def open_store(place: str, token: str | None = None, *, seconds: float = _SECONDS) -> ArtifactStore:
    """The store at a folder or an http(s) address, which is away after so many seconds without a byte. Raises
    InputError."""
    if place.startswith(("http://", "https://")):
        return HttpStore(place, token, seconds=seconds)
    if "://" in place:
        raise InputError(f"{place}: an artifact store is a folder, or begins with http:// or https://")
    return FolderStore(Path(place).expanduser().absolute())


def share(folder: Path, store: ArtifactStore) -> AdapterManifest:
    """Bring a finished adapter into the store. Raises ModelError for one that is not whole, Unavailable, InputError."""
    manifest = verify(folder)
    if not store.has(manifest.id):
        with _draft(folder.parent) as archive:
            pack(folder, archive)
            store.put(manifest.id, archive)
    return manifest


def fetch(adapter: str, store: ArtifactStore, adapters: Path) -> Path | None:
    """The adapter's folder among `adapters`, brought from the store and verified; None when the store has it not.

    Raises ModelError for an archive that is not what its name says, Unavailable, InputError.
    """
    with _draft(adapters) as archive:
        if not store.get(adapter, archive):
            return None
        return unpack(adapter, archive, adapters)


def pack(folder: Path, archive: Path) -> None:
    """Write the files that the manifest names, and the manifest, into an archive; equal adapters, equal archives."""
    with tarfile.open(archive, "w") as tar:
        for name in [*sorted(read_manifest(folder).files), MANIFEST]:
            entry = tarfile.TarInfo(name)
            entry.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file:
                tar.addfile(entry, file)


def unpack(adapter: str, archive: Path, adapters: Path) -> Path:
    """Put the adapter of an archive among the others, once it is verified. Raises ModelError, and Unavailable for a
    full disk."""
    draft = adapters / f".fetched-{secrets.token_hex(6)}"
    try:
        draft.mkdir(parents=True)
        _extract(archive, draft)
        found = read_manifest(draft).id
        if found != adapter:
            raise ModelError(f"the archive of adapter {adapter} holds {found}; remove it from the artifact store.")
        publish(draft, adapters)
        return adapters / adapter
    except OSError as error:
        raise Unavailable(f"{adapters}: adapter {adapter} cannot be kept: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _extract(archive: Path, folder: Path) -> None:
    """Plain files with plain names only: an archive comes from another machine."""
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                source = tar.extractfile(entry) if entry.isreg() and _FILE_NAME.fullmatch(entry.name) else None
                if source is None:
                    raise ModelError(f"an adapter's archive holds {entry.name!r}, which is no plain file.")
                with (folder / entry.name).open("xb") as target:
                    shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except (tarfile.TarError, FileExistsError) as error:
        raise ModelError(f"an adapter's archive cannot be read: {error}") from error


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """The name of a file that is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".archive-{secrets.token_hex(6)}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


class FolderStore:
    """A folder on a share that all machines mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, adapter: str) -> bool:
        """Whether it lies there; a folder that is not mounted has nothing to say."""
        with self._told():
            return self._path(adapter).is_file()

    def put(self, adapter: str, archive: Path) -> None:
        """Copy, flush, then rename: readers see the whole archive or none."""
        with self._told(), _draft(self.folder) as draft:
            with archive.open("rb") as source, draft.open("xb") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
                target.flush()
                os.fsync(target.fileno())
            draft.replace(self._path(adapter))

    def get(self, adapter: str, archive: Path) -> bool:
        """Copy it out."""
        with self._told():
            if not self._path(adapter).is_file():
                return False
            shutil.copyfile(self._path(adapter), archive)
            return True

    def _path(self, adapter: str) -> Path:
        return self.folder / f"{adapter}.tar"

    @contextmanager
    def _told(self) -> Iterator[None]:
        if not self.folder.is_dir():
            raise Unavailable(f"{self.folder}: the artifact store is not there; mount it, or change LEMFARM_ARTIFACTS.")
        try:
            yield
        except OSError as error:
            raise Unavailable(f"{self.folder}: the artifact store fails: {error.strerror or error}") from error


class HttpStore:
    """`lemfarm artifacts` on the head node."""

    def __init__(self, url: str, token: str | None, *, seconds: float = _SECONDS) -> None:
        parts = urlsplit(url)
        if parts.hostname is None or parts.username or parts.query or parts.path not in ("", "/"):
            raise InputError(f"the artifact store is http://HOST:PORT, without a path, user or password; not {url!r}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._host, self._port, self._secure = parts.hostname, parts.port, parts.scheme == "https"
        self._seconds = seconds
        self._headers = {"Authorization": f"Bearer {token or ''}"}

    def has(self, adapter: str) -> bool:
        """Ask for it without its bytes."""
        with self._asked("HEAD", adapter) as answer:
            return answer.status == 200

    def put(self, adapter: str, archive: Path) -> None:
        """Send it; the server verifies it before it counts."""
        with archive.open("rb") as body, self._asked("PUT", adapter, body) as answer:
            if answer.status not in (200, 201, 204):
                said = answer.read(500).decode(errors="replace").strip()
                raise InputError(f"{self.url} does not take adapter {adapter}: {answer.status} {said}")

    def get(self, adapter: str, archive: Path) -> bool:
        """Fetch it whole, or raise: a transfer that ends early leaves nothing that could pass for the archive."""
        with self._asked("GET", adapter) as answer:
            if answer.status != 200:
                return False
            with archive.open("wb") as target:
                shutil.copyfileobj(answer, target, _CHUNK_BYTES)
            expected = int(answer.headers["Content-Length"])
        if archive.stat().st_size != expected:
            raise Unavailable(f"{self.url}: the transfer of adapter {adapter} ended early")
        return True

    @contextmanager
    def _asked(self, method: str, adapter: str, body: BinaryIO | IO[bytes] | None = None) -> Iterator[HTTPResponse]:
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=self._seconds)
        headers = self._headers | ({"Content-Length": str(os.fstat(body.fileno()).st_size)} if body else {})
        try:
            connection.request(method, PLACE + adapter, body=body, headers=headers)
            answer = connection.getresponse()
            if answer.status in (401, 403):
                raise InputError(f"{self.url} refuses the token of this machine; set LEMFARM_ARTIFACTS_TOKEN.")
            if answer.status >= 500:
                raise Unavailable(f"{self.url} fails: {answer.status} {answer.reason}")
            yield answer
        except (OSError, HTTPException) as error:
            raise Unavailable(f"{self.url} does not answer: {error}. Is `lemfarm artifacts` running there?") from error
        finally:
            connection.close()
