"""A hub on a socket of this machine: takes small files as huggingface.co does, and remembers them."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "s3cret" * 5


@dataclass
class Hub:
    """What was sent to it. `refuse`: the status that it answers everything with."""

    refuse: int | None = None
    address: str = ""
    created: list[dict[str, Any]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)  #: models, datasets: where commits went
    files: dict[str, bytes] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)  #: commit messages
    tokens: set[str | None] = field(default_factory=set)


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that is there while the block lasts."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.tokens.add(self.headers.get("Authorization"))
            if state.refuse:
                self._answer({"error": "You may not do that."}, state.refuse)
            else:
                self._answer(_act(state, self.path, body))

        def _answer(self, answer: dict[str, Any], status: int = 200) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _act(state: Hub, path: str, body: bytes) -> dict[str, Any]:
    if path == "/api/repos/create":
        state.created.append(json.loads(body))
        made = state.created[-1]
        folder = "datasets/" if made.get("type") == "dataset" else ""
        return {"url": f"{state.address}/{folder}{made.get('organization', '')}/{made['name']}"}
    if "/preupload/" in path:
        names = [one["path"] for one in json.loads(body)["files"]]
        return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
    if "/commit/" in path:
        state.kinds.add(path.split("/")[2])
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "header":
                state.said.append(line["value"]["summary"])
            else:
                state.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return {"commitUrl": f"{state.address}/o/n/commit/c0ffee", "commitOid": "c0ffee", "success": True}
    return {}
