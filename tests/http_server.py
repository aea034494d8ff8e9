"""A small HTTP server in this process whose answers a test decides: for faults that no real service shows on demand."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    params: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What is answered.

    Attributes:
        state: HTTP state.
        headers: Its headers; `date` replaces the server's own clock.
        document: Bytes, or what is written as JSON.
        promised: Length that is promised, if it is not the length of the document.
        slow_s: Seconds between two bytes of the body.
    """

    state: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    promised: int | None = None
    slow_s: float = 0


@contextmanager
def serving_http(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """The address of a server that answers like this."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(answer(Request(parts.path, dict(parse_qsl(parts.query)), headers, body)))

        do_POST = do_PUT = do_GET  # noqa: N815 - the names that the standard library asks for

        def _send(self, reply: Reply) -> None:
            document = reply.document
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response_only(reply.state)
            headers = {"date": self.date_time_string(), **reply.headers}
            length = len(content) if reply.promised is None else reply.promised
            for name, value in {**headers, "content-length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                if reply.slow_s:
                    for position in range(len(content)):
                        self.wfile.write(content[position : position + 1])
                        self.wfile.flush()
                        time.sleep(reply.slow_s)
                else:
                    self.wfile.write(content)
            except OSError:
                pass  # the client did not wait
            if length != len(content):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), OSError):  # a client may not wait for the whole answer
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
