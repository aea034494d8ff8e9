"""What a service exchanges is recorded for that service alone, and nothing that others use is changed."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import apprise
import pytest
import requests
from apprise.manager_plugins import NotificationManager

from orchestration.alerts.http_recorder import Exchange, record, recording_class


@pytest.fixture
def endpoint():
    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(429)
            self.send_header("Retry-After", "7")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_answers_go_to_the_service_that_asked_and_requests_stays_as_it_was(endpoint):
    send, module = requests.Session.send, sys.modules["requests"]
    one, other = (apprise.Apprise.instantiate(endpoint) for _ in range(2))
    plain = type(other)
    recorded = record(one)
    assert not one.notify("a text")
    assert not other.notify("a text")
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in recorded.responses] == [
        (429, "7")
    ]
    assert type(other) is plain
    assert (requests.Session.send, sys.modules["requests"]) == (send, module)


def test_a_request_without_an_answer_is_recorded_by_its_kind_only():
    service = apprise.Apprise.instantiate("json://127.0.0.1:9/secret-token")
    recorded = record(service)
    assert not service.notify("a text")
    assert recorded.responses == []
    assert recorded.errors == ["ConnectionError"]


def test_every_http_service_of_apprise_can_be_recorded():
    services = [s for s in NotificationManager().plugins() if hasattr(sys.modules[s.__module__], "requests")]
    assert len(services) > 80
    for service in services:
        copied = recording_class(service, Exchange())
        assert copied.__name__ == service.__name__
        assert copied is not service, f"{service.__name__} is not recorded"
