"""The head node's artifact store: keeps adapters for the other machines, over HTTP, behind a token.

It knows one place, `/adapters/<id>`: PUT brings an archive, which counts once it is verified; GET and HEAD give it out.
It listens on this machine alone unless told otherwise, and speaks plain HTTP: over a network that others share it
belongs behind a tunnel, or a proxy that speaks TLS.
"""

import secrets
import shutil
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import structlog

from lemfarm.connections import read_private_json, write_private_json
from lemfarm.errors import ModelError, Unavailable
from lemfarm.home import Home
from lemfarm.training.artifacts import ADAPTER_ID, PLACE, FolderStore, unpack

LARGEST_BYTES = 16 << 30
"""A rank-64 adapter of all layers of a 70B model has some 3 GB."""

_CHUNK_BYTES = 1 << 20
_SECONDS = 60.0

log = structlog.get_logger()


class ArtifactServer(ThreadingHTTPServer):
    """Serves one folder of archives; `port` 0 takes a free one."""

    daemon_threads = True

    def __init__(self, home: Home, *, address: str, port: int) -> None:
        self.folder = home.ensure(home.root / "artifacts")
        self.token = token_of(home)
        self.store = FolderStore(self.folder)
        super().__init__((address, port), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


def token_of(home: Home) -> str:
    """The secret of this home's store, made once; readable by its owner only. Raises InputError, NoSpace."""
    path = home.ensure(home.root / "artifacts") / "secrets.json"
    if not path.exists():
        write_private_json(path, {"token": secrets.token_urlsafe(24)})
    return read_private_json(path)["token"]


class _Handler(BaseHTTPRequestHandler):
    """One request. Nothing in it names a file but a checked adapter id."""

    server: ArtifactServer
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    server_version, sys_version = "lemfarm", ""

    def do_HEAD(self) -> None:
        """Whether it is there."""
        self._give(body=False)

    def do_GET(self) -> None:
        """Give an archive out."""
        self._give(body=True)

    def do_PUT(self) -> None:
        """Take an archive: verified, then kept under its name. What was refused is not read: the connection ends."""
        adapter, length = self._adapter(), self._length()
        if adapter is None or length is None:
            self.close_connection = True
            return
        try:
            self._take(adapter, length)
        except ModelError as error:
            self._say(422, str(error))
        except (OSError, Unavailable) as error:
            log.error("an adapter could not be kept", adapter=adapter, error=str(error))
            self.close_connection = True
            self._say(507, "the store cannot keep it")

    def _take(self, adapter: str, length: int) -> None:
        with tempfile.TemporaryDirectory(dir=self.server.folder, prefix=".draft-") as place:
            draft = Path(place)
            archive = draft / "archive"
            if not self._receive(archive, length):
                self.close_connection = True
                return
            unpack(adapter, archive, draft / "adapters")
            self.server.store.put(adapter, archive)
        log.info("an adapter was taken", adapter=adapter, bytes=length)
        self._say(201, "kept")

    def _receive(self, archive: Path, length: int) -> bool:
        """False when the sender left before the end."""
        left = length
        with archive.open("wb") as file:
            while left > 0:
                chunk = self.rfile.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    return False
                file.write(chunk)
                left -= len(chunk)
        return True

    def _give(self, *, body: bool) -> None:
        adapter = self._adapter()
        if adapter is None:
            return
        path = self.server.folder / f"{adapter}.tar"
        try:
            file = path.open("rb")
        except FileNotFoundError:
            self._say(404, "no such adapter")
            return
        with file:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-tar")
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            if body:
                shutil.copyfileobj(file, self.wfile, _CHUNK_BYTES)

    def _adapter(self) -> str | None:
        """The id that is asked for; None when the request has been refused."""
        given = self.headers.get("Authorization", "").encode(errors="replace")
        if not secrets.compare_digest(given, f"Bearer {self.server.token}".encode()):
            self._say(401, "the token is wrong")
            return None
        name = self.path.removeprefix(PLACE)
        if not self.path.startswith(PLACE) or not ADAPTER_ID.fullmatch(name):
            self._say(404, "adapters lie under /adapters/<id>")
            return None
        return name

    def _length(self) -> int | None:
        given = self.headers.get("Content-Length", "")
        if not given.isdecimal():
            self._say(411, "say its Content-Length")
            return None
        if int(given) > LARGEST_BYTES:
            self._say(413, f"larger than {LARGEST_BYTES} bytes")
            return None
        return int(given)

    def _say(self, status: int, text: str) -> None:
        data = f"{text}\n".encode() if self.command != "HEAD" else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class names it so
        """Not to stderr, and without what a request may hold."""
        log.debug("request", client=self.client_address[0], method=self.command)
