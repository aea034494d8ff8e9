"""What a browser and a program get at / and /docs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serving.api.page import page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_browser_gets_a_page_that_names_every_route_and_loads_nothing(
    client: TestClient, path: str
) -> None:
    answer = client.get(path, headers={"accept": BROWSER})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    described = client.get("/openapi.json").json()
    for route, operations in described["paths"].items():
        for method in operations:
            assert f"{method.upper()} {route}" in answer.text
    assert not re.search(r"<script|<link|<img|https?://|@import|url\(", answer.text)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for link in re.findall(r'href="([^"]+)"', answer.text):
        assert client.get(link.replace("&amp;", "&")).status_code == 200
    assert client.head(path, headers={"accept": BROWSER}).content == b""


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("accept", ["*/*", "application/json", "", "text/html;q=0", "text/htmlx"])
def test_a_program_gets_the_problem_as_json(client: TestClient, path: str, accept: str) -> None:
    answer = client.get(path, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "/openapi.json" in answer.json()["detail"]


def test_without_a_key_a_closed_api_shows_nothing(folder: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(folder, anonymous=False) as closed:
        assert closed.get("/", headers={"accept": BROWSER}).status_code == 401


def test_what_is_described_is_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    schema = {
        "openapi": "3.1.0",
        "info": {"title": hostile, "description": hostile},
        "paths": {"/<b>": {"get": {"summary": hostile, "responses": {}}}},
    }
    assert "<script" not in page(schema)
    assert "/<b>" not in page(schema)
