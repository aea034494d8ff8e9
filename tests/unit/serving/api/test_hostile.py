"""Whatever is sent, the answer is one that the description lists, and nothing of the inside leaves."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from serving.api.keys import KeyFile
from serving.store.documents import RISK
from serving.store.files import read_pointer, sample_digest, write_pointer
from tests.names import names
from tests.unit.serving.market import PUBLISHED, WHALE, Market

pytestmark = pytest.mark.slow

INSIDE = ("Traceback", "sqlite", ".py", "site-packages", 'File "', "serving.")
BODIES = ("/v1/estimates:batch", "/v1/portfolio:value")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_operation_keeps_to_its_description(
    location: Path | str, client_of: Callable[..., TestClient], mode: GenerationMode
) -> None:
    """Requests as described and requests that are not, of every operation, checked by Schemathesis."""
    app = client_of(location, now=PUBLISHED + 60, max_body_bytes=50_000_000).app
    is_files = isinstance(location, Path)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 15
    for operation in operations:
        strategy = operation.as_strategy(generation_mode=mode)

        @settings(
            max_examples=20 if is_files else 4,
            suppress_health_check=list(HealthCheck),
            deadline=None,
            database=None,
        )
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


@pytest.fixture(scope="session")
def any_client(location: Path | str, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    """A client of the store in files, and of the one in PostgreSQL."""
    with client_of(location) as made:
        yield made


segments = st.one_of(names, st.text(min_size=1, max_size=50), st.binary(min_size=1, max_size=30))


def encoded(part: str | bytes) -> str:
    raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
    return "".join(f"%{byte:02x}" for byte in raw)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(segments, min_size=1, max_size=3), st.text(max_size=40), st.text(max_size=60))
def test_paths_and_queries_of_any_kind(
    any_client: TestClient, parts: list[Any], query: str, cursor: str
) -> None:
    client = any_client
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


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(json_values, st.builds(lambda inner: {"tokens": inner}, json_values)))
def test_bodies_of_any_kind(any_client: TestClient, value: Any) -> None:
    for path in BODIES:
        is_clean(
            any_client.post(path, content=json.dumps(value), headers={"content-type": "application/json"})
        )


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
def test_bodies_that_are_none(any_client: TestClient, body: bytes, kind: str) -> None:
    for path in BODIES:
        is_clean(any_client.post(path, content=body, headers={"content-type": kind} if kind else {}))


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


def spoil_document(folder: Path, name: str) -> None:
    """Put text that is no JSON into a published store, as an error in the publication would."""
    pointer = read_pointer(folder)
    file = folder / pointer.file
    with closing(sqlite3.connect(file, isolation_level=None)) as con:
        con.execute(
            "update documents set body = cast('secret of the inside' as blob) where name = ?", (name,)
        )
    write_pointer(folder, replace(pointer, bytes=file.stat().st_size, digest=sample_digest(file)))


def is_internal(response: Any) -> None:
    assert (response.status_code, response.json()["type"]) == (500, "urn:assay:problem:internal")
    assert response.headers["content-type"] == "application/problem+json"
    assert not any(word in response.text for word in (*INSIDE, "secret", "Error"))


def test_an_error_of_ours_is_in_the_log_and_leaves_as_a_problem_without_its_inside(
    market: Market, tmp_path: Path, client_of: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    market.publish(tmp_path)
    spoil_document(tmp_path, RISK)
    whole_wallet = {"tokens": [{"collection": "Apes", "token_id": token} for token in ("1", "2")]}
    with client_of(tmp_path) as client:
        for ask, path in (
            (lambda: client.post(BODIES[1], json=whole_wallet), BODIES[1]),
            (lambda: client.get(f"/v1/wallets/{WHALE}"), f"/v1/wallets/{WHALE}"),
        ):
            caplog.clear()
            is_internal(ask())
            (record,) = caplog.records
            assert path in record.getMessage()
            assert "Traceback" in caplog.text
            assert "JSONDecodeError" in caplog.text
            assert "serving/views/portfolio.py" in caplog.text
        assert client.get("/v1/tokens/Apes/1").status_code == 200


def test_an_error_before_the_route_is_one_too(
    folder: Path, tmp_path: Path, client_of: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    """A limit in the file of keys that somebody edited by hand."""
    edited, _ = KeyFile(tmp_path).create("me", limit="many")
    good, _ = KeyFile(tmp_path).create("you")
    with client_of(folder, keys=tmp_path) as client:
        is_internal(client.get("/v1/tokens/Apes/1", headers={"x-api-key": edited}))
        (record,) = caplog.records
        assert "/v1/tokens/Apes/1" in record.getMessage()
        assert "LimitError" in caplog.text
        assert edited not in caplog.text
        assert client.get("/v1/tokens/Apes/1", headers={"x-api-key": good}).status_code == 200


def test_a_failed_request_cannot_write_lines_of_its_own_into_the_log(
    folder: Path, tmp_path: Path, client_of: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    edited, _ = KeyFile(tmp_path).create("me", limit="many")
    with client_of(folder, keys=tmp_path) as client:
        is_internal(client.get("/v1/tokens/%0aroot/" + "a" * 10_000, headers={"x-api-key": edited}))
    message = caplog.records[0].getMessage()
    assert "\n" not in message
    assert len(message) < 600


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
