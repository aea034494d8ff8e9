"""Whatever is sent, the answer is one that the description lists, and nothing of the inside leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from serving.api.app import build_app
from serving.api.config import ApiConfig
from tests.names import names
from tests.unit.serving.market import PUBLISHED

INSIDE = ("Traceback", "sqlite", ".py", "site-packages", 'File "', "serving.")
BODIES = ("/v1/estimates:batch", "/v1/portfolio:value")


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_operation_keeps_to_its_description(folder: Path, mode: GenerationMode) -> None:
    """Requests as described and requests that are not, of every operation, checked by Schemathesis."""
    config = ApiConfig(folder, folder.parent / "api", anonymous_limit="", max_body_bytes=50_000_000)
    app = build_app(config, clock=lambda: PUBLISHED + 60)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 14
    for operation in operations:
        strategy = operation.as_strategy(generation_mode=mode)

        @settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None, database=None)
        @given(case=strategy)
        def check(case: Any) -> None:
            # No schema tells a cursor that was given from one that was not: tested below.
            (case.query or {}).pop("cursor", None)
            case.call_and_validate()

        try:
            check()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, "an operation without parameters cannot be asked wrongly"


def is_clean(response: Any) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        document = response.json()
        assert {"type", "title", "status", "detail"} <= document.keys()
        assert document["status"] == response.status_code
        assert not any(word in response.text for word in INSIDE)


segments = st.one_of(names, st.text(min_size=1, max_size=50), st.binary(min_size=1, max_size=30))


def encoded(part: str | bytes) -> str:
    raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
    return "".join(f"%{byte:02x}" for byte in raw)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(segments, min_size=1, max_size=3), st.text(max_size=40), st.text(max_size=60))
def test_paths_and_queries_of_any_kind(client: TestClient, parts: list[Any], query: str, cursor: str) -> None:
    for prefix in ("/v1/tokens/", "/v1/collections/", "/v1/wallets/", "/"):
        is_clean(client.get(prefix + "/".join(map(encoded, parts))))
    is_clean(client.get(f"/v1/collections/Apes/tokens?{encoded(query)}"))
    for path in ("/v1/collections/Apes/tokens", "/v1/tokens/Apes/1/history", "/v1/collections"):
        is_clean(client.get(f"{path}?cursor={encoded(cursor)}"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(json_values, st.builds(lambda inner: {"tokens": inner}, json_values)))
def test_bodies_of_any_kind(client: TestClient, value: Any) -> None:
    for path in BODIES:
        is_clean(client.post(path, content=json.dumps(value), headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"tokens":' * 50_000,
        b'{"tokens":[{"collection":"\\ud800","token_id":"1"}]}',
        b'{"tokens":[{"collection":NaN,"token_id":1e999}]}', b"1" * 5_000, b'"' + b"a" * 900_000 + b'"',
        b'{"tokens":[{"collection":"Apes","token_id":"1","more":1}]}', b"\xef\xbb\xbf{}",
        b'{"tokens":[{"collection":"\\u0000","token_id":"\\u0000"}]}',
    ],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
def test_bodies_that_are_none(client: TestClient, body: bytes, kind: str) -> None:
    for path in BODIES:
        is_clean(client.post(path, content=body, headers={"content-type": kind} if kind else {}))


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(client: TestClient) -> None:
    for content in (b"x" * 1_000_001, iter([b"x" * 600_000] * 2)):
        response = client.post(BODIES[0], content=content)
        assert (response.status_code, response.json()["type"]) == (413, "urn:assay:problem:too-large")


@pytest.mark.parametrize("cursor", ["", "x", "bnVsbA", "W10", "WyJhIl0", "W251bGwsMSwyXQ", "A" * 64_001, "é"])
def test_a_cursor_that_we_never_gave_is_refused(client: TestClient, cursor: str) -> None:
    response = client.get("/v1/collections/Apes/tokens", params={"cursor": cursor})
    assert response.status_code in (400, 422)
    is_clean(response)


def test_a_cursor_of_another_question_is_refused(client: TestClient) -> None:
    page = client.get("/v1/collections/Apes/tokens", params={"limit": 1}).json()
    for path, params in (
        ("/v1/collections/Apes/tokens", {"sort": "-value"}),
        ("/v1/collections/Apes/tokens", {"grade": "A"}),
        ("/v1/collections/a%2Fb/tokens", {}),
        ("/v1/collections", {}),
    ):
        response = client.get(path, params={**params, "cursor": page["next_cursor"]})
        assert (response.status_code, response.json()["type"]) == (400, "urn:assay:problem:invalid-cursor")


def test_an_error_of_ours_leaves_as_a_problem_without_its_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the inside")

    for name in ("serving.views.tokens.batch_answer", "serving.views.collections.collections_answer"):
        monkeypatch.setattr(name, fail)
    for response in (
        client.get("/v1/collections"),
        client.post(BODIES[0], json={"tokens": [{"collection": "a", "token_id": "1"}]}),
    ):
        assert response.status_code == 500
        assert response.json()["type"] == "urn:assay:problem:internal"
        assert "secret" not in response.text


def test_a_request_that_takes_too_long_ends(
    folder: Path, client_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr("serving.views.collections.collections_answer", lambda *_: time.sleep(1))
    with client_of(folder, time_limit_s=0.1) as client:
        response = client.get("/v1/collections")
    assert (response.status_code, response.json()["type"]) == (503, "urn:assay:problem:timeout")


def test_web_pages_may_read_when_their_origin_is_listed(
    folder: Path, client_of: Callable[..., TestClient]
) -> None:
    origin = "https://app.example"
    with client_of(folder, cors_origins=(origin,), anonymous=False) as client:
        asked = {
            "origin": origin,
            "access-control-request-method": "GET",
            "access-control-request-headers": "authorization",
        }
        assert (
            client.options("/v1/tokens/Apes/1", headers=asked).headers["access-control-allow-origin"]
            == origin
        )
        other = client.options("/v1/tokens/Apes/1", headers={**asked, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
    with client_of(folder, cors_origins=(origin,)) as client:
        result = client.get("/v1/tokens/Apes/1", headers={"origin": origin}).headers
        assert result["access-control-allow-origin"] == origin
    with client_of(folder) as client:
        assert (
            "access-control-allow-origin"
            not in client.get("/v1/tokens/Apes/1", headers={"origin": origin}).headers
        )
