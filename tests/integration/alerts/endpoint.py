"""A real HTTP endpoint on this machine that behaves as a test sets it: takes, fails, throttles, hangs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Endpoint:
    """What the endpoint does next, and the requests so far."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    refuse_containing: str | None = None
    hangs: threading.Event | None = None
    seen: list[dict] = field(default_factory=list)

    @property
    def accepted(self) -> list[dict]:
        return [request for request in self.seen if request["status"] < 300]

    def titles(self) -> list[str]:
        return [request["title"] for request in self.accepted]


@contextmanager
def serving() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if state.hangs is not None:
                state.hangs.wait(30)
            refused = state.refuse_containing is not None and state.refuse_containing in body["title"]
            status = 400 if refused else state.status
            key = self.headers.get("Idempotency-Key")
            state.seen.append({**body, "status": status, "idempotency_key": key})
            self.send_response(status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"json://127.0.0.1:{server.server_port}/"
    try:
        yield state
    finally:
        if state.hangs is not None:
            state.hangs.set()
        server.shutdown()
        server.server_close()
