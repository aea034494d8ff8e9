"""The web server of `assay metrics`: GET /metrics, and POST /alertmanager from this machine.

Here: HTTP. Not here: the numbers (`orchestration.exporter.reader`), or what an alert becomes
(`orchestration.exporter.received`).
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest

from orchestration.alerts.errors import AlertingError
from orchestration.exporter.received import ReceivedError
from serving.metrics.families import CONTENT_TYPE

MAX_BODY_BYTES = 1_000_000
REQUEST_TIMEOUT_S = 10.0
_log = logging.getLogger("assay.metrics")

Receive = Callable[[bytes], tuple[int, int]]
"""Takes what Alertmanager posted, and gives how many alerts fire and how many are resolved."""


def make_server(host: str, port: int, registry: CollectorRegistry, receive: Receive) -> ThreadingHTTPServer:
    """A server that is bound and not yet started.

    Raises:
        OSError: The address cannot be bound.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT_S
        server_version, sys_version = "assay-metrics", ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE)
            elif path == "/healthz":
                self._answer(200, b'{"status":"ok"}')
            else:
                self._refuse(404, "expected /metrics, /healthz or POST /alertmanager, found another path")

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if self.path != "/alertmanager":
                self._refuse(404, "expected POST /alertmanager, found another path")
            elif not ipaddress.ip_address(self.client_address[0]).is_loopback:
                self._refuse(403, "expected Alertmanager on this machine, found another address")
            elif not length.isdigit() or int(length) > MAX_BODY_BYTES:
                self._refuse(
                    413, f"expected a content-length of at most {MAX_BODY_BYTES} bytes, found another"
                )
            else:
                self._receive(self.rfile.read(int(length)))

        def _receive(self, body: bytes) -> None:
            try:
                fired, resolved = receive(body)
            except ReceivedError as error:
                self._refuse(400, str(error))
            except AlertingError as error:
                # Alertmanager sends it again.
                _log.error("alerts of Prometheus cannot be kept: %s", error)
                self._refuse(503, "expected an outbox that can be written, found none; see the log")
            else:
                self._answer(200, json.dumps({"fired": fired, "resolved": resolved}).encode())

        def _refuse(self, status: int, detail: str) -> None:
            # The rest of the body is not read.
            self.close_connection = True
            self._answer(status, json.dumps({"detail": detail}).encode())

        def _answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not logged: there is one each few seconds."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
            _log.exception("a request of %s failed", client_address)

    return Server((host, port), Handler)
