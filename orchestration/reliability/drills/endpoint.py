"""Where a drill's alerts arrive: a real HTTP endpoint on this machine, reached through Apprise like any other.

Here: taking messages, refusing them while it is down, and stopping a deliverer after its message has arrived. Not here:
sending (`orchestration.alerts`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from orchestration.states import NoticeKind, Severity


@dataclass(frozen=True)
class Arrival:
    """A message that arrived.

    Attributes:
        delivery_id: Its idempotency key: the same message sent again carries the same one.
        incident: The same for all messages about one incident.
        kind: opened, reminder or resolved.
        severity: page, ticket or info.
        title: Its subject.
        keys: The alerts it is about.
    """

    delivery_id: str
    incident: str
    kind: NoticeKind
    severity: Severity
    title: str
    keys: tuple[str, ...]


@dataclass
class Receiver:
    """What the endpoint does next, and what it has taken.

    Attributes:
        url: Its Apprise URL.
        is_down: Whether it answers 503.
        refused: Requests it refused while down.
        on_arrival: Called after a message has been taken and before the sender gets an answer.
        arrivals: Every message taken, repeats included.
    """

    url: str
    is_down: bool = False
    refused: int = 0
    on_arrival: Callable[[], None] | None = None
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def messages(self) -> list[Arrival]:
        """Every message once: a repeat under the same id is the same message."""
        return list({arrival.delivery_id: arrival for arrival in self.arrivals}.values())


@contextmanager
def receiving() -> Iterator[Receiver]:
    """An endpoint on a free port of this machine, until the block ends."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if receiver.is_down:
                receiver.refused += 1
                self.send_error(503)
                return
            receiver.arrivals.append(
                Arrival(
                    body["delivery_id"],
                    body["incident"],
                    NoticeKind(body["kind"]),
                    Severity(body["severity"]),
                    body["title"],
                    tuple(body["keys"].split()),
                )
            )
            if receiver.on_arrival is not None:
                receiver.on_arrival()
            # The sender may have been killed by now: then the answer cannot be sent.
            try:
                self.send_response(200)
                self.end_headers()
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal: the drill reports what arrived."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"json://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, name="drill-endpoint", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
