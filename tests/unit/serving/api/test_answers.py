"""Every route answers what the description says, from one version, with its age."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from serving.api import models
from serving.api.gains_models import WalletGainsAnswer
from serving.store.location import open_store
from tests.unit.serving.market import NAMES, PUBLISHED, WHALE

READS: list[tuple[str, type[BaseModel]]] = [
    ("/v1/collections", models.CollectionPage),
    ("/v1/collections/Apes", models.CollectionAnswer),
    ("/v1/collections/Apes/tokens", models.TokenPage),
    ("/v1/tokens/Apes/1", models.TokenAnswer),
    ("/v1/tokens/Apes/11", models.TokenAnswer),
    ("/v1/tokens/Apes/1/history", models.HistoryPage),
    (f"/v1/wallets/{WHALE}", models.WalletAnswer),
    (f"/v1/wallets/{WHALE}/gains", WalletGainsAnswer),
    ("/v1/accuracy", models.AccuracyAnswer),
    ("/v1/status", models.StatusAnswer),
]
ROUTED = {"more": "1"}
"""A query, which no route knows: the short way leaves every request with one to the route."""
LISTED = {"tokens": [{"collection": "Apes", "token_id": "1"}, {"collection": "a/b", "token_id": "11"}]}


@pytest.fixture(scope="module", params=["files", "database"])
def location(request: pytest.FixtureRequest) -> Path | str:
    """The published store, once in SQLite files and once in PostgreSQL."""
    return request.getfixturevalue("folder" if request.param == "files" else "published_database")


@pytest.fixture(scope="module")
def client(location: Path | str, client_of: Callable[..., TestClient]) -> Iterator[TestClient]:
    with client_of(location) as made:
        yield made


def segment(text: str) -> str:
    return quote(text, safe="")


@pytest.mark.parametrize(("path", "model"), READS)
def test_a_read_answers_in_the_described_form(client: TestClient, path: str, model: type[BaseModel]) -> None:
    response = client.get(path)
    assert response.status_code == 200, response.text
    model.model_validate(response.json())
    known = set(model.model_fields)
    assert model.model_config.get("extra") == "allow" or response.json().keys() <= known
    result = response.json()
    assert (result["age_s"], result["stale"]) == (3600, False)
    assert response.headers["etag"] == f'W/"{result["publication"]}-fresh"'
    assert response.headers["cache-control"] == "public, max-age=30"


@pytest.mark.parametrize(("path", "model"), READS)
def test_a_client_that_has_the_version_gets_304(
    client: TestClient, path: str, model: type[BaseModel]
) -> None:
    tag = client.get(path).headers["etag"]
    for result in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = client.get(path, headers={"if-none-match": result})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(("path", "model"), READS)
def test_head_is_get_without_a_body(client: TestClient, path: str, model: type[BaseModel]) -> None:
    identity = {"accept-encoding": "identity"}
    got, head = client.get(path, headers=identity), client.head(path, headers=identity)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == got.headers


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_short_way_gives_what_the_route_gives(client: TestClient, name: str, encoding: str) -> None:
    path, headers = f"/v1/tokens/{segment(name)}/3", {"accept-encoding": encoding}
    short = client.get(path, headers=headers)
    routed = client.get(path, headers=headers, params=ROUTED)
    assert (short.status_code, short.content) == (routed.status_code, routed.content)
    assert sorted(short.headers.items()) == sorted(routed.headers.items())


def test_the_short_way_is_taken(location: Path | str, client_of: Callable[..., TestClient]) -> None:
    # The short way reads no body, so only a route refuses one that is too long.
    with client_of(location, max_body_bytes=1) as client:
        short, routed = (
            client.request("GET", "/v1/tokens/Apes/3", params=params, content=b"long")
            for params in ({}, ROUTED)
        )
    assert (short.status_code, routed.status_code) == (200, 413)


def test_estimates_say_what_they_are(client: TestClient) -> None:
    valued, without = client.get("/v1/tokens/Apes/1").json(), client.get("/v1/tokens/Apes/11").json()
    assert (valued["estimate_eth"], valued["estimate_wei"]) == (2.0, "2000000000000000000")
    assert valued["interval_80_eth"] == [1.8, 2.3]
    assert (valued["grade"], valued["tier"], valued["model_version"]) == ("B", "pooled", "Apes@1")
    assert (without["estimate_eth"], without["no_value_reason"]) == (None, "fewer_than_3_sales")


def test_a_batch_keeps_the_order_and_a_bad_name_costs_only_itself(client: TestClient) -> None:
    asked = [
        {"collection": "a/b", "token_id": "2"},
        {"collection": "nobody", "token_id": "1"},
        {"collection": "Apes", "token_id": "no such"},
        {"collection": "bored-apes", "token_id": "1"},
        {"collection": "a/b", "token_id": "2"},
    ]
    response = client.post("/v1/estimates:batch", json={"tokens": asked})
    models.BatchAnswer.model_validate(response.json())
    found = response.json()["estimates"]
    assert [(one["collection"], one["token_id"]) for one in found] == [
        (one["collection"], one["token_id"]) for one in asked
    ]
    assert [one.get("problem") for one in found] == [
        None, "unknown-collection", "unknown-token", "ambiguous-collection", None,
    ]  # fmt: skip
    assert found[0] == found[4]


def test_a_batch_may_be_a_thousand_tokens_and_no_more(client: TestClient) -> None:
    token = {"collection": "Apes", "token_id": "1"}
    assert (
        len(client.post("/v1/estimates:batch", json={"tokens": [token] * 1000}).json()["estimates"]) == 1000
    )
    for tokens in ([token] * 1001, []):
        refused = client.post("/v1/estimates:batch", json={"tokens": tokens})
        assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "body.tokens")


def test_a_portfolio_is_its_tokens_sum(client: TestClient) -> None:
    unknown = {"collection": "Apes", "token_id": "no such"}
    response = client.post(
        "/v1/portfolio:value", json={"tokens": [*LISTED["tokens"], LISTED["tokens"][0], unknown]}
    )
    models.PortfolioAnswer.model_validate(response.json())
    result = response.json()
    assert (result["tokens"], result["tokens_valued"], result["value_eth"]) == (3, 1, 2.05)
    assert result["interval_80_eth"] == [1.8, 2.3]
    assert [row["reason"] for row in result["without_value"]] == ["fewer_than_3_sales", "unknown-token"]


@pytest.mark.parametrize("spelling", [str, str.lower, str.upper])
def test_a_wallet_is_its_positions(client: TestClient, spelling: Callable[[str], str]) -> None:
    result = client.get(f"/v1/wallets/{spelling(WHALE)}").json()
    assert result["tokens"] == result["tokens_valued"] == len(result["positions"]) == 2 * len(NAMES)
    values = [position["estimate_eth"] for position in result["positions"]]
    assert values == sorted(values, reverse=True)
    assert result["value_eth"] == pytest.approx(sum(p["expected_eth"] for p in result["positions"]))
    assert result["interval_80_eth"][0] < result["value_eth"] < result["interval_80_eth"][1]
    assert result["interval_method"] == "common risk"


def test_pages_together_are_the_whole_in_order(client: TestClient) -> None:
    whole = client.get("/v1/collections/Apes/tokens", params={"limit": 1000}).json()["tokens"]
    assert len(whole) == 12
    for sort in ("token", "-token", "value", "-value"):
        seen, cursor = [], None
        while True:
            page = client.get(
                "/v1/collections/Apes/tokens",
                params={"sort": sort, "limit": 5, **({"cursor": cursor} if cursor else {})},
            ).json()
            seen += page["tokens"]
            cursor = page["next_cursor"]
            if cursor is None:
                break

        def key(token: dict, by: str = sort) -> tuple:
            value = -1.0 if token["estimate_eth"] is None else token["estimate_eth"]
            return (value, token["token_id"]) if "value" in by else (token["token_id"],)

        assert seen == sorted(whole, key=key, reverse=sort.startswith("-"))


def test_collections_are_listed_by_name_and_by_value(client: TestClient) -> None:
    for sort in ("name", "-name", "value", "-value"):
        names, cursor = [], None
        while True:
            params = {"sort": sort, "limit": 4, **({"cursor": cursor} if cursor else {})}
            page = client.get("/v1/collections", params=params).json()
            names += [one["collection"] for one in page["collections"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert sorted(names) == sorted(NAMES)
        if sort.endswith("name"):
            assert names == sorted(NAMES, key=str.encode, reverse=sort.startswith("-"))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"grade": "A"}, {"0", "4", "8"}),
        ({"grade": ["A", "B"]}, {"0", "4", "8", "1", "5", "9"}),
        ({"tier": "none"}, {"10", "11"}),
        ({"valued": "false"}, {"10", "11"}),
        ({"min_eth": 5}, {"4", "9"}),
        ({"max_eth": 1}, {"0", "5"}),
        ({"min_eth": 0, "valued": "false"}, set()),
    ],
)
def test_tokens_are_filtered(client: TestClient, filters: dict, expected: set[str]) -> None:
    found = client.get("/v1/collections/Apes/tokens", params=filters).json()["tokens"]
    assert {token["token_id"] for token in found} == expected


def test_large_answers_are_compressed_for_who_can(client: TestClient) -> None:
    with client.stream("GET", "/v1/collections", headers={"accept-encoding": "gzip"}) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(raw))["collections"]
    plain = client.get("/v1/collections", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


def test_old_data_are_called_stale(folder: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(folder, now=PUBLISHED + 27 * 3600) as client:
        for path, _ in READS:
            response = client.get(path)
            assert response.json()["stale"] is True
            assert response.headers["etag"].endswith('-stale"')
        assert client.get("/readyz").json()["stale"] is True


def test_too_old_data_are_not_served(folder: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(folder, now=PUBLISHED + 27 * 3600, refuse_after_s=26 * 3600) as client:
        for path in ("/v1/tokens/Apes/1", "/v1/collections", "/readyz"):
            response = client.get(path)
            assert (response.status_code, response.json()["type"]) == (503, "urn:assay:problem:store-too-old")
            assert response.headers["retry-after"] == "5"
        assert client.get("/healthz").status_code == 200


def test_without_a_store_every_answer_but_health_names_the_remedy(
    tmp_path: Path, client_of: Callable[..., TestClient]
) -> None:
    with client_of(tmp_path) as client:
        for path in ("/v1/tokens/Apes/1", "/v1/status", "/readyz"):
            response = client.get(path)
            assert (response.status_code, response.json()["type"]) == (503, "urn:assay:problem:store-missing")
            assert "assay run" in response.json()["detail"]
        assert client.get("/healthz").json() == {"status": "ok"}
        assert "assay_store_up 0.0" in client.get("/metrics").text


def test_metrics_describe_requests_and_data(folder: Path, client_of: Callable[..., TestClient]) -> None:
    with client_of(folder) as client:
        client.get("/v1/tokens/Apes/1")
        client.get("/v1/tokens/Apes/none")
        client.get("/somewhere/else")
        text = client.get("/metrics").text
    route = 'route="/v1/tokens/{collection}/{token}"'
    for line in (
        f'assay_http_requests_total{{method="GET",{route},status="200"}} 1.0',
        f'assay_http_requests_total{{method="GET",{route},status="404"}} 1.0',
        'assay_http_requests_total{method="GET",route="none",status="404"} 1.0',
        f"assay_http_request_seconds_count{{{route}}} 2.0",
        "assay_store_up 1.0",
        "assay_store_age_seconds 3600.0",
        f"assay_store_tokens {12.0 * len(NAMES)}",
    ):
        assert line in text


def test_an_answer_names_the_version_that_is_current(location: Path | str, client: TestClient) -> None:
    version = open_store(location).current().pointer.version
    assert client.get("/v1/status").json()["store"]["version"] == version
