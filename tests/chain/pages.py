"""A small web server with documents of tokens, and the faults of real ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Page = tuple[int, dict[str, str], bytes]


class Pages:
    """Documents by path; `asked` are the (host, path) of all requests.

    A page with the header `drip` is sent in pieces, with as many seconds between two of them.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str]] = []
        self.host = ""

    def put(self, path: str, body: bytes | str, state: int = 200, **headers: str) -> str:
        """Serve a document; returns its address."""
        content = body.encode() if isinstance(body, str) else body
        self.pages[path] = (state, headers, content)
        return f"http://{self.host}{path}"


@contextmanager
def serving_pages() -> Iterator[Pages]:
    """The documents behind an address of this machine."""
    pages = Pages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.asked.append((str(self.headers["host"]), self.path))
            state, headers, body = pages.pages.get(self.path, (404, {}, b"not found"))
            self.send_response(state)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in [body] if "drip" not in headers else [body[n : n + 1] for n in range(len(body))]:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(float(headers.get("drip", 0)))
            except OSError:
                pass  # the reader went away, as it should

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    pages.host = f"127.0.0.1:{server.server_port}"
    try:
        yield pages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
