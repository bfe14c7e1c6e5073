"""An OpenAI-compatible endpoint on a real socket that answers well, or misbehaves as it is told to."""

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lemfarm.config import OpenAiModel

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}
REPORT = {"id": "answer-1", "model": "house-model-0711", "created": 1784000000, "system_fingerprint": "fp-1"}


class Handler(BaseHTTPRequestHandler):
    """One connection. Bodies are sent in chunks, so that an end and a broken connection can be told apart."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self.server.endpoint.list_models(self)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.endpoint.take(self, body)

    def begin(
        self, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "text/event-stream"
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Transfer-Encoding": "chunked", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def write(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Tests are quiet."""


Behaviour = Callable[[Handler], None]


@dataclass
class Endpoint:
    """What was asked of it (`bodies`, `keys`), and what it will do: the script first, then it answers well."""

    url: str = ""
    script: deque[Behaviour] = field(default_factory=deque)
    listing: Behaviour | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    busy: int = 0
    most_busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def model(self, **settings: Any) -> OpenAiModel:
        """The section of a run file that names this endpoint."""
        return OpenAiModel(**{"engine": "openai", "base_url": self.url, "model": "house-model"} | settings)

    def list_models(self, handler: Handler) -> None:
        (self.listing or as_json({"object": "list", "data": [{"id": "house-model", "max_model_len": 4096}]}))(handler)

    def take(self, handler: Handler, body: dict[str, Any]) -> None:
        with self._lock:
            self.bodies.append(body)
            self.keys.append(handler.headers.get("Authorization"))
            behave = self.script.popleft() if self.script else answer("All is well.")
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            behave(handler)
        finally:
            with self._lock:
                self.busy -= 1

    def keep_silent(self, handler: Handler) -> None:
        """Say nothing until the client hangs up."""
        handler.begin()
        if handler.connection.recv(1) == b"":
            self.hung_up.set()
        handler.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    endpoint: Endpoint


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """One that listens on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), Handler)
    server.endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def piece(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> str:
    """One event of a stream."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return event({**REPORT, "object": "chat.completion.chunk", "choices": choices, **more})


def event(data: Any) -> str:
    return f"data: {json.dumps(data)}\n\n"


def answer(*parts: str, finish: str = "stop", usage: Any = USAGE, thoughts: str = "", **more: Any) -> Behaviour:
    """A whole answer, in these parts."""

    def behave(handler: Handler) -> None:
        handler.begin()
        if thoughts:
            handler.write(piece({"reasoning_content": thoughts}))
        for part in parts:
            handler.write(piece({"content": part}, **more))
        handler.write(piece(finish=finish))
        if usage is not None:
            handler.write(event({**REPORT, "choices": [], "usage": usage}))
        handler.write("data: [DONE]\n\n")
        handler.end()

    return behave


def status(code: int, said: str = "no", retry_after: str | None = None, error_code: str | None = None) -> Behaviour:
    """An error as endpoints send it."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return as_json({"error": {"message": said, "type": "error", "code": error_code}}, code, headers)


def as_json(data: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    return raw(json.dumps(data), code, headers, "application/json")


def raw(
    text: str, code: int = 200, headers: Mapping[str, str] | None = None, kind: str = "text/event-stream"
) -> Behaviour:
    """This text, whatever it is."""

    def behave(handler: Handler) -> None:
        handler.begin(code, headers, kind)
        handler.write(text)
        handler.end()

    return behave


def hang_up_midway(handler: Handler) -> None:
    """Half an answer, then a closed connection."""
    handler.begin()
    handler.write(piece({"content": "All is"}))
    handler.hang_up()


def hang_up_at_once(handler: Handler) -> None:
    handler.hang_up()
