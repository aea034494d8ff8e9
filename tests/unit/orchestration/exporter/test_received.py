"""Alerts of Prometheus become incidents once, end when they end, and nothing else that is posted does anything."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge

from orchestration.alerts.store import Outbox
from orchestration.exporter.received import ReceivedError, receive
from orchestration.exporter.web import MAX_BODY_BYTES, make_server
from tests.names import HOSTILE

NOW = datetime(2026, 3, 1)  # noqa: DTZ001 - the outbox keeps naive UTC


def message(status: str = "firing", name: str = "ApiDown", **annotations: str) -> bytes:
    texts = {
        "summary": "The API does not answer",
        "runbook": "api-down",
        "command": "assay serve",
        **annotations,
    }
    alert = {
        "status": status,
        "labels": {"alertname": name, "severity": "page", "instance": "x"},
        "annotations": texts,
        "startsAt": "2026-03-01T00:00:00Z",
        "generatorURL": "http://prometheus",
        "fingerprint": "a1b2",
    }
    return json.dumps({"version": "4", "status": status, "receiver": "assay", "alerts": [alert]}).encode()


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.of(tmp_path)


def incidents(outbox: Outbox) -> list[tuple]:
    columns = "key, severity, title, runbook, command, state, occurrences"
    return [tuple(row) for row in outbox.rows(f"select {columns} from incidents")]


def test_an_alert_is_one_incident_until_it_is_resolved(outbox: Outbox) -> None:
    key = "prometheus/ApiDown/a1b2"
    assert receive(message(), outbox, NOW) == (1, 0)
    receive(message(), outbox, NOW)
    assert incidents(outbox) == [
        (key, "page", "The API does not answer", "api-down", "assay serve", "open", 2)
    ]
    assert receive(message("resolved"), outbox, NOW) == (0, 1)
    receive(message("resolved"), outbox, NOW)
    assert [row[5] for row in incidents(outbox)] == ["resolved"]


def test_a_page_that_does_not_exist_is_not_named(outbox: Outbox) -> None:
    receive(message(runbook="of-somebody-else"), outbox, NOW)
    assert incidents(outbox)[0][3] == "check-failed"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind_are_kept_as_text(outbox: Outbox, name: str) -> None:
    receive(message(name=name[:100] or "x", summary=name[:300] or "x"), outbox, NOW)
    (found,) = incidents(outbox)
    assert found[0].startswith("prometheus/")
    assert "\n" not in found[2]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"\xff\xfe", b"[]", b'{"version":"3","alerts":[]}', b'{"version":"4","alerts":[{}]}',
     message(summary=""), message("odd"), message(summary="x" * 1000)],
)  # fmt: skip
def test_what_is_no_message_is_refused_and_changes_nothing(outbox: Outbox, body: bytes) -> None:
    with pytest.raises(ReceivedError, match="expected a message of Alertmanager"):
        receive(body, outbox, NOW)
    assert incidents(outbox) == []


@contextmanager
def started(outbox: Outbox) -> Iterator[ThreadingHTTPServer]:
    registry = CollectorRegistry()
    Gauge("one", "A number.", registry=registry).set(1)
    server = make_server("127.0.0.1", 0, registry, lambda body: receive(body, outbox, NOW))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_server_answers_and_refuses(outbox: Outbox) -> None:
    with started(outbox) as server:

        def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
            con = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            try:
                con.request(method, path, body, headers)
                answer = con.getresponse()
                return answer.status, answer.read().decode()
            finally:
                con.close()

        assert ask("GET", "/metrics")[1].endswith("one 1.0\n")
        assert ask("GET", "/healthz")[0] == 200
        assert ask("GET", "/../../etc/passwd")[0] == 404
        assert ask("POST", "/metrics", b"{}")[0] == 404
        assert ask("POST", "/alertmanager", message()) == (200, '{"fired": 1, "resolved": 0}')
        assert ask("POST", "/alertmanager", b"{}")[0] == 400
        too_long = {"content-length": str(MAX_BODY_BYTES + 1)}
        assert ask("POST", "/alertmanager", None, **too_long)[0] == 413, "before the body is read"
        assert ask("POST", "/alertmanager", None, **{"content-length": "-1"})[0] == 413
        outbox.path.write_bytes(b"no database" * 1000)
        assert ask("POST", "/alertmanager", message())[0] == 503, "Alertmanager sends it again"
